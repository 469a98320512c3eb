//! Unix half of `instance`: private files are 0600, private folders 0700; handles pass between processes (SCM_RIGHTS).

use super::{
    Confirmation, Lock, Taken,
    handover::{SENT_WITHIN, confirmation},
};
use crate::config::Paths;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// True when others than the owner may read the file.
pub(super) fn is_exposed(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

/// What mends an exposed file, as words of a sentence.
pub(super) fn how_to_protect(path: &Path) -> String {
    format!("run `chmod 600 {}`", path.display())
}

/// Where socket and lock arrive: a Unix socket in a folder that only this user can enter.
pub(super) fn handover_socket(_paths: &Paths) -> io::Result<Doorstep> {
    let folder = tempfile::Builder::new().prefix("leeward-").permissions(PermissionsExt::from_mode(0o700)).tempdir()?;
    // Short: a Unix socket's path has about 100 bytes, and a state folder may be deep.
    let path = folder.path().join("s");
    let door = tokio::net::UnixListener::bind(&path)?;
    Ok(Doorstep { door, path, _folder: folder })
}

/// See `handover_socket`.
#[derive(Debug)]
pub(super) struct Doorstep {
    door: tokio::net::UnixListener,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Doorstep {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The first who comes brings them.
    pub(super) async fn receive(self) -> io::Result<Taken> {
        let (line, _) = self.door.accept().await?;
        let line = line.into_std()?;
        line.set_nonblocking(false)?;
        line.set_read_timeout(Some(SENT_WITHIN))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0u8];
        recvmsg(&line, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
        let handles = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(handles) => Some(handles),
            _ => None,
        });
        let handles: Vec<OwnedFd> = handles.flatten().collect();
        let [listener, lock] = <[OwnedFd; 2]>::try_from(handles)
            .map_err(|got| io::Error::other(format!("{} handles came, wanted the socket and the lock", got.len())))?;
        // Nothing that this process starts may hold them open.
        for handle in [&listener, &lock] {
            rustix::io::fcntl_setfd(handle, rustix::io::FdFlags::CLOEXEC)?;
        }
        let listener = TcpListener::from(listener);
        Ok(Taken { listener, lock: Lock { file: lock.into() }, confirmation: Some(Confirmation(line)) })
    }
}

/// The line between the two processes.
pub(super) type Line = UnixStream;

/// Sends both and waits for the confirmation.
pub(super) fn hand_over(to: &Path, listener: &TcpListener, lock: &File, limit: Duration) -> io::Result<()> {
    let line = UnixStream::connect(to)?;
    line.set_read_timeout(Some(limit))?;
    line.set_write_timeout(Some(SENT_WITHIN))?;
    let handles = [listener.as_fd(), lock.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&handles)) {
        return Err(io::Error::other("two handles do not fit into their message"));
    }
    sendmsg(&line, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    confirmation(line, limit)
}
