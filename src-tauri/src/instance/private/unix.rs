//! Unix half of `private`: files are 0600, folders 0700.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Takes room on the disk without writing to it.
pub(super) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::{fs, io::Errno};
    const CANNOT: [Errno; 4] = [Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS, Errno::INVAL];
    match fs::fallocate(file, fs::FallocateFlags::empty(), 0, bytes) {
        Err(e) if CANNOT.contains(&e) => Err(io::ErrorKind::Unsupported.into()),
        reserved => Ok(reserved?),
    }
}

/// Opens a file to be written, or makes it; a link is not followed, and one that others could open is theirs no more.
pub(crate) fn open_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = options.write(true).create(true).truncate(false).mode(0o600).custom_flags(link).open(path)?;
    if is_exposed(&file)? {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// True when others than the owner may read the file.
pub(crate) fn is_exposed(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

/// What mends an exposed file, as words of a sentence.
pub(crate) fn how_to_protect(path: &Path) -> String {
    format!("run `chmod 600 {}`", path.display())
}
