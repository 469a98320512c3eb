//! A process, and what is inside it, as others see them. Data only.

use std::{collections::BTreeMap, path::PathBuf};

/// A process of this user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: Option<u32>,
    /// Its name and what it was started with. Credentials may be among them: they are looked at, and shown nowhere.
    pub(super) arguments: Vec<String>,
    /// The file that it runs, where the system says it.
    pub(super) program: Option<PathBuf>,
    /// In milliseconds since 1970.
    pub(super) since_unix_ms: Option<u64>,
}

/// What is inside a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    /// The folder that it works in, where the system says it.
    pub(super) folder: Option<PathBuf>,
    /// Those of the variables asked for that it was started with, or why they are not known.
    pub(super) variables: Result<BTreeMap<String, String>, String>,
}

/// Of `NAME=value` the name and the value, if it is one that is asked for.
pub(super) fn asked<'a>(variable: &'a str, names: &[String]) -> Option<(String, &'a str)> {
    let (name, value) = variable.split_once('=')?;
    let is = |wanted: &&String| if cfg!(windows) { wanted.eq_ignore_ascii_case(name) } else { *wanted == name };
    names.iter().find(is).map(|name| (name.clone(), value))
}
