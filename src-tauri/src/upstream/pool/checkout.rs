//! A request's wait for a connection: in order, parked while the circuit is open, and never longer than it may take.
//!
//! Dials nothing itself: it queues, and looks at the clock.

use super::{origin::Origin, waiters::Given};
use crate::{
    health::Code,
    message::{Failure, Told},
    status::faults::Cause,
    upstream::connection::Connection,
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

/// A connection on loan, and what happened on the way to it.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) connection: Result<Connection, Failure>,
    /// How many dead ones were found before it.
    pub(crate) stale: u32,
    /// True when the request was parked meanwhile.
    pub(crate) parked: bool,
}

/// How long a request is parked for a server on this machine, which comes back at once or when somebody starts it.
const LOCAL_WAIT: Duration = Duration::from_secs(2);

/// While the circuit is closed, whether it has opened is looked at no more often than this.
const LOOK: Duration = Duration::from_millis(100);

/// A place in the queue. Who leaves it hands back what he was given in the same moment.
struct Waiting<'a> {
    origin: &'a Arc<Origin>,
    take: oneshot::Receiver<Given>,
}

impl Waiting<'_> {
    /// Leaves; what was given already is taken.
    fn leave(&mut self) -> Option<Given> {
        self.take.close();
        self.take.try_recv().ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(Ok(connection)) = self.leave() {
            let fresh = !connection.will_reuse();
            self.origin.release(connection, fresh);
        }
    }
}

impl Origin {
    /// A connection: an idle one that a peek finds alive, else the first that becomes free. `began` is the request's place
    /// among those that wait, `give_up` the end of its patience.
    ///
    /// # Errors
    /// In the lease: the failure of a dial, `CircuitOpen` when it was parked for too long, `Connect` at the end of its
    /// patience.
    pub(crate) async fn checkout(self: &Arc<Self>, fresh: bool, began: Instant, give_up: Instant) -> Lease {
        let mut stale = 0;
        while let Some(mut idle) = self.take_idle(fresh) {
            if idle.since.elapsed() >= self.config.pool.idle {
                continue; // too old
            }
            if idle.connection.is_usable() {
                return Lease { connection: Ok(idle.connection), stale, parked: false };
            }
            stale += 1;
            self.lock().circuit.rate.lost(Instant::now());
        }
        if fresh {
            // A full pool would make room only when somebody closes: the connection that has been idle longest goes.
            drop(self.take_surplus());
        }
        let (mut waiting, openings) = {
            let mut inner = self.lock();
            inner.used = Some(Instant::now());
            let take = inner.waiters.add(began, fresh);
            self.dial_more(&mut inner);
            self.tend_in(&mut inner);
            let before = inner.circuit.openings() - u64::from(inner.circuit.opened().is_some());
            (Waiting { origin: self, take }, before)
        };
        let connection = self.wait(&mut waiting, give_up).await;
        drop(waiting);
        Lease { connection, stale, parked: self.lock().circuit.openings() > openings }
    }

    /// The failure of a request that waited in vain for others to end; it is a condition, too.
    fn is_full(&self) -> Failure {
        let why = format!(
            "{} requests to {} run at once, as many as may (pool.size), and none ended in time",
            self.config.pool.size, self.endpoint
        );
        self.full.store(true, Relaxed);
        let failure = Failure::new(Cause::PoolFull, why).fact(
            match self.config.pool.size {
                1 => format!("1 request to {} runs (pool.size), and did not end in time", self.endpoint.name()),
                many => format!("{many} requests to {} run at once (pool.size), and none ended in time", self.endpoint.name()),
            },
            "Raise pool.size in Leeward's config",
        );
        let Told { says, next, .. } = failure.told(&self.endpoint.name());
        self.health.set(Code::PoolFull, Some(&self.endpoint.host), format!("{says}. {next}."));
        failure
    }

    async fn wait(&self, waiting: &mut Waiting<'_>, give_up: Instant) -> Given {
        let (max_wait, since) = (self.config.circuit.max_wait, Instant::now());
        let max_wait = if self.endpoint.is_local() { max_wait.min(LOCAL_WAIT) } else { max_wait };
        let free_by = since + self.config.pool.wait;
        let mut look = give_up.min(since + max_wait.max(LOOK)).min(free_by);
        loop {
            tokio::select! {
                biased;
                given = &mut waiting.take => {
                    return given.unwrap_or_else(|_| Err(Failure::new(Cause::Connect, "the engine is stopping")));
                }
                () = sleep_until(look) => {}
            }
            let now = Instant::now();
            let failure = {
                let inner = self.lock();
                let opened = inner.circuit.opened();
                let full = inner.open >= self.config.pool.size;
                // Parked from the moment in which both the request and the open circuit were there.
                look = give_up.min(opened.map_or(now + max_wait.max(LOOK), |at| at.max(since) + max_wait));
                look = if full { look.min(free_by) } else { look };
                match opened {
                    _ if look > now => continue,
                    _ if full && free_by <= now => self.is_full(),
                    Some(_) => inner.circuit.verdict(now, &self.endpoint),
                    None => {
                        let waited = format!("no connection to {} became free within {:.1?}", self.endpoint, now - since);
                        match inner.circuit.last() {
                            // What the last dial met says whose fault it is.
                            Some(last) => {
                                let detail = format!("{waited}; the last reason: {}", last.detail);
                                Failure { known: last.known.clone(), ..Failure::new(last.cause, detail) }
                            }
                            None => Failure::new(Cause::Connect, waited),
                        }
                    }
                }
            };
            return waiting.leave().unwrap_or(Err(failure));
        }
    }
}
