//! Windows half of `supervisor`: options of the listening socket. There is no limit of open files to raise.

use socket2::Socket;
use std::{io, net::TcpListener};

/// Without SO_REUSEADDR a port is bound once, TIME_WAIT or not, among programs that do not set it themselves.
/// SO_EXCLUSIVEADDRUSE would shut those out as well, and the next bind of a lost listener's port with them, for as long as
/// a connection accepted there lives (docs/windows.md).
pub(super) fn prepare(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

/// `is_listening` is the system's own word.
pub(super) const KNOWS_LISTENING: bool = true;

/// True while the socket still listens.
pub(super) fn is_listening(socket: &TcpListener) -> io::Result<bool> {
    leeward_windows::is_listening(socket)
}

/// True when connections wait to be accepted right now.
pub(super) fn has_backlog(socket: &TcpListener) -> io::Result<bool> {
    leeward_windows::has_backlog(socket)
}

pub(super) fn raise_file_limit() {}
