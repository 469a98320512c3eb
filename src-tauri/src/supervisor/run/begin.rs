//! What the supervisor's loop is made from, and how it stands before its first turn.

use super::{
    listener::Listener,
    network::{NetworkWatch, Source},
    state::Run,
};
use crate::{
    config::Config,
    control::Command,
    inbound::Adopt,
    instance::Lock,
    ledger::Ledger,
    network::{Network, NetworkNews},
    proxy::Shared,
    status::Status,
    supervisor::{
        config_file::ConfigFile,
        generations::Generations,
        hooks::EachTurn,
        options::{LogTrouble, Read, Refilter},
        probe::Probing,
        recovery::Memory,
        socket::Socket,
    },
};
use std::sync::{Arc, mpsc as std_mpsc};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Events of accept loops that may wait; each is read at once.
const EVENTS: usize = 64;

/// What the loop is made from.
pub(in crate::supervisor) struct Parts {
    pub(in crate::supervisor) config: Config,
    pub(in crate::supervisor) reload: Read,
    pub(in crate::supervisor) refilter: Option<Refilter>,
    pub(in crate::supervisor) log_trouble: Option<LogTrouble>,
    pub(in crate::supervisor) shared: Arc<Shared>,
    pub(in crate::supervisor) socket: Socket,
    /// Of addresses that agents know from before.
    pub(in crate::supervisor) former: Vec<Socket>,
    /// Let go with the socket.
    pub(in crate::supervisor) lock: Option<Lock>,
    pub(in crate::supervisor) publish: watch::Sender<Status>,
    pub(in crate::supervisor) commanded: mpsc::Receiver<Command>,
    pub(in crate::supervisor) network: watch::Sender<Network>,
    pub(in crate::supervisor) news: mpsc::Receiver<NetworkNews>,
    /// Reports changes of the network.
    pub(in crate::supervisor) source: Source,
    pub(in crate::supervisor) ledger: Ledger,
    pub(in crate::supervisor) adopt: Adopt,
    pub(in crate::supervisor) each_turn: Option<EachTurn>,
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
            former,
            lock,
            publish,
            commanded,
            ledger,
            adopt,
            each_turn,
            ready,
            ..
        } = parts;
        let (tell, events) = mpsc::channel(EVENTS);
        Self {
            file: ConfigFile::new(reload, refilter, &config),
            listener: Listener::new(socket, former, lock),
            generations: Generations::new(adopt, tell),
            memory: Memory::default(),
            check_at: None,
            probing: Probing::new(&config.watch),
            network: NetworkWatch::new(parts.network, parts.news, parts.source),
            config: Arc::new(config),
            shared,
            publish,
            commanded,
            events,
            ledger,
            ready: Some(ready),
            work: JoinSet::new(),
            ticks: 0,
            over_cap: (0, 0),
            log_trouble: parts.log_trouble,
            each_turn,
        }
    }
}
