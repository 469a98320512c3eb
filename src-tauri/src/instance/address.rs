//! How a listener is reached from this machine. Pure.

pub use crate::proof::reachable;

use std::net::SocketAddr;

/// The URL of a listener as a client on this machine reaches it.
pub fn base_url(address: SocketAddr) -> String {
    format!("http://{}", reachable(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_over_loopback() {
        assert_eq!(base_url("0.0.0.0:1".parse().unwrap()), "http://127.0.0.1:1");
        assert_eq!(base_url("[::]:1".parse().unwrap()), "http://[::1]:1");
    }
}
