//! When a background instance has been idle long enough: no session, nothing in flight, no new request.

use leeward::{config::Paths, control::Sessions, instance, supervisor::Engine, telemetry::Traffic};
use std::{
    future,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep};

/// File times come from a coarser clock than ours and lag behind it by some milliseconds.
const FILE_CLOCK: Duration = Duration::from_millis(50);

/// Watches an engine for use.
#[derive(Debug)]
pub(super) struct Idle {
    limit: Duration,
    sessions: Sessions,
    traffic: Arc<Traffic>,
    paths: Paths,
    started: SystemTime,
    requests: u64,
    since: Instant,
}

impl Idle {
    pub(super) fn new(limit: Duration, engine: &Engine, paths: Paths) -> Self {
        let (sessions, traffic) = (engine.sessions(), engine.traffic());
        Self { limit, sessions, traffic, paths, started: SystemTime::now() - FILE_CLOCK, requests: 0, since: Instant::now() }
    }

    /// Ends when nobody has used the engine for the limit; never without a limit.
    pub(super) async fn reached(idle: Option<&mut Self>) {
        let Some(idle) = idle else { return future::pending().await };
        loop {
            idle.look();
            let left = idle.limit.saturating_sub(idle.since.elapsed().min(idle.sessions.idle_for()));
            if left.is_zero() {
                return;
            }
            // Looked at often enough to see use that comes and goes in between.
            sleep(left.min(idle.limit / 10).clamp(Duration::from_millis(10), Duration::from_secs(5))).await;
        }
    }

    /// Looks for use since the last look; true when there was some.
    pub(super) fn look(&mut self) -> bool {
        // Self-probes and questions on Leeward's own paths are not counted there.
        let tunnels = self.traffic.tunnels();
        let requests = self.traffic.requests() + tunnels.begun();
        let used = requests != self.requests
            || self.traffic.in_flight() > 0
            || tunnels.current() > 0
            || self.traffic.websockets().open() > 0
            || instance::is_kept(&self.paths, self.started);
        if used {
            self.requests = requests;
            self.since = Instant::now();
        }
        used || self.sessions.idle_for().is_zero()
    }
}
