//! Windows half of `wrap`: console events and background processes.

use super::{AgentContext, Terminal, terminal::Known};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::windows::process::CommandExt,
    path::Path,
    process::ExitStatus,
};
use tokio::{
    process::Command,
    signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown,
    },
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

/// What happens to the wrap while the agent runs. The console tells the agent the same, and gives both the same time; the
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
    pub(super) fn register() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            quit: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.interrupt.recv() => Event::Told,
            _ = self.quit.recv() => Event::Told,
            _ = self.close.recv() => Event::Told,
            _ = self.logoff.recv() => Event::Told,
            _ = self.shutdown.recv() => Event::Told,
        }
    }

    /// Nothing that is told from here on does anything, until the process has ended.
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

/// A process on Windows always has a code; 1 is what the system reports where it does not.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

const CREATE_NEW_CONSOLE: u32 = 0x0000_0010;

/// Windows Terminal where it is installed; else the console that Windows gives a program of its own.
pub(super) const TERMINALS: &[Known] = &[("wt.exe", &[])];

/// The user's terminal with a command in it.
pub(super) fn terminal(words: &[OsString], folder: &Path, context: &AgentContext<'_>) -> Option<Terminal> {
    let (program, arguments) = words.split_first()?;
    if let Some(wt) = super::terminal::find("wt.exe", context) {
        let mut start = std::process::Command::new(wt);
        start.arg("-d").arg(folder).arg("--").args(words.iter().map(|word| for_wt(word)));
        return Some(Terminal { name: "Windows Terminal".into(), command: start });
    }
    let mut start = std::process::Command::new(program);
    start.args(arguments).current_dir(folder).creation_flags(CREATE_NEW_CONSOLE);
    Some(Terminal { name: "the Windows console".into(), command: start })
}

/// A semicolon separates commands of Windows Terminal's own, also within quotes, unless a backslash precedes it.
fn for_wt(word: &OsStr) -> OsString {
    word.to_string_lossy().replace(';', "\\;").into()
}
