//! Where a connection goes that is new or comes back: to whoever waits, else among the idle ones.

use super::origin::{Idle, MOST_IDLE, Origin};
use crate::upstream::connection::Connection;
use std::sync::Arc;
use tokio::time::Instant;

impl Origin {
    /// Takes a connection back after its response has been read to the end.
    pub(crate) fn put_back(self: &Arc<Self>, mut connection: Connection) {
        if connection.is_idle() {
            self.offer_if(connection, false, false);
        }
    }

    /// For a connection that is known to be alive. `fresh`: it has served nobody.
    pub(super) fn release(self: &Arc<Self>, connection: Connection, fresh: bool) {
        self.offer_if(connection, fresh, true);
    }

    /// `looked_at`: it was found alive just now. Else it is looked at if somebody takes it here: an idle one is when it is taken.
    fn offer_if(self: &Arc<Self>, mut connection: Connection, fresh: bool, looked_at: bool) {
        let mut inner = self.lock();
        let gone = connection.network() != *self.network.borrow();
        if gone || (!looked_at && inner.waiters.count() > 0 && !connection.is_usable()) {
            drop(inner);
            drop(connection);
            return;
        }
        let Some(connection) = inner.waiters.give(connection, fresh) else { return };
        if inner.waiters.count() > inner.dialing && inner.open + inner.dialing >= self.config.pool.size {
            // Who still waits takes only a fresh connection, and the pool is full: this one makes room for a dial.
            drop(inner);
            drop(connection);
            return;
        }
        inner.idle.push(Idle { connection, since: Instant::now() });
        // The one that has been idle longest goes, and not under the lock.
        let surplus = (inner.idle.len() > MOST_IDLE).then(|| inner.idle.remove(0));
        drop(inner);
        drop(surplus);
    }
}
