//! What the supervisor's loop is made from, and how it stands before its first turn.

use super::{Run, Source, modified};
use crate::{
    config::Config,
    control::Command,
    inbound::Adopt,
    instance::Lock,
    ledger::Ledger,
    network::{Network, NetworkNews},
    proxy::Shared,
    status::Status,
    supervisor::{Refilter, Reload, socket::Socket},
};
use std::sync::{Arc, mpsc as std_mpsc};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

/// What the loop is made from.
pub(in crate::supervisor) struct Parts {
    pub(in crate::supervisor) config: Config,
    pub(in crate::supervisor) reload: Reload,
    pub(in crate::supervisor) refilter: Option<Refilter>,
    pub(in crate::supervisor) shared: Arc<Shared>,
    pub(in crate::supervisor) socket: Socket,
    /// Let go with the socket.
    pub(in crate::supervisor) lock: Option<Lock>,
    pub(in crate::supervisor) publish: watch::Sender<Status>,
    pub(in crate::supervisor) commanded: mpsc::Receiver<Command>,
    pub(in crate::supervisor) network: watch::Sender<Network>,
    pub(in crate::supervisor) news: mpsc::Receiver<NetworkNews>,
    /// Tells of changes of the network.
    pub(in crate::supervisor) source: Source,
    pub(in crate::supervisor) ledger: Ledger,
    pub(in crate::supervisor) adopt: Adopt,
    pub(in crate::supervisor) ready: std_mpsc::SyncSender<Result<(), String>>,
}

impl Run {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            config,
            reload,
            refilter,
            shared,
            socket,
            lock,
            publish,
            commanded,
            network,
            news,
            source,
            ledger,
            adopt,
            ready,
        } = parts;
        let file_seen = modified(&config);
        let probe_at = Instant::now() + config.watch.probe;
        Self {
            config: Arc::new(config),
            reload,
            refilter,
            shared,
            socket,
            lock,
            leaving: false,
            publish,
            commanded,
            network,
            news,
            source: Some(source),
            changes: crate::status::Network::default(),
            ledger,
            adopt,
            ready: Some(ready),
            events: mpsc::channel(64),
            generations: Vec::new(),
            current: 0,
            upstream: String::new(),
            next: 1,
            pending: None,
            rebind_at: None,
            releasing: None,
            releases: 0,
            due: None,
            overdue_at: None,
            probe_at,
            probing: false,
            mended: false,
            probe: None,
            work: JoinSet::new(),
            ticks: 0,
            stuck: None,
            last_auto: None,
            suspected: (0, 0),
            file_seen,
        }
    }
}
