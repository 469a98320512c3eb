//! What the ledger takes from the config; a change of anything else is none for it. Reads no file.

use crate::config::{self, Config};
use std::path::PathBuf;

/// What the ledger takes from the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) ledger: config::Ledger,
    pub(super) file: PathBuf,
}

impl Settings {
    pub(super) fn of(config: &Config) -> Self {
        Self { ledger: config.ledger.clone(), file: config.paths.ledger_file() }
    }
}
