//! Unix half of `hung`: signals.

use rustix::process::{Pid, Signal, kill_process};
use std::io;

/// A process that was stopped goes on; any other one does not notice.
pub(super) fn wake(pid: u32) -> io::Result<()> {
    send(pid, Signal::CONT)
}

/// Ends it at once.
pub(super) fn end(pid: u32) -> io::Result<()> {
    send(pid, Signal::KILL)
}

fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    kill_process(pid, signal).map_err(Into::into)
}
