//! Socket and lock, from the process that serves to the one that takes over. Both accept until the new one confirms, so
//! nobody is refused in between; whoever fails on the way leaves the other as it was. Where the old one may give nothing to
//! the new one (Windows, to a process with more rights), nothing is handed over and the old one has to end first.

mod taken;

#[cfg(unix)]
#[path = "handover/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "handover/windows.rs"]
mod platform;

pub(super) use platform::receive;
pub use taken::{Confirmation, Taken};

use super::lock::Lock;
use std::{io, net::TcpListener, path::Path, time::Duration};

/// The new process starts an engine meanwhile, which takes milliseconds; slow disks and virus scanners take longer.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// Hands both to the process that waits at `to`, and waits until it confirms. Blocks for 10 seconds at most.
///
/// # Errors
/// When nobody waits there, it is another user's, does not confirm in time, or the system refuses to pass the socket on.
pub fn hand_over(to: &Path, listener: &TcpListener, lock: &Lock) -> io::Result<()> {
    platform::hand_over(to, listener, &lock.file, CONFIRM_WITHIN)
}
