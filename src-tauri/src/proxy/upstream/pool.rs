//! The pool of one origin: idle connections last in first out, a few dials at once, waiting requests in order.
//!
//! A request takes the first connection that becomes free, whoever dialled it. Locks are held for bookkeeping only,
//! never while waiting, and no connection is dropped under the lock: its slot takes it again.

use super::{Failure, Place, Ways, dial::Dial, wire::Wire};
use crate::{
    config::Config,
    health::{Code, Tracker},
    status::traffic::{Cause, Traffic},
    tasks::Tasks,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tokio::{sync::oneshot, time::Instant};

/// A scheme, host and port, and its connections.
#[derive(Debug)]
pub(in crate::proxy) struct Origin {
    pub(in crate::proxy) place: Place,
    config: Arc<Config>,
    ways: Arc<Ways>,
    tasks: Tasks,
    traffic: Arc<Traffic>,
    health: Tracker,
    /// True while a condition about this origin stands, so that the good path touches no lock of `health`.
    unwell: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    idle: Vec<Idle>,
    waiters: VecDeque<Waiter>,
    dialing: usize,
    open: usize,
}

#[derive(Debug)]
struct Idle {
    wire: Wire,
    since: Instant,
}

#[derive(Debug)]
struct Waiter {
    /// Takes only a connection that has served nobody.
    fresh: bool,
    give: oneshot::Sender<Result<Wire, Failure>>,
}

/// A connection on loan, and how many dead ones were found on the way to it.
#[derive(Debug)]
pub(in crate::proxy) struct Lease {
    pub(in crate::proxy) wire: Result<Wire, Failure>,
    pub(in crate::proxy) stale: u32,
}

/// A connection's place in the count.
#[derive(Debug)]
pub(super) struct Slot(Weak<Origin>);

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(origin) = self.0.upgrade() {
            let mut inner = origin.lock();
            inner.open -= 1;
            origin.dial_more(&mut inner);
        }
    }
}

/// A dial's place in the count, given back also when the dial's task ends in a panic or is stopped.
#[derive(Debug)]
struct Dialing(Weak<Origin>);

impl Drop for Dialing {
    fn drop(&mut self) {
        if let Some(origin) = self.0.upgrade() {
            origin.lock().dialing -= 1;
        }
    }
}

/// What an origin shares with its proxy.
pub(in crate::proxy) struct Parts {
    pub(in crate::proxy) config: Arc<Config>,
    pub(in crate::proxy) ways: Arc<Ways>,
    pub(in crate::proxy) tasks: Tasks,
    pub(in crate::proxy) traffic: Arc<Traffic>,
    pub(in crate::proxy) health: Tracker,
}

impl Origin {
    pub(in crate::proxy) fn new(place: Place, parts: Parts) -> Arc<Self> {
        let Parts { config, ways, tasks, traffic, health } = parts;
        Arc::new(Self { place, config, ways, tasks, traffic, health, unwell: AtomicBool::new(false), inner: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection: an idle one that a peek finds alive, else the first that becomes free.
    pub(in crate::proxy) async fn checkout(self: &Arc<Self>, fresh: bool) -> Lease {
        let mut stale = 0;
        while let Some(mut idle) = if fresh { None } else { self.take_idle() } {
            if idle.since.elapsed() >= self.config.pool.idle {
                continue; // old: those below it are older still
            }
            if idle.wire.is_usable() {
                return Lease { wire: Ok(idle.wire), stale };
            }
            stale += 1;
        }
        if fresh {
            // A full pool would make room only when somebody closes: the connection that has been idle longest goes.
            drop(self.take_surplus());
        }
        let (give, take) = oneshot::channel();
        {
            let mut inner = self.lock();
            inner.waiters.push_back(Waiter { fresh, give });
            self.dial_more(&mut inner);
        }
        let wire = take.await.unwrap_or_else(|_| Err(Failure::new(Cause::Connect, "the engine is stopping")));
        Lease { wire, stale }
    }

    /// Takes a connection back after its response has been read to the end.
    pub(in crate::proxy) fn put_back(self: &Arc<Self>, mut wire: Wire) {
        if wire.is_usable() {
            self.offer(wire, false);
        }
    }

    /// Dials until this many connections are idle or on their way; answers how many were missing.
    pub(in crate::proxy) fn warm(self: &Arc<Self>, wanted: usize) -> usize {
        let mut inner = self.lock();
        let missing = wanted.min(self.config.connect.parallel).saturating_sub(inner.idle.len() + inner.dialing);
        let missing = missing.min(self.config.pool.size.saturating_sub(inner.open + inner.dialing));
        for _ in 0..missing {
            self.dial(&mut inner);
        }
        missing
    }

    /// Drops idle connections that are too old or dead. Called from time to time by the proxy.
    pub(in crate::proxy) fn sweep(&self) {
        let idle = std::mem::take(&mut self.lock().idle);
        let limit = self.config.pool.idle;
        let kept: Vec<Idle> =
            idle.into_iter().filter_map(|mut i| (i.since.elapsed() < limit && i.wire.is_usable()).then_some(i)).collect();
        // What came back meanwhile is younger and stays on top.
        let mut inner = self.lock();
        let younger = std::mem::replace(&mut inner.idle, kept);
        inner.idle.extend(younger);
        // Requests that came meanwhile found none of them, and in a full pool nobody dials for them.
        while !inner.idle.is_empty()
            && let Some(at) = inner.waiters.iter().position(|w| !w.fresh)
        {
            if let (Some(waiter), Some(Idle { wire, since })) = (inner.waiters.remove(at), inner.idle.pop())
                && let Err(Ok(wire)) = waiter.give.send(Ok(wire))
            {
                inner.idle.push(Idle { wire, since }); // that request is gone
            }
        }
    }

    /// Idle connections now.
    pub(in crate::proxy) fn idle(&self) -> usize {
        self.lock().idle.len()
    }

    fn take_surplus(&self) -> Option<Idle> {
        let mut inner = self.lock();
        let full = inner.open + inner.dialing >= self.config.pool.size;
        (full && !inner.idle.is_empty()).then(|| inner.idle.remove(0))
    }

    /// A statement of its own, so that the lock is gone before the connection is looked at or dropped.
    fn take_idle(&self) -> Option<Idle> {
        self.lock().idle.pop()
    }

    fn offer(self: &Arc<Self>, wire: Wire, fresh: bool) {
        let mut inner = self.lock();
        let mut wire = wire;
        while let Some(at) = inner.waiters.iter().position(|w| fresh || !w.fresh) {
            let Some(waiter) = inner.waiters.remove(at) else { break };
            match waiter.give.send(Ok(wire)) {
                Ok(()) => return,
                Err(Ok(back)) => wire = back, // that request is gone
                Err(Err(_)) => return,
            }
        }
        inner.waiters.retain(|w| !w.give.is_closed());
        if inner.waiters.len() > inner.dialing && inner.open + inner.dialing >= self.config.pool.size {
            // Who still waits takes only a fresh connection, and the pool is full: this one makes room for a dial.
            drop(inner);
            drop(wire);
            return;
        }
        inner.idle.push(Idle { wire, since: Instant::now() });
    }

    fn dial_more(self: &Arc<Self>, inner: &mut Inner) {
        inner.waiters.retain(|w| !w.give.is_closed());
        while inner.dialing < self.config.connect.parallel
            && inner.dialing < inner.waiters.len()
            && inner.open + inner.dialing < self.config.pool.size
        {
            self.dial(inner);
        }
    }

    fn dial(self: &Arc<Self>, inner: &mut Inner) {
        inner.dialing += 1;
        let origin = self.clone();
        let dialing = Dialing(Arc::downgrade(self));
        self.tasks.spawn(async move { origin.dial_one(dialing).await });
    }

    async fn dial_one(self: Arc<Self>, dialing: Dialing) {
        let dial = Dial { place: &self.place, config: &self.config, ways: &self.ways };
        let dialled = dial.run().await;
        let made = match dialled {
            Err(failure) => {
                drop(dialing);
                Err(failure)
            }
            Ok(dialled) => {
                drop(dialing);
                let slot = {
                    let mut inner = self.lock();
                    inner.open += 1;
                    Slot(Arc::downgrade(&self))
                };
                Wire::new(dialled, slot, self.config.limits.header_count)
                    .await
                    .map_err(|e| Failure::new(Cause::Connect, format!("the connection to {} broke at once ({e})", self.place)))
            }
        };
        self.traffic.dial(made.is_ok());
        self.report(made.as_ref().err());
        match made {
            Ok(wire) => self.offer(wire, true),
            Err(failure) => {
                tracing::debug!(origin = %self.place, cause = failure.cause.as_str(), "{}", failure.detail);
                let waiter = self.lock().waiters.pop_front();
                if let Some(waiter) = waiter {
                    // A request that is gone needs no answer.
                    waiter.give.send(Err(failure)).ok();
                }
            }
        }
        let mut inner = self.lock();
        self.dial_more(&mut inner);
    }

    fn report(&self, failure: Option<&Failure>) {
        let subject = Some(self.place.host.as_str());
        if failure.is_none() && !self.unwell.swap(false, Relaxed) {
            return;
        }
        // What stands is what the last dial met.
        let code = failure.map(|f| {
            self.unwell.store(true, Relaxed);
            match f.cause {
                Cause::Certificate => Code::CertificateUntrusted,
                Cause::CompanyProxy | Cause::ProxyLogin => Code::CompanyProxy,
                _ => Code::UpstreamUnreachable,
            }
        });
        for other in [Code::UpstreamUnreachable, Code::CertificateUntrusted, Code::CompanyProxy] {
            if Some(other) != code {
                self.health.clear(other, subject);
            }
        }
        if let (Some(code), Some(Failure { cause, detail })) = (code, failure) {
            let what_now = match cause {
                Cause::Certificate => "if a company proxy inspects TLS, name its root certificate with extra_ca",
                Cause::ProxyLogin => "put user and password into proxy.url in Leeward's config, or into HTTPS_PROXY",
                _ => "Leeward keeps trying",
            };
            self.health.set(code, subject, format!("{detail}; {what_now}"));
        }
    }
}
