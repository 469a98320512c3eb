//! What the supervisor's loop holds from one turn to the next, and what wakes it. Data; each part has a file of its own.

use super::{listener::Listener, network::NetworkWatch};
use crate::{
    config::Config,
    control::Command,
    inbound::Event,
    ledger::Ledger,
    network::NetworkNews,
    proxy::Shared,
    status::Status,
    supervisor::{
        config_file::ConfigFile,
        generations::Generations,
        hooks::EachTurn,
        options::LogTrouble,
        probe::{Answer, Probing},
        recovery::Memory,
    },
};
use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, mpsc as std_mpsc},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::Instant,
};

/// What woke the loop.
pub(super) enum Tick {
    Command(Option<Command>),
    Event(Option<Event>),
    Second,
    CheckAgain,
    Rebind,
    Released,
    Probe,
    Probed(Answer, Duration),
    HandedOver(oneshot::Sender<Result<(), String>>, std::io::Result<()>),
    Free(SocketAddr, bool),
    /// What a holder had, after the socket was lost here.
    Fetched(Option<TcpListener>),
    /// Holders were asked for something; the log says how it went.
    Asked,
    Network(Option<NetworkNews>),
    SourceEnded(Result<(), JoinError>),
}

/// The loop, between two turns.
pub(super) struct Run {
    pub(super) config: Arc<Config>,
    pub(super) file: ConfigFile,
    pub(super) shared: Arc<Shared>,
    pub(super) listener: Listener,
    pub(super) generations: Generations,
    /// What was seen before, as far as it matters.
    pub(super) memory: Memory,
    /// When to check everything again, where that is before the next tick.
    pub(super) check_at: Option<Instant>,
    pub(super) probing: Probing,
    pub(super) network: NetworkWatch,
    pub(super) publish: watch::Sender<Status>,
    pub(super) commanded: mpsc::Receiver<Command>,
    pub(super) events: mpsc::Receiver<Event>,
    /// Outlives every generation, so that it hears the last fault.
    pub(super) ledger: Ledger,
    /// Who waits for the first generation.
    pub(super) ready: Option<std_mpsc::SyncSender<Result<(), String>>>,
    /// What is asked of others and takes time.
    pub(super) work: JoinSet<Tick>,
    pub(super) ticks: u64,
    /// Connections that were one too many, and the tick at which that was last seen to grow.
    pub(super) over_cap: (u64, u64),
    /// What keeps the log from being kept, for whoever asks.
    pub(super) log_trouble: Option<LogTrouble>,
    pub(super) each_turn: Option<EachTurn>,
}
