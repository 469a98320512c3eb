//! macOS and the BSDs take a segment size; no safe call limits how long bytes stay unacknowledged.

use socket2::SockRef;
use std::{io, time::Duration};

pub(super) const KNOWS_UNACKNOWLEDGED: bool = false;

pub(super) fn limit_segment(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    socket.set_tcp_mss(bytes)
}

pub(super) fn limit_unacknowledged(_: &SockRef<'_>, _: Option<Duration>) -> io::Result<()> {
    Ok(())
}
