//! Where tests take hold of the engine. Programs start it without.

use crate::{inbound::Adopt, network::NetworkNews};
use std::{pin::Pin, sync::Arc};
use tokio::sync::mpsc;

/// Called at every turn of the supervisor's loop; for tests alone.
pub(super) type EachTurn = Arc<dyn Fn() + Send + Sync>;

/// Where tests take hold of the engine.
#[derive(Clone, Default)]
pub struct TestHooks {
    /// Stands between the socket and the accept loop.
    pub adopt: Option<Adopt>,
    /// Reports changes of the network in this machine's place; one that never speaks keeps the real ones out.
    pub network: Option<NetworkSource>,
    /// Called by the supervisor at every turn of its loop: one that panics is a supervisor that does.
    pub each_turn: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What reports changes of the network: runs beside the supervisor's loop, and may end when it has nothing to report.
pub type NetworkSource = Arc<dyn Fn(mpsc::Sender<NetworkNews>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl std::fmt::Debug for TestHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestHooks")
            .field("adopt", &self.adopt.is_some())
            .field("network", &self.network.is_some())
            .field("each_turn", &self.each_turn.is_some())
            .finish()
    }
}
