//! Whether an agent is set up, and what of it is not as it was left. For whoever shows it; changes nothing.

use super::{
    inverse::{self, Drift},
    journal::Journal,
    text,
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// How far an agent is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing of it is.
    NotSetUp,
    /// All of it, in these files.
    SetUp(Vec<PathBuf>),
    /// Something is not as it was left; a sentence each, without a full stop.
    Drifted(Vec<String>),
}

/// The state of an agent by the journal and its files. `base` is Leeward's address, such as `http://127.0.0.1:8787`.
pub fn state(agent: &str, journal: &Journal, base: &str, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> State {
    let (mut files, mut drifted) = (Vec::new(), Vec::new());
    for entry in &journal.entries {
        let own: Vec<_> = entry.values.iter().filter(|value| value.agent == agent).collect();
        if own.is_empty() {
            continue;
        }
        files.push(entry.path.clone());
        let path = entry.path.display();
        let bytes = match read(&entry.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                drifted.push(format!("{path} is gone"));
                continue;
            }
            Err(e) => {
                drifted.push(format!("{path} cannot be read: {e}"));
                continue;
            }
        };
        for value in own {
            let drift = text::decoded(&bytes).and_then(|(text, _)| inverse::drift(entry, value, text));
            let elsewhere = value.value.starts_with("http://") && !is_below(&value.value, base);
            match drift {
                Ok(None) if elsewhere => {
                    drifted.push(format!("{path}: {} is {}, and Leeward's address is {base}", value.key, value.value));
                }
                Ok(None) => {}
                Ok(Some(Drift { key, now: Some(_) })) => drifted.push(format!("{path}: {key} was changed")),
                Ok(Some(Drift { key, now: None })) => drifted.push(format!("{path}: {key} was taken out")),
                Err(trouble) => {
                    drifted.push(format!("{path}: {}", trouble.why));
                    break;
                }
            }
        }
    }
    match (files.is_empty(), drifted.is_empty()) {
        (true, _) => State::NotSetUp,
        (false, true) => State::SetUp(files),
        (false, false) => State::Drifted(drifted),
    }
}

fn is_below(url: &str, base: &str) -> bool {
    url.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
