//! The pool of one origin: idle connections last in first out, a few dials at once, waiting requests in order.
//!
//! A request takes the first connection that becomes free, whoever dialled it. The circuit says when a dial may begin.
//! Locks are held for bookkeeping only, never while waiting, and no connection is dropped under the lock: its slot takes it
//! again.

mod checkout;
mod permit;
mod release;
#[cfg(test)]
mod tests;
mod waiters;

pub(super) use permit::ConnectionPermit;

use super::{
    DialContext, Endpoint, Failure,
    circuit::{Circuit, Policy, Tell, Turn},
    connection::Connection,
    dial::Dial,
};
use crate::{
    config::Config,
    health::{Code, Tracker},
    proxy::budget::Budget,
    status::traffic::{Cause, OriginStats, Traffic},
    tasks::Tasks,
};
pub(in crate::proxy) use checkout::Lease;
use permit::Dialing;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use waiters::Waiters;

/// A plain connection counts as being made until it has answered or this has passed: the system accepts it before the
/// upstream does, and one that has too many resets it only then. TLS needs no such time, as its handshake is an answer.
const SETTLE: Duration = Duration::from_millis(250);
/// An origin that was used within this is dialled at once in another network.
const RECENT: Duration = Duration::from_secs(5 * 60);

/// What an origin says in `health`.
pub(in crate::proxy) const CONDITIONS: [Code; 3] = [Code::UpstreamUnreachable, Code::CertificateUntrusted, Code::CompanyProxy];

/// Connections that are kept without use; more than this helps no burst.
const MOST_IDLE: usize = 64;

/// A scheme, host and port, and its connections.
#[derive(Debug)]
pub(in crate::proxy) struct Origin {
    pub(in crate::proxy) endpoint: Endpoint,
    config: Arc<Config>,
    context: Arc<DialContext>,
    tasks: Tasks,
    traffic: Arc<Traffic>,
    budget: Arc<Budget>,
    health: Tracker,
    /// Counts the changes of the network; connections of an earlier one are not used again.
    network: watch::Sender<u64>,
    /// True while a condition about this origin may stand, so that the good path touches no lock of `health`.
    unwell: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    idle: Vec<Idle>,
    waiters: Waiters,
    circuit: Circuit,
    dialing: usize,
    /// Plain connections that have not shown yet whether they were accepted.
    settling: usize,
    open: usize,
    /// When a task looks again whether a dial may begin.
    alarm: Option<Instant>,
    used: Option<Instant>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// What an origin shares with its proxy.
pub(in crate::proxy) struct Parts {
    pub(in crate::proxy) config: Arc<Config>,
    pub(in crate::proxy) context: Arc<DialContext>,
    pub(in crate::proxy) tasks: Tasks,
    pub(in crate::proxy) traffic: Arc<Traffic>,
    pub(in crate::proxy) budget: Arc<Budget>,
    pub(in crate::proxy) health: Tracker,
}

impl Origin {
    pub(in crate::proxy) fn new(endpoint: Endpoint, parts: Parts) -> Arc<Self> {
        let Parts { config, context, tasks, traffic, budget, health } = parts;
        let inner = Inner {
            idle: Vec::new(),
            waiters: Waiters::default(),
            circuit: Circuit::new(Policy::of(&config)),
            dialing: 0,
            settling: 0,
            open: 0,
            alarm: None,
            used: None,
        };
        Arc::new(Self {
            endpoint,
            config,
            context,
            tasks,
            traffic,
            budget,
            health,
            network: watch::Sender::new(0),
            // Also what another generation said of it.
            unwell: AtomicBool::new(true),
            inner: Mutex::new(inner),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials until this many connections are idle or on their way; answers how many dials it began.
    pub(in crate::proxy) fn warm(self: &Arc<Self>, wanted: usize) -> usize {
        let mut inner = self.lock();
        inner.used = Some(Instant::now());
        let missing = wanted.min(self.config.connect.parallel).saturating_sub(inner.idle.len() + inner.dialing);
        let missing = missing.min(self.config.pool.size.saturating_sub(inner.open + inner.dialing));
        let mut begun = 0;
        while begun < missing && inner.circuit.turn(Instant::now(), inner.dialing + inner.settling) == Turn::Now {
            self.dial(&mut inner);
            begun += 1;
        }
        begun
    }

    /// Forgets what was learned in another network: idle connections, the circuit, the last reason, conditions. Who waits goes on
    /// waiting, and one connection is made where somebody waits or lately did.
    pub(in crate::proxy) fn network_changed(self: &Arc<Self>) {
        let mut inner = self.lock();
        // Dials that are under way end with it, and connections in use are not taken back.
        self.network.send_modify(|n| *n += 1);
        inner.circuit.reset();
        let old = std::mem::take(&mut inner.idle);
        let recent = inner.used.is_some_and(|at| at.elapsed() < RECENT);
        if recent && inner.open + inner.dialing < self.config.pool.size + old.len() {
            self.dial(&mut inner);
        }
        drop(inner);
        drop(old);
        self.report(None);
    }

    /// Drops idle connections that are too old or dead. Called from time to time by the proxy.
    pub(in crate::proxy) fn sweep(&self) {
        let limit = self.config.pool.idle;
        let usable = |i: &mut Idle| i.since.elapsed() < limit && i.connection.is_usable();
        self.put_all_back(self.take_all_idle().into_iter().filter_map(|mut i| usable(&mut i).then_some(i)).collect());
    }

    fn take_all_idle(&self) -> Vec<Idle> {
        std::mem::take(&mut self.lock().idle)
    }

    fn put_all_back(&self, kept: Vec<Idle>) {
        let mut inner = self.lock();
        if kept.iter().any(|i| i.connection.network() != *self.network.borrow()) {
            drop(inner);
            return; // the network changed meanwhile; they all go with the one before
        }
        // What came back meanwhile is younger and stays on top.
        let younger = std::mem::replace(&mut inner.idle, kept);
        inner.idle.extend(younger);
        // Requests that came meanwhile found none of them, and in a full pool nobody dials for them.
        while inner.waiters.count() > 0
            && let Some(Idle { connection, since }) = inner.idle.pop()
        {
            if let Some(connection) = inner.waiters.give(connection, false) {
                inner.idle.push(Idle { connection, since });
                break;
            }
        }
    }

    /// Its connections now.
    pub(in crate::proxy) fn stats(&self) -> OriginStats {
        let mut inner = self.lock();
        OriginStats {
            idle: inner.idle.len(),
            open: inner.open,
            dialing: inner.dialing,
            waiting: inner.waiters.count(),
            circuit: if inner.circuit.opened().is_some() { "open" } else { "closed" },
            last_failure: inner.circuit.last().map(|f| f.detail.clone()),
        }
    }

    /// Idle connections now.
    pub(in crate::proxy) fn idle(&self) -> usize {
        self.lock().idle.len()
    }

    /// Time until the next dial may begin.
    pub(in crate::proxy) fn next_dial_in(&self) -> Duration {
        self.lock().circuit.next_in(Instant::now())
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

    fn dial_more(self: &Arc<Self>, inner: &mut Inner) {
        let waiting = inner.waiters.count();
        while inner.dialing < waiting && inner.open + inner.dialing < self.config.pool.size {
            match inner.circuit.turn(Instant::now(), inner.dialing + inner.settling) {
                Turn::Now => self.dial(inner),
                Turn::At(when) => return self.look_again(inner, when),
                Turn::AfterOthers => return,
            }
        }
    }

    /// Nobody waits: no alarm. So an origin without traffic is not probed.
    fn look_again(self: &Arc<Self>, inner: &mut Inner, when: Instant) {
        if inner.alarm.is_some_and(|at| at <= when) {
            return;
        }
        inner.alarm = Some(when);
        let origin = self.clone();
        self.tasks.spawn(async move {
            sleep_until(when).await;
            let mut inner = origin.lock();
            if inner.alarm == Some(when) {
                inner.alarm = None;
            }
            origin.dial_more(&mut inner);
        });
    }

    fn dial(self: &Arc<Self>, inner: &mut Inner) {
        inner.dialing += 1;
        let (origin, network) = (self.clone(), self.network.subscribe());
        self.tasks.spawn(async move {
            // Not before it runs: a runtime that ends drops the task at once, under the lock that is held here.
            let dialing = Dialing::new(&origin);
            origin.dial_one(dialing, network).await;
        });
    }

    async fn dial_one(self: Arc<Self>, dialing: Dialing, mut network: watch::Receiver<u64>) {
        let in_network = *network.borrow_and_update();
        let dial = Dial { endpoint: &self.endpoint, config: &self.config, context: &self.context, budget: &self.budget };
        let dialled = tokio::select! {
            biased;
            // Whatever came of it would be about a network that is gone.
            _ = network.changed() => {
                let mut inner = self.lock();
                dialing.done(&mut inner);
                return self.dial_more(&mut inner);
            }
            dialled = dial.run() => dialled,
        };
        let mut settled = None;
        let made = match dialled {
            Err(failure) => Err(failure),
            Ok(dialled) => {
                let (permit, proof) = ConnectionPermit::new(&self, in_network, self.endpoint.tls);
                settled = proof;
                {
                    let mut inner = self.lock();
                    inner.open += 1;
                    if !dialled.absorbed.is_empty() {
                        inner.circuit.slow_down();
                    }
                }
                Connection::new(dialled, permit, self.config.limits.header_count)
                    .await
                    .map_err(|e| format!("the connection to {} broke at once ({e})", self.endpoint))
                    .and_then(|mut connection| {
                        let gone = || format!("{} broke the connection as soon as it was made", self.endpoint);
                        if connection.is_usable() { Ok(connection) } else { Err(gone()) }
                    })
                    .map_err(|why| {
                        self.budget.charge(1);
                        Failure::new(Cause::Connect, why)
                    })
            }
        };
        self.traffic.dial(made.is_ok());
        self.report(made.as_ref().err());
        match made {
            Ok(connection) => {
                {
                    let mut inner = self.lock();
                    dialing.done(&mut inner);
                    inner.circuit.succeeded();
                    inner.settling += usize::from(settled.is_some());
                }
                self.release(connection, true);
            }
            Err(failure) => {
                tracing::debug!(origin = %self.endpoint, cause = failure.cause.as_str(), "{}", failure.detail);
                settled = None;
                let pause = self.budget.pause();
                let mut inner = self.lock();
                dialing.done(&mut inner);
                match inner.circuit.failed(Instant::now(), &failure, pause) {
                    Tell::One => inner.waiters.tell(&failure, 1),
                    Tell::Everybody => inner.waiters.tell(&failure, usize::MAX),
                    Tell::Nobody => {}
                }
            }
        }
        self.dial_more(&mut self.lock());
        if let Some(settled) = settled {
            // An answer or the end of the connection ends it as well as the time does.
            timeout(SETTLE, settled).await.ok();
            let mut inner = self.lock();
            inner.settling -= 1;
            self.dial_more(&mut inner);
        }
    }

    fn report(&self, failure: Option<&Failure>) {
        let subject = Some(self.endpoint.host.as_str());
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
        for other in CONDITIONS {
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
