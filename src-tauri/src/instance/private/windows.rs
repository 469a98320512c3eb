//! Windows half of `private`: files and folders are for the user, the system and its administrators alone, wherever they lie.

#[path = "windows/access.rs"]
mod access;

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::Path,
};

/// A folder that is there keeps its own access list, as on Unix.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(around) = path.parent().filter(|around| !around.as_os_str().is_empty()) {
        create_private_dir(around)?;
    }
    match leeward_windows::create_dir(path, &access::private(access::INHERITED)?) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        done => done,
    }
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    leeward_windows::create_file(path, &access::private("")?)
}

/// Takes room on the disk without writing to it.
pub(super) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}

/// Opens a file to be written, or makes it: it has the access list of the state folder.
pub(crate) fn open_private_file(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// True when others than the user, the system and its administrators may do anything with the file.
pub(crate) fn is_exposed(file: &File) -> io::Result<bool> {
    Ok(access::is_open_to_others(&leeward_windows::access_list(file)?, &leeward_windows::own_sid()?))
}

/// What mends an exposed file, as words of a sentence.
pub(crate) fn how_to_protect(path: &Path) -> String {
    format!("run `icacls \"{}\" /inheritance:r /grant:r \"%USERNAME%:F\"`", path.display())
}
