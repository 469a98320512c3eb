//! A mark in the state folder: somebody has exported Leeward's address into a terminal, which nobody can see from
//! outside. While it stands, a background instance does not end for lack of use.

use super::private::write_atomically;
use crate::config::Paths;
use std::{io, path::PathBuf, time::SystemTime};

fn file(paths: &Paths) -> PathBuf {
    paths.state_dir.join("keep-serving")
}

/// Sets the mark for the instance that serves now.
///
/// # Errors
/// When the state folder cannot be written.
pub fn keep_serving(paths: &Paths) -> io::Result<()> {
    write_atomically(&file(paths), b"`leeward env` exported this Leeward's address into a terminal\n")
}

/// True when the mark was set after `start`: a mark for an earlier instance says nothing about this one.
pub fn is_kept(paths: &Paths, start: SystemTime) -> bool {
    std::fs::metadata(file(paths)).and_then(|m| m.modified()).is_ok_and(|at| at >= start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_mark_counts_for_the_instance_it_was_set_for() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        std::fs::create_dir_all(&paths.state_dir).unwrap();
        let now = SystemTime::now();
        assert!(!is_kept(&paths, now));
        keep_serving(&paths).unwrap();
        assert!(is_kept(&paths, now - Duration::from_secs(5)));
        assert!(!is_kept(&paths, SystemTime::now() + Duration::from_secs(5)));
    }
}
