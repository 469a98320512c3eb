//! Windows half of `start`: a background process has no console from its beginning, and none of its starter's standard handles.

use std::io;
use tokio::process::{Child, Command};

const DETACHED_PROCESS: u32 = 0x0000_0008;
const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// No console, no window, and no part in the starter's Ctrl-C. The standard library has a program inherit every handle that
/// may be: those of an IDE's pipes would be open for as long as Leeward serves, and whoever reads them would wait.
pub(super) fn spawn_detached(command: &mut Command) -> io::Result<Child> {
    command.creation_flags(DETACHED_PROCESS | CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP);
    leeward_windows::keeping_standard_handles(|| command.spawn())
}

/// The creation flags have done it already.
///
/// # Errors
/// Never.
pub fn leave_terminal() -> io::Result<()> {
    Ok(())
}

/// The starter has kept them.
pub fn close_inherited() {}
