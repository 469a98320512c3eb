//! Unix half of `handover`: handles pass between processes over a Unix socket (SCM_RIGHTS).

use super::taken::{Confirmation, SENT_WITHIN, Taken, confirmation};
use crate::{config::Paths, instance::lock::Lock};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// Where socket and lock arrive: a Unix socket in a folder that only this user can enter.
pub(crate) fn handover_socket(_paths: &Paths) -> io::Result<Doorstep> {
    let folder = tempfile::Builder::new().prefix("leeward-").permissions(PermissionsExt::from_mode(0o700)).tempdir()?;
    // Short: a Unix socket's path has about 100 bytes, and a state folder may be deep.
    let path = folder.path().join("s");
    let door = tokio::net::UnixListener::bind(&path)?;
    Ok(Doorstep { door, path, _folder: folder })
}

/// See `handover_socket`.
#[derive(Debug)]
pub(crate) struct Doorstep {
    door: tokio::net::UnixListener,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Doorstep {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The first who comes brings them.
    pub(crate) async fn receive(self) -> io::Result<Taken> {
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
