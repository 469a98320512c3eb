//! Unix half of `place`: the user's runtime folder, else a folder of the user's among the temporary files or in shared memory.

use crate::config::environment;
use rustix::process::geteuid;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Folders that hold those of single homes, best first.
pub(super) fn folders() -> Vec<PathBuf> {
    let user = geteuid().as_raw();
    let named = environment("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    // Not every command has the variable.
    let runtime = named.into_iter().chain(cfg!(target_os = "linux").then(|| PathBuf::from(format!("/run/user/{user}"))));
    let mut folders: Vec<_> = runtime.filter(|folder| is_own(folder)).map(|folder| folder.join("leeward")).collect();
    let mut shared = vec![std::env::temp_dir()];
    if cfg!(target_os = "linux") {
        shared.push("/dev/shm".into());
    }
    folders.extend(shared.into_iter().filter(|folder| folder.is_dir()).map(|folder| folder.join(format!("leeward-{user}"))));
    folders.dedup();
    folders
}

/// True for a folder that is the user's alone, in one that is. Where everybody can make folders, a stranger may have made
/// this one.
pub(super) fn is_private(folder: &Path) -> bool {
    is_own(folder) && folder.parent().is_some_and(is_own)
}

/// No link, the user's, and nobody else's to look into.
fn is_own(folder: &Path) -> bool {
    fs::symlink_metadata(folder)
        .is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_folder_that_others_made_or_look_into_is_not_private() {
        let temp = tempfile::tempdir().unwrap();
        let (outer, inner) = (temp.path().join("leeward-1"), temp.path().join("leeward-1/x"));
        fs::create_dir_all(&inner).unwrap();
        let open = |outer_mode, inner_mode| {
            fs::set_permissions(&outer, PermissionsExt::from_mode(outer_mode)).unwrap();
            fs::set_permissions(&inner, PermissionsExt::from_mode(inner_mode)).unwrap();
            is_private(&inner)
        };
        assert_eq!(
            [open(0o755, 0o700), open(0o700, 0o750), open(0o1777, 0o700), open(0o700, 0o700)],
            [false, false, false, true]
        );
        symlink(&inner, outer.join("link")).unwrap();
        assert!(!is_private(&outer.join("link")) && !is_private(&outer.join("none")));
    }
}
