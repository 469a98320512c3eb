//! Unix half of `logging`: the folder is 0700 and its files are 0600, whatever the umask says or was when they were made.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Makes the folder. Of one that is there, the mode is narrowed where it is ours.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        // Somebody else's: its files are private all the same.
        fs::set_permissions(path, Permissions::from_mode(0o700)).ok();
    }
    Ok(())
}

/// Opens a file to be written at its end, or makes it. A link of the user's is followed: it may lead to a terminal.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let found = file.metadata()?;
    if found.is_file() && found.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).ok();
    }
    Ok(file)
}

/// Device and number: the same file under any name.
pub(super) type FileId = (u64, u64);

/// Which file is open, and how long it is.
pub(super) fn identify(file: &File) -> io::Result<(FileId, u64)> {
    file.metadata().map(|found| ((found.dev(), found.ino()), found.len()))
}

/// The same of the file that a path leads to.
pub(super) fn look_up(path: &Path) -> io::Result<(FileId, u64)> {
    fs::metadata(path).map(|found| ((found.dev(), found.ino()), found.len()))
}
