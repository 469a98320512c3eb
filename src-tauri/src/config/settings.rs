//! The config file on behalf of others: shows it, checks changes as the engine would, writes them whole or not at all.
//!
//! One writer at a time; the file is read again right before it is written, so that what others changed meanwhile stays.

use super::{
    definition::{self, RENAMED, Raw},
    edit::{self, Changes},
    error::Error,
    errors::errors,
    fallback::load_or_last_good,
    key::Type,
    keys::{self, View},
    load::{self, explain},
    paths::Paths,
    sources::{Flags, Sources, environment},
    types::Config,
    written::written,
};
use crate::files;
use serde::Serialize;
use serde_json::Value as Json;
use std::{
    fs, io,
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Looks up an environment variable.
type Env = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "KeyError"))]
pub struct Complaint {
    /// Dotted; empty when it is about the whole file.
    pub key: String,
    /// What is wrong and what to write.
    pub message: String,
}

/// Why nothing was written.
#[derive(Debug)]
pub enum Refused {
    /// The values are not good.
    Values(Vec<Complaint>),
    /// The file cannot be read or written: a sentence.
    File(String),
}

/// Where a config comes from: environment, command line and, found by them, the file.
pub struct Settings {
    env: Env,
    flags: Flags,
    writing: Mutex<()>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("flags", &self.flags).finish_non_exhaustive()
    }
}

impl Settings {
    /// Of this process, with its command line.
    pub fn new(flags: Flags) -> Self {
        Self::with(environment, flags)
    }

    /// With another environment.
    pub fn with(env: impl Fn(&str) -> Option<String> + Send + Sync + 'static, flags: Flags) -> Self {
        Self { env: Box::new(env), flags, writing: Mutex::new(()) }
    }

    fn sources(&self) -> Sources<'_> {
        Sources { env: &*self.env, flags: self.flags.clone() }
    }

    /// The config as it is now.
    ///
    /// # Errors
    /// As `config::load`.
    pub fn load(&self) -> Result<Config, Error> {
        load::load(&self.sources())
    }

    /// Everything that is wrong with it.
    pub fn errors(&self) -> Vec<Error> {
        errors(&self.sources())
    }

    /// Where the files are, as far as that can be found.
    pub fn paths(&self) -> Option<Paths> {
        load::paths(&self.sources())
    }

    /// The same, for whoever starts: what cannot be in force is replaced by the next best.
    ///
    /// # Errors
    /// As `config::load_or_last_good`.
    pub fn load_to_start(&self) -> Result<Config, Error> {
        load_or_last_good(&self.sources())
    }

    /// Every key and who decides it. Where the file is refused, the values of `running` are shown, and why.
    ///
    /// # Errors
    /// When the file cannot be found or read.
    pub fn view(&self, running: &Config) -> Result<View, Error> {
        let sources = self.sources();
        let (paths, text) = load::read(&sources)?;
        let path = paths.config_file.display().to_string();
        let exists = text.is_some();
        let text = text.unwrap_or_default();
        let nobody = |name: &str| if name == "LEEWARD_HOME" { (self.env)(name) } else { None };
        let defaults = load::assemble(&Sources { env: &nobody, flags: Flags::default() }, paths.clone(), "")?.0;
        let (loaded, problem) = match load::assemble(&sources, paths, &text) {
            Ok((config, _)) => (Some(config), None),
            Err(e) => (None, Some(e.to_string())),
        };
        let file = text.parse().unwrap_or_default();
        let config = loaded.as_ref().unwrap_or(running);
        let parts = keys::Parts { config, defaults: &defaults, file, overlay: load::overlay(&sources) };
        let mut keys = keys::all(&parts);
        if problem.is_some() {
            // What the file says is not in force, and may not even be a value.
            let in_force = written(running);
            for key in keys.iter_mut().filter(|k| k.from == "file" && !k.secret && k.kind != "table") {
                key.value = match key.key.split_once('.') {
                    Some((section, leaf)) => in_force.get(section).and_then(|s| s.get(leaf)),
                    None => in_force.get(&key.key),
                }
                .and_then(|v| serde_json::to_value(v).ok())
                .unwrap_or_default();
            }
        }
        Ok(View { path, exists, problem, keys })
    }

    /// What is wrong with the changes; nothing when they can be saved. Changes nothing.
    ///
    /// # Errors
    /// When the file cannot be found or read.
    pub fn check(&self, changes: &Changes) -> Result<Vec<Complaint>, Error> {
        let sources = self.sources();
        let (paths, text) = load::read(&sources)?;
        Ok(self.candidate(&sources, &paths, &text.unwrap_or_default(), changes).err().unwrap_or_default())
    }

    /// Writes the changes, if all of them are good.
    ///
    /// # Errors
    /// `Refused`; the file is as it was.
    pub fn save(&self, changes: &Changes) -> Result<(), Refused> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = self.sources();
        let (paths, old) = load::read(&sources).map_err(|e| Refused::File(e.to_string()))?;
        let text = self.candidate(&sources, &paths, old.as_deref().unwrap_or_default(), changes).map_err(Refused::Values)?;
        if old.as_ref() == Some(&text) || (old.is_none() && text.is_empty()) {
            return Ok(());
        }
        let file = &paths.config_file;
        write(file, &text).map_err(|e| {
            Refused::File(format!("The config file {} cannot be written ({e}); check its permissions.", file.display()))
        })
    }

    /// The text with the changes, once all of it is good.
    fn candidate(&self, sources: &Sources<'_>, paths: &Paths, text: &str, changes: &Changes) -> Result<String, Vec<Complaint>> {
        let overlay = load::overlay(sources);
        let alone = changes.iter().filter_map(|(key, value)| {
            let message = match overlay.get(key) {
                Some(by) => Some(format!("is set by {by} and cannot be changed here")),
                None => complaint(key, value),
            };
            message.map(|message| Complaint { key: key.clone(), message })
        });
        let mut complaints: Vec<_> = alone.collect();
        if !complaints.is_empty() {
            return Err(complaints);
        }
        let mut rest = changes.clone();
        loop {
            let edited = edit::edit(text, &rest).map_err(|(key, message)| vec![Complaint { key, message }])?;
            let (key, message) = match load::assemble(sources, paths.clone(), &edited) {
                Ok(_) if complaints.is_empty() => return Ok(edited),
                Ok(_) => return Err(complaints),
                Err(Error::Invalid { key: Some(key), message, .. }) => (key, message),
                Err(e) => (String::new(), e.to_string()),
            };
            // The others may be wrong as well, so they are looked at without this one.
            let ours = rest.remove(&key).is_some();
            complaints.push(Complaint { key, message });
            if !ours || rest.is_empty() {
                return Err(complaints);
            }
        }
    }
}

/// What is wrong with a value whatever the others are.
fn complaint(key: &str, value: &Json) -> Option<String> {
    let known = definition::keys().find(|known| known.name() == key);
    let of_table = key
        .split_once('.')
        .is_some_and(|(table, name)| !name.is_empty() && definition::keys().any(|k| k.kind == Type::Table && k.name() == table));
    if !of_table && known.is_none() {
        if let Some((old, new)) = RENAMED.iter().find(|(old, _)| *old == key) {
            return Some(format!("`{old}` is called `{new}` now"));
        }
        let near =
            definition::keys().map(|k| (strsim::jaro_winkler(&k.name(), key), k.name())).max_by(|a, b| a.0.total_cmp(&b.0));
        return Some(match near {
            Some((likeness, name)) if likeness > 0.6 => format!("there is no key `{key}`; did you mean `{name}`?"),
            _ => format!("there is no key `{key}`"),
        });
    }
    if value.is_null() {
        return None;
    }
    let changes = Changes::from([(key.to_owned(), value.clone())]);
    let text = match edit::edit("", &changes) {
        Ok(text) => text,
        Err((_, message)) => return Some(message),
    };
    let wrong = toml::from_str::<Raw>(&text).err()?;
    // The parser repeats the value, which nobody but its owner may see.
    let secret = known.is_some_and(|key| key.secrecy.is_some());
    Some(if secret { "must be a text".to_owned() } else { explain(wrong.message()) })
}

/// Beside it, to disk, over it: never half a file. A link stays a link, and the file's permissions stay.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut beside = tempfile::Builder::new().prefix(".config.").suffix(".tmp").tempfile_in(folder)?;
    beside.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(&file) {
        if old.permissions().readonly() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is marked read-only"));
        }
        fs::set_permissions(beside.path(), old.permissions())?;
    }
    beside.as_file().sync_all()?;
    // Closed, and no temporary file any more, which is an attribute on Windows.
    let beside = beside.into_temp_path().keep().map_err(|e| e.error)?;
    // A file that nobody will ask for; the error says more than that it is still there.
    files::replace(&beside, &file).inspect_err(|_| drop(fs::remove_file(&beside)))?;
    // So that the new name survives a power cut as well; not every system opens folders.
    if let Ok(folder) = fs::File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
