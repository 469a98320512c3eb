//! What set-up has written, so that it can be undone: in the state folder, for the user alone, readable by later versions.
//! Decides nothing.

use super::key::{Form, Key, Made};
use crate::{
    config::Paths,
    files,
    instance::{create_private_dir, write_atomically},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A later version that writes it otherwise has another number.
const VERSION: u32 = 1;

/// All files with something of ours in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// See `VERSION`.
    version: u32,
    /// One for each file.
    pub entries: Vec<Entry>,
}

/// A file with something of ours in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// As its agent names it, which may be a link.
    pub path: PathBuf,
    /// How it is written.
    pub form: Form,
    /// Whether it was there before.
    pub existed: bool,
    /// Folders that were made for it, the outermost first.
    #[serde(default)]
    pub folders: Vec<PathBuf>,
    /// The copy of what it was before, in the state folder; `None` where it was not there.
    #[serde(default)]
    pub before: Option<String>,
    /// What it was left as.
    pub after: String,
    /// Our values, in the order in which they were set.
    pub values: Vec<Value>,
    /// Containers that were made for them.
    #[serde(default)]
    pub made: Vec<Made>,
}

/// A value of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The agent that it was set for.
    pub agent: String,
    /// Where it stands.
    pub key: Key,
    /// What was set.
    pub value: String,
    /// What stood there, as it was written.
    #[serde(default)]
    pub former: Option<String>,
}

/// The journal, or a copy of a file, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system's.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says nothing that this version understands.
    #[error("{} is damaged ({why}); what set-up has written must be taken out by hand", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A later version has written it.
    #[error("{} was written by a later version of Leeward; use that one", path.display())]
    Newer {
        /// The journal.
        path: PathBuf,
    },
    /// Another process works on it.
    #[error("another `leeward setup` is at work")]
    InUse,
}

/// The journal, while no other process writes it.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// What it holds.
    pub journal: Journal,
    /// Held as long as this; not by whoever only looks.
    _lock: Option<fs::File>,
}

/// The journal as it is now, for whoever only looks.
///
/// # Errors
/// When it cannot be read or is not understood.
pub fn read_journal(paths: &Paths) -> Result<Journal, JournalError> {
    read(&paths.setup_dir().join("journal.json"))
}

fn read(path: &Path) -> Result<Journal, JournalError> {
    let file = |source| JournalError::File { path: path.to_owned(), source };
    let bytes = match files::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Journal { version: VERSION, entries: Vec::new() }),
        Err(e) => return Err(file(e)),
    };
    let damaged = |e: serde_json::Error| JournalError::Damaged { path: path.to_owned(), why: e.to_string() };
    let any: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    match any.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version > u64::from(VERSION) => Err(JournalError::Newer { path: path.to_owned() }),
        _ => serde_json::from_value(any).map_err(damaged),
    }
}

impl Store {
    /// Opens the journal for this process alone.
    ///
    /// # Errors
    /// When it cannot be read or written, or another process has it.
    pub fn open(paths: &Paths) -> Result<Self, JournalError> {
        let folder = paths.setup_dir();
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::File { path, source }
        };
        create_private_dir(&folder.join("before")).map_err(file(&folder))?;
        let lock = folder.join("lock");
        let held = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock).map_err(file(&lock))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(JournalError::InUse),
            Err(fs::TryLockError::Error(e)) => return Err(file(&lock)(e)),
        }
        let journal = read(&folder.join("journal.json"))?;
        Ok(Self { folder, journal, _lock: Some(held) })
    }

    /// The journal for whoever only plans.
    ///
    /// # Errors
    /// When it cannot be read or is not understood.
    pub fn look(paths: &Paths) -> Result<Self, JournalError> {
        Ok(Self { folder: paths.setup_dir(), journal: read_journal(paths)?, _lock: None })
    }

    /// The entry of a file.
    pub fn entry(&self, path: &Path) -> Option<&Entry> {
        self.journal.entries.iter().find(|entry| entry.path == path)
    }

    /// Puts an entry in the place of the file's own, or takes that one out, and writes the journal.
    pub(super) fn put(&mut self, path: &Path, entry: Option<Entry>) -> Result<(), JournalError> {
        self.journal.entries.retain(|own| own.path != path);
        self.journal.entries.extend(entry);
        self.journal.version = VERSION;
        let file = self.folder.join("journal.json");
        let text = serde_json::to_vec_pretty(&self.journal).map_err(io::Error::other);
        text.and_then(|text| write_atomically(&file, &text)).map_err(|source| JournalError::File { path: file, source })
    }

    /// Keeps a copy of what a file was; its name.
    pub(super) fn keep(&self, path: &Path, bytes: &[u8]) -> Result<String, JournalError> {
        let stem = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let name = format!("{}-{}", &hash([path.as_os_str().as_encoded_bytes(), bytes].concat().as_slice())[..16], stem);
        let copy = self.folder.join("before").join(&name);
        write_atomically(&copy, bytes).map_err(|source| JournalError::File { path: copy, source })?;
        Ok(name)
    }

    /// A copy that was kept; `None` where it is gone.
    pub(super) fn kept(&self, name: &str) -> Option<Vec<u8>> {
        files::read(&self.folder.join("before").join(name)).ok()
    }

    /// Removes the copies that no entry names.
    pub fn tidy(&self) {
        let named = |name: &str| self.journal.entries.iter().any(|entry| entry.before.as_deref() == Some(name));
        for copy in fs::read_dir(self.folder.join("before")).into_iter().flatten().flatten() {
            if !copy.file_name().to_str().is_some_and(named) {
                // One that stays harms nobody.
                fs::remove_file(copy.path()).ok();
            }
        }
    }
}

/// The SHA-256 of bytes, in hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn it_is_read_again_by_any_version_that_can() {
        let home = tempfile::tempdir().unwrap();
        let paths = Config::under(home.path()).unwrap().paths;
        assert!(read_journal(&paths).unwrap().entries.is_empty());
        let mut store = Store::open(&paths).unwrap();
        assert!(matches!(Store::open(&paths), Err(JournalError::InUse)));
        let entry = Entry {
            path: "/home/me/.claude/settings.json".into(),
            form: Form::Json,
            existed: true,
            folders: Vec::new(),
            before: Some(store.keep(Path::new("/x/settings.json"), b"{}").unwrap()),
            after: hash(b"x"),
            values: vec![Value { agent: "claude".into(), key: Key::of(&["env", "A"]), value: "1".into(), former: None }],
            made: vec![Made { path: Vec::new(), before: Some("{}".into()) }],
        };
        store.put(&entry.path, Some(entry.clone())).unwrap();
        assert_eq!(read_journal(&paths).unwrap(), store.journal);
        store.tidy();
        assert_eq!(store.kept(entry.before.as_deref().unwrap()).unwrap(), b"{}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |name: &str| fs::metadata(paths.setup_dir().join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("journal.json"), mode("before")), (0o600, 0o700));
        }
        // A later version may add what this one does not know.
        let file = paths.setup_dir().join("journal.json");
        let more = fs::read_to_string(&file).unwrap().replacen("\"path\":", "\"later\": [1], \"path\":", 1);
        fs::write(&file, more).unwrap();
        assert_eq!(read_journal(&paths).unwrap(), store.journal);
        fs::write(&file, "{\"version\": 2, \"entries\": {}}").unwrap();
        assert!(matches!(read_journal(&paths), Err(JournalError::Newer { .. })));
        fs::write(&file, "{").unwrap();
        assert!(matches!(read_journal(&paths), Err(JournalError::Damaged { .. })));
        store.put(&entry.path, None).unwrap();
        store.tidy();
        assert_eq!(store.kept(entry.before.as_deref().unwrap()), None);
    }
}
