//! Why a config was refused, in a sentence that names the place. Decides nothing.

use crate::escape::line;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Why a config was refused; the message is for the user and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists and cannot be read.
    #[error("cannot read the config file {}: {why}; check its permissions, or name another one with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: std::io::Error,
    },
    /// `--config` or `LEEWARD_CONFIG` names a file that is not there.
    #[error("the config file {} does not exist; create it, or drop --config to use the defaults", .0.display())]
    Missing(PathBuf),
    /// TOML syntax, an unknown key or a wrong type. Keys and values are the file's own and may have lines in them.
    #[error("{}", line(&format!("{place}: {message}")))]
    Invalid {
        /// File, line and column, or the name of the variable.
        place: String,
        /// What is wrong and what to write.
        message: String,
        /// The key that is wrong (`retry.total`), where it is known.
        key: Option<String>,
    },
    /// Others can change the config or the state: a sentence.
    #[error("{}", line(.0))]
    Distrusted(String),
    /// The user has no home folder and `LEEWARD_HOME` is not set.
    #[error("no home folder was found for this user; set LEEWARD_HOME to a folder for Leeward's files")]
    NoHome,
}

/// Where each value came from, so that a complaint can name the place.
pub(super) struct Origin<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    /// As `load::overlay`.
    pub(super) overlay: BTreeMap<String, String>,
}

impl Origin<'_> {
    /// An error that names the place where the key was set.
    pub(super) fn refuse(&self, key: &str, message: impl Into<String>) -> Error {
        let place = self.overlay.get(key).cloned().unwrap_or_else(|| {
            let line = line_of(self.text, key);
            format!("{}:{line}: {key}", self.file.display())
        });
        Error::Invalid { place, message: message.into(), key: Some(key.to_owned()) }
    }
}

/// The line on which a dotted key is set; 1 when it is not in the text.
fn line_of(text: &str, key: &str) -> usize {
    let (section, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let mut current = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            current = name.trim().to_owned();
        }
        let name = line.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        if line.contains('=') && ((current == section && name == leaf) || (current.is_empty() && name == key)) {
            return index + 1;
        }
    }
    1
}
