//! Unix half of `child`: signals and job control.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};
use std::{io, os::unix::process::ExitStatusExt, process::ExitStatus};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

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
