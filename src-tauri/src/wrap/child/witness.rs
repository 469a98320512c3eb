//! A process beside the agent that does nothing but say which signals reach it. It belongs to the same process group, so
//! what reaches it was sent to the whole group and has reached the agent; what reaches the wrap alone has not. No system
//! reports to a program whether a signal was meant for it or for its group.

use super::signals;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use signal_hook::iterator::{backend::SignalDelivery, exfiltrator::SignalOnly};
use std::{
    future,
    io::{self, Read, Write},
    os::unix::{net::UnixStream, process::ExitStatusExt},
    path::Path,
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStdout, Command},
    time::{Instant, timeout_at},
};

/// The command of `leeward` that runs `bear_witness`.
pub const WITNESS: &str = "witness";

/// How long the witness may take to say what reached it, on a machine that is busy.
const SAID_WITHIN: Duration = Duration::from_millis(100);
/// What it said earlier than this belongs to another signal.
const RECENT: Duration = Duration::from_secs(1);

/// Says each signal that arrives as one byte on standard output. Ends with standard input, which its starter holds open.
///
/// # Errors
/// The system's, when signals cannot be received or nobody listens any more.
pub fn bear_witness() -> io::Result<()> {
    let (mut read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    let mut arrived = SignalDelivery::with_pipe(read.try_clone()?, write, SignalOnly, signals::named())?;
    for signal in signals::real_time() {
        // The C library keeps some for itself.
        arrived.handle().add_signal(signal).ok();
    }
    let (stdin, mut stdout) = (io::stdin(), io::stdout());
    loop {
        let mut waits = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&read, PollFlags::IN)];
        match poll(&mut waits, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let ended = !waits[0].revents().is_empty();
        while read.read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0) {}
        for signal in arrived.pending().filter_map(|signal| u8::try_from(signal).ok()) {
            stdout.write_all(&[signal])?;
        }
        stdout.flush()?;
        if ended {
            return Ok(());
        }
    }
}

/// The wrap's end of it.
#[derive(Debug)]
pub(super) struct Witness {
    child: Child,
    said: Option<ChildStdout>,
    notes: Vec<(i32, Instant)>,
}

impl Witness {
    /// Starts one. Its standard input ends with this process, and so does it.
    pub(super) fn start(leeward: &Path) -> io::Result<Self> {
        let mut command = Command::new(leeward);
        command.arg(WITNESS).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let said = child.stdout.take();
        Ok(Self { child, said, notes: Vec::new() })
    }

    /// Notes the next thing that it says; for ever without one that says something.
    pub(super) async fn listen(witness: Option<&mut Self>) {
        match witness {
            Some(witness) => witness.note().await,
            None => future::pending().await,
        }
    }

    async fn note(&mut self) {
        let Some(said) = &mut self.said else { return future::pending().await };
        let mut byte = [0];
        let signal = match said.read(&mut byte).await {
            Ok(1..) => Some(byte[0].into()),
            // Before it is ready, a signal ends it: that says as much.
            Ok(0) | Err(_) => {
                self.said = None;
                self.child.wait().await.ok().and_then(|status| status.signal())
            }
        };
        let now = Instant::now();
        self.notes.retain(|(_, at)| now.duration_since(*at) < RECENT);
        self.notes.extend(signal.map(|signal| (signal, now)));
    }

    /// Whether this signal has reached the witness too.
    pub(super) async fn saw(&mut self, signal: i32) -> bool {
        let deadline = Instant::now() + SAID_WITHIN;
        loop {
            if let Some(at) = self.notes.iter().position(|(noted, _)| *noted == signal) {
                self.notes.swap_remove(at);
                return true;
            }
            if timeout_at(deadline, self.note()).await.is_err() {
                return false;
            }
        }
    }

    /// True once it says nothing any more.
    pub(super) fn is_gone(&self) -> bool {
        self.said.is_none()
    }
}
