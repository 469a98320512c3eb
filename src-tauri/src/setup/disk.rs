//! A user's file on disk: read with what must be known to write it again, and replaced whole, with its link, its rights and a
//! last look whether somebody else has changed it. Knows nothing of what is in it.

#[cfg(unix)]
#[path = "disk/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "disk/windows.rs"]
mod platform;

use crate::files;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The file itself, at the end of its links.
    pub(super) target: PathBuf,
    /// What is in it; `None` where there is none.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Reads a file that is to be written later.
///
/// # Errors
/// A sentence without its subject, when it cannot be read, or when it must not be written.
pub(super) fn find(path: &Path) -> Result<Found, String> {
    match fs::symlink_metadata(path) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound) => return Ok(Found { target: path.to_owned(), bytes: None }),
        Err(e) => return Err(format!("cannot be looked at: {e}")),
        Ok(_) => {}
    }
    let target = path.canonicalize().map_err(|e| format!("is a link that leads nowhere ({e})"))?;
    let metadata = fs::metadata(&target).map_err(|e| format!("cannot be looked at: {e}"))?;
    if !metadata.is_file() {
        return Err("is not a file".into());
    }
    if metadata.permissions().readonly() {
        return Err("is read-only; make it writable first, or leave it".into());
    }
    if let Some(why) = platform::why_not_ours(&metadata) {
        return Err(why);
    }
    let bytes = files::read(&target).map_err(|e| format!("cannot be read: {e}"))?;
    Ok(Found { target, bytes: Some(bytes) })
}

/// Replaces what was found, or removes it with `None`; the folders that were made for it, the outermost first.
///
/// # Errors
/// A sentence without its subject; then the file is what it was.
pub(super) fn replace(found: &Found, bytes: Option<&[u8]>) -> Result<Vec<PathBuf>, String> {
    let folder = found.target.parent().ok_or("has no folder")?;
    let unwritten = |e: io::Error| format!("cannot be written: {e}");
    let Some(bytes) = bytes else {
        unchanged(found)?;
        return fs::remove_file(&found.target).map(|()| Vec::new()).map_err(|e| format!("cannot be removed: {e}"));
    };
    let missing: Vec<PathBuf> = folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
    fs::create_dir_all(folder).map_err(unwritten)?;
    let written = (|| {
        let beside = folder.join(format!(".leeward-{:016x}", fastrand::u64(..)));
        let mut file = platform::create(&beside).map_err(unwritten)?;
        let done = (|| {
            file.write_all(bytes).map_err(unwritten)?;
            if let Ok(metadata) = fs::metadata(&found.target) {
                file.set_permissions(metadata.permissions()).map_err(unwritten)?;
            }
            file.sync_all().map_err(unwritten)?;
            drop(file);
            unchanged(found)?;
            files::replace(&beside, &found.target).map_err(unwritten)
        })();
        if done.is_err() {
            // Ours alone; the first error says more.
            fs::remove_file(&beside).ok();
        }
        done
    })();
    if let Err(why) = written {
        remove_empty(&missing);
        return Err(why);
    }
    Ok(missing.into_iter().rev().collect())
}

/// Removes folders that have nothing in them, the innermost first.
pub(super) fn remove_empty(innermost_first: &[PathBuf]) {
    for folder in innermost_first {
        // Only empty ones can be removed so.
        fs::remove_dir(folder).ok();
    }
}

/// Whoever changed the file meanwhile wins.
fn unchanged(found: &Found) -> Result<(), String> {
    let now = match files::read(&found.target) {
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(format!("cannot be read: {e}")),
    };
    if now == found.bytes { Ok(()) } else { Err("was changed by another program in this moment; try again".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("a/b/settings.json");
        let absent = find(&path).unwrap();
        assert_eq!(absent.bytes, None);
        let made = replace(&absent, Some(b"1")).unwrap();
        assert_eq!(made, [path.ancestors().nth(2).unwrap(), path.parent().unwrap()]);
        assert!(replace(&absent, Some(b"2")).unwrap_err().contains("another program"), "it is there meanwhile");
        let found = find(&path).unwrap();
        fs::write(&path, "3").unwrap();
        for bytes in [Some(b"2".as_slice()), None] {
            assert!(replace(&found, bytes).unwrap_err().contains("another program"));
        }
        assert_eq!(fs::read(&path).unwrap(), b"3");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        replace(&find(&path).unwrap(), None).unwrap();
        remove_empty(&[path.parent().unwrap().to_owned(), path.ancestors().nth(2).unwrap().to_owned()]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(find(folder.path()).unwrap_err().contains("not a file"));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_rights_stay_and_what_is_not_to_be_written_is_refused() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("dotfiles"), folder.path().join("settings.json"));
        fs::write(&real, "1").unwrap();
        fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
        symlink("dotfiles", &link).unwrap();
        replace(&find(&link).unwrap(), Some(b"2")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read(&real).unwrap(), fs::metadata(&real).unwrap().mode() & 0o777), (b"2".to_vec(), 0o640));
        fs::hard_link(&real, folder.path().join("second")).unwrap();
        assert!(find(&link).unwrap_err().contains("a second name"));
        fs::remove_file(folder.path().join("second")).unwrap();
        fs::set_permissions(&real, PermissionsExt::from_mode(0o440)).unwrap();
        assert!(find(&link).unwrap_err().contains("read-only"));
        fs::remove_file(&real).unwrap();
        assert!(find(&link).unwrap_err().contains("leads nowhere"));
    }
}
