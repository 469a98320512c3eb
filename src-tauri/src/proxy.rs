//! One generation of the engine, put together from its layers: `inbound -> admin -> exchange -> upstream -> message`.
//!
//! Wires only: what a layer does stands in its own room. Sees config, health, status and control; never who supervises it,
//! the terminal, the environment or the process.

use crate::{
    admin::{Admin, Agents, Invitations, OwnPaths},
    authority::Authority,
    config::{Config, Secret, Settings},
    control::{Commands, Mode, Sessions},
    examination::Examiner,
    exchange::{self, Exchange},
    health::Tracker,
    inbound::Inbound,
    message::HeldBytes,
    network::Network,
    status::{Status, coverage::Scan, history::Questions, recent::Words},
    tasks::Tasks,
    telemetry::{Counters, Traffic},
    upstream::{self, Remember, SessionUpstream, UpstreamParts, Upstreams},
    window::Window,
};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

/// What the generations of one engine share.
pub(crate) struct Shared {
    /// What is wrong.
    pub(crate) health: Tracker,
    /// What passes.
    pub(crate) traffic: Arc<Traffic>,
    /// Who holds a control stream open.
    pub(crate) sessions: Sessions,
    /// The listener's counters.
    pub(crate) counters: Arc<Counters>,
    channels: Channels,
    token: Secret,
    invitations: Arc<Invitations>,
    exchange: Arc<exchange::Shared>,
    upstream: Arc<upstream::Shared>,
    authority: Arc<Authority>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// The channels that a `Shared` is made with.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    /// Where commands go.
    pub(crate) commands: Commands,
    /// The status that the supervisor publishes.
    pub(crate) status: watch::Receiver<Status>,
    /// Who holds a control stream open.
    pub(crate) sessions: Sessions,
    /// What is wrong.
    pub(crate) health: Tracker,
    /// The network this machine is in.
    pub(crate) network: watch::Receiver<Network>,
    /// Where questions about the history go.
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
    /// How this machine's agents are looked for, where the program can.
    pub(crate) scan: Option<Scan>,
}

impl Shared {
    /// Counters at zero; the replay budget as the config says. `known`: the upstreams of earlier sessions, which `remember`
    /// writes down.
    pub(crate) fn new(
        config: &Config,
        token: Secret,
        channels: Channels,
        known: BTreeMap<String, SessionUpstream>,
        remember: Remember,
    ) -> Self {
        Self {
            health: channels.health.clone(),
            traffic: Arc::default(),
            sessions: channels.sessions.clone(),
            counters: Arc::default(),
            token,
            invitations: Arc::default(),
            exchange: Arc::default(),
            authority: Arc::new(Authority::new(config.paths.authority_dir())),
            upstream: Arc::new(upstream::Shared::new(config, channels.network.clone(), known, remember)),
            channels,
        }
    }

    /// Bytes held: of requests for replay, of responses until they are let go.
    pub(crate) fn held(&self) -> HeldBytes {
        self.exchange.held.clone()
    }
}

/// One generation of the engine, on its own runtime.
#[derive(Debug)]
pub(crate) struct Proxy {
    inbound: Arc<Inbound>,
}

impl Proxy {
    /// A generation that will accept on `local`.
    pub(crate) fn new(
        config: &Arc<Config>,
        shared: &Shared,
        local: SocketAddr,
        tasks: Tasks,
        mode: watch::Receiver<Mode>,
    ) -> Arc<Self> {
        let upstreams = Arc::new(Upstreams::new(
            UpstreamParts {
                config: config.clone(),
                shared: shared.upstream.clone(),
                tasks: tasks.clone(),
                traffic: shared.traffic.clone(),
                health: shared.health.clone(),
            },
            local,
        ));
        let exchange = Arc::new(Exchange {
            config: config.clone(),
            shared: shared.exchange.clone(),
            traffic: shared.traffic.clone(),
            health: shared.health.clone(),
        });
        let channels = shared.channels.clone();
        let own_paths = OwnPaths::new(Admin {
            config: config.clone(),
            local,
            mode: mode.clone(),
            health: shared.health.clone(),
            traffic: shared.traffic.clone(),
            sessions: shared.sessions.clone(),
            commands: channels.commands,
            status: channels.status,
            history: channels.history,
            settings: channels.settings,
            panel: channels.panel,
            window: channels.window,
            examiner: channels.examiner,
            words: channels.words,
            token: shared.token.clone(),
            invitations: shared.invitations.clone(),
            counters: shared.counters.clone(),
            upstreams: upstreams.clone(),
            authority: shared.authority.clone(),
            agents: Agents::new(channels.scan),
            testing: Semaphore::new(1),
        });
        let inbound = Arc::new(Inbound {
            config: config.clone(),
            local,
            tasks,
            mode,
            open: TaskTracker::new(),
            counters: shared.counters.clone(),
            health: shared.health.clone(),
            traffic: shared.traffic.clone(),
            upstreams,
            exchange,
            own_paths,
            sessions: shared.sessions.clone(),
            authority: shared.authority.clone(),
        });
        Arc::new(Self { inbound })
    }

    /// The client's side, for the accept loop.
    pub(crate) fn inbound(&self) -> Arc<Inbound> {
        self.inbound.clone()
    }

    /// Waits until every connection of this generation has ended.
    pub(crate) async fn drained(&self) {
        self.inbound.open.close();
        self.inbound.open.wait().await;
    }

    /// Drops pooled connections that are too old or dead; ends with the generation.
    pub(crate) async fn sweep(self: Arc<Self>) {
        let inbound = &self.inbound;
        let also = || {
            inbound.exchange.review_cuts();
            inbound.authority.tend(|id| inbound.sessions.use_authority(id));
        };
        inbound.upstreams.sweep(also).await;
    }

    /// Notifies every origin when the network is another one (L10); ends with the generation.
    pub(crate) async fn follow_network(self: Arc<Self>) {
        self.inbound.upstreams.follow_network().await;
    }
}
