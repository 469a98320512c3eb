//! Counters and latencies of all requests. Written by the engine, read as one snapshot; never content.

use super::{
    activities::Activities, last_seen::LastSeen, reach::Reaches, recent::Recent, session_counts::SessionCounts, ticket::Ticket,
    today::Today, tunnels::Tunnels, websockets::WebSockets,
};
use crate::status::{
    activity::SessionCounts as Counts,
    doors::Doors,
    faults::{Cause, Fault, Outcome},
    stats::{LatencyMs, Percentiles, PoolStats, Stats, UpstreamStats, by_phase, by_whose},
};
use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::broadcast;

/// Counters of one upstream; shared with whoever forwards to it.
#[derive(Debug, Default)]
pub struct UpstreamTraffic {
    pub(super) name: String,
    pub(super) requests: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) rescued: AtomicU64,
    pub(super) failed: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) total: Histogram<u32>,
    pub(super) first_byte: Histogram<u32>,
    pub(super) own: Histogram<u32>,
    pub(super) agents: BTreeMap<String, u64>,
    pub(super) recent: Recent,
}

/// All counters of an engine; they survive its generations.
#[derive(Debug)]
pub struct Traffic {
    pub(super) since_unix_ms: u64,
    pub(super) requests: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) outcomes: [AtomicU64; Outcome::ALL.len()],
    pub(super) retried: [AtomicU64; Cause::ALL.len()],
    pub(super) failed: [AtomicU64; Cause::ALL.len()],
    pub(super) rescued: AtomicU64,
    /// Requests, where `failed` counts the faults that they failed with.
    pub(super) failed_requests: AtomicU64,
    pub(super) replays: AtomicU64,
    pub(super) replays_unknown: AtomicU64,
    pub(super) unknown_inference: AtomicU64,
    /// Requests in decrypted tunnels.
    pub(super) decrypted: AtomicU64,
    /// Those of them that Leeward answered itself.
    pub(super) local: AtomicU64,
    pub(super) reused: AtomicU64,
    pub(super) fresh: AtomicU64,
    pub(super) dials: AtomicU64,
    pub(super) dial_failures: AtomicU64,
    pub(super) recorded: Mutex<Recorded>,
    pub(super) last_seen: LastSeen,
    pub(super) upstreams: Mutex<BTreeMap<String, Arc<UpstreamTraffic>>>,
    pub(super) faults: broadcast::Sender<Fault>,
    pub(super) activities: Activities,
    pub(super) reaches: Reaches,
    pub(super) today: Today,
    pub(super) tunnels: Tunnels,
    pub(super) websockets: WebSockets,
    pub(super) sessions: SessionCounts,
}

/// Faults that wait for a slow listener; beyond it the oldest are lost to the history, never to the counters.
const FAULTS_KEPT: usize = 4096;

/// An empty histogram of microseconds: two significant digits up to an hour, 12 KiB.
pub fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap_or_else(|e| unreachable!("constant bounds are valid: {e}"))
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            since_unix_ms: crate::health::unix_ms(),
            requests: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            outcomes: Default::default(),
            retried: Default::default(),
            failed: Default::default(),
            rescued: AtomicU64::new(0),
            failed_requests: AtomicU64::new(0),
            replays: AtomicU64::new(0),
            replays_unknown: AtomicU64::new(0),
            unknown_inference: AtomicU64::new(0),
            decrypted: AtomicU64::new(0),
            local: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            fresh: AtomicU64::new(0),
            dials: AtomicU64::new(0),
            dial_failures: AtomicU64::new(0),
            recorded: Mutex::new(Recorded {
                total: histogram(),
                first_byte: histogram(),
                own: histogram(),
                agents: BTreeMap::new(),
                recent: Recent::default(),
            }),
            last_seen: LastSeen::default(),
            upstreams: Mutex::default(),
            faults: broadcast::Sender::new(FAULTS_KEPT),
            activities: Activities::default(),
            reaches: Reaches::default(),
            today: Today::default(),
            tunnels: Tunnels::default(),
            websockets: WebSockets::default(),
            sessions: SessionCounts::default(),
        }
    }
}

impl Traffic {
    /// Counts a request in; the ticket counts it out, as `ClientGone` if nobody says otherwise.
    pub fn begin(self: &Arc<Self>) -> Ticket {
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        Ticket::new(self.clone())
    }

    /// The counters of an upstream, made when first asked for.
    pub fn upstream(&self, name: &str) -> Arc<UpstreamTraffic> {
        let mut map = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get(name) {
            Some(found) => found.clone(),
            None => {
                let made = UpstreamTraffic { name: name.to_owned(), ..UpstreamTraffic::default() };
                map.entry(name.to_owned()).or_insert(Arc::new(made)).clone()
            }
        }
    }

    /// Every fault from now on, retried or not.
    pub fn faults(&self) -> broadcast::Receiver<Fault> {
        self.faults.subscribe()
    }

    /// The requests that pass, one by one.
    pub fn activities(&self) -> &Activities {
        &self.activities
    }

    /// Since when it counts, in milliseconds since 1970: another process has another time.
    pub fn since(&self) -> u64 {
        self.since_unix_ms
    }

    /// What became of a session's requests and tunnels; `None` once that is forgotten.
    pub fn of_session(&self, number: u64) -> Option<Counts> {
        self.sessions.of(number)
    }

    /// The counters of tunnels.
    pub fn tunnels(&self) -> &Tunnels {
        &self.tunnels
    }

    /// The counters of WebSockets.
    pub fn websockets(&self) -> &WebSockets {
        &self.websockets
    }

    /// A request that was sent a second time; `unknown`: the first one may have been processed (U7).
    pub fn replay(&self, unknown: bool) {
        self.replays.fetch_add(1, Relaxed);
        if unknown {
            self.replays_unknown.fetch_add(1, Relaxed);
        }
    }

    /// A request looked like an inference, and nobody knew its path.
    pub fn unknown_inference(&self) {
        self.unknown_inference.fetch_add(1, Relaxed);
    }

    /// What came through each door.
    pub fn doors(&self) -> Doors {
        // What is a part is read first: it must not be larger than the whole.
        let local = self.local.load(Relaxed);
        let decrypted = self.decrypted.load(Relaxed);
        Doors {
            base_url: self.requests.load(Relaxed).saturating_sub(decrypted),
            tunnel: self.tunnels.counts().opened,
            intercept: decrypted.saturating_sub(local),
            local,
        }
    }

    /// A request went out on a reused or a fresh connection.
    pub fn exchange(&self, reused: bool) {
        if reused { &self.reused } else { &self.fresh }.fetch_add(1, Relaxed);
    }

    /// A connection attempt ended.
    pub fn dial(&self, ok: bool) {
        self.dials.fetch_add(1, Relaxed);
        if !ok {
            self.dial_failures.fetch_add(1, Relaxed);
        }
    }

    /// Requests that are being answered now.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Requests counted in since the engine started.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Requests that met a fault and still ended well.
    pub fn rescued(&self) -> u64 {
        self.rescued.load(Relaxed)
    }

    /// All of it at one moment.
    pub fn snapshot(&self) -> Stats {
        let by_cause = |counts: &[u64]| Cause::ALL.iter().map(|c| c.as_str()).zip(counts.iter().copied()).collect();
        let retried = self.retried.each_ref().map(|n| n.load(Relaxed));
        let failed = self.failed.each_ref().map(|n| n.load(Relaxed));
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let latency_ms = LatencyMs {
            total: Percentiles::of(&recorded.total),
            first_byte: Percentiles::of(&recorded.first_byte),
            own: Percentiles::of(&recorded.own),
        };
        let agents = recorded.agents.clone();
        drop(recorded);
        let upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        Stats {
            since_unix_ms: self.since_unix_ms,
            requests: self.requests.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            outcomes: Outcome::ALL.iter().zip(&self.outcomes).map(|(o, n)| (o.as_str(), n.load(Relaxed))).collect(),
            retried: by_cause(&retried),
            retried_total: retried.iter().sum(),
            failed: by_cause(&failed),
            failed_total: self.failed_requests.load(Relaxed),
            today: self.today.count(self.counted()),
            by_phase: by_phase(&retried, &failed),
            whose: by_whose(&failed),
            rescued: self.rescued.load(Relaxed),
            replays: self.replays.load(Relaxed),
            replays_unknown: self.replays_unknown.load(Relaxed),
            unknown_inference: self.unknown_inference.load(Relaxed),
            pool: PoolStats {
                reused: self.reused.load(Relaxed),
                fresh: self.fresh.load(Relaxed),
                dials: self.dials.load(Relaxed),
                dial_failures: self.dial_failures.load(Relaxed),
            },
            latency_ms,
            origins: BTreeMap::new(),
            upstreams: upstreams
                .iter()
                .map(|(name, u)| {
                    let stats = UpstreamStats {
                        requests: u.requests.load(Relaxed),
                        rescued: u.rescued.load(Relaxed),
                        failed: u.failed.load(Relaxed),
                        retried: u.retried.load(Relaxed),
                    };
                    (name.clone(), stats)
                })
                .collect(),
            agents,
            last_seen_unix_ms: self.last_seen.list(),
            tunnels: self.tunnels.snapshot(),
            websockets: self.websockets.snapshot(),
            doors: self.doors(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::last_seen::MAX_AGENTS, *};
    use crate::telemetry::TunnelTicket;

    #[test]
    fn a_dropped_ticket_is_a_client_that_left() {
        let traffic = Arc::new(Traffic::default());
        let ticket = traffic.begin();
        assert_eq!(traffic.in_flight(), 1);
        drop(ticket);
        let stats = traffic.snapshot();
        assert_eq!((stats.in_flight, stats.outcomes["client-gone"], stats.requests), (0, 1, 1));
    }

    #[test]
    fn each_request_and_each_tunnel_has_come_through_one_door() {
        let traffic = Arc::new(Traffic::default());
        drop(traffic.begin());
        traffic.begin().is_decrypted();
        traffic.begin().is_decrypted();
        let ticket = traffic.begin();
        ticket.is_decrypted();
        ticket.is_answered_here();
        let mut blind = TunnelTicket::begin(&traffic, "a:443");
        blind.opens();
        TunnelTicket::begin(&traffic, "b:443").is_decrypted();
        drop(TunnelTicket::begin(&traffic, "c:443"));
        let stats = traffic.snapshot();
        assert_eq!(stats.doors, Doors { base_url: 1, tunnel: 1, intercept: 2, local: 1 });
        assert_eq!(stats.requests, stats.doors.base_url + stats.doors.intercept + stats.doors.local);
        assert_eq!(stats.doors.named().map(|(name, _)| name), ["base-url", "tunnel", "intercept", "local"]);
    }

    #[test]
    fn the_agent_table_does_not_grow_without_bound() {
        let traffic = Arc::new(Traffic::default());
        for i in 0..MAX_AGENTS + 10 {
            let mut ticket = traffic.begin();
            ticket.from_agent(&format!("agent-{i}"));
        }
        let stats = traffic.snapshot();
        assert_eq!((stats.agents.len(), stats.agents["other"]), (MAX_AGENTS + 1, 10));
    }

    #[test]
    fn a_request_is_rescued_when_its_faults_were_retried_and_a_response_came_and_never_when_it_failed() {
        let traffic = Arc::new(Traffic::default());
        for (faults, retried, outcome, rescued, failed) in [
            (2, true, Outcome::Answered, 1, 0),
            (1, true, Outcome::Declined, 2, 0),
            (0, true, Outcome::Answered, 2, 0),
            (3, true, Outcome::Failed, 2, 1),
            (1, true, Outcome::ClientGone, 2, 1),
            (1, false, Outcome::Answered, 2, 2),
            (0, true, Outcome::Cut, 2, 3),
            (0, true, Outcome::Refused, 2, 3),
        ] {
            let mut ticket = traffic.begin();
            ticket.toward(traffic.upstream("api"));
            (0..faults).for_each(|n| ticket.fault(Cause::Connect, n, retried));
            ticket.ends_as(outcome);
            drop(ticket);
            let stats = traffic.snapshot();
            assert_eq!((stats.rescued, stats.failed_total), (rescued, failed), "{faults} {retried} {outcome:?}");
            assert_eq!((stats.upstreams["api"].rescued, stats.upstreams["api"].failed), (rescued, failed), "{outcome:?}");
            assert_eq!((stats.today.rescued, stats.today.failed), (rescued, failed), "{outcome:?}");
        }
    }

    #[test]
    fn faults_are_counted_by_cause_and_upstream() {
        let traffic = Arc::new(Traffic::default());
        let mut faults = traffic.faults();
        let mut ticket = traffic.begin();
        ticket.toward(traffic.upstream("api"));
        ticket.count_retried(Cause::StalePooled, 1);
        ticket.failed_with(Cause::Certificate, 2);
        drop(ticket);
        let (first, second) = (faults.try_recv().unwrap(), faults.try_recv().unwrap());
        assert_eq!((first.cause, first.retried, first.attempt), (Cause::StalePooled, true, 1));
        assert_eq!((second.cause, second.retried, second.upstream.as_str()), (Cause::Certificate, false, "api"));
        let stats = traffic.snapshot();
        assert_eq!((stats.retried["stale-pooled"], stats.retried_total, stats.failed["certificate"]), (1, 1, 1));
        assert_eq!((stats.upstreams["api"].retried, stats.upstreams["api"].failed), (1, 1));
    }
}
