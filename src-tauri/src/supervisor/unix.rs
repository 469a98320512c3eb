//! Unix half of `supervisor`: options of the listening socket, its backlog, the limit of open files.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use socket2::Socket;
use std::{io, net::TcpListener};

/// A port in TIME_WAIT can be bound again at once.
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// `is_listening` is the kernel's own word. Apple's declares SO_ACCEPTCONN and does not answer it.
pub(super) const KNOWS_LISTENING: bool = cfg!(not(target_vendor = "apple"));

/// True while the socket still listens.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn is_listening(socket: &TcpListener) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_acceptconn(socket)?)
}

/// True while the socket is one that has an address.
#[cfg(target_vendor = "apple")]
pub(super) fn is_listening(socket: &TcpListener) -> io::Result<bool> {
    socket.local_addr().map(|_| true)
}

/// True when connections wait to be accepted right now.
pub(super) fn has_backlog(socket: &TcpListener) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}

/// Many agents need many sockets; the soft limit of a shell is often 1024.
pub(super) fn raise_file_limit() {
    // macOS refuses more than OPEN_MAX (10,240) to processes that are no launchd jobs.
    const ENOUGH: u64 = 65_536;
    const MACOS_MAX: u64 = 10_240;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = if cfg!(target_os = "macos") { MACOS_MAX } else { ENOUGH };
    let wanted = maximum.map_or(most, |m| m.min(most));
    if current.is_some_and(|now| now < wanted)
        && let Err(e) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        tracing::debug!("the limit of open files stays as it is: {e}");
    }
}
