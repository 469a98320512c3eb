//! One origin: its connections, who waits for one, its circuit; what an idle connection goes through. Bookkeeping only.

use super::{
    vanished::{Sockets, is_gone},
    waiters::Waiters,
};
use crate::{
    config::{Config, ProxyKind},
    health::{Code, Tracker},
    message::Uploads,
    status::{faults::Cause, stats::OriginStats},
    tasks::Tasks,
    telemetry::{Reaching, Traffic},
    upstream::{
        budget::Budget,
        circuit::{Circuit, Policy, Turn},
        connection::Connection,
        context::DialContext,
        endpoint::Endpoint,
    },
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// An origin that was used within this is dialled at once in another network.
const RECENT: Duration = Duration::from_secs(5 * 60);

/// What an origin says in `health`.
pub(crate) const CONDITIONS: [Code; 3] = [Code::UpstreamUnreachable, Code::CertificateUntrusted, Code::CompanyProxy];

/// Connections that are kept without use; more than this helps no burst.
pub(super) const MOST_IDLE: usize = 64;

/// An idle connection that has served nobody counts as new for this long: nobody's edge closes one so soon.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// A scheme, host and port, and its connections.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) endpoint: Endpoint,
    /// What its connections show of our own user, in words: others' requests must not go over them.
    pub(crate) own_identity: Option<String>,
    /// Proxies tunnel to it, and forward nothing themselves.
    pub(super) tunnelled: bool,
    pub(super) config: Arc<Config>,
    pub(super) context: Arc<DialContext>,
    pub(super) tasks: Tasks,
    pub(super) traffic: Arc<Traffic>,
    /// How much may be sent to it again.
    pub(crate) budget: Arc<Budget>,
    pub(super) health: Tracker,
    /// Whether it can be reached, for whoever looks at the engine.
    pub(super) reaching: Arc<Reaching>,
    /// Counts the changes of the network; connections of an earlier one are not used again.
    pub(super) network: watch::Sender<u64>,
    /// True while a condition about this origin may stand, so that the good path touches no lock of `health`.
    pub(super) unwell: AtomicBool,
    /// True while a condition says that all connections are in use.
    pub(super) full: AtomicBool,
    pub(super) inner: Mutex<Inner>,
    /// Whose body may be sent while it comes: half of the pool is for those that are there whole.
    pub(crate) uploads: Uploads,
}

/// What changes, under the lock.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) idle: Vec<Idle>,
    pub(super) waiters: Waiters,
    pub(super) circuit: Circuit,
    pub(super) dialing: usize,
    /// Plain connections that have not shown yet whether they were accepted.
    pub(super) settling: usize,
    pub(super) open: usize,
    /// Of all that are open.
    pub(super) sockets: Sockets,
    /// When a task looks again whether a dial may begin.
    pub(super) alarm: Option<Instant>,
    pub(super) used: Option<Instant>,
    /// What dials met that was reported to nobody, for the next connection's first request to count.
    pub(super) dial_faults: Vec<Cause>,
    /// The most connections that were in use at once lately, and when.
    pub(super) peak: Option<(usize, Instant)>,
    /// A task keeps idle connections ready.
    pub(super) tended: bool,
}

impl Inner {
    /// A fault that was repaired for whoever waits.
    pub(super) fn remember(&mut self, cause: Cause) {
        if self.waiters.count() > 0 && self.dial_faults.len() < MOST_IDLE {
            self.dial_faults.push(cause);
        }
    }
}

/// A connection without a request.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) connection: Connection,
    pub(super) since: Instant,
}

/// What an origin shares with its proxy.
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) context: Arc<DialContext>,
    pub(crate) tasks: Tasks,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) health: Tracker,
    pub(crate) reaching: Arc<Reaching>,
}

impl Origin {
    pub(crate) fn new(endpoint: Endpoint, parts: Parts) -> Arc<Self> {
        Self::made(endpoint, parts, false)
    }

    /// The same place by connections that proxies tunnel: what they forward themselves can't become anything but requests.
    pub(crate) fn tunnelled(&self) -> Arc<Self> {
        let parts = Parts {
            config: self.config.clone(),
            context: self.context.clone(),
            tasks: self.tasks.clone(),
            traffic: self.traffic.clone(),
            budget: self.budget.clone(),
            // What a tunnel meets says nothing of requests, which are forwarded: only whoever asked for one gets to know it.
            health: Tracker::default(),
            reaching: Arc::default(),
        };
        Self::made(self.endpoint.clone(), parts, true)
    }

    /// True when a proxy forwards requests to it.
    pub(crate) fn is_forwarded(&self) -> bool {
        let Endpoint { tls, host, port } = &self.endpoint;
        let proxy = (!tls && !self.tunnelled).then(|| self.context.proxying.route(*tls, host, *port)).flatten();
        proxy.is_some_and(|proxy| matches!(proxy.kind, ProxyKind::Http | ProxyKind::Https))
    }

    fn made(endpoint: Endpoint, parts: Parts, tunnelled: bool) -> Arc<Self> {
        let Parts { config, context, tasks, traffic, budget, health, reaching } = parts;
        let inner = Inner {
            idle: Vec::new(),
            waiters: Waiters::default(),
            circuit: Circuit::new(Policy::of(&config)),
            dialing: 0,
            settling: 0,
            open: 0,
            sockets: Sockets::default(),
            alarm: None,
            used: None,
            dial_faults: Vec::new(),
            peak: None,
            tended: false,
        };
        let uploads = Uploads::new((config.pool.size / 2).max(1), config.client.upload_stall, config.client.min_body_rate);
        Arc::new(Self {
            own_identity: context.own_identity(&endpoint),
            endpoint,
            tunnelled,
            config,
            context,
            tasks,
            traffic,
            budget,
            health,
            reaching,
            network: watch::Sender::new(0),
            // Also what another generation said of it.
            unwell: AtomicBool::new(true),
            full: AtomicBool::new(false),
            inner: Mutex::new(inner),
            uploads,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials until this many connections are idle or on their way; returns how many dials it began.
    pub(crate) fn warm(self: &Arc<Self>, wanted: usize) -> usize {
        let mut inner = self.lock();
        inner.used = Some(Instant::now());
        let missing = wanted.min(self.config.connect.parallel).saturating_sub(inner.idle.len() + inner.dialing);
        let missing = missing.min(self.config.pool.size.saturating_sub(inner.open + inner.dialing));
        let mut begun = 0;
        while begun < missing && inner.circuit.turn(Instant::now(), inner.dialing + inner.settling) == Turn::Now {
            self.dial(&mut inner, false);
            begun += 1;
        }
        begun
    }

    /// Forgets what was learned in another network: idle connections, the circuit, the last reason, conditions. Who waits goes on
    /// waiting, and one connection is made where somebody waits or lately did.
    pub(crate) fn network_changed(self: &Arc<Self>) {
        let mut inner = self.lock();
        // Dials that are under way end with it, and connections in use are not taken back.
        self.network.send_modify(|n| *n += 1);
        inner.circuit.reset();
        inner.dial_faults.clear();
        let old = std::mem::take(&mut inner.idle);
        let recent = inner.used.is_some_and(|at| at.elapsed() < RECENT);
        if recent && inner.open + inner.dialing < self.config.pool.size + old.len() {
            self.dial(&mut inner, false);
        }
        drop(inner);
        drop(old);
        self.end_vanished(is_gone);
        self.report(None);
        self.reaching.forget();
    }

    /// Ends the conditions that were about too many requests, once there is room again. Called from time to time by the proxy.
    pub(crate) fn review(&self) {
        let subject = Some(self.endpoint.host.as_str());
        if self.budget.has_recovered() {
            self.health.clear(Code::RetryBudgetSpent, subject);
        }
        if self.full.load(Relaxed) && self.lock().open < self.config.pool.size {
            self.full.store(false, Relaxed);
            self.health.clear(Code::PoolFull, subject);
        }
    }

    /// Drops idle connections that are too old or dead. Called from time to time by the proxy.
    pub(crate) fn sweep(&self) {
        let limit = self.config.pool.idle;
        let usable = |i: &mut Idle| i.since.elapsed() < limit && i.connection.is_usable();
        self.put_all_back(self.take_all_idle().into_iter().filter_map(|mut i| usable(&mut i).then_some(i)).collect());
    }

    pub(super) fn take_all_idle(&self) -> Vec<Idle> {
        std::mem::take(&mut self.lock().idle)
    }

    pub(super) fn put_all_back(&self, kept: Vec<Idle>) {
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
    pub(crate) fn stats(&self) -> OriginStats {
        let mut inner = self.lock();
        OriginStats {
            idle: inner.idle.len(),
            open: inner.open,
            dialing: inner.dialing,
            waiting: inner.waiters.count(),
            circuit: if inner.circuit.opened().is_some() { "open" } else { "closed" },
            last_failure: inner.circuit.last().map(|f| f.told(&self.endpoint.name()).says),
        }
    }

    /// Idle connections now.
    pub(crate) fn idle(&self) -> usize {
        self.lock().idle.len()
    }

    /// How long no connection could be made, where none can.
    pub(crate) fn failing_for(&self) -> Option<Duration> {
        self.lock().circuit.failing_for(Instant::now())
    }

    /// Time until the next dial may begin.
    pub(crate) fn next_dial_in(&self) -> Duration {
        self.lock().circuit.next_in(Instant::now())
    }

    pub(super) fn take_surplus(&self) -> Option<Idle> {
        let mut inner = self.lock();
        let full = inner.open + inner.dialing >= self.config.pool.size;
        (full && !inner.idle.is_empty()).then(|| inner.idle.remove(0))
    }

    /// One that has served, the last one first, before those that have not: these are what a request needs that is sent
    /// again. A statement of its own, so that the lock is gone before the connection is looked at or dropped.
    pub(super) fn take_idle(self: &Arc<Self>, fresh: bool) -> Option<Idle> {
        let mut inner = self.lock();
        let at = match fresh {
            true => inner.idle.iter().rposition(|i| !i.connection.will_reuse() && i.since.elapsed() < FRESH_FOR),
            false => inner.idle.iter().rposition(|i| i.connection.will_reuse()).or(inner.idle.len().checked_sub(1)),
        };
        let taken = inner.idle.remove(at?);
        self.tend_in(&mut inner);
        Some(taken)
    }
}
