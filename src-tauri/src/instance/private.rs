//! Files and folders for the user alone, and how one is replaced whole. Knows nothing of what is in them.

#[cfg(unix)]
#[path = "private/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "private/windows.rs"]
mod platform;

pub(super) use platform::open_private_file;
pub(crate) use platform::{create_private_dir, how_to_protect, is_exposed};

use crate::files;
use std::{
    io::{self, Read, Write},
    path::Path,
};

/// Write beside, flush to disk, rename over: never half a file.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A name that nobody can guess, and a file that is new: nothing that lies there is written through.
    let beside = path.with_extension(format!("{}.tmp", random_name()?));
    let mut file = platform::create_private_file(&beside)?;
    let result = (|| {
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        files::replace(&beside, path)
    })();
    if result.is_err() {
        // The temporary file is ours alone; if it cannot be removed either, the first error says more.
        std::fs::remove_file(&beside).ok();
    }
    result
}

/// Whether that many bytes can be kept in a file at this path, which does not stay.
///
/// # Errors
/// What keeps them from it.
pub(super) fn room_for(path: &Path, bytes: u64) -> io::Result<()> {
    let trial = path.with_extension(format!("{}.tmp", random_name()?));
    let mut file = platform::create_private_file(&trial)?;
    let room = match platform::reserve(&file, bytes) {
        // Not every file system can: then only what has reached the disk is known to have room there.
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {
            io::copy(&mut io::repeat(0).take(bytes), &mut file).and_then(|_| file.sync_all())
        }
        reserved => reserved,
    };
    drop(file);
    let removed = std::fs::remove_file(&trial);
    room.and(removed)
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(format!("the system gave no random bytes: {e}")))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}
