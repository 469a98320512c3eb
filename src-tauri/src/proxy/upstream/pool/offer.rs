//! Where a connection goes that is new or comes back: to whoever waits, else among the idle ones.

use super::{Idle, MOST_IDLE, Origin, Wire};
use std::sync::Arc;
use tokio::time::Instant;

impl Origin {
    /// Takes a connection back after its response has been read to the end.
    pub(in crate::proxy) fn put_back(self: &Arc<Self>, mut wire: Wire) {
        if wire.is_idle() {
            self.offer_if(wire, false, false);
        }
    }

    /// For a connection that is known to be alive. `fresh`: it has served nobody.
    pub(super) fn offer(self: &Arc<Self>, wire: Wire, fresh: bool) {
        self.offer_if(wire, fresh, true);
    }

    /// `looked_at`: it was found alive just now. Else it is looked at if somebody takes it here: an idle one is when it is taken.
    fn offer_if(self: &Arc<Self>, mut wire: Wire, fresh: bool, looked_at: bool) {
        let mut inner = self.lock();
        let gone = wire.network() != *self.network.borrow();
        if gone || (!looked_at && inner.waiters.count() > 0 && !wire.is_usable()) {
            drop(inner);
            drop(wire);
            return;
        }
        let Some(wire) = inner.waiters.give(wire, fresh) else { return };
        if inner.waiters.count() > inner.dialing && inner.open + inner.dialing >= self.config.pool.size {
            // Who still waits takes only a fresh connection, and the pool is full: this one makes room for a dial.
            drop(inner);
            drop(wire);
            return;
        }
        inner.idle.push(Idle { wire, since: Instant::now() });
        // The one that has been idle longest goes, and not under the lock.
        let surplus = (inner.idle.len() > MOST_IDLE).then(|| inner.idle.remove(0));
        drop(inner);
        drop(surplus);
    }
}
