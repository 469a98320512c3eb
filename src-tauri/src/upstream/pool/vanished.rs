//! Connections in use whose own address has gone with a network: nothing comes on them any more, and no system says so for
//! minutes. They end at once, so that their requests are tried again or their agents know. Decides nothing about either.

use super::origin::Origin;
use crate::upstream::socket::Handle;
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, UdpSocket},
};

/// Handles that are kept before those of closed connections are thrown out.
const SLACK: usize = 64;

/// The sockets of the connections of one origin, for as long as those live.
#[derive(Debug, Default)]
pub(super) struct Sockets(Vec<Handle>);

impl Sockets {
    pub(super) fn add(&mut self, handle: Handle, open: usize) {
        if self.0.len() >= open + SLACK {
            self.0.retain(Handle::is_open);
        }
        self.0.push(handle);
    }
}

impl Origin {
    /// Ends the connections whose own address is `gone`.
    pub(super) fn end_vanished(&self, gone: impl Fn(IpAddr) -> bool) {
        let sockets = std::mem::take(&mut self.lock().sockets);
        let mut known = BTreeMap::new();
        let (ended, kept): (Vec<_>, Vec<_>) = sockets
            .0
            .into_iter()
            .filter(Handle::is_open)
            .partition(|socket| socket.local_ip().is_some_and(|ip| *known.entry(ip).or_insert_with(|| gone(ip))));
        self.lock().sockets.0.extend(kept);
        for socket in &ended {
            socket.end();
        }
        if !ended.is_empty() {
            tracing::info!(origin = %self.endpoint, "{} connections ended with the address that they came from", ended.len());
        }
    }
}

/// Whether this machine has an address no more: nothing can be bound to it. What else keeps it from that is no sign.
pub(super) fn is_gone(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_err_and(|e| e.kind() == io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_told_from_others() {
        assert!(!is_gone([127, 0, 0, 1].into()));
        assert!(is_gone([192, 0, 2, 1].into()), "an address for documentation (RFC 5737)");
    }
}
