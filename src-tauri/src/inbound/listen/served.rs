//! One address that is served: its connections are taken, and counted as its own. Accepts none itself.

use super::super::{awaiting::AwaitingFirstRequest, client::Client, connection, server::Inbound};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

/// An address, who serves its connections, and those that are open.
#[derive(Clone, Debug)]
pub struct Served {
    /// Who serves them.
    pub inbound: Arc<Inbound>,
    /// Where they come.
    pub local: SocketAddr,
    /// The connections of every generation that came there and are open.
    pub users: TaskTracker,
}

impl Served {
    /// Serves a connection that was accepted there.
    pub(super) fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let (open, now) = self.inbound.counters.open();
        let shed = now > self.inbound.config.limits.connections as u64;
        if shed {
            self.inbound.counters.over_cap();
        }
        // A listener on every address does not say by which of them this client came.
        let local = match self.local {
            bound if bound.ip().is_unspecified() => stream.local_addr().unwrap_or(bound),
            bound => bound,
        };
        let (inbound, client) = (self.inbound.clone(), Client::new(local, peer));
        let (token, user) = (self.inbound.open.token(), self.users.token());
        let awaiting = AwaitingFirstRequest::new(&self.inbound.counters);
        self.inbound.tasks.spawn(async move {
            let _counted = (open, token, user);
            connection::serve(inbound, stream, client, shed, awaiting).await;
        });
    }
}
