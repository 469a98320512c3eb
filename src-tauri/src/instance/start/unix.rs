//! Unix half of `start`: a background process leaves its starter's terminal, and what else it got from it.

use rustix::process::setsid;
use std::{fs, io, os::fd::RawFd};
use tokio::process::{Child, Command};

/// The background process leaves the terminal and closes what it inherited by itself, see `leave_terminal` and `close_inherited`.
pub(super) fn spawn_detached(command: &mut Command) -> io::Result<Child> {
    command.spawn()
}

/// Makes the calling process the leader of a session without a terminal, so that closing the terminal, or Ctrl-C
/// in it, does not reach it.
///
/// # Errors
/// When it leads a process group already.
pub fn leave_terminal() -> io::Result<()> {
    setsid().map(|_| ()).map_err(Into::into)
}

/// Linux' and macOS' list of the descriptors of this process.
const LISTS: [&str; 2] = ["/proc/self/fd", "/dev/fd"];

/// Closes all descriptors that this process got from its starter, but for standard input, output and error: an IDE's pipes, a
/// shell's redirections, whose readers would wait for as long as Leeward serves. For a process that has opened nothing yet. The
/// starter keeps its own, and so does the agent that it starts. A list that cannot be read closes nothing.
pub fn close_inherited() {
    let Some(list) = LISTS.iter().find_map(|list| fs::read_dir(list).ok()) else { return };
    let open: Vec<RawFd> = list.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The list's own was among them and is closed by now.
        nix::unistd::close(descriptor).ok();
    }
}
