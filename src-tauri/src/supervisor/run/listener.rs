//! The listening socket in the loop: who has a handle of it, and what is under way with it. Data; `rebind` acts.

use crate::{
    inbound::Kind,
    instance::Lock,
    supervisor::{
        former::Former,
        generations::Reply,
        recovery::{Cause, Handle},
        socket::Socket,
    },
};
use std::io;
use tokio::time::Instant;

/// The socket, and what is under way with it.
pub(super) struct Listener {
    pub(super) socket: Socket,
    /// Addresses from before, for those who know them.
    pub(super) former: Vec<Former>,
    /// Whether the configured address is free is being asked.
    pub(super) asks_wanted: bool,
    /// Let go with the socket.
    pub(super) lock: Option<Lock>,
    /// Another process is about to take over.
    pub(super) leaving: bool,
    /// When the lost socket is bound again.
    pub(super) rebind_at: Option<Instant>,
    /// Those who hold the socket are being asked for it.
    pub(super) asks_holders: bool,
    /// They were asked since it was lost, and had none.
    pub(super) holders_have_none: bool,
    pub(super) releasing: Option<SocketRelease>,
    /// Releases so far.
    pub(super) releases: u64,
    /// The accept loops have let go of their handles, and none was given since.
    pub(super) wants_handle: bool,
    /// Who asked for a restart while there was no socket.
    pub(super) due: Option<Vec<Reply>>,
}

/// What follows when all have let go, or have not said so in time.
pub(super) enum Next {
    /// The socket is gone: the same port is bound again.
    Rebind,
    /// The socket is sound, and a new generation gets a handle of it.
    Replace(Cause),
}

/// A release that is under way.
pub(super) struct SocketRelease {
    pub(super) number: u64,
    pub(super) waits_for: usize,
    pub(super) until: Instant,
    pub(super) next: Next,
}

impl Listener {
    pub(super) fn new(socket: Socket, former: Vec<Socket>, lock: Option<Lock>) -> Self {
        Self {
            socket,
            former: former.into_iter().map(Former::new).collect(),
            asks_wanted: false,
            lock,
            leaving: false,
            rebind_at: None,
            asks_holders: false,
            holders_have_none: false,
            releasing: None,
            releases: 0,
            wants_handle: false,
            due: None,
        }
    }

    /// The socket of a port; else that of the present address.
    pub(super) fn of_port(&self, port: u16) -> &Socket {
        let former = self.former.iter().map(|former| &former.socket);
        former.chain([&self.socket]).find(|socket| socket.address().port() == port).unwrap_or(&self.socket)
    }

    /// True while there is no socket, or nobody has a handle of it.
    pub(super) fn is_mending(&self) -> bool {
        self.releasing.is_some() || self.rebind_at.is_some()
    }

    /// When nobody is waited for any more who has not let go.
    pub(super) fn released_by(&self) -> Option<Instant> {
        self.releasing.as_ref().map(|releasing| releasing.until)
    }

    /// Whether the accept loop waits for a handle.
    pub(super) fn handle(&self) -> Handle {
        if self.wants_handle { Handle::Wanted } else { Handle::Fine }
    }

    /// Somebody accepts, on a handle of its own.
    pub(super) fn is_taken(&mut self) {
        self.wants_handle = false;
    }

    /// What the error of a new handle means.
    pub(super) fn without_handle(&self, error: &io::Error) -> Handle {
        match Kind::of(error) {
            Kind::Socket => Handle::Refused,
            _ if self.wants_handle => Handle::Short,
            _ => Handle::Fine,
        }
    }
}
