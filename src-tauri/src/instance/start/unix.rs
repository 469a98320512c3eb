//! Unix half of `start`: a background process leaves its starter's terminal.

use rustix::process::setsid;
use std::io;
use tokio::process::Command;

/// The background process leaves the terminal by itself, see `leave_terminal`.
pub(super) fn detach(_command: &mut Command) {}

/// Makes the calling process the leader of a session without a terminal, so that closing the terminal, or Ctrl-C
/// in it, does not reach it.
///
/// # Errors
/// When it leads a process group already.
pub fn leave_terminal() -> io::Result<()> {
    setsid().map(|_| ()).map_err(Into::into)
}
