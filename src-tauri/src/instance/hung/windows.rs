//! Windows half of `hung`. A process is suspended by debuggers alone, and those wake it.

use std::io;

/// There is nothing to wake it with.
pub(super) fn wake(_pid: u32) -> io::Result<()> {
    Ok(())
}

/// Ends it at once.
pub(super) fn end(pid: u32) -> io::Result<()> {
    leeward_windows::end_process(pid)
}
