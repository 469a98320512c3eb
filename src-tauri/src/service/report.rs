//! What is said of a service: how far it is installed, what runs, and where its files differ from what this version would
//! write. Data only.

#[cfg(unix)]
use super::saved::Found;
use serde::Serialize;
use std::{net::SocketAddr, path::PathBuf};

/// How much of it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Installed {
    /// All of it.
    Yes,
    /// A part; `install` completes it, `uninstall` removes it.
    Partly,
    /// Nothing.
    No,
    /// A file of its name is somebody else's.
    Foreign,
}

impl Installed {
    pub(super) fn of(files: &[File]) -> Self {
        let all = |state: FileState| files.iter().all(|file| file.state == state);
        match () {
            () if files.iter().any(|file| file.state == FileState::Foreign) => Self::Foreign,
            () if all(FileState::Missing) => Self::No,
            () if all(FileState::Ours) => Self::Yes,
            () => Self::Partly,
        }
    }
}

/// For whoever only needs to know whether the port is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// All of it is installed.
    pub installed: bool,
    /// The service manager runs it, or holds its port and starts it at the first connection.
    pub active: bool,
}

/// A file of the service, or what stands for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Where it is; a task's name on Windows.
    pub path: PathBuf,
    /// What it is.
    pub state: FileState,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// Written by `install`.
    Ours,
    /// Not there.
    Missing,
    /// Somebody else's.
    Foreign,
}

#[cfg(unix)]
impl From<&Found> for FileState {
    fn from(found: &Found) -> Self {
        match found {
            Found::Nothing => Self::Missing,
            Found::Ours(_) => Self::Ours,
            Found::Foreign => Self::Foreign,
        }
    }
}

/// What the manager and its files say.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) files: Vec<File>,
    /// The manager starts it at login; `None` where it was not asked.
    pub(super) enabled: Option<bool>,
    /// The program runs under it.
    pub(super) is_running: bool,
    /// It holds the port.
    pub(super) holds: Option<SocketAddr>,
    /// In what the files differ.
    pub(super) drift: Vec<String>,
    /// What else its user should know.
    pub(super) notes: Vec<String>,
}

/// All of it, for `leeward service status`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The service manager's name.
    pub manager: &'static str,
    /// Why it cannot be asked, where it cannot.
    pub unavailable: Option<String>,
    /// How much is installed.
    pub installed: Installed,
    /// Whether it starts at login, where the manager was asked.
    pub enabled: Option<bool>,
    /// The manager runs it or holds its port.
    pub active: bool,
    /// The address that the manager holds.
    pub held: Option<SocketAddr>,
    /// Where the config wants Leeward.
    pub listen: SocketAddr,
    /// Whether anybody listens there.
    pub listening: bool,
    /// Who, where somebody does.
    pub port_holder: Option<String>,
    /// The Leeward that serves, by proof: its address.
    pub serving: Option<SocketAddr>,
    /// Its process.
    pub serving_pid: Option<u32>,
    /// Where the files differ from what this version would write: `install` mends it.
    pub drift: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// The files.
    pub files: Vec<File>,
}

/// How a file differs from what is wanted, by its first other line.
pub(super) fn difference(name: &str, is: &str, wanted: &str) -> Option<String> {
    if is == wanted {
        return None;
    }
    let mut lines = is.lines().map(str::trim).zip(wanted.lines().map(str::trim));
    Some(match lines.find(|(is, wanted)| is != wanted) {
        Some((is, wanted)) => format!("{name} has `{is}`, and this version writes `{wanted}`"),
        None => format!("{name} is longer or shorter than what this version writes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mixture_of_files_has_a_name() {
        use FileState::{Foreign, Missing, Ours};
        for (states, installed) in [
            ([Ours, Ours], Installed::Yes),
            ([Ours, Missing], Installed::Partly),
            ([Missing, Missing], Installed::No),
            ([Foreign, Missing], Installed::Foreign),
            ([Ours, Foreign], Installed::Foreign),
        ] {
            let files = states.map(|state| File { path: PathBuf::new(), state });
            assert_eq!(Installed::of(&files), installed, "{states:?}");
        }
    }

    #[test]
    fn a_difference_names_the_line() {
        assert_eq!(difference("x", "a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("x", "a\nb\n", "a\nc\n").unwrap(), "x has `b`, and this version writes `c`");
        assert!(difference("x", "a\n", "a\nb\n").unwrap().contains("longer or shorter"));
    }
}
