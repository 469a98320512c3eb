//! Windows half of `disk`: the folder's access list decides whose its files are.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    path::Path,
};

/// A file that was not there.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Why a file is not to be replaced, as a sentence without its subject.
pub(super) fn why_not_ours(_metadata: &Metadata) -> Option<String> {
    None
}
