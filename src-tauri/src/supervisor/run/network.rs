//! What the loop knows of this machine's network, and whom it notifies. Data; `network_changed` acts.

use crate::{
    network::{Network, NetworkNews},
    status,
};
use std::pin::Pin;
use tokio::sync::{mpsc, watch};

/// What reports changes of the network.
pub(in crate::supervisor) type Source = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What reports, who is notified, and of what.
pub(super) struct NetworkWatch {
    /// Reports changes, from the loop's beginning on.
    pub(super) source: Option<Source>,
    pub(super) news: mpsc::Receiver<NetworkNews>,
    /// Notifies the generations.
    pub(super) tell: watch::Sender<Network>,
    /// The changes so far, as others see them.
    pub(super) changes: status::Network,
}

impl NetworkWatch {
    pub(super) fn new(tell: watch::Sender<Network>, news: mpsc::Receiver<NetworkNews>, source: Source) -> Self {
        Self { source: Some(source), news, tell, changes: status::Network::default() }
    }

    pub(super) fn take_source(&mut self) -> Option<Source> {
        self.source.take()
    }

    pub(super) async fn news(&mut self) -> Option<NetworkNews> {
        self.news.recv().await
    }

    pub(super) fn changes(&self) -> status::Network {
        self.changes.clone()
    }
}
