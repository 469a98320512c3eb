//! What is to become of one file, shown and then done: the journal knows of it before the file does, so that whatever is
//! written can be undone.

use super::{
    diff, disk,
    hide::Hide,
    inverse::{self, Drift},
    journal::{Entry, JournalError, Store, Value, hash},
    key::{Form, Key, Trouble},
    places::Place,
    text,
};
use std::path::{Path, PathBuf};

/// What a file is to become.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// The file, as its agent names it.
    pub path: PathBuf,
    found: disk::Found,
    after: Option<Vec<u8>>,
    /// What the journal is to hold; `None` takes its entry out.
    entry: Option<Entry>,
    before: Before,
    is_undo: bool,
}

/// What a file was before anything of ours was in it.
#[derive(Clone, Debug)]
enum Before {
    /// As the journal has it.
    Kept,
    /// These bytes; `None` where it was not there.
    Bytes(Option<Vec<u8>>),
}

/// Why a file is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A sentence without a full stop.
    pub why: String,
}

impl Refusal {
    fn of(path: &Path, why: &str) -> Self {
        Self { why: format!("{} {why}", path.display()) }
    }

    fn at(path: &Path, trouble: &Trouble) -> Self {
        let line = trouble.line.map_or_else(String::new, |line| format!(":{line}"));
        Self { why: format!("{}{line}: {}; correct it, then try again", path.display(), trouble.why) }
    }
}

/// What a change found that is not as set-up left it.
pub(super) type Drifts = Vec<Drift>;

impl FileChange {
    /// The change that makes a file hold the values of an agent, and no other ones of ours for it. `pending` are changes that
    /// are not made yet. `None` where the file is right already.
    pub(super) fn set(
        store: &Store,
        pending: &[Self],
        agent: &str,
        place: &Place,
        wanted: &[(Key, String)],
    ) -> Result<Option<(Self, Drifts)>, Refusal> {
        let path = &place.path;
        let earlier = pending.iter().find(|change| change.path == *path);
        let (found, current, entry) = match earlier {
            Some(change) => (change.found.clone(), change.after.clone(), change.entry.clone()),
            None => {
                let found = disk::find(path).map_err(|why| Refusal::of(path, &why))?;
                let current = found.bytes.clone();
                (found, current, store.entry(path).cloned())
            }
        };
        let bytes = current.clone().unwrap_or_default();
        let refused = |trouble: &Trouble| Refusal::at(path, trouble);
        let (old, marked) = text::decoded(&bytes).map_err(|trouble| refused(&trouble))?;
        let edited = edit(place.form, old, entry.as_ref(), agent, wanted).map_err(|trouble| refused(&trouble))?;
        let after = text::encoded(&edited.text, marked);
        let is_left = entry.as_ref().is_some_and(|entry| entry.after == hash(&bytes));
        let before = match (earlier, &entry) {
            (Some(change), _) => change.before.clone(),
            (None, Some(_)) if is_left => Before::Kept,
            (None, Some(entry)) => {
                let (text, _) = inverse::inverse(entry, None, old).map_err(|trouble| refused(&trouble))?;
                // What its user has put into a file that was new is there to stay.
                let is_file = entry.existed || !text.trim().is_empty();
                Before::Bytes(is_file.then(|| text::encoded(&text, marked)))
            }
            (None, None) => Before::Bytes(current),
        };
        let known = entry.as_ref().map(|entry| entry.values.as_slice()).unwrap_or_default();
        if after == bytes && edited.values == known {
            return Ok(None);
        }
        let new = Entry {
            path: path.clone(),
            form: place.form,
            existed: match &before {
                Before::Kept => entry.as_ref().is_some_and(|entry| entry.existed),
                Before::Bytes(bytes) => bytes.is_some(),
            },
            folders: entry.as_ref().map(|entry| entry.folders.clone()).unwrap_or_default(),
            before: entry.as_ref().and_then(|entry| entry.before.clone()),
            after: hash(&after),
            values: edited.values,
            made: edited.made,
        };
        let entry = (!new.values.is_empty()).then_some(new);
        Ok(Some((Self { path: path.clone(), found, after: Some(after), entry, before, is_undo: false }, edited.drifts)))
    }

    /// The change that takes the values of an agent out of a file.
    pub(super) fn undo(store: &Store, pending: &[Self], agent: &str, path: &Path) -> Result<Option<(Self, Drifts)>, Refusal> {
        let earlier = pending.iter().find(|change| change.path == *path);
        let entry = match earlier {
            Some(change) => change.entry.clone(),
            None => store.entry(path).cloned(),
        };
        let Some(entry) = entry else { return Ok(None) };
        let found = match earlier {
            Some(change) => change.found.clone(),
            None => disk::find(path).map_err(|why| Refusal::of(path, &why))?,
        };
        let current = earlier.map_or_else(|| found.bytes.clone(), |change| change.after.clone());
        let mut left = entry.clone();
        left.values.retain(|value| value.agent != agent);
        let is_last = left.values.is_empty();
        let change = |after: Option<Vec<u8>>, mut left: Entry, is_left: bool| {
            if let Some(after) = after.as_ref().filter(|_| is_left) {
                left.after = hash(after);
            }
            let entry = (!is_last).then_some(left);
            Self { path: path.to_owned(), found: found.clone(), after, entry, before: Before::Kept, is_undo: true }
        };
        let Some(bytes) = &current else {
            return Ok(Some((change(None, left, false), Vec::new())));
        };
        let is_left = hash(bytes) == entry.after;
        if is_left && is_last {
            let exact =
                if entry.existed { entry.before.as_deref().and_then(|name| store.kept(name)).map(Some) } else { Some(None) };
            if let Some(exact) = exact {
                return Ok(Some((change(exact, left, true), Vec::new())));
            }
        }
        let refused = |trouble: Trouble| Refusal::at(path, &trouble);
        let (old, marked) = text::decoded(bytes).map_err(refused)?;
        let (text, drifts) = inverse::inverse(&entry, Some(agent), old).map_err(refused)?;
        let is_nothing = !entry.existed && is_last && text.trim().is_empty();
        let after = (!is_nothing).then(|| text::encoded(&text, marked));
        Ok(Some((change(after, left, is_left), drifts)))
    }

    /// The change as a unified diff; empty where only the journal changes.
    pub fn diff(&self) -> String {
        let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (old, new) = (text(&self.found.bytes), text(&self.after));
        let patterns = Hide::new();
        let hide = |line: &str, stays: bool| {
            // Nothing is shown that could not be looked through.
            patterns.as_ref().map_or_else(|| "[hidden]".to_owned(), |patterns| patterns.line(line, stays))
        };
        diff::unified(&self.path.display().to_string(), old.as_deref(), new.as_deref(), &hide)
    }

    /// Makes the change.
    ///
    /// # Errors
    /// Why the file is what it was.
    pub fn apply(mut self, store: &mut Store) -> Result<(), Refusal> {
        let unkept = |e: JournalError| Refusal { why: format!("what is there cannot be kept: {e}") };
        let is_same = self.found.bytes == self.after;
        let target = self.found.target.clone();
        let write =
            |change: &Self| disk::replace(&change.found, change.after.as_deref()).map_err(|why| Refusal::of(&target, &why));
        if self.is_undo {
            if !is_same {
                write(&self)?;
            }
            if let Some(entry) = store.entry(&self.path).filter(|_| self.after.is_none() && self.entry.is_none()) {
                disk::remove_empty(&entry.folders.iter().rev().cloned().collect::<Vec<_>>());
            }
            return store.put(&self.path, self.entry).map_err(unkept);
        }
        let old = store.entry(&self.path).cloned();
        if let (Some(entry), Before::Bytes(before)) = (&mut self.entry, &self.before) {
            entry.before = before.as_ref().map(|bytes| store.keep(&self.path, bytes)).transpose().map_err(unkept)?;
        }
        store.put(&self.path, self.entry.clone()).map_err(unkept)?;
        if is_same {
            return Ok(());
        }
        match write(&self) {
            Ok(folders) if folders.is_empty() => Ok(()),
            Ok(folders) => {
                let with_folders = self.entry.map(|entry| Entry { folders: [folders, entry.folders].concat(), ..entry });
                store.put(&self.path, with_folders).map_err(unkept)
            }
            Err(refusal) => {
                store.put(&self.path, old).map_err(unkept)?;
                Err(refusal)
            }
        }
    }
}

/// A text with an agent's values in it.
struct Edited {
    text: String,
    values: Vec<Value>,
    made: Vec<super::key::Made>,
    drifts: Drifts,
}

/// Sets what is wanted. A value of ours that stands there is kept, or replaced where it stands; one that its user has changed is
/// the user's from then on.
fn edit(form: Form, text: &str, entry: Option<&Entry>, agent: &str, wanted: &[(Key, String)]) -> Result<Edited, Trouble> {
    let mut edited = Edited {
        text: text.to_owned(),
        values: Vec::new(),
        made: entry.map(|entry| entry.made.clone()).unwrap_or_default(),
        drifts: Vec::new(),
    };
    for own in entry.into_iter().flat_map(|entry| entry.values.iter().map(move |value| (entry, value))) {
        let (entry, value) = own;
        if value.agent != agent {
            edited.values.push(value.clone());
            continue;
        }
        if let Some(drift) = inverse::drift(entry, value, &edited.text)? {
            edited.drifts.push(drift);
            continue;
        }
        match wanted.iter().find(|(key, _)| *key == value.key) {
            Some((_, now)) => {
                if *now != value.value {
                    edited.text = text::set(form, &edited.text, &value.key, now)?.text;
                }
                edited.values.push(Value { value: now.clone(), ..value.clone() });
            }
            None => edited.text = text::restore(form, &edited.text, &value.key, value.former.as_deref())?,
        }
    }
    for (key, wanted) in wanted {
        let is_there = text::value(form, &edited.text, key)?.as_ref() == Some(wanted);
        if is_there || edited.values.iter().any(|value| value.key == *key && value.agent == agent) {
            continue;
        }
        let change = text::set(form, &edited.text, key, wanted)?;
        edited.text = change.text;
        edited.made.extend(change.made);
        edited.values.push(Value { agent: agent.to_owned(), key: key.clone(), value: wanted.clone(), former: change.former });
    }
    edited.text = text::clear(form, edited.text, &edited.made)?;
    Ok(edited)
}
