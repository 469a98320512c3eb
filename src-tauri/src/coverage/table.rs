//! The table of places in which agents are, `installs.toml`, as types. Holds facts; decides nothing.

use crate::status::coverage::InstallKind;
use serde::Deserialize;

/// All facts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) agent: Vec<Known>,
    pub(super) folder: Vec<Folder>,
    pub(super) trace: Vec<Trace>,
    pub(super) editor: Vec<Editor>,
    pub(super) ide: Vec<Ide>,
}

/// What is known of an agent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Known {
    /// As `leeward wrap` calls it.
    pub(super) name: String,
    pub(super) package: Option<String>,
    pub(super) python: Option<String>,
    pub(super) extensions: Vec<String>,
    pub(super) plugins: Vec<String>,
    pub(super) apps: Vec<App>,
    pub(super) mentions: Vec<String>,
    pub(super) settings_win: bool,
    pub(super) has_setup: bool,
}

/// A desktop application.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct App {
    pub(super) title: String,
    pub(super) system: String,
    pub(super) file: String,
}

/// Folders of programs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Folder {
    pub(super) of: String,
    pub(super) kind: Kind,
    pub(super) at: Vec<String>,
}

/// A part of a real path that says who put a program there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trace {
    pub(super) of: String,
    pub(super) kind: Kind,
    pub(super) part: String,
}

/// An editor and its folders of extensions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Editor {
    pub(super) of: String,
    pub(super) at: Vec<String>,
}

/// Folders of IDEs' plugins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ide {
    pub(super) system: String,
    pub(super) at: Vec<String>,
}

/// What puts programs in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Program,
    Npm,
    Package,
    Python,
}

impl From<Kind> for InstallKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Program => Self::Program,
            Kind::Npm => Self::Npm,
            Kind::Package => Self::Package,
            Kind::Python => Self::Python,
        }
    }
}

/// # Errors
/// Only when the embedded table is not valid, which a test rules out.
pub(super) fn table() -> Result<Table, toml::de::Error> {
    toml::from_str(include_str!("installs.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrap::{ANYTHING, profiles};

    #[test]
    fn every_agent_of_wrap_has_a_row_and_no_other_has() {
        let table = table().unwrap();
        let rows: Vec<&str> = table.agent.iter().map(|agent| agent.name.as_str()).collect();
        let agents = profiles().unwrap();
        let agents: Vec<&str> = agents.iter().map(|profile| profile.name.as_str()).filter(|name| *name != ANYTHING).collect();
        assert_eq!(rows, agents);
    }

    #[test]
    fn places_begin_where_they_can_be_found() {
        let table = table().unwrap();
        let folders = table.folder.iter().flat_map(|folder| &folder.at);
        let others = table.editor.iter().flat_map(|one| &one.at).chain(table.ide.iter().flat_map(|one| &one.at));
        let apps = table.agent.iter().flat_map(|agent| agent.apps.iter().map(|app| &app.file));
        for place in folders.chain(others).chain(apps) {
            assert!(place.starts_with("~/") || place.starts_with('$') || place.starts_with('/'), "{place}");
            assert!(!place.ends_with('/') && place.split('/').all(|part| part == "*" || !part.contains('*')), "{place}");
        }
        for agent in &table.agent {
            assert!(agent.extensions.iter().all(|id| id.split('.').count() == 2), "{}", agent.name);
        }
    }
}
