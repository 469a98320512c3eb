//! Unix half of `disk`: whose a file is, whether it has other names, and a new one for its user alone.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// A file that was not there.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Why a file is not to be replaced, as a sentence without its subject.
pub(super) fn why_not_ours(metadata: &Metadata) -> Option<String> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Some(format!("belongs to another user (number {})", metadata.uid()));
    }
    (metadata.nlink() > 1).then(|| "has a second name (a hard link), which would keep the old content".into())
}
