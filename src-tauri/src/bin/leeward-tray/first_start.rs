//! Whether this is the first start that its user sees: remembered by a file in the state folder. Shows nothing.

use leeward::config::Paths;
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
};

/// Its presence is what counts.
const FILE: &str = "welcomed";

/// True once in the life of a state folder. Where that cannot be remembered it is false: a page that comes again at each start
/// is worse than none.
pub(crate) fn is_first(paths: &Paths) -> bool {
    let file = paths.state_dir.join(FILE);
    let made = fs::create_dir_all(&paths.state_dir)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(&file))
        .and_then(|mut file| file.write_all(b"The panel has opened by itself once; without this file it does so again.\n"));
    match made {
        Ok(()) => true,
        Err(why) if why.kind() == ErrorKind::AlreadyExists => false,
        Err(why) => {
            tracing::warn!("{} cannot be written: {why}; the panel does not open by itself", file.display());
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_start_is_the_first() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        assert_eq!([is_first(&paths), is_first(&paths), is_first(&paths)], [true, false, false]);
        std::fs::remove_file(paths.state_dir.join(FILE)).unwrap();
        assert!(is_first(&paths), "a folder that was emptied begins anew");
        let file = home.path().join("a file");
        std::fs::write(&file, "").unwrap();
        assert!(!is_first(&Paths { state_dir: file, ..paths }), "what cannot be remembered would come at each start");
    }
}
