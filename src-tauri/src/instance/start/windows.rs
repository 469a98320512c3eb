//! Windows half of `start`: a background process has no console from its beginning.

use std::io;
use tokio::process::Command;

const DETACHED_PROCESS: u32 = 0x0000_0008;
const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// No console, no window, and no part in the starter's Ctrl-C.
pub(super) fn detach(command: &mut Command) {
    command.creation_flags(DETACHED_PROCESS | CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP);
}

/// The creation flags have done it already.
///
/// # Errors
/// Never.
pub fn leave_terminal() -> io::Result<()> {
    Ok(())
}
