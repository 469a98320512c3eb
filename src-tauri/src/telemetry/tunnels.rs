//! The counters of tunnels: apart from requests, whose counts and latencies know nothing of them. Never content.

use crate::status::{
    faults::Cause,
    tunnels::{TunnelCounts, TunnelEnd, TunnelStats},
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of all tunnels.
#[derive(Debug, Default)]
pub struct Tunnels {
    /// CONNECTs that have not ended.
    pub(super) current: AtomicU64,
    pub(super) begun: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) ended: [AtomicU64; TunnelEnd::ALL.len()],
    pub(super) failed: [AtomicU64; Cause::ALL.len()],
    pub(super) reconnects: AtomicU64,
    pub(super) replayed_hellos: AtomicU64,
    pub(super) waited: AtomicU64,
    pub(super) bytes_up: AtomicU64,
    pub(super) bytes_down: AtomicU64,
}

impl Tunnels {
    /// CONNECTs that have not ended: a drain waits for them as for streams.
    pub fn current(&self) -> u64 {
        self.current.load(Relaxed)
    }

    /// CONNECTs that came since the start.
    pub fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// What the status shows.
    pub fn counts(&self) -> TunnelCounts {
        let ended = |end: TunnelEnd| self.ended[end as usize].load(Relaxed);
        TunnelCounts {
            open: self.open.load(Relaxed),
            opened: self.opened.load(Relaxed),
            rescued: ended(TunnelEnd::Rescued),
            failed: ended(TunnelEnd::Failed),
        }
    }

    /// All of it at one moment.
    pub fn snapshot(&self) -> TunnelStats {
        let failed = Cause::ALL.iter().zip(&self.failed).map(|(cause, n)| (cause.as_str(), n.load(Relaxed)));
        TunnelStats {
            opened: self.opened.load(Relaxed),
            open: self.open.load(Relaxed),
            ended: TunnelEnd::ALL.iter().zip(&self.ended).map(|(end, n)| (end.as_str(), n.load(Relaxed))).collect(),
            failed: failed.filter(|(_, n)| *n > 0).collect(),
            reconnects: self.reconnects.load(Relaxed),
            replayed_hellos: self.replayed_hellos.load(Relaxed),
            waited: self.waited.load(Relaxed),
            bytes_up: self.bytes_up.load(Relaxed),
            bytes_down: self.bytes_down.load(Relaxed),
        }
    }
}
