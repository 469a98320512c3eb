//! Places in the pool's counts, given back by being dropped, whatever ends their holder. They count; they decide nothing.

use super::origin::{Inner, Origin};
use crate::upstream::connection::Permit;
use std::{
    convert::Infallible,
    sync::{Arc, Weak},
};
use tokio::{sync::oneshot, time::Instant};

/// A dial's place.
#[derive(Debug)]
pub(super) struct Dialing(Weak<Origin>);

impl Dialing {
    /// A place that is counted already.
    pub(super) fn new(origin: &Arc<Origin>) -> Self {
        Self(Arc::downgrade(origin))
    }

    /// Gives it back under the lock that is held.
    pub(super) fn done(mut self, inner: &mut Inner) {
        self.0 = Weak::new();
        inner.dialing -= 1;
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        if let Some(origin) = self.0.upgrade() {
            origin.lock().dialing -= 1;
        }
    }
}

/// A connection's place, and what the pool knows about it.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    origin: Weak<Origin>,
    network: u64,
    /// Dropped when the other side has shown that it took the connection.
    unproven: Option<oneshot::Sender<Infallible>>,
    /// It was made before anybody needed it, and the budget paid for it.
    spare: bool,
}

impl ConnectionPermit {
    /// The place of a connection that is counted already; the receiver ends when a plain one has answered or is gone.
    pub(super) fn new(
        origin: &Arc<Origin>,
        network: u64,
        proven: bool,
        spare: bool,
    ) -> (Self, Option<oneshot::Receiver<Infallible>>) {
        let (unproven, proof) = if proven { (None, None) } else { Some(oneshot::channel()).unzip() };
        (Self { origin: Arc::downgrade(origin), network, unproven, spare }, proof)
    }

    /// A request has used it: it was not made in vain.
    fn served(&mut self, origin: &Origin) {
        if std::mem::take(&mut self.spare) {
            origin.budget.refund();
        }
    }
}

impl Permit for ConnectionPermit {
    fn network(&self) -> u64 {
        self.network
    }

    fn answered(&mut self) {
        self.unproven = None;
        if let Some(origin) = self.origin.upgrade() {
            origin.reaching.succeeded();
            self.served(&origin);
        }
    }

    /// One that had never answered: its upstream may have more of them than it takes.
    fn broke(&mut self) {
        let Some(origin) = self.origin.upgrade() else { return };
        self.served(&origin);
        let (now, mut inner) = (Instant::now(), origin.lock());
        match self.unproven {
            Some(_) => inner.circuit.slow_down(now),
            None => inner.circuit.rate.lost(now),
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Some(origin) = self.origin.upgrade() {
            let mut inner = origin.lock();
            inner.open -= 1;
            origin.dial_more(&mut inner);
        }
    }
}
