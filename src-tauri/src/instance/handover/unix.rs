//! Unix half of `handover`: both handles in one message.

use super::taken::{Confirmation, Taken, confirmation};
use crate::{
    config::Paths,
    instance::{
        door::{self, Door},
        lock::Lock,
    },
};
use std::{fs::File, io, net::TcpListener, os::fd::AsFd, path::Path, time::Duration};

/// What comes with the handles.
const BOTH: u8 = 0;

/// The first who comes brings them.
pub(in crate::instance) async fn receive(door: Door, _paths: &Paths) -> io::Result<Taken> {
    let line = door.next().await?;
    let (_, handles) = door::receive_handles(&line)?;
    let count = handles.len();
    let [listener, lock] = <[_; 2]>::try_from(handles)
        .map_err(|_| io::Error::other(format!("{count} handles came, wanted the socket and the lock")))?;
    Ok(Taken { listener: listener.into(), lock: Lock { file: lock.into() }, confirmation: Some(Confirmation(line)) })
}

/// Sends both and waits for the confirmation.
pub(super) fn hand_over(to: &Path, listener: &TcpListener, lock: &File, limit: Duration) -> io::Result<()> {
    let line = door::knock(to)?;
    line.set_read_timeout(Some(limit))?;
    door::send_handles(&line, BOTH, &[listener.as_fd(), lock.as_fd()])?;
    confirmation(line, limit)
}
