//! Windows half of `place`: the temporary folder of the user's profile. It is on a disk too, which may be another one.

use std::path::{Path, PathBuf};

/// Folders that hold those of single homes.
pub(super) fn folders() -> Vec<PathBuf> {
    vec![std::env::temp_dir().join("leeward")]
}

/// A profile's folders keep other users out.
pub(super) fn is_private(folder: &Path) -> bool {
    folder.is_dir()
}
