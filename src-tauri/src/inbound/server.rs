//! What the client connections of one generation share. Data only.

use crate::{
    admin::OwnPaths,
    authority::Authority,
    config::Config,
    control::{Mode, Sessions},
    exchange::Exchange,
    health::Tracker,
    tasks::Tasks,
    telemetry::{Counters, Traffic},
    upstream::Upstreams,
};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// The client's side of one generation.
#[derive(Debug)]
pub struct Inbound {
    pub(crate) config: Arc<Config>,
    /// Where it accepts.
    pub(crate) local: SocketAddr,
    pub(crate) tasks: Tasks,
    pub(crate) mode: watch::Receiver<Mode>,
    /// The connections of this generation, for the drain to wait for.
    pub(crate) open: TaskTracker,
    pub(crate) counters: Arc<Counters>,
    pub(crate) health: Tracker,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) own_paths: OwnPaths,
    /// Who may open tunnels.
    pub(crate) sessions: Sessions,
    /// What ends a tunnel's TLS here.
    pub(crate) authority: Arc<Authority>,
}
