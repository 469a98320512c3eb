//! Unix half of `door`: a Unix socket in a folder that only this user can enter; handles pass over it (SCM_RIGHTS).

use super::word::{SENT_WITHIN, Word, wrong};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg,
        sendmsg,
    },
    process::geteuid,
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
};
use tokio::net::{UnixListener, UnixStream};

/// The line between the two processes. Reads and writes block for a second at most.
pub(in crate::instance) type Line = std::os::unix::net::UnixStream;

/// A socket and a lock at most.
const HANDLES: usize = 2;

/// See the room.
#[derive(Debug)]
pub(in crate::instance) struct Door {
    listener: UnixListener,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Door {
    /// Opens one. Called within a runtime.
    pub(in crate::instance) fn open() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("leeward-").permissions(PermissionsExt::from_mode(0o700)).tempdir()?;
        // Short: a Unix socket's path has about 100 bytes, and a state folder may be deep.
        let path = folder.path().join("s");
        Ok(Self { listener: UnixListener::bind(&path)?, path, _folder: folder })
    }

    /// Where others find it.
    pub(in crate::instance) fn path(&self) -> &Path {
        &self.path
    }

    /// The next of this user's processes that comes.
    pub(in crate::instance) async fn next(&self) -> io::Result<Line> {
        loop {
            let (line, _) = self.listener.accept().await?;
            match own(line) {
                Ok(line) => return Ok(line),
                Err(why) => tracing::warn!("somebody was sent away from {}: {why}", self.path.display()),
            }
        }
    }
}

/// Goes to a door. Called within a runtime, on a thread that may block.
pub(in crate::instance) fn knock(door: &Path) -> io::Result<Line> {
    let line = Line::connect(door)?;
    line.set_nonblocking(true)?;
    own(UnixStream::from_std(line)?)
}

/// The line, if the system says that this user's process is at its other end.
fn own(line: UnixStream) -> io::Result<Line> {
    let (user, ours) = (line.peer_cred()?.uid(), geteuid().as_raw());
    if user != ours {
        let why = format!("the process there is of another user ({user})");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let line = line.into_std()?;
    line.set_nonblocking(false)?;
    line.set_read_timeout(Some(SENT_WITHIN))?;
    line.set_write_timeout(Some(SENT_WITHIN))?;
    Ok(line)
}

/// Says a word, with the socket where one comes along.
pub(in crate::instance) fn send(line: &mut Line, word: Word, socket: Option<&TcpListener>) -> io::Result<()> {
    let handles: Vec<_> = socket.into_iter().map(AsFd::as_fd).collect();
    if handles.len() != usize::from(word.brings_socket()) {
        return Err(wrong("a word and its socket go together"));
    }
    send_handles(line, word.byte(), &handles)
}

/// The next word, with the socket where one comes along.
pub(in crate::instance) fn receive(line: &mut Line) -> io::Result<(Word, Option<TcpListener>)> {
    let (byte, handles) = receive_handles(line)?;
    let word = Word::of(byte)?;
    let mut handles = handles.into_iter();
    match (word.brings_socket(), handles.next(), handles.next()) {
        (true, Some(socket), None) => Ok((word, Some(socket.into()))),
        (false, None, None) => Ok((word, None)),
        _ => Err(wrong("a word and its socket go together")),
    }
}

/// Sends one byte and the handles.
pub(in crate::instance) fn send_handles(line: &Line, byte: u8, handles: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDLES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !handles.is_empty() && !control.push(SendAncillaryMessage::ScmRights(handles)) {
        return Err(io::Error::other("the handles do not fit into their message"));
    }
    sendmsg(line, &[IoSlice::new(&[byte])], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Receives one byte and its handles. No program that this process starts gets them.
pub(in crate::instance) fn receive_handles(line: &Line) -> io::Result<(u8, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDLES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0u8];
    let received = recvmsg(line, &mut [IoSliceMut::new(&mut byte)], &mut control, CLOSE_ON_EXEC)?;
    let handles = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(handles) => Some(handles),
        _ => None,
    });
    let handles: Vec<OwnedFd> = handles.flatten().collect();
    for handle in &handles {
        fcntl_setfd(handle, FdFlags::CLOEXEC)?;
    }
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((byte[0], handles))
}

/// From the moment they arrive, where the system can.
#[cfg(target_os = "linux")]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::empty();
