//! Unix half of `authority`: certificates are for everybody to read, keys for the user alone.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Lets everybody read a file.
pub(super) fn publish(file: &Path) -> io::Result<()> {
    fs::set_permissions(file, Permissions::from_mode(0o644))
}
