//! The exit codes of `leeward`, all of them, and the failure that carries one with its sentence.

use leeward::{authority, config, instance, wrap};
use std::{fmt, io};

/// Exit codes; public, and the same as in sysexits.h where that has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// The doctor measured something that may go wrong at times; an agent runs past Leeward.
    Warnings = 1,
    /// The doctor found something broken; the demo found that a fault reached a client which should not have.
    Broken = 2,
    /// The command line makes no sense.
    Usage = 64,
    /// No Leeward runs, none starts at login, an upstream cannot be reached, a certificate authority cannot be used, or there is
    /// no service manager.
    Unavailable = 69,
    /// A file or folder cannot be written.
    CannotWrite = 73,
    /// Not now: the port is taken, another Leeward serves, or the engine has failed.
    TryAgain = 75,
    /// The config is invalid.
    ConfigInvalid = 78,
    /// The agent was found and cannot be executed (as a shell says it).
    NotExecutable = 126,
    /// The agent was not found (as a shell says it).
    AgentNotFound = 127,
}

/// Shown by `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    doctor: warnings; agents: a running session bypasses Leeward
  2    broken: doctor found it, or in the demo a fault that can be repaired reached a client
  64   the command line makes no sense, or nobody can be asked (setup without --yes)
  69   no Leeward runs, none starts at login (setup), an upstream cannot be reached, a certificate authority cannot be used, or
       there is no service manager
  73   a file or folder cannot be written, or setup left an agent as it is
  75   try again: the port is taken, another Leeward serves, or the engine has failed
  78   the config is invalid
  126  the agent cannot be executed
  127  the agent was not found
  Otherwise `wrap` and `run` end with the agent's own code, 128+n if signal n ended it.";

/// Why a command did not succeed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The code to end with.
    pub(crate) exit: Exit,
    /// For the user; empty when everything has been said.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

/// What a command returns: the code to end with.
pub(crate) type Outcome<T = i32> = Result<T, Failure>;

/// Output that nobody reads any more is no failure; output that cannot be written is one.
impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Ok, ""),
            _ => Self::new(Exit::CannotWrite, format!("cannot write the output: {e}")),
        }
    }
}

impl From<config::Error> for Failure {
    fn from(e: config::Error) -> Self {
        Self::new(Exit::ConfigInvalid, e)
    }
}

impl From<instance::ClientError> for Failure {
    fn from(e: instance::ClientError) -> Self {
        Self::new(Exit::Unavailable, e)
    }
}

impl From<instance::LockError> for Failure {
    fn from(e: instance::LockError) -> Self {
        match e {
            instance::LockError::Held(_) => Self::new(Exit::TryAgain, e),
            instance::LockError::Unwritable { .. } => Self::new(Exit::CannotWrite, e),
        }
    }
}

impl From<instance::StartError> for Failure {
    fn from(e: instance::StartError) -> Self {
        let exit = match &e {
            instance::StartError::Ended { code: Some(code), .. } => {
                [Exit::CannotWrite, Exit::TryAgain, Exit::ConfigInvalid].into_iter().find(|exit| *exit as i32 == *code)
            }
            _ => None,
        };
        Self::new(exit.unwrap_or(Exit::Unavailable), e)
    }
}

impl From<authority::Trouble> for Failure {
    fn from(e: authority::Trouble) -> Self {
        let exit = match e {
            authority::Trouble::Folder { .. } => Exit::CannotWrite,
            _ => Exit::Unavailable,
        };
        Self::new(exit, e)
    }
}

impl From<wrap::PlanError> for Failure {
    fn from(e: wrap::PlanError) -> Self {
        let exit = if matches!(e, wrap::PlanError::Mode(_)) { Exit::Usage } else { Exit::ConfigInvalid };
        Self::new(exit, e)
    }
}

impl From<wrap::NotFound> for Failure {
    fn from(e: wrap::NotFound) -> Self {
        let exit = match e {
            wrap::NotFound::Nowhere { .. } => Exit::AgentNotFound,
            wrap::NotFound::NotExecutable { .. } => Exit::NotExecutable,
        };
        Self::new(exit, e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit, Exit::Ok);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).exit, Exit::CannotWrite);
    }

    #[test]
    fn the_help_names_every_code_and_the_library_means_the_same() {
        use Exit::*;
        for exit in [Ok, Warnings, Broken, Usage, Unavailable, CannotWrite, TryAgain, ConfigInvalid, NotExecutable, AgentNotFound]
        {
            assert!(HELP.lines().any(|l| l.trim().starts_with(&format!("{} ", exit as i32))), "{exit:?}");
        }
        assert_eq!(TryAgain as i32, instance::TRY_AGAIN);
    }
}
