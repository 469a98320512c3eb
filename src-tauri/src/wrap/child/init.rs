//! `leeward` as the first process of a container (PID 1): it starts itself once more to do the work, passes signals on, and
//! collects every process whose parent has ended, so that none stays as a zombie. Does nothing else: who works has children
//! of its own, whose ends are nobody else's to collect.

use super::platform::{Signals, pass_on};
use crate::{config::environment, instance::startable};
use rustix::{
    io::Errno,
    process::{WaitOptions, getpid, wait},
};
use std::{
    ffi::OsStr,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus},
};

/// True in the process to which the kernel gives the orphans of its container.
pub fn is_init() -> bool {
    getpid().is_init()
}

/// The first process and the one that works.
#[derive(Debug)]
pub struct Init {
    child: u32,
    signals: Signals,
}

impl Init {
    /// Starts `leeward` with these arguments, in this process's group: what stops no first process stops it neither, because
    /// the system stops no group that nobody could wake.
    ///
    /// # Errors
    /// The system's, when it cannot be started.
    pub fn start<A: AsRef<OsStr>>(leeward: &Path, args: impl IntoIterator<Item = A>) -> io::Result<Self> {
        // Before the start: a signal in between must find us prepared.
        let signals = Signals::register(leeward)?;
        let mut command = Command::new(startable(leeward));
        command.args(args);
        // sd_listen_fds(3): sockets come with the number of the process that they are for, and here that is who works.
        if environment("LISTEN_PID").as_deref() == Some("1") {
            command.env_remove("LISTEN_PID");
        }
        Ok(Self { child: command.spawn()?.id(), signals })
    }

    /// Waits for its end, and passes signals on and collects orphans meanwhile.
    ///
    /// # Errors
    /// The system's, when waiting fails.
    pub async fn wait(mut self) -> io::Result<ExitStatus> {
        let ended = loop {
            match self.collect() {
                Ok(None) => {}
                Ok(Some(status)) => break Ok(status),
                Err(e) => break Err(e.into()),
            }
            let event = self.signals.next(Some(self.child)).await;
            pass_on(event, Some(self.child));
        };
        self.signals.outlive();
        ended
    }

    /// Collects all that have ended. The status of the one that works, once it is among them.
    fn collect(&self) -> Result<Option<ExitStatus>, Errno> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(None) => return Ok(None),
                Ok(Some((pid, status))) if u32::try_from(pid.as_raw_nonzero().get()) == Ok(self.child) => {
                    return Ok(Some(ExitStatus::from_raw(status.as_raw())));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
    }
}
