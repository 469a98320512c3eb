//! Files that others have open at the same moment: replaced whole, and read although they are just being replaced.
//!
//! On Unix neither can fail for that reason. Windows denies a rename over a file that somebody has open, refuses to open one
//! that is being renamed over, and a virus scanner's look at a new file is a sharing violation; the other side is quick each
//! time. Nothing here decides what is written, or who may read it.

use std::{fs, io, path::Path, thread::sleep, time::Duration};

const ACCESS_DENIED: i32 = 5;
const SHARING_VIOLATION: i32 = 32;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);
/// A second in all: who reads a file often can have it open most of the time.
const REPLACING: u32 = 100;
/// A fifth of a second: a replacement takes a moment, and a file that its user may not read is to be reported soon.
const READING: u32 = 20;

/// Renames a file over another one: who opens that one sees the old content or the new one, never a part.
///
/// # Errors
/// The system's; on Windows also when somebody keeps the other file open for longer than a second.
pub fn replace(from: &Path, to: &Path) -> io::Result<()> {
    patiently(REPLACING, || fs::rename(from, to))
}

/// Opens a file to be read.
///
/// # Errors
/// The system's.
pub fn open(path: &Path) -> io::Result<fs::File> {
    patiently(READING, || fs::File::open(path))
}

/// The whole content of a file.
///
/// # Errors
/// The system's.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    patiently(READING, || fs::read(path))
}

/// The whole content of a file of text.
///
/// # Errors
/// The system's, or `InvalidData` when it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    patiently(READING, || fs::read_to_string(path))
}

fn patiently<T>(tries: u32, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..tries {
        match attempt() {
            Err(e) if cfg!(windows) && matches!(e.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION)) => sleep(PAUSE),
            done => return done,
        }
    }
    attempt()
}
