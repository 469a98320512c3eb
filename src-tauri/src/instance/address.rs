//! How a listener is reached from this machine. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listener on the unspecified address is reached over loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

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
