//! Whose program a client is. The system is asked when something depends on it, and once a connection.

use super::intercept::Inside;
use crate::socket_owner::{self, Owner};
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};
use tokio::task::spawn_blocking;

/// The other end of a client's connection.
#[derive(Debug)]
pub(super) struct Client {
    /// Our end of the connection.
    pub(super) local: SocketAddr,
    peer: SocketAddr,
    owner: OnceLock<Owner>,
    /// Its requests came out of a tunnel.
    pub(super) inside: Option<Arc<Inside>>,
}

impl Client {
    pub(super) fn new(local: SocketAddr, peer: SocketAddr) -> Self {
        Self { local, peer, owner: OnceLock::new(), inside: None }
    }

    /// The user whose program it is. Programs on other machines are nobody's here.
    pub(super) async fn owner(&self) -> Owner {
        if let Some(known) = self.owner.get() {
            return known.clone();
        }
        let (local, peer) = (self.local, self.peer);
        // A program of this machine may also have come by another address of it.
        if !peer.ip().to_canonical().is_loopback() && peer.ip() != local.ip() {
            return Owner::Nobody;
        }
        let asked = spawn_blocking(move || socket_owner::of_connection(local, peer)).await;
        match asked.unwrap_or_else(|e| Owner::Unknown(e.to_string())) {
            told @ (Owner::Own | Owner::Other(_)) => self.owner.get_or_init(|| told).clone(),
            // A shortage ends, and is not remembered.
            not_told => not_told,
        }
    }
}
