//! Windows half of `instance`: private files are for the user, the system and its administrators alone, wherever they lie.

#[path = "windows/access.rs"]
mod access;
#[path = "windows/doorstep.rs"]
mod doorstep;

pub(super) use doorstep::{Line, doorstep, hand_over};

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::Path,
    time::Duration,
};

/// A folder that is there keeps its own access list, as on Unix.
pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(around) = path.parent().filter(|around| !around.as_os_str().is_empty()) {
        create_private_dir(around)?;
    }
    match leeward_windows::create_dir(path, &access::private(access::INHERITED)?) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        done => done,
    }
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    leeward_windows::create_file(path, &access::private("")?)
}

/// A rename over a file that somebody has open is denied, and one of a file that a virus scanner has open is a sharing
/// violation; the other side is quick.
pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    // A second in all: who reads it often can have it open most of the time.
    const TRIES: u32 = 100;
    for _ in 1..TRIES {
        match std::fs::rename(from, to) {
            Err(e) if matches!(e.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION)) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
    std::fs::rename(from, to)
}

/// True when others than the user, the system and its administrators may do anything with the file.
pub(super) fn is_exposed(file: &File) -> io::Result<bool> {
    Ok(access::is_open_to_others(&leeward_windows::access_list(file)?, &leeward_windows::own_sid()?))
}

/// What mends an exposed file, as words of a sentence.
pub(super) fn how_to_protect(path: &Path) -> String {
    format!("run `icacls \"{}\" /inheritance:r /grant:r \"%USERNAME%:F\"`", path.display())
}
