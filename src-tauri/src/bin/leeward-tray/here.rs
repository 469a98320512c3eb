//! The engine's own paths, wherever it accepts: it may go to another address while the tray runs. Asks nothing itself.

use leeward::{
    config::{Paths, Secret},
    instance::{Client, ClientError, reachable},
    status::Status,
};
use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};
use tokio::sync::watch;

/// See the file's first line.
#[derive(Debug)]
pub(crate) struct Here {
    status: watch::Receiver<Status>,
    paths: Paths,
    client_token: Option<Secret>,
    client: Mutex<Client>,
}

impl Here {
    pub(crate) fn new(
        status: watch::Receiver<Status>,
        address: SocketAddr,
        paths: Paths,
        client_token: Option<Secret>,
    ) -> Result<Self, ClientError> {
        let client = Client::at(address, &paths)?.with_client_token(client_token.clone());
        Ok(Self { status, paths, client_token, client: Mutex::new(client) })
    }

    /// A client of the address that is served now.
    pub(crate) fn client(&self) -> Client {
        let now: Option<SocketAddr> = self.status.borrow().listener.address.parse().ok();
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = now.filter(|now| reachable(*now) != reachable(client.address()))
            && let Ok(next) = Client::at(now, &self.paths)
        {
            *client = next.with_client_token(self.client_token.clone());
        }
        client.clone()
    }
}
