//! Windows half of `supervisor`: options of the listening socket. There is no limit of open files to raise.

use socket2::Socket;
use std::{io, net::TcpListener};

/// Without SO_REUSEADDR a port is bound once, TIME_WAIT or not, among programs that do not set it themselves.
/// SO_EXCLUSIVEADDRUSE would shut those out as well, and the next bind of a lost listener's port with them, for as long as
/// a connection accepted there lives (docs/windows.md).
pub(super) fn prepare(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

/// `is_listening` sees a socket that was closed and not one that no longer listens.
pub(super) const KNOWS_LISTENING: bool = false;

/// True while the socket is one: SO_ACCEPTCONN is not exposed here, and a socket that was closed has no address.
pub(super) fn is_listening(socket: &TcpListener) -> bool {
    socket.local_addr().is_ok()
}

/// Not to be seen without unsafe code here; the self-probe finds the same fault some seconds later.
pub(super) fn has_backlog(_socket: &TcpListener) -> Option<bool> {
    None
}

pub(super) fn raise_file_limit() {}
