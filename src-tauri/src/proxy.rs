//! The proxy: listen -> guard -> route -> forward -> upstream -> relay. One `Proxy` is one engine generation.
//!
//! Sees config, health, status and control; never who supervises it, the terminal, the environment or the process.
//! `error` is the only place that turns an error of a request into an answer. Leeward's own paths are `admin`'s.

mod attempts;
mod body;
mod budget;
mod client_io;
mod connection;
mod error;
mod forward;
pub mod guard;
pub mod headers;
mod hold;
pub mod listen;
mod message;
mod model;
mod own;
mod relay;
mod reply;
pub mod retry;
pub mod route;
mod said;
pub mod sse;
mod upstream;

pub use crate::control::Mode;
pub use body::HeldBytes;
pub use hold::Cuts;
pub use listen::{Accept, Adopt, Counters, Event, Kind, Listen, Order, Pulse};
pub use relay::Silent;

use crate::{
    admin::OwnPaths,
    config::{Config, Secret, Settings},
    control::{Commands, Network, Sessions, Window},
    health::{Code, Tracker},
    status::{
        Status,
        history::Questions,
        traffic::{OriginStats, Traffic},
    },
    tasks::Tasks,
};
use budget::Budget;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use upstream::{CONDITIONS, DialContext, Endpoint, Origin, Parts, PathCache, Upstream};
use url::Url;

/// Writes the upstreams that sessions brought along to where a restarted engine finds them.
pub type Remember = Box<dyn Fn(&BTreeMap<String, Url>) -> std::io::Result<()> + Send>;

/// What the generations of one engine share.
pub struct Shared {
    /// What is wrong.
    pub health: Tracker,
    /// What passes.
    pub traffic: Arc<Traffic>,
    /// Who holds a control stream open.
    pub sessions: Sessions,
    /// Where commands go.
    pub commands: Commands,
    /// The picture that the supervisor publishes.
    pub status: watch::Receiver<Status>,
    /// The network this machine is in.
    pub network: watch::Receiver<Network>,
    /// Where questions about the history go.
    pub history: Questions,
    /// Where the config comes from, if it can be changed there.
    pub settings: Option<Arc<Settings>>,
    /// The folder with the panel's files, where there is one.
    pub panel: Option<PathBuf>,
    /// The window with the panel, where there can be one.
    pub window: Option<Window>,
    /// The listener's counters.
    pub counters: Arc<Counters>,
    /// Bytes held: of requests for replay, of answers until they are let go.
    pub held: HeldBytes,
    /// Cut answers, by host.
    pub cuts: Cuts,
    /// Streams that are silent.
    pub silent: Silent,
    /// The bearer token of the control paths.
    pub token: Secret,
    /// What is known of the ways to the upstreams.
    paths: Arc<PathCache>,
    budget: Arc<Budget>,
    session_upstreams: RwLock<BTreeMap<String, Url>>,
    /// One writer at a time: two would share a temporary file, and the older list could win.
    remember: Mutex<Remember>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// The channels that a `Shared` is made with.
#[derive(Debug)]
pub struct Channels {
    /// Where commands go.
    pub commands: Commands,
    /// The picture that the supervisor publishes.
    pub status: watch::Receiver<Status>,
    /// Who holds a control stream open.
    pub sessions: Sessions,
    /// What is wrong.
    pub health: Tracker,
    /// The network this machine is in.
    pub network: watch::Receiver<Network>,
    /// Where questions about the history go.
    pub history: Questions,
    /// Where the config comes from, if it can be changed there.
    pub settings: Option<Arc<Settings>>,
    /// The folder with the panel's files, where there is one.
    pub panel: Option<PathBuf>,
    /// The window with the panel, where there can be one.
    pub window: Option<Window>,
}

impl Shared {
    /// Makes the upstreams of a session known, here and to engines to come.
    fn learn_upstreams(&self, given: BTreeMap<String, Url>) -> std::io::Result<()> {
        let known = |given: &BTreeMap<String, Url>| {
            let known = self.session_upstreams.read().unwrap_or_else(PoisonError::into_inner);
            given.iter().all(|(name, url)| known.get(name) == Some(url))
        };
        if known(&given) {
            return Ok(());
        }
        let remember = self.remember.lock().unwrap_or_else(PoisonError::into_inner);
        let all = {
            let mut known = self.session_upstreams.write().unwrap_or_else(PoisonError::into_inner);
            known.extend(given);
            known.clone()
        };
        remember(&all)?;
        self.health.clear(Code::StateUnwritable, None);
        Ok(())
    }

    /// Counters at zero; the replay budget as the config says.
    pub fn new(config: &Config, token: Secret, channels: Channels, known: BTreeMap<String, Url>, remember: Remember) -> Self {
        let Channels { commands, status, sessions, health, network, history, settings, panel, window } = channels;
        Self {
            paths: Arc::new(PathCache::new(network.clone())),
            health,
            traffic: Arc::default(),
            sessions,
            commands,
            status,
            network,
            history,
            settings,
            panel,
            window,
            counters: Arc::default(),
            held: HeldBytes::default(),
            cuts: Cuts::default(),
            silent: Silent::default(),
            token,
            budget: Arc::new(Budget::new(&config.retry)),
            session_upstreams: RwLock::new(known),
            remember: Mutex::new(remember),
        }
    }

    /// Takes one replay out of the budget, if there is one.
    fn may_replay(&self) -> bool {
        self.budget.withdraw()
    }
}

/// One generation of the engine, on its own runtime.
#[derive(Debug)]
pub struct Proxy {
    config: Arc<Config>,
    shared: Arc<Shared>,
    local: SocketAddr,
    tasks: Tasks,
    mode: watch::Receiver<Mode>,
    /// The connections of this generation, for the drain to wait for.
    open: TaskTracker,
    context: Arc<DialContext>,
    origins: Mutex<HashMap<Endpoint, Arc<Origin>>>,
    upstreams: Mutex<HashMap<String, (Url, Arc<Upstream>)>>,
    own_paths: OwnPaths,
}

/// The name under which the default upstream is counted.
const DEFAULT: &str = "default";

impl Proxy {
    /// A generation that will accept on `local`.
    pub fn new(
        config: Arc<Config>,
        shared: Arc<Shared>,
        local: SocketAddr,
        tasks: Tasks,
        mode: watch::Receiver<Mode>,
    ) -> Arc<Self> {
        shared.budget.follow(&config.retry);
        // The generation before may have had other upstreams, and nobody would ever say that those are well.
        shared.health.forget(&CONDITIONS);
        let context = Arc::new(DialContext::new(&config, shared.paths.clone(), local));
        Arc::new_cyclic(|proxy| Self {
            own_paths: OwnPaths::new(own::admin(&config, &shared, local, mode.clone(), proxy.clone())),
            config,
            shared,
            local,
            tasks,
            mode,
            open: TaskTracker::new(),
            context,
            origins: Mutex::default(),
            upstreams: Mutex::default(),
        })
    }

    /// The upstream of that name; `None`: the default one.
    fn upstream(&self, name: Option<&str>) -> Option<Arc<Upstream>> {
        let session;
        let url = match name {
            None => &self.config.upstream,
            Some(name) => match self.config.upstreams.get(name) {
                Some(url) => url,
                None => {
                    session = self.shared.session_upstreams.read().unwrap_or_else(PoisonError::into_inner).get(name)?.clone();
                    &session
                }
            },
        };
        let name = name.unwrap_or(DEFAULT);
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, upstream)) = upstreams.get(name)
            && known == url
        {
            return Some(upstream.clone());
        }
        let upstream = Arc::new(Upstream::new(self, name, url, self.origin(Endpoint::of(url))));
        upstreams.insert(name.to_owned(), (url.clone(), upstream.clone()));
        Some(upstream)
    }

    fn origin(&self, endpoint: Endpoint) -> Arc<Origin> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let parts = Parts {
                config: self.config.clone(),
                context: self.context.clone(),
                tasks: self.tasks.clone(),
                traffic: self.shared.traffic.clone(),
                budget: self.shared.budget.clone(),
                health: self.shared.health.clone(),
            };
            Origin::new(endpoint.clone(), parts)
        };
        origins.entry(endpoint.clone()).or_insert_with(made).clone()
    }

    /// Waits until every connection of this generation has ended.
    pub async fn drained(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// Drops pooled connections that are too old or dead; ends with the generation.
    pub async fn sweep(self: Arc<Self>) {
        let mut every =
            tokio::time::interval((self.config.pool.idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(5)));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.shared.cuts.review(&self.config.stream, &self.shared.health);
            for origin in self.all_origins().iter().filter(|o| o.idle() > 0) {
                origin.sweep();
            }
        }
    }

    /// Tells every origin when the network is another one (L10); ends with the generation.
    pub async fn follow_network(self: Arc<Self>) {
        let mut network = self.shared.network.clone();
        // Without a supervisor nobody tells of changes any more.
        while network.changed().await.is_ok() {
            for origin in self.all_origins() {
                origin.network_changed();
            }
        }
    }

    fn origin_stats(&self) -> BTreeMap<String, OriginStats> {
        self.all_origins().iter().map(|o| (o.endpoint.to_string(), o.stats())).collect()
    }

    fn all_origins(&self) -> Vec<Arc<Origin>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
