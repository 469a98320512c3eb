//! Socket and lock, from the process that serves to the one that takes over. Both accept until the new one confirms, so
//! nobody is refused in between; whoever fails on the way leaves the other as it was. Where the old one may give nothing to
//! the new one (Windows, to a process with more rights), nothing is handed over and the old one has to end first.

use super::{Lock, platform};
use std::{io, net::TcpListener, path::Path, time::Duration};

/// The new process starts an engine meanwhile, which takes milliseconds; slow disks and virus scanners take longer.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// What the new process gets.
#[derive(Debug)]
pub struct Taken {
    /// Where the old one listened: its very socket, with the same queue, or a new one where none can be passed.
    pub listener: TcpListener,
    /// The state folder's lock.
    pub lock: Lock,
    /// To be given once an engine accepts. `None`: the old one has closed its socket already.
    pub confirmation: Option<Confirmation>,
}

/// Tells the old process that the new one accepts. Dropped without, the old one goes on as if nothing had happened.
#[derive(Debug)]
pub struct Confirmation(pub(super) platform::Line);

impl Confirmation {
    /// The old process may stop accepting.
    ///
    /// # Errors
    /// When it is gone, which matters to nobody any more.
    pub fn confirm(self) -> io::Result<()> {
        self.0.confirm()
    }
}

/// Hands both to the process that waits at `to`, and waits until it confirms. Blocks for 10 seconds at most.
///
/// # Errors
/// When nobody waits there, does not confirm in time, or the system refuses to pass the socket on.
pub fn hand_over(to: &Path, listener: &TcpListener, lock: &Lock) -> io::Result<()> {
    platform::hand_over(to, listener, &lock.file, CONFIRM_WITHIN)
}
