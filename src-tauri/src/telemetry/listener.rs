//! The listener's counters. Written by the accept loop and its connections; decides nothing.

use crate::status::Listener;
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

/// The listener's counters; they survive generations and sockets.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    errors: AtomicU64,
    connections: AtomicU64,
    over_cap: AtomicU64,
    rebinds: AtomicU64,
    accepting: AtomicBool,
    last_error: Mutex<Option<String>>,
    awaiting: AtomicU64,
}

impl Counters {
    /// Puts the numbers of this moment into the status.
    pub fn fill(&self, listener: &mut Listener) {
        listener.accepted = self.accepted();
        listener.accept_errors = self.errors.load(Relaxed);
        listener.connections = self.connections.load(Relaxed);
        listener.over_cap = self.over_cap.load(Relaxed);
        listener.rebinds = self.rebinds.load(Relaxed);
        listener.accepting = self.accepting.load(Relaxed);
        listener.last_accept_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
    }

    /// Connections that were one too many so far.
    pub fn over_cap_total(&self) -> u64 {
        self.over_cap.load(Relaxed)
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Accepts that failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// The socket was bound again.
    pub fn rebound(&self) {
        self.rebinds.fetch_add(1, Relaxed);
    }

    /// Whether anybody accepts.
    pub fn set_accepting(&self, accepting: bool) {
        self.accepting.store(accepting, Relaxed);
    }

    /// New connections that may still say their first word; whoever ends the engine waits for them.
    pub fn awaiting(&self) -> u64 {
        self.awaiting.load(SeqCst)
    }

    /// An accept succeeded; counts the connection as open for as long as the guard lives. Also how many are open with it.
    pub fn open(self: &Arc<Self>) -> (OpenConnection, u64) {
        self.accepted.fetch_add(1, Relaxed);
        let now = self.connections.fetch_add(1, Relaxed) + 1;
        (OpenConnection(self.clone()), now)
    }

    /// A connection was one too many.
    pub fn over_cap(&self) {
        self.over_cap.fetch_add(1, Relaxed);
    }

    /// A new connection has yet to say its first word.
    pub fn begin_awaiting(&self) {
        self.awaiting.fetch_add(1, SeqCst);
    }

    /// It has, or has had its time.
    pub fn end_awaiting(&self) {
        self.awaiting.fetch_sub(1, SeqCst);
    }

    /// An accept failed.
    pub fn failed(&self, error: &io::Error) {
        self.errors.fetch_add(1, Relaxed);
        let text = match error.raw_os_error() {
            Some(code) => format!("{error} (code {code})"),
            None => format!("{error} ({:?})", error.kind()),
        };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// One open client connection in the count.
#[derive(Debug)]
pub struct OpenConnection(Arc<Counters>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
