//! Windows half of `wrap`: console events and background processes.

use std::{io, process::ExitStatus};
use tokio::{
    process::Command,
    signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c},
};

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

/// What happens to the wrap while the agent runs: the console sends Ctrl-C and Ctrl-Break to the agent as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Typed,
}

#[derive(Debug)]
pub(super) struct Signals {
    interrupt: CtrlC,
    quit: CtrlBreak,
}

impl Signals {
    pub(super) fn register() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()?, quit: ctrl_break()? })
    }

    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.interrupt.recv() => Event::Typed,
            _ = self.quit.recv() => Event::Typed,
        }
    }
}

pub(super) fn pass_on(event: Event, _pid: Option<u32>) {
    match event {
        Event::Typed => {}
    }
}

/// A process on Windows always has a code; 1 is what the system reports where it does not.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}
