//! All upstreams of one generation, by name, and what generations share of the upstream side. Made when first asked for.

use super::{
    blind::{Blind, Target},
    budget::Budgets,
    context::DialContext,
    dial::{Dial, Prober},
    endpoint::Endpoint,
    heard::Heard,
    named::Upstream,
    paths::PathCache,
    pool::{CONDITIONS, Origin, Parts},
    session_upstreams::{Learned, Remember, SessionUpstream, SessionUpstreams, Taken},
};
use crate::{
    config::{Config, Egress},
    health::{Code, Tracker},
    message::Failure,
    network::Network,
    status::{faults::Cause, stats::OriginStats},
    tasks::Tasks,
    telemetry::Traffic,
};
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
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

/// What has a pool of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    endpoint: Endpoint,
    /// The session's name for it, where its way out is not the engine's.
    session: Option<String>,
    /// Proxies tunnel to it; else they may forward requests.
    tunnelled: bool,
}

/// An upstream that was asked for, and what it was made from.
struct Named {
    url: Url,
    egress: Option<Egress>,
    upstream: Arc<Upstream>,
}

/// How a tunnel's connection is made.
#[derive(Clone, Copy)]
pub(crate) struct BlindDial<'a> {
    /// Where it leads.
    pub(crate) target: &'a Target,
    /// The way there, where it is not the engine's.
    pub(crate) egress: Option<&'a Egress>,
    /// Addresses that broke before.
    pub(crate) last: &'a [SocketAddr],
    /// Whether an address may be dialled.
    pub(crate) permits: &'a (dyn Fn(IpAddr) -> bool + Sync),
    /// What is heard on the way.
    pub(crate) heard: &'a Heard,
}

/// What sessions with a way out of their own dial with: making it for each tunnel would read their certificates each time.
#[derive(Default)]
struct OwnWays(Vec<(Egress, Arc<Config>, Arc<DialContext>)>);

/// Such sessions at once; the one that was made first goes.
const OWN_WAYS: usize = 32;

/// The upstreams of one generation.
pub(crate) struct Upstreams {
    parts: UpstreamParts,
    context: Arc<DialContext>,
    own: SocketAddr,
    origins: Mutex<HashMap<Place, Arc<Origin>>>,
    named: Mutex<HashMap<String, Named>>,
    own_ways: Mutex<OwnWays>,
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
        Self { parts, context, own, origins: Mutex::default(), named: Mutex::default(), own_ways: Mutex::default() }
    }

    /// The upstream of that name; without a name the default one.
    pub(crate) fn get(&self, name: Option<&str>) -> Option<Arc<Upstream>> {
        let config = &self.parts.config;
        let (url, egress) = match name {
            None => (config.upstream.clone(), None),
            Some(name) => match config.upstreams.get(name) {
                Some(url) => (url.clone(), None),
                None => {
                    let SessionUpstream { url, egress, .. } = self.parts.shared.sessions.get(name)?;
                    (url, egress)
                }
            },
        };
        self.made(name, name.unwrap_or(DEFAULT), url, egress)
    }

    /// The server of a host whose connections are decrypted, in the pool that all modes share. `session`: the session's own
    /// upstream for it, where its way out is not the engine's.
    pub(crate) fn of_host(&self, host: &str, session: Option<&str>) -> Option<Arc<Upstream>> {
        match session {
            Some(name) => self.get(Some(name)),
            // No name in the config looks so.
            None => self.made(Some(host), &format!("{host}:443"), Url::parse(&format!("https://{host}/")).ok()?, None),
        }
    }

    fn made(&self, given: Option<&str>, name: &str, url: Url, egress: Option<Egress>) -> Option<Arc<Upstream>> {
        let config = &self.parts.config;
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.get(name)
            && (&known.url, &known.egress) == (&url, &egress)
        {
            return Some(known.upstream.clone());
        }
        let endpoint = Endpoint::of(&url);
        let origin = match &egress {
            None => self.origin(Place { endpoint, session: None, tunnelled: false }, config, &self.context),
            Some(egress) => {
                let config = egress.applied(config, self.own).inspect_err(|why| tracing::warn!("upstream {name}: {why}")).ok()?;
                let context = DialContext::new(&config, self.parts.shared.paths.clone(), self.own);
                self.origin(
                    Place { endpoint, session: Some(name.to_owned()), tunnelled: false },
                    &Arc::new(config),
                    &Arc::new(context),
                )
            }
        };
        let upstream = Arc::new(Upstream::new(given, &url, config, self.parts.traffic.upstream(name), origin));
        named.insert(name.to_owned(), Named { url, egress, upstream: upstream.clone() });
        Some(upstream)
    }

    /// An upstream by connections that can become a WebSocket's: through a tunnel where a company proxy would forward requests.
    pub(crate) fn for_websocket(&self, upstream: Arc<Upstream>) -> Arc<Upstream> {
        if !upstream.origin.is_forwarded() {
            return upstream;
        }
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let found = origins.iter().find(|(_, origin)| Arc::ptr_eq(origin, &upstream.origin));
        // Not found: its session has ended meanwhile.
        let Some(place) = found.map(|(place, _)| Place { tunnelled: true, ..place.clone() }) else { return upstream };
        let origin = origins.entry(place).or_insert_with(|| upstream.origin.tunnelled()).clone();
        Arc::new(upstream.by(origin))
    }

    /// Where an upstream of the config is, and what walks there as this generation dials.
    pub(crate) fn prober(&self, name: Option<&str>) -> Option<(Url, Prober)> {
        let config = &self.parts.config;
        let url = name.map_or(Some(&config.upstream), |name| config.upstreams.get(name))?;
        Some((url.clone(), Prober::with(config.clone(), self.context.clone())))
    }

    /// Connects to a place whose bytes are somebody else's.
    pub(crate) async fn dial_blind(&self, asked: BlindDial<'_>) -> Result<Blind, Failure> {
        let BlindDial { target, egress, last, permits, heard } = asked;
        let (config, context) = match egress {
            None => (self.parts.config.clone(), self.context.clone()),
            Some(egress) => self.own_way(egress)?,
        };
        let endpoint = target.endpoint();
        // Of its own: what a tunnel tries is bounded in time, and hosts that programs name must not fill a table.
        let budget = Budgets::new(&config.retry).of(&endpoint);
        let dial = Dial { blind: true, last, permits, heard: Some(heard), ..Dial::new(&endpoint, &config, &context, &budget) };
        dial.run().await.map(Blind::of)
    }

    fn own_way(&self, egress: &Egress) -> Result<(Arc<Config>, Arc<DialContext>), Failure> {
        let mut own = self.own_ways.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config, context)) = own.0.iter().find(|(known, ..)| known == egress) {
            return Ok((config.clone(), context.clone()));
        }
        let config = egress.applied(&self.parts.config, self.own).map_err(|why| Failure::new(Cause::CompanyProxy, why))?;
        let context = Arc::new(DialContext::new(&config, self.parts.shared.paths.clone(), self.own));
        let config = Arc::new(config);
        if own.0.len() >= OWN_WAYS {
            own.0.remove(0);
        }
        own.0.push((egress.clone(), config.clone(), context.clone()));
        Ok((config, context))
    }

    fn origin(&self, place: Place, config: &Arc<Config>, context: &Arc<DialContext>) -> Arc<Origin> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let UpstreamParts { shared, tasks, traffic, health, .. } = &self.parts;
        let made = || {
            let parts = Parts {
                config: config.clone(),
                context: context.clone(),
                tasks: tasks.clone(),
                traffic: traffic.clone(),
                budget: shared.budgets.of(&place.endpoint),
                health: health.clone(),
                // A session's own way says nothing of the engine's.
                reaching: match &place.session {
                    None => traffic.reaching(&place.endpoint.to_string()),
                    Some(_) => Arc::default(),
                },
            };
            Origin::new(place.endpoint.clone(), parts)
        };
        origins.entry(place.clone()).or_insert_with(made).clone()
    }

    /// Lets go of pools that were a session's own and whose session has ended.
    fn forget_ended(&self) {
        let is_over = |session: &str| self.parts.shared.sessions.get(session).is_none();
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|name, known| known.egress.is_none() || !is_over(name));
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.retain(|place, _| !place.session.as_deref().is_some_and(is_over));
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

    /// Connects in advance for pools that lead where a tunnel does, by the engine's way out; none is made for it.
    pub(crate) fn warm_pools_of(&self, target: &Target, wanted: usize) {
        let endpoint = target.endpoint();
        let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let same: Vec<_> = origins
            .iter()
            .filter(|(place, _)| place.session.is_none() && !place.tunnelled && place.endpoint == endpoint)
            .map(|(_, origin)| origin.clone())
            .collect();
        drop(origins);
        same.iter().for_each(|origin| _ = origin.warm(wanted));
    }

    /// Their connections, by host and port.
    pub(crate) fn stats(&self) -> BTreeMap<String, OriginStats> {
        let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |Place { endpoint, session, tunnelled }: &Place| {
            let session = session.as_ref().map_or_else(String::new, |session| format!(" (@{session})"));
            format!("{endpoint}{session}{}", if *tunnelled { " (tunnelled)" } else { "" })
        };
        origins.iter().map(|(place, origin)| (name(place), origin.stats())).collect()
    }

    /// Drops pooled connections that are too old or dead, and calls `and` as often; ends with the generation.
    pub(crate) async fn sweep(&self, and: impl Fn()) {
        let mut every = interval((self.parts.config.pool.idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(5)));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            and();
            self.forget_ended();
            for origin in self.all_origins() {
                origin.review();
                if origin.idle() > 0 {
                    origin.sweep();
                }
            }
        }
    }

    /// Notifies every origin when the network is another one (L10); ends with the generation.
    pub(crate) async fn follow_network(&self) {
        let mut network = self.parts.shared.network.clone();
        // Without a supervisor nobody reports changes any more.
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
