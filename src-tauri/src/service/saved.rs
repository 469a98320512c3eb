//! Files of a service: which are ours, written all or none, removed only if ours. Knows no manager.

use super::{error::Error, wanted::is_ours};
use crate::instance::write_atomically;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Ours(String),
    /// Somebody else's, or what cannot be read.
    Foreign,
}

/// What lies at a path.
pub(super) fn look(path: &Path) -> Found {
    match fs::read_to_string(path) {
        Ok(text) if is_ours(&text) => Found::Ours(text),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Ok(_) | Err(_) => Found::Foreign,
    }
}

/// What was there before, to be put back unless all went well.
#[derive(Debug)]
pub(super) struct Replaced(Vec<(PathBuf, Option<String>)>);

impl Replaced {
    /// Whether the file is another one than before.
    pub(super) fn has_changed(&self, path: &Path) -> bool {
        self.0.iter().any(|(changed, _)| changed == path)
    }

    /// As if nothing had been written.
    pub(super) fn undo(self) {
        for (path, before) in self.0.into_iter().rev() {
            let undone = match before {
                Some(text) => write_atomically(&path, text.as_bytes()),
                None => fs::remove_file(&path),
            };
            if let Err(why) = undone {
                tracing::error!("{} was written and cannot be taken back: {why}", path.display());
            }
        }
    }
}

/// Writes all of them, or none: one that is somebody else's is seen before anything is written.
pub(super) fn replace(planned: &[Planned]) -> Result<Replaced, Error> {
    let found: Vec<_> = planned.iter().map(|file| look(&file.path)).collect();
    if let Some((file, _)) = planned.iter().zip(&found).find(|(_, found)| **found == Found::Foreign) {
        return Err(Error::Foreign(file.path.clone()));
    }
    let mut replaced = Replaced(Vec::new());
    for (Planned { path, text }, found) in planned.iter().zip(found) {
        let before = match found {
            Found::Ours(before) if before == *text => continue,
            Found::Ours(before) => Some(before),
            Found::Nothing | Found::Foreign => None,
        };
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| write_atomically(path, text.as_bytes()));
        if let Err(why) = made {
            replaced.undo();
            return Err(Error::File { path: path.clone(), why });
        }
        replaced.0.push((path.clone(), before));
    }
    Ok(replaced)
}

/// Removes those that are ours; those that were. Of the others the first is an error, after all of ours have gone.
pub(super) fn remove(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let (mut removed, mut foreign) = (Vec::new(), None);
    for path in paths {
        match look(path) {
            Found::Nothing => {}
            Found::Ours(_) => {
                fs::remove_file(path).map_err(|why| Error::File { path: path.clone(), why })?;
                removed.push(path.clone());
            }
            Found::Foreign => foreign = foreign.or(Some(path)),
        }
    }
    foreign.map_or(Ok(removed), |path| Err(Error::Foreign(path.clone())))
}

#[cfg(test)]
mod tests {
    use super::{super::wanted::MARK, *};

    fn planned(folder: &Path, names: &[&str], text: &str) -> Vec<Planned> {
        names.iter().map(|name| Planned { path: folder.join(name), text: format!("# {MARK}\n{text}") }).collect()
    }

    #[test]
    fn all_or_none_are_written_and_a_change_is_taken_back() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("new/folder");
        let first = planned(&folder, &["a", "b"], "one");
        let replaced = replace(&first).unwrap();
        assert!(replaced.has_changed(&folder.join("a")));
        assert!(!replace(&first).unwrap().has_changed(&folder.join("a")), "it is the same");
        let second = replace(&planned(&folder, &["a", "b"], "two")).unwrap();
        assert_eq!(look(&folder.join("b")), Found::Ours(format!("# {MARK}\ntwo")));
        second.undo();
        assert_eq!(look(&folder.join("b")), Found::Ours(first[1].text.clone()));
        replaced.undo();
        assert_eq!((look(&folder.join("a")), look(&folder.join("b"))), (Found::Nothing, Found::Nothing));
    }

    #[test]
    fn what_is_somebody_elses_stays_and_keeps_the_others_from_being_written() {
        let home = tempfile::tempdir().unwrap();
        let files = planned(home.path(), &["a", "b"], "one");
        fs::write(home.path().join("b"), "[Unit]\n").unwrap();
        assert!(matches!(replace(&files), Err(Error::Foreign(path)) if path == home.path().join("b")));
        assert_eq!(look(&home.path().join("a")), Found::Nothing);
        // Half of it is ours: that goes, the rest stays, and a second time is the same.
        fs::write(home.path().join("a"), &files[0].text).unwrap();
        let paths = [home.path().join("a"), home.path().join("b"), home.path().join("c")];
        for _ in 0..2 {
            assert!(matches!(remove(&paths), Err(Error::Foreign(_))));
            assert!(!home.path().join("a").exists() && home.path().join("b").exists());
        }
        fs::remove_file(home.path().join("b")).unwrap();
        assert!(remove(&paths).unwrap().is_empty());
    }
}
