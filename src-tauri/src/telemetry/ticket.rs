//! One request as it is counted and shown: begun with its head, updated with what becomes of it, ended when it is dropped.

use super::{
    last_seen::MAX_AGENTS,
    recent::End,
    trace::Trace,
    traffic::{Traffic, UpstreamTraffic},
};
use crate::status::faults::{Cause, Fault, Outcome};
use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// One request from its head to its last byte. Dropping it ends the count, however the request ended.
#[derive(Debug)]
pub struct Ticket {
    traffic: Arc<Traffic>,
    upstream: Option<Arc<UpstreamTraffic>>,
    started: tokio::time::Instant,
    first_byte: Option<Duration>,
    own: Option<Duration>,
    agent: Option<String>,
    outcome: Outcome,
    trace: Trace,
    /// Whether an attempt was retried.
    retried: AtomicBool,
    /// With what the request failed: the place in `Cause::ALL`, from 1; 0 where it has not.
    failed: AtomicUsize,
}

impl Ticket {
    pub(super) fn new(traffic: Arc<Traffic>) -> Self {
        Self {
            traffic,
            upstream: None,
            started: tokio::time::Instant::now(),
            first_byte: None,
            own: None,
            agent: None,
            outcome: Outcome::ClientGone,
            trace: Trace::default(),
            retried: AtomicBool::new(false),
            failed: AtomicUsize::new(0),
        }
    }

    /// Shows it among the activities; a query in `path` is left out.
    pub fn noted(&mut self, method: &str, path: &str) {
        self.trace = self.traffic.activities.begin(method, path, self.started);
    }

    /// What is shown of it.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The same, for whoever goes on with it: nothing of what becomes of the request is shown any more.
    pub(super) fn take_trace(&mut self) -> Trace {
        std::mem::take(&mut self.trace)
    }

    /// Time since the request's head was read.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Names the upstream it goes to.
    pub fn toward(&mut self, upstream: Arc<UpstreamTraffic>) {
        upstream.requests.fetch_add(1, Relaxed);
        self.trace.upstream(&upstream.name);
        self.upstream = Some(upstream);
    }

    /// Names the program that asks.
    pub fn from_agent(&mut self, agent: &str) {
        self.agent = Some(agent.to_owned());
        self.traffic.last_seen.note(agent, crate::health::unix_ms());
        self.trace.agent(agent);
    }

    /// Names the session whose agent asks.
    pub fn of_session(&self, id: &str, number: u64) {
        self.trace.session(id, number);
    }

    /// It came in a decrypted tunnel.
    pub fn is_decrypted(&self) {
        self.traffic.decrypted.fetch_add(1, Relaxed);
    }

    /// Leeward answers it itself; it came in a decrypted tunnel.
    pub fn is_answered_here(&self) {
        self.traffic.local.fetch_add(1, Relaxed);
    }

    /// The response's headers are there; `own` is the part of the time that Leeward itself took.
    pub fn first_byte(&mut self, own: Duration) {
        self.first_byte = Some(self.started.elapsed());
        self.own = Some(own);
        self.trace.first_byte();
    }

    /// A fault of its `attempt` after which Leeward tried again; the client never sees it.
    pub fn count_retried(&self, cause: Cause, attempt: u32) {
        self.fault(cause, attempt, true);
    }

    /// The fault with which the request failed, after so many attempts.
    pub fn failed_with(&self, cause: Cause, attempt: u32) {
        self.trace.breaks(cause);
        self.fault(cause, attempt, false);
    }

    /// Its `attempt` failed and is followed by another; `replay`: the request had reached the upstream.
    pub fn retries(&self, cause: Cause, attempt: u32, replay: bool) {
        self.trace.breaks(cause);
        if replay {
            self.trace.will_replay();
        }
        self.trace.waits();
        self.count_retried(cause, attempt);
    }

    pub(super) fn fault(&self, cause: Cause, attempt: u32, retried: bool) {
        let all = if retried { &self.traffic.retried } else { &self.traffic.failed };
        all[cause as usize].fetch_add(1, Relaxed);
        if retried {
            self.retried.store(true, Relaxed);
            if let Some(upstream) = &self.upstream {
                upstream.retried.fetch_add(1, Relaxed);
            }
        } else {
            self.failed.store(cause as usize + 1, Relaxed);
        }
        let fault = Fault {
            at_unix_ms: crate::health::unix_ms(),
            agent: self.agent.clone(),
            upstream: self.upstream.as_ref().map(|u| u.name.clone()).unwrap_or_default(),
            cause,
            retried,
            attempt,
            took: self.started.elapsed(),
        };
        self.traffic.faults.send(fault).ok(); // nobody may be listening
    }

    /// How it will have ended unless something else is said before it is dropped.
    pub fn ends_as(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// What became of it, as it stands.
    fn end(&self) -> End {
        let cause = self.failed.load(Relaxed).checked_sub(1).and_then(|at| Cause::ALL.get(at)).copied();
        match self.outcome {
            Outcome::Failed | Outcome::Cut => End::Failed(cause),
            _ if cause.is_some() => End::Failed(cause),
            Outcome::Answered | Outcome::Declined if self.retried.load(Relaxed) => End::Rescued,
            Outcome::Answered | Outcome::Declined => End::Well,
            Outcome::Refused | Outcome::ClientGone => End::Other,
        }
    }

    /// The counters it is counted in.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX).max(1);
        self.traffic.in_flight.fetch_sub(1, Relaxed);
        self.traffic.activities.end(&self.trace, self.outcome);
        self.traffic.outcomes[self.outcome as usize].fetch_add(1, Relaxed);
        let end = self.end();
        let counter = match end {
            End::Rescued => Some((&self.traffic.rescued, self.upstream.as_ref().map(|u| &u.rescued))),
            End::Failed(_) => Some((&self.traffic.failed_requests, self.upstream.as_ref().map(|u| &u.failed))),
            End::Well | End::Other => None,
        };
        if let Some((all, upstream)) = counter {
            all.fetch_add(1, Relaxed);
            if let Some(one) = upstream {
                one.fetch_add(1, Relaxed);
            }
        }
        if let Some(session) = self.trace.session_number() {
            self.traffic.sessions.request(session, end);
        }
        let mut recorded = self.traffic.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.recent.count(end);
        recorded.total.saturating_record(micros(self.started.elapsed()));
        if let Some(first_byte) = self.first_byte {
            recorded.first_byte.saturating_record(micros(first_byte));
        }
        if let Some(own) = self.own {
            recorded.own.saturating_record(micros(own));
        }
        if let Some(agent) = self.agent.take() {
            let known = recorded.agents.contains_key(&agent) || recorded.agents.len() < MAX_AGENTS;
            *recorded.agents.entry(if known { agent } else { "other".into() }).or_default() += 1;
        }
    }
}
