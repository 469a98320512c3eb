//! Windows half of `instance`: the user's profile folder is private by its inherited access list.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    net::TcpListener,
    path::Path,
    time::Duration,
};

pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
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

/// Access lists are inherited from the profile folder; nothing is asked here.
pub(super) fn is_exposed(_file: &File) -> io::Result<bool> {
    Ok(false)
}

/// No socket can be passed to another process without unsafe code here (WSADuplicateSocket).
pub(super) fn doorstep() -> io::Result<Option<Doorstep>> {
    Ok(None)
}

/// Where a socket would arrive. There is none.
#[derive(Debug)]
pub(super) enum Doorstep {}

impl Doorstep {
    pub(super) fn path(&self) -> &Path {
        match *self {}
    }

    #[allow(clippy::unused_async, reason = "the Unix half waits")]
    pub(super) async fn receive(&self) -> io::Result<super::Taken> {
        match *self {}
    }
}

/// The line to the process that gave the socket. There is none.
#[derive(Debug)]
pub(super) enum Line {}

impl Line {
    pub(super) fn confirm(self) -> io::Result<()> {
        match self {}
    }
}

pub(super) fn hand_over(_to: &Path, _listener: &TcpListener, _lock: &File, _limit: Duration) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system cannot pass a socket to another process"))
}
