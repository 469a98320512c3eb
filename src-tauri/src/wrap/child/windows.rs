//! Windows half of `child`: console events.

use crate::wrap::plan::Plan;
use std::{io, path::Path, process::ExitStatus};
use tokio::{
    process::Command,
    signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown,
    },
};

/// What happens to the wrap while the agent runs. The console notifies the agent too, and gives both the same time; the
/// wrap stays, so that it ends as the agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Told,
}

#[derive(Debug)]
pub(super) struct Signals {
    interrupt: CtrlC,
    quit: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Signals {
    pub(super) fn register(_leeward: &Path) -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            quit: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    pub(super) async fn next(&mut self, _agent: Option<u32>) -> Event {
        tokio::select! {
            _ = self.interrupt.recv() => Event::Told,
            _ = self.quit.recv() => Event::Told,
            _ = self.close.recv() => Event::Told,
            _ = self.logoff.recv() => Event::Told,
            _ = self.shutdown.recv() => Event::Told,
        }
    }

    /// No event from here on does anything, until the process has ended.
    pub(super) fn outlive(self) {
        // Dropped, they would leave a late Ctrl-C to Windows, which ends a program with a code of its own.
        std::mem::forget(self);
    }
}

pub(super) fn pass_on(event: Event, _pid: Option<u32>) {
    match event {
        Event::Told => {}
    }
}

/// Windows gives its scripts to their interpreter by itself.
pub(super) fn is_script(_why: &io::Error, _program: &Path) -> bool {
    false
}

/// The plan's program.
pub(super) fn by_shell(plan: &Plan, args: &[std::ffi::OsString]) -> Command {
    let mut command = Command::new(&plan.program);
    command.args(args).kill_on_drop(false);
    super::variables::give(&mut command, plan);
    command
}

/// A process on Windows always has a code; 1 is what the system reports where it does not.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}
