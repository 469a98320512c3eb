//! Windows half of `instance`: the user's profile folder is private by its inherited access list.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    path::Path,
    time::Duration,
};

pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

/// A rename over a file that somebody has open fails with a sharing error; the other side is quick.
pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    const TRIES: u32 = 20;
    for _ in 1..TRIES {
        match std::fs::rename(from, to) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => std::thread::sleep(Duration::from_millis(10)),
            done => return done,
        }
    }
    std::fs::rename(from, to)
}

/// Access lists are inherited from the profile folder; nothing is asked here.
pub(super) fn is_exposed(_file: &File) -> io::Result<bool> {
    Ok(false)
}
