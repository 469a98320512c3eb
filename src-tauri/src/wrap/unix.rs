//! Unix half of `wrap`: signals, job control, background processes.

use super::{AgentContext, Terminal, terminal::Known};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, setsid, waitid};
use std::{ffi::OsString, io, os::unix::process::ExitStatusExt, path::Path, process::ExitStatus};
use tokio::{
    process::Command,
    signal::unix::{Signal as Stream, SignalKind, signal},
};

/// The background process leaves the terminal by itself, see `leave_terminal`.
pub(super) fn detach(_command: &mut Command) {}

/// Makes the calling process the leader of a session without a terminal, so that closing the terminal, or Ctrl-C
/// in it, does not reach it.
///
/// # Errors
/// When it leads a process group already.
pub fn leave_terminal() -> io::Result<()> {
    setsid().map(|_| ()).map_err(Into::into)
}

/// What happens to the wrap while the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Ctrl-C or Ctrl-\: the terminal has sent it to the agent as well.
    Typed,
    /// Meant for the agent, and sent to us.
    Forward(Signal),
    /// A child ended or stopped.
    Child,
}

/// Handlers, not `SIG_IGN`: an ignored signal would stay ignored in the agent.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Stream,
    quit: Stream,
    terminate: Stream,
    hangup: Stream,
    child: Stream,
}

impl Signals {
    pub(super) fn register() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
        })
    }

    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.interrupt.recv() => Event::Typed,
            _ = self.quit.recv() => Event::Typed,
            _ = self.terminate.recv() => Event::Forward(Signal::TERM),
            _ = self.hangup.recv() => Event::Forward(Signal::HUP),
            _ = self.child.recv() => Event::Child,
        }
    }

    /// Nothing that is told from here on does anything, until the process has ended: tokio's handlers stay.
    pub(super) fn outlive(self) {}
}

pub(super) fn pass_on(event: Event, pid: Option<u32>) {
    let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) else { return };
    match event {
        Event::Typed => {}
        Event::Forward(signal) => send(pid, signal),
        Event::Child => {
            if is_stopped(pid) {
                // The shell sees only us: stop as the agent did, so that it gets its prompt back; `fg` wakes both.
                send(getpid(), Signal::STOP);
                send(pid, Signal::CONT);
            }
        }
    }
}

fn send(pid: Pid, signal: Signal) {
    if let Err(e) = kill_process(pid, signal) {
        tracing::debug!("{signal:?} did not reach process {}: {e}", pid.as_raw_nonzero());
    }
}

/// True when the child has stopped since this was last asked; its end is left for whoever waits for it.
fn is_stopped(pid: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    waitid(WaitId::Pid(pid), options).is_ok_and(|status| status.is_some_and(|s| s.stopped()))
}

pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Terminals of Linux and the BSDs, the user's own choice first. Debian's policy (section 11.8.3) promises `-e`.
pub(super) const TERMINALS: &[Known] = if cfg!(target_os = "macos") {
    &[("iTerm", &[]), ("Terminal", &[])]
} else {
    &[
        ("xdg-terminal-exec", &[]),
        ("x-terminal-emulator", &["-e"]),
        ("ptyxis", &["--"]),
        ("kgx", &["--"]),
        ("gnome-terminal", &["--"]),
        ("konsole", &["-e"]),
        ("xfce4-terminal", &["-x"]),
        ("mate-terminal", &["-x"]),
        ("tilix", &["-e"]),
        ("ghostty", &["-e"]),
        ("kitty", &[]),
        ("alacritty", &["-e"]),
        ("wezterm", &["start", "--"]),
        ("foot", &[]),
        ("xterm", &["-e"]),
    ]
};

/// The user's terminal with a command in it. macOS' take a line from AppleScript, which gets it as an argument.
pub(super) fn terminal(words: &[OsString], folder: &Path, context: &AgentContext<'_>) -> Option<Terminal> {
    if !cfg!(target_os = "macos") {
        return super::terminal::first(TERMINALS, words, folder, context);
    }
    let line = super::terminal::line(words, folder);
    let iterm = Path::new("/Applications/iTerm.app").exists();
    let (name, script, line) = if iterm {
        // It starts a program and no line, so a shell reads the line.
        let line = format!("/bin/sh -c {}", super::Shell::Sh.quote(&line));
        ("iTerm", "tell application \"iTerm\" to create window with default profile command (item 1 of argv)", line)
    } else {
        ("Terminal", "tell application \"Terminal\" to do script (item 1 of argv)", line)
    };
    let front = format!("tell application \"{name}\" to activate");
    let mut start = std::process::Command::new("/usr/bin/osascript");
    start.args(["-e", "on run argv", "-e", script, "-e", &front, "-e", "end run"]).arg(line).current_dir(folder);
    Some(Terminal { name: name.to_owned(), command: start })
}
