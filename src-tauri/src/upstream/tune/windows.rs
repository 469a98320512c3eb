//! Windows has neither option in reach of a safe call; its own path MTU black hole detection is on by default.

use socket2::SockRef;
use std::{io, time::Duration};

pub(super) const KNOWS_UNACKNOWLEDGED: bool = false;

pub(super) fn limit_segment(_: &SockRef<'_>, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn limit_unacknowledged(_: &SockRef<'_>, _: Option<Duration>) -> io::Result<()> {
    Ok(())
}
