//! Why a service was not installed or removed. Data only.

use std::{io, path::PathBuf};

/// Why nothing was changed, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no service manager that could be asked, and what serves in its place.
    #[error("there is no {manager} here ({why}); nothing was written. Instead, {instead}")]
    NoManager {
        /// Its name.
        manager: &'static str,
        /// What it or the system says.
        why: String,
        /// What to do.
        instead: &'static str,
    },
    /// A file of this name is somebody else's.
    #[error("{} was not written by `leeward service install` and stays as it is; move it away first", .0.display())]
    Foreign(PathBuf),
    /// A file cannot be read, written or removed.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
    /// What cannot be written into the manager's format.
    #[error("{0}")]
    Unspellable(String),
    /// The manager does not do what it is asked.
    #[error("`{command}` failed: {said}")]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        said: String,
    },
}

impl Error {
    /// True where a file is in the way or cannot be written; else the manager is.
    pub fn is_of_file(&self) -> bool {
        matches!(self, Self::Foreign(_) | Self::File { .. })
    }
}
