//! Windows half of `serve`: what the console and the system ask.

use super::Request;
use crate::exit::Outcome;
use std::{io, net::TcpListener};
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

/// No service manager brings one along.
pub(super) fn passed_socket() -> Outcome<Option<TcpListener>> {
    Ok(None)
}

/// There is none.
pub(super) fn is_journal() -> bool {
    false
}

/// The events that are listened to.
#[derive(Debug)]
pub(super) struct Requests {
    interrupt: CtrlC,
    breaking: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Requests {
    pub(super) fn register() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()?, breaking: ctrl_break()?, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    pub(super) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.interrupt.recv() => Request::End,
            _ = self.close.recv() => Request::End,
            _ = self.shutdown.recv() => Request::End,
            _ = self.breaking.recv() => Request::Reload,
        }
    }

    /// Nothing that is asked from here on does anything, until the process has ended.
    pub(super) fn outlive(self) {
        // Dropped, they would leave a late Ctrl-C to Windows, which ends a program with a code of its own.
        std::mem::forget(self);
    }
}
