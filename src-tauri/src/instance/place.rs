//! Where an instance keeps its state when its folder cannot: a private folder in memory, which every command of the same user
//! finds by its name. Decides where; what is kept there is others' to say.

#[cfg(unix)]
#[path = "place/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "place/windows.rs"]
mod platform;

use super::{
    lock::Lock,
    private::{create_private_dir, open_private_file, room_for},
    record::read_record,
};
use crate::{
    config::{Paths, StandIn},
    shortage::is_shortage,
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// More than a record, a token and the first lines of a log.
const ENOUGH: u64 = 64 << 10;

/// Where an instance serves that could not use the state folder; `None` when none does, or one serves from the folder itself.
pub fn serving_stand_in(paths: &Paths) -> Option<StandIn> {
    if paths.stands_in.is_some() {
        return None;
    }
    let found = stand_ins(paths).find(|stand_in| platform::is_private(&stand_in.folder) && serves(&at(paths, stand_in)))?;
    (!serves(paths)).then_some(found)
}

/// Where whoever serves from these paths serves now: a disk may have become full, or well again, since they were found.
pub(super) fn serving_from(paths: &Paths) -> Paths {
    match serving_stand_in(paths) {
        Some(stand_in) => at(paths, &stand_in),
        None => paths.clone(),
    }
}

/// The state folder and all that may stand in for it, these paths first.
pub(super) fn all_places(paths: &Paths) -> Vec<Paths> {
    let of = paths.stands_in.as_ref().map_or(&paths.state_dir, |stand_in| &stand_in.of);
    let kept = Paths { state_dir: of.clone(), stands_in: None, ..paths.clone() };
    let stand_ins = stand_ins(&kept).filter(|stand_in| platform::is_private(&stand_in.folder));
    let mut places: Vec<Paths> = stand_ins.map(|stand_in| at(&kept, &stand_in)).collect();
    places.insert(0, kept);
    places.retain(|place| place.state_dir != paths.state_dir);
    places.insert(0, paths.clone());
    places
}

/// The folder in memory for whoever is about to serve; `None` when the state folder is right, or nothing better is found.
pub fn place(paths: &Paths) -> Option<StandIn> {
    if paths.stands_in.is_some() || serves(paths) {
        return None;
    }
    if let Some(found) = serving_stand_in(paths) {
        return Some(found);
    }
    stand_in_for(paths, &try_out(paths).err()?)
}

/// Why the state folder cannot be used, as the system says it; empty when it can.
pub fn why_unusable(paths: &Paths) -> String {
    try_out(paths).err().map(|why| why.to_string()).unwrap_or_default()
}

/// Whatever keeps the folder from being used: a disk that is full, a right that is missing, a file in the folder's place. A
/// shortage says nothing of the folder.
fn stand_in_for(paths: &Paths, why: &io::Error) -> Option<StandIn> {
    if is_shortage(why) && why.kind() != io::ErrorKind::StorageFull {
        return None;
    }
    let usable = |stand_in: &StandIn| {
        let all = at(paths, stand_in);
        create_private_dir(&stand_in.folder).is_ok() && platform::is_private(&stand_in.folder) && try_out(&all).is_ok()
    };
    stand_ins(paths).find(usable).map(|stand_in| StandIn { why: why.to_string(), ..stand_in })
}

/// Whether somebody serves from there now. Asking changes nothing.
pub fn serves(paths: &Paths) -> bool {
    read_record(paths).is_some() && Lock::is_held(paths)
}

fn at(paths: &Paths, stand_in: &StandIn) -> Paths {
    paths.clone().in_memory(stand_in.clone())
}

/// The candidates, best first. Each state folder has its own, so that two homes of one user stay two.
fn stand_ins(paths: &Paths) -> impl Iterator<Item = StandIn> {
    let of = paths.state_dir.clone();
    let name = format!("{:016x}", hash(&of));
    platform::folders().into_iter().map(move |folder| StandIn { folder: folder.join(&name), of: of.clone(), why: String::new() })
}

/// FNV-1a: the same in every version, which the standard library's is not.
fn hash(path: &Path) -> u64 {
    let absolute: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let bytes = absolute.as_os_str().as_encoded_bytes();
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Does all that serving needs of the folder. Log and history are not needed: without one of them Leeward serves as well.
fn try_out(paths: &Paths) -> io::Result<()> {
    create_private_dir(&paths.state_dir)?;
    open_private_file(&paths.lock_file())?;
    for file in [paths.instance_file(), paths.token_file()] {
        // Nothing is renamed over a folder.
        if std::fs::symlink_metadata(file).is_ok_and(|found| found.is_dir()) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
    }
    room_for(&paths.state_dir.join("space"), ENOUGH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, instance::Record};

    fn paths(home: &Path) -> Paths {
        Config::under(home).unwrap().paths
    }

    #[test]
    fn a_folder_that_can_keep_its_state_needs_no_other_and_nothing_is_left_in_it() {
        let home = tempfile::tempdir().unwrap();
        let paths = paths(home.path());
        assert_eq!(place(&paths), None);
        let left = std::fs::read_dir(&paths.state_dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, ["instance.lock"]);
    }

    #[test]
    fn whatever_is_wrong_with_the_folder_is_stood_in_for_and_told() {
        type Wrong = fn(&Paths);
        let wrongs: [(&str, Wrong); 4] = [
            ("a file in its place", |paths| std::fs::write(&paths.state_dir, "").unwrap()),
            ("a folder for the lock", |paths| std::fs::create_dir_all(paths.lock_file()).unwrap()),
            ("a folder for the token", |paths| std::fs::create_dir_all(paths.token_file()).unwrap()),
            ("a folder for the record", |paths| std::fs::create_dir_all(paths.instance_file()).unwrap()),
        ];
        for (what, wrong) in wrongs {
            let home = tempfile::tempdir().unwrap();
            let paths = paths(home.path());
            wrong(&paths);
            let stand_in = place(&paths).expect(what);
            assert!(!stand_in.why.is_empty(), "{what}");
            std::fs::remove_dir_all(stand_in.folder).unwrap();
        }
        let home = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        let short = rustix::io::Errno::MFILE.raw_os_error();
        #[cfg(windows)]
        let short = 4;
        assert_eq!(stand_in_for(&paths(home.path()), &io::Error::from_raw_os_error(short)), None);
    }

    #[test]
    fn every_place_of_a_folder_is_known_from_every_other() {
        let home = tempfile::tempdir().unwrap();
        let kept = paths(home.path());
        let stand_in = stand_in_for(&kept, &io::ErrorKind::StorageFull.into()).unwrap();
        let stood_in = at(&kept, &stand_in);
        let folders = |paths: &Paths| all_places(paths).into_iter().map(|place| place.state_dir).collect::<Vec<_>>();
        let (from_kept, from_other) = (folders(&kept), folders(&stood_in));
        assert_eq!((&from_kept[0], &from_other[0]), (&kept.state_dir, &stand_in.folder));
        for folders in [from_kept, from_other] {
            assert_eq!(folders.iter().filter(|folder| **folder == stand_in.folder).count(), 1, "{folders:?}");
            assert!(folders.contains(&kept.state_dir), "{folders:?}");
        }
        std::fs::remove_dir_all(stand_in.folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_is_stood_in_for_where_everybody_finds_it() {
        let home = tempfile::tempdir().unwrap();
        let configured = paths(home.path());
        let stand_in = stand_in_for(&configured, &io::ErrorKind::StorageFull.into()).unwrap();
        assert_eq!(stand_in.of, configured.state_dir);
        assert!(!stand_in.why.is_empty());
        let stood_in = configured.clone().in_memory(stand_in.clone());
        assert_eq!((place(&stood_in), serving_stand_in(&stood_in)), (None, None), "once is enough");
        assert_eq!(serving_stand_in(&configured), None, "nobody serves there yet");
        let lock = Lock::acquire(&stood_in).unwrap();
        let record =
            Record { pid: std::process::id(), address: "127.0.0.1:1".parse().unwrap(), version: "1".into(), started_unix_ms: 1 };
        super::super::write_record(&stood_in, &record).unwrap();
        assert_eq!(serving_stand_in(&configured).unwrap().folder, stand_in.folder);
        // Once the folder is well again, whoever comes still finds the one that serves.
        assert_eq!(place(&configured).unwrap().folder, stand_in.folder);
        drop(lock);
        assert_eq!((serving_stand_in(&configured), place(&configured)), (None, None));
        std::fs::remove_dir_all(stand_in.folder).unwrap();
    }

    #[test]
    fn each_home_has_a_folder_of_its_own() {
        let [a, b] = ["/a/state", "/b/state"].map(|path| hash(Path::new(path)));
        assert_ne!(a, b);
        assert_eq!(hash(Path::new("state")), hash(&std::env::current_dir().unwrap().join("state")), "by whatever name");
    }
}
