//! Unix half of `serve`: what the system asks by signal, and the listening socket that it may bring along.

use super::Request;
use crate::exit::{Exit, Failure, Outcome};
use leeward::config::environment;
use listenfd::ListenFd;
use rustix::{
    io::Errno,
    net::{getpeername, getsockname},
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::AsFd,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The socket that a service manager holds: systemd's (sd_listen_fds(3)), or the one on standard input of inetd and of launchd
/// with `inetdCompatibility` and `Wait`. Programs that are started from here know nothing of it.
pub(super) fn passed_socket() -> Outcome<Option<TcpListener>> {
    let unusable = |why: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("the socket that was passed: {why}"));
    let mut passed = ListenFd::from_env();
    if passed.len() > 1 {
        let why =
            format!("LISTEN_FDS has {}, and Leeward serves one (it holds the other loopback address by itself)", passed.len());
        return Err(unusable(&why));
    }
    if passed.len() == 1 {
        return passed.take_tcp_listener(0).map_err(|e| unusable(&format_args!("it is no listening TCP socket ({e})")));
    }
    let stdin = io::stdin();
    // Bound and connected to nobody: macOS does not say of a socket whether it listens.
    let is_bound = getsockname(&stdin).is_ok_and(|at| SocketAddr::try_from(at).is_ok_and(|at| at.port() != 0));
    if !is_bound || getpeername(&stdin).err() != Some(Errno::NOTCONN) {
        return Ok(None);
    }
    Ok(Some(stdin.as_fd().try_clone_to_owned().map_err(|e| unusable(&e))?.into()))
}

/// Whether standard error is systemd's journal: the variable names the very file (systemd.exec(5)).
pub(super) fn is_journal() -> bool {
    let named = environment("JOURNAL_STREAM");
    let is_it = |stat: rustix::fs::Stat| named == Some(format!("{}:{}", stat.st_dev, stat.st_ino));
    rustix::fs::fstat(io::stderr()).is_ok_and(is_it)
}

/// The signals that are listened to.
#[derive(Debug)]
pub(super) struct Requests {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Requests {
    pub(super) fn register() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.interrupt.recv() => Request::End,
            _ = self.terminate.recv() => Request::End,
            _ = self.hangup.recv() => Request::Reload,
        }
    }

    /// Nothing that is asked from here on does anything, until the process has ended: tokio's handlers stay.
    pub(super) fn outlive(self) {}
}
