//! Linux has all of it: TCP_MAXSEG, and TCP_USER_TIMEOUT (RFC 5482) for bytes that nobody acknowledges.

use socket2::SockRef;
use std::{io, time::Duration};

pub(super) const KNOWS_UNACKNOWLEDGED: bool = true;

pub(super) fn limit_segment(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    socket.set_tcp_mss(bytes)
}

pub(super) fn limit_unacknowledged(socket: &SockRef<'_>, limit: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_user_timeout(limit)
}
