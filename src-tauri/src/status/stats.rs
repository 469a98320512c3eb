//! The shape of `GET /stats`: public and stable, see docs/json.md. Data only.

use super::{
    doors::Doors,
    faults::{Cause, Phase, Whose},
    tunnels::TunnelStats,
    websockets::WebSocketStats,
};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// `GET /stats`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Stats {
    /// Since when, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// Requests that arrived.
    pub requests: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// Requests by how they ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Faults after which Leeward tried again, by cause.
    pub retried: BTreeMap<&'static str, u64>,
    /// Their sum.
    pub retried_total: u64,
    /// Faults with which a request failed, by cause.
    pub failed: BTreeMap<&'static str, u64>,
    /// Requests that failed: their agents saw an error of Leeward's or a broken response.
    pub failed_total: u64,
    /// The present day by this machine's clock; what earlier processes counted is in it where a history is kept.
    pub today: Today,
    /// Both by how far the request was.
    pub by_phase: BTreeMap<&'static str, FaultCount>,
    /// Faults with which a request failed, by who has to look at them.
    pub whose: BTreeMap<&'static str, u64>,
    /// Requests that met a fault and still ended well.
    pub rescued: u64,
    /// Requests that were sent again after they had reached the upstream.
    pub replays: u64,
    /// Those of them whose first sending may have been processed (U7).
    pub replays_unknown: u64,
    /// Requests that name a model and whose path is in no row of the inference APIs: they are not sent again after they have
    /// reached the upstream, unless `replay` in the config names the path.
    pub unknown_inference: u64,
    /// Upstream connections.
    pub pool: PoolStats,
    /// Latencies in milliseconds.
    pub latency_ms: LatencyMs,
    /// By upstream.
    pub upstreams: BTreeMap<String, UpstreamStats>,
    /// Upstream connections by `HOST:PORT`, as they are now.
    pub origins: BTreeMap<String, OriginStats>,
    /// Requests by the client's program, from its `user-agent`.
    pub agents: BTreeMap<String, u64>,
    /// When the last request or tunnel of each program, or session of `wrap`, came; in milliseconds since 1970.
    pub last_seen_unix_ms: BTreeMap<String, u64>,
    /// Tunnels (CONNECT); none of them is a request.
    pub tunnels: TunnelStats,
    /// WebSockets, from the 101 on.
    pub websockets: WebSocketStats,
    /// What came through each door.
    pub doors: Doors,
}

/// What became of requests on the present day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Today {
    /// Requests that arrived.
    pub requests: u64,
    /// Those that met a fault and still ended well.
    pub rescued: u64,
    /// Those whose agents saw an error of Leeward's or a broken response.
    pub failed: u64,
    /// Faults after which Leeward tried again.
    pub retried: u64,
}

/// Faults by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FaultCount {
    /// Leeward tried again after them.
    pub retried: u64,
    /// Requests failed with them.
    pub failed: u64,
}

/// By phase; every phase is there.
pub(crate) fn by_phase(retried: &[u64], failed: &[u64]) -> BTreeMap<&'static str, FaultCount> {
    let mut map: BTreeMap<_, FaultCount> = Phase::ALL.iter().map(|p| (p.as_str(), FaultCount::default())).collect();
    for ((cause, retried), failed) in Cause::ALL.iter().zip(retried).zip(failed) {
        let count = map.entry(cause.phase().as_str()).or_default();
        count.retried += retried;
        count.failed += failed;
    }
    map
}

/// By who has to look at it; everybody is there.
pub(crate) fn by_whose(failed: &[u64]) -> BTreeMap<&'static str, u64> {
    let mut map: BTreeMap<_, u64> = Whose::ALL.iter().map(|w| (w.as_str(), 0)).collect();
    for (cause, count) in Cause::ALL.iter().zip(failed) {
        *map.entry(cause.whose().as_str()).or_default() += count;
    }
    map
}

/// Upstream connections.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PoolStats {
    /// Requests on a connection that had served before.
    pub reused: u64,
    /// Requests on a new connection.
    pub fresh: u64,
    /// Connection attempts.
    pub dials: u64,
    /// Those that failed.
    pub dial_failures: u64,
}

/// The connections to one host and port.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Origin"))]
pub struct OriginStats {
    /// Open and unused.
    pub idle: usize,
    /// Open, those in use included.
    pub open: usize,
    /// Being made.
    pub dialing: usize,
    /// Requests that wait for one; parked, while the circuit is open.
    pub waiting: usize,
    /// `closed`; `open` while none can be made.
    #[cfg_attr(test, ts(type = "\"closed\" | \"open\""))]
    pub circuit: &'static str,
    /// Why the last attempt to make one failed; absent once one has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub last_failure: Option<String>,
}

/// One upstream.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct UpstreamStats {
    /// Requests to it.
    pub requests: u64,
    /// Those that met a fault and still ended well.
    pub rescued: u64,
    /// Those that failed.
    pub failed: u64,
    /// Faults after which Leeward tried again.
    pub retried: u64,
}

/// Latencies of requests to upstreams.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LatencyMs {
    /// From the request's head to the response's last byte.
    pub total: Percentiles,
    /// From the request's head to the response's head.
    pub first_byte: Percentiles,
    /// The part of it that Leeward itself took.
    pub own: Percentiles,
}

/// Percentiles in milliseconds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Longest.
    pub max: f64,
    /// How many were measured.
    pub count: u64,
}

impl Percentiles {
    /// Of a histogram of microseconds.
    pub fn of(h: &Histogram<u32>) -> Self {
        let ms = |micros: u64| if h.is_empty() { 0.0 } else { Duration::from_micros(micros).as_secs_f64() * 1e3 };
        Self {
            p50: ms(h.value_at_quantile(0.5)),
            p90: ms(h.value_at_quantile(0.9)),
            p99: ms(h.value_at_quantile(0.99)),
            max: ms(h.max()),
            count: h.len(),
        }
    }
}
