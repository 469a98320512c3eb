//! What a connection's requests, its socket and its life cycle share: a few flags, no decisions.

use crate::exchange::Switched;
use futures_util::task::AtomicWaker;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

/// What the requests of a connection report to its socket.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// True while a request is being answered.
    pub(super) busy: AtomicBool,
    /// The client asked for the close and waits for it.
    pub(super) client_closes: AtomicBool,
    /// Requests so far.
    requests: AtomicU64,
    /// True while hyper has bytes that the socket has not taken.
    pub(super) unflushed: AtomicBool,
    /// True between the first byte of a message and its last.
    pub(super) amid: AtomicBool,
    /// True while more of the present request's body is to come from the client.
    pub(super) body_open: AtomicBool,
    /// Set while the next request's head waits for the present response to end.
    pub(super) next: AtomicWaker,
    /// The response switches to another protocol: nothing that comes is a request any more.
    is_switched: AtomicBool,
    switched: Mutex<Option<Box<Switched>>>,
}

impl ConnectionState {
    /// A request has begun.
    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Relaxed);
        self.busy.store(true, Relaxed);
    }

    /// The response that goes out now leads to another protocol.
    pub(super) fn switch(&self, switched: Box<Switched>) {
        *self.switched.lock().unwrap_or_else(PoisonError::into_inner) = Some(switched);
        self.is_switched.store(true, SeqCst);
    }

    pub(super) fn is_switched(&self) -> bool {
        self.is_switched.load(SeqCst)
    }

    /// What it leads to, once.
    pub(super) fn take_switched(&self) -> Option<Box<Switched>> {
        self.switched.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Requests that have begun.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// True when no request is under way, nothing of the next one has come, and all that was said is sent.
    pub(super) fn rests(&self) -> bool {
        !self.busy.load(Relaxed)
            && !self.unflushed.load(Relaxed)
            && !self.amid.load(Relaxed)
            && !self.client_closes.load(Relaxed)
            && !self.is_switched()
    }
}

/// Marks a client's connection busy until its response is out or dropped.
#[derive(Debug)]
pub(super) struct InFlightGuard(Arc<ConnectionState>);

impl InFlightGuard {
    pub(super) fn new(state: &Arc<ConnectionState>) -> Self {
        state.begin();
        Self(state.clone())
    }

    /// The client wants the connection closed after this response.
    pub(super) fn client_closes(&self) {
        self.0.client_closes.store(true, Relaxed);
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.busy.store(false, SeqCst);
        self.0.next.wake();
    }
}
