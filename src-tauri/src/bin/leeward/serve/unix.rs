//! Unix half of `serve`: what the system asks by signal.

use super::Request;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are listened to.
#[derive(Debug)]
pub(super) struct Requests {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Requests {
    pub(super) fn register() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.interrupt.recv() => Request::End,
            _ = self.terminate.recv() => Request::End,
            _ = self.hangup.recv() => Request::Reload,
        }
    }

    /// Nothing that is asked from here on does anything, until the process has ended: tokio's handlers stay.
    pub(super) fn outlive(self) {}
}
