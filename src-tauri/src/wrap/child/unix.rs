//! Unix half of `child`: signals and job control.
//!
//! A signal that the agent has not got by itself is sent to it. It has got what the terminal sends (the kernel names itself as
//! the sender, and the agent is in the same group) and what anybody sends to the whole group (the witness got it too).

use super::{signals, witness::Witness};
use crate::{instance::startable, wrap::plan::Plan};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgid, getpgrp, getpid, getppid, kill_process, waitid};
use signal_hook::{
    iterator::{
        backend::SignalDelivery,
        exfiltrator::origin::{Origin, WithOrigin},
    },
    low_level::siginfo::Cause,
};
use std::{
    collections::VecDeque,
    fs::File,
    future,
    io::{self, Read},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};
use tokio::{
    net::UnixStream,
    process::Command,
    signal::unix::{Signal as Stream, SignalKind, signal},
};

/// What happens to the wrap while the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Meant for the agent, and sent to us.
    Forward(i32),
    /// A child ended or stopped.
    Child,
}

/// Handlers, not `SIG_IGN`: an ignored signal would stay ignored in the agent.
#[derive(Debug)]
pub(super) struct Signals {
    arrivals: Arrivals,
    child: Stream,
    leeward: PathBuf,
    witness: Option<Witness>,
}

impl Signals {
    pub(super) fn register(leeward: &Path) -> io::Result<Self> {
        Ok(Self {
            arrivals: Arrivals::register()?,
            child: signal(SignalKind::child())?,
            witness: start_witness(leeward),
            leeward: leeward.to_owned(),
        })
    }

    /// The next thing to do for the agent.
    pub(super) async fn next(&mut self, agent: Option<u32>) -> Event {
        let agent = agent.and_then(pid_of);
        loop {
            tokio::select! {
                origin = self.arrivals.next() => {
                    if self.is_for(agent, &origin).await {
                        return Event::Forward(origin.signal);
                    }
                }
                () = Witness::listen(self.witness.as_mut()) => {}
                _ = self.child.recv() => return Event::Child,
            }
        }
    }

    /// Whether the agent has yet to get it.
    async fn is_for(&mut self, agent: Option<Pid>, origin: &Origin) -> bool {
        let sender = origin.process.map(|process| process.pid).and_then(Pid::from_raw);
        let to_all = match &mut self.witness {
            Some(witness) => witness.saw(origin.signal).await,
            None => false,
        };
        if self.witness.as_ref().is_some_and(Witness::is_gone) {
            // What it said last has been heard. The next signal needs another one.
            self.witness = start_witness(&self.leeward);
        }
        // A write to a closed pipe, and an agent that notifies its parent that it is ready.
        if sender.is_some() && (sender == Some(getpid()) || sender == agent) {
            return false;
        }
        if is_of_the_kernel(origin) {
            // A terminal that goes away signals the leader of its session first, which may be us alone.
            return origin.signal == Signal::HUP.as_raw() && self.witness.is_some() && !to_all;
        }
        // A shell leads a group of its own.
        let is_apart = agent.and_then(|agent| getpgid(Some(agent)).ok()).is_some_and(|group| group != getpgrp());
        is_apart || !to_all
    }

    /// No signal from here on does anything, until the process has ended.
    pub(super) fn outlive(self) {
        // Dropped, signal-hook's handlers would leave a late signal to the system, which ends a program.
        std::mem::forget(self.arrivals);
    }
}

/// Without one, what is sent to the whole group reaches the agent twice; better than not at all.
fn start_witness(leeward: &Path) -> Option<Witness> {
    Witness::start(&startable(leeward)).inspect_err(|e| tracing::debug!("no witness: {e}")).ok()
}

/// macOS names no cause, and a process only where there is one. On Linux the sender may have no number here: it is outside
/// of this container.
fn is_of_the_kernel(origin: &Origin) -> bool {
    let is_sent = matches!(origin.cause, Cause::Sent(_));
    !is_sent && (cfg!(target_os = "linux") || origin.process.is_none())
}

/// Signals as they arrive, with their senders.
#[derive(Debug)]
struct Arrivals {
    delivery: SignalDelivery<UnixStream, WithOrigin>,
    queue: VecDeque<Origin>,
}

impl Arrivals {
    fn register() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let write = write.into_std()?;
        let delivery = SignalDelivery::with_pipe(read, write, WithOrigin::default(), signals::named())?;
        for signal in signals::real_time() {
            // The C library keeps some for itself.
            delivery.handle().add_signal(signal).ok();
        }
        Ok(Self { delivery, queue: VecDeque::new() })
    }

    async fn next(&mut self) -> Origin {
        loop {
            if let Some(origin) = self.queue.pop_front() {
                return origin;
            }
            let pipe = self.delivery.get_read();
            if pipe.readable().await.is_err() {
                return future::pending().await;
            }
            // Until there is nothing: only then does tokio wait for more.
            while pipe.try_read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0) {}
            self.queue.extend(self.delivery.pending());
        }
    }
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

pub(super) fn pass_on(event: Event, pid: Option<u32>) {
    let Some(pid) = pid.and_then(pid_of) else { return };
    match event {
        Event::Forward(signal) => send(pid, signal),
        Event::Child => {
            // No shell waits for the child of a container's first process, so nobody would wake it.
            if is_stopped(pid) && getppid().is_some_and(|parent| !parent.is_init()) {
                // The shell sees only us: stop as the agent did, so that it gets its prompt back. `fg` wakes the group, and
                // what wakes us alone is forwarded.
                send(getpid(), Signal::STOP.as_raw());
            }
        }
    }
}

fn send(pid: Pid, signal: i32) {
    let sent = match Signal::from_named_raw(signal) {
        Some(signal) => kill_process(pid, signal).map_err(io::Error::from),
        // rustix knows no signal without a name.
        None => kill_by_number(pid, signal),
    };
    if let Err(e) = sent {
        tracing::debug!("signal {signal} did not reach process {}: {e}", pid.as_raw_nonzero());
    }
}

fn kill_by_number(pid: Pid, signal: i32) -> io::Result<()> {
    let mut kill = std::process::Command::new("kill");
    kill.args([format!("-{signal}"), pid.as_raw_nonzero().to_string()]);
    kill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(drop)
}

/// True when the child has stopped since this was last asked; its end is left for whoever waits for it.
fn is_stopped(pid: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    waitid(WaitId::Pid(pid), options).is_ok_and(|status| status.is_some_and(|s| s.stopped()))
}

/// Whether a file that the kernel does not execute is a text, which shells and `execvp` give to `/bin/sh`: without a NUL in its
/// first line, as bash judges.
pub(super) fn is_script(why: &io::Error, program: &Path) -> bool {
    let mut head = [0; 256];
    why.raw_os_error() == Some(Errno::NOEXEC.raw_os_error())
        && File::open(program).and_then(|mut file| file.read(&mut head)).is_ok_and(|read| {
            let line = head[..read].split(|byte| *byte == b'\n').next().unwrap_or_default();
            !line.contains(&0)
        })
}

/// The plan's program as a script of the shell.
pub(super) fn by_shell(plan: &Plan, args: &[std::ffi::OsString]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg(&plan.program).args(args).kill_on_drop(false);
    super::variables::give(&mut command, plan);
    command
}

pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
