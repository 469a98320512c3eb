//! The agent as a child: it owns the terminal, gets the signals that are meant for it, and its end is our end.

#[cfg(unix)]
#[path = "child/init.rs"]
mod init;
#[cfg(unix)]
#[path = "child/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "child/windows.rs"]
mod platform;
#[cfg(unix)]
#[path = "child/signals.rs"]
mod signals;
#[path = "child/variables.rs"]
mod variables;
#[cfg(unix)]
#[path = "child/witness.rs"]
mod witness;

#[cfg(unix)]
pub use init::{Init, is_init};
#[cfg(unix)]
pub use witness::{WITNESS, bear_witness};

use super::{plan::Plan, private_argument::PrivateFile};
use crate::instance::CoreLimit;
use std::{io, path::Path, process::ExitStatus};
use tokio::process::{Child, Command};

/// Starts the program of a plan with the terminal, the folder and everything else inherited, and the limit of core files
/// that Leeward found. `leeward` is the program that the caller runs.
///
/// # Errors
/// The system's, when it cannot be started.
pub fn spawn(plan: &Plan, core_limit: &CoreLimit, leeward: &Path) -> io::Result<Agent> {
    // Before the start: a signal in between must find us prepared.
    let signals = platform::Signals::register(leeward)?;
    let (args, private) = plan.private.write(&plan.args)?;
    let mut command = Command::new(&plan.program);
    command.args(&args).kill_on_drop(false);
    variables::give(&mut command, plan);
    let child = core_limit.starting(|| match command.spawn() {
        Err(e) if platform::is_script(&e, &plan.program) => platform::by_shell(plan, &args).spawn(),
        started => started,
    })?;
    Ok(Agent { child, signals, _private: private })
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    signals: platform::Signals,
    /// It may read them again as long as it runs.
    _private: Vec<PrivateFile>,
}

impl Agent {
    /// Waits for its end and passes signals on meanwhile.
    ///
    /// # Errors
    /// The system's, when waiting fails.
    pub async fn wait(mut self) -> io::Result<ExitStatus> {
        let pid = self.child.id();
        let ended = loop {
            tokio::select! {
                ended = self.child.wait() => break ended,
                signal = self.signals.next(pid) => platform::pass_on(signal, pid),
            }
        };
        // What ended the agent may reach us only now, and its code is ours: a second Ctrl-C ends most agents.
        self.signals.outlive();
        ended
    }
}

/// The status as a shell reports it: the program's own code, or 128 + the signal that ended it.
pub fn exit_code(status: ExitStatus) -> i32 {
    platform::exit_code(status)
}
