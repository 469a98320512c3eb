//! All upstreams of one generation, by name, and what generations share of the upstream side. Made when first asked for.

use super::{
    budget::Budgets,
    context::DialContext,
    endpoint::Endpoint,
    named::Upstream,
    paths::PathCache,
    pool::{CONDITIONS, Origin, Parts},
    session_upstreams::{Learned, Remember, SessionUpstream, SessionUpstreams, Taken},
};
use crate::{
    config::Config,
    health::{Code, Tracker},
    network::Network,
    status::stats::OriginStats,
    tasks::Tasks,
    telemetry::Traffic,
};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use url::Url;

/// The name under which the default upstream is counted.
const DEFAULT: &str = "default";

/// What the generations of one engine share of the upstream side.
pub(crate) struct Shared {
    paths: Arc<PathCache>,
    /// How much may be sent again.
    budgets: Budgets,
    sessions: SessionUpstreams,
    network: watch::Receiver<Network>,
}

impl Shared {
    /// `known`: the upstreams of earlier sessions; `remember` writes down those to come.
    pub(crate) fn new(
        config: &Config,
        network: watch::Receiver<Network>,
        known: BTreeMap<String, SessionUpstream>,
        remember: Remember,
    ) -> Self {
        Self {
            paths: Arc::new(PathCache::new(network.clone())),
            budgets: Budgets::new(&config.retry),
            sessions: SessionUpstreams::new(known, remember),
            network,
        }
    }
}

/// What the upstreams of one generation are made with.
pub(crate) struct UpstreamParts {
    pub(crate) config: Arc<Config>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: Tasks,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) health: Tracker,
}

/// The upstreams of one generation.
pub(crate) struct Upstreams {
    parts: UpstreamParts,
    context: Arc<DialContext>,
    origins: Mutex<HashMap<Endpoint, Arc<Origin>>>,
    named: Mutex<HashMap<String, (Url, Arc<Upstream>)>>,
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstreams").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Upstreams {
    /// None are made yet. `own`: Leeward's own address, which must not be dialled.
    pub(crate) fn new(parts: UpstreamParts, own: SocketAddr) -> Self {
        parts.shared.budgets.follow(&parts.config.retry);
        // The generation before may have had other upstreams, and nobody would ever say that those are well.
        parts.health.forget(&CONDITIONS);
        let context = Arc::new(DialContext::new(&parts.config, parts.shared.paths.clone(), own));
        Self { parts, context, origins: Mutex::default(), named: Mutex::default() }
    }

    /// The upstream of that name; without a name the default one.
    pub(crate) fn get(&self, name: Option<&str>) -> Option<Arc<Upstream>> {
        let session;
        let config = &self.parts.config;
        let url = match name {
            None => &config.upstream,
            Some(name) => match config.upstreams.get(name) {
                Some(url) => url,
                None => {
                    session = self.parts.shared.sessions.get(name)?;
                    &session
                }
            },
        };
        let given = name;
        let name = name.unwrap_or(DEFAULT);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, upstream)) = named.get(name)
            && known == url
        {
            return Some(upstream.clone());
        }
        let traffic = self.parts.traffic.upstream(name);
        let upstream = Upstream::new(given, url, config, traffic, self.origin(Endpoint::of(url)));
        let upstream = Arc::new(upstream);
        named.insert(name.to_owned(), (url.clone(), upstream.clone()));
        Some(upstream)
    }

    fn origin(&self, endpoint: Endpoint) -> Arc<Origin> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let UpstreamParts { config, shared, tasks, traffic, health } = &self.parts;
        let made = || {
            let parts = Parts {
                config: config.clone(),
                context: self.context.clone(),
                tasks: tasks.clone(),
                traffic: traffic.clone(),
                budget: shared.budgets.of(&endpoint),
                health: health.clone(),
            };
            Origin::new(endpoint.clone(), parts)
        };
        origins.entry(endpoint.clone()).or_insert_with(made).clone()
    }

    /// Makes the upstreams of a session known, here and to engines to come.
    ///
    /// # Errors
    /// `Taken` when a known name would lead elsewhere.
    pub(crate) fn learn(&self, given: BTreeMap<String, SessionUpstream>) -> Result<Learned, Taken> {
        let learned = self.parts.shared.sessions.learn(given)?;
        if matches!(learned.written, Ok(true)) {
            self.parts.health.clear(Code::StateUnwritable, None);
        }
        Ok(learned)
    }

    /// Connects to an upstream in advance; how many dials it began. `None`: there is no upstream of that name.
    pub(crate) fn warm(&self, name: Option<&str>) -> Option<usize> {
        self.get(name).map(|upstream| upstream.origin.warm(self.parts.config.connect.parallel))
    }

    /// Their connections, by host and port.
    pub(crate) fn stats(&self) -> BTreeMap<String, OriginStats> {
        self.all_origins().iter().map(|o| (o.endpoint.to_string(), o.stats())).collect()
    }

    /// Drops pooled connections that are too old or dead, and calls `and` as often; ends with the generation.
    pub(crate) async fn sweep(&self, and: impl Fn()) {
        let mut every = interval((self.parts.config.pool.idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(5)));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            and();
            for origin in self.all_origins() {
                origin.review();
                if origin.idle() > 0 {
                    origin.sweep();
                }
            }
        }
    }

    /// Tells every origin when the network is another one (L10); ends with the generation.
    pub(crate) async fn follow_network(&self) {
        let mut network = self.parts.shared.network.clone();
        // Without a supervisor nobody tells of changes any more.
        while network.changed().await.is_ok() {
            for origin in self.all_origins() {
                origin.network_changed();
            }
        }
    }

    fn all_origins(&self) -> Vec<Arc<Origin>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
