//! Windows half of `ledger`: the state folder is the user's own, and its files inherit that.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

/// Creates the file if it is not there.
pub(super) fn make_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}
