//! What the own paths see of a generation, and the pictures that they give of it. Answers nobody.

use super::{invitations::Invitations, looks::Agents};
use crate::{
    authority::Authority,
    config::{Config, Secret, Settings},
    control::{Commands, Mode, Sessions},
    examination::Examiner,
    health::{Tracker, unix_ms},
    status::{Status, history::Questions, recent::Words, stats::Stats},
    telemetry::{Counters, Traffic},
    upstream::Upstreams,
    window::Window,
};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::sync::{Semaphore, watch};

/// What the own paths need of a generation.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) config: Arc<Config>,
    /// Where the generation accepts.
    pub(crate) local: SocketAddr,
    pub(crate) mode: watch::Receiver<Mode>,
    pub(crate) health: Tracker,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) sessions: Sessions,
    pub(crate) commands: Commands,
    /// The status that the supervisor publishes.
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) history: Questions,
    /// Where the config comes from, if it can be changed there.
    pub(crate) settings: Option<Arc<Settings>>,
    /// The folder with the panel's files, where there is one.
    pub(crate) panel: Option<PathBuf>,
    /// The window with the panel, where there can be one.
    pub(crate) window: Option<Window>,
    /// Who examines this machine, where the program can.
    pub(crate) examiner: Option<Examiner>,
    /// How the first line of a status is worded.
    pub(crate) words: Words,
    pub(crate) token: Secret,
    pub(crate) invitations: Arc<Invitations>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) authority: Arc<Authority>,
    /// The agents of this machine.
    pub(crate) agents: Agents,
    /// One test of a connection at a time.
    pub(crate) testing: Semaphore,
}

impl Admin {
    /// The status with the counters of this moment.
    pub(super) fn live_status(&self) -> Status {
        let mut status = self.status.borrow().clone();
        self.counters.fill(&mut status.listener);
        status.conditions = self.health.visible();
        status.sessions = self.sessions.list();
        self.traffic.fill(&mut status);
        status.headline = (self.words)(&status, unix_ms());
        status
    }

    /// The counters, and the connections of this generation.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.traffic.snapshot();
        stats.origins = self.upstreams.stats();
        stats
    }

    /// Ends when this generation has been replaced or ends: whoever holds a stream open connects again.
    pub(super) fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut mode = self.mode.clone();
        async move { Mode::reaches(&mut mode, Mode::Draining).await }
    }
}
