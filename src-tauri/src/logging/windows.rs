//! Windows half of `logging`: folder and files have the access list of the state folder.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

/// Makes the folder.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Opens a file to be written at its end, or makes it.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

pub(super) use leeward_windows::FileId;

/// Which file is open, and how long it is.
pub(super) fn identify(file: &File) -> io::Result<(FileId, u64)> {
    Ok((leeward_windows::file_id(file)?, file.metadata()?.len()))
}

/// The same of the file that a path leads to.
pub(super) fn look_up(path: &Path) -> io::Result<(FileId, u64)> {
    identify(&File::open(path)?)
}
