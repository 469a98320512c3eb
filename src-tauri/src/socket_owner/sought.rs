//! Which of the system's sockets is the one that is asked for. Pure.

use std::net::{IpAddr, SocketAddr};

/// A socket that is asked for. An IPv4 address is one, however it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// The one that gets the connections to an address.
    Listener(SocketAddr),
    /// The one end of a connection.
    Connection {
        /// Its own address.
        local: SocketAddr,
        /// The other end's address.
        remote: SocketAddr,
    },
}

/// A socket as the system tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    /// The unspecified address for one that listens.
    pub(super) remote: SocketAddr,
    pub(super) listens: bool,
}

impl Sought {
    pub(super) fn listener(address: SocketAddr) -> Self {
        Self::Listener(canonical(address))
    }

    pub(super) fn connection(local: SocketAddr, remote: SocketAddr) -> Self {
        Self::Connection { local: canonical(local), remote: canonical(remote) }
    }

    /// What is listed of the sockets that fit best: several, where one address is shared.
    pub(super) fn best<T>(&self, sockets: impl IntoIterator<Item = (Socket, T)>) -> Vec<T> {
        let (mut best, mut told) = (0, Vec::new());
        for (socket, about) in sockets {
            let fits = self.fits(&socket);
            if fits > best {
                (best, told) = (fits, Vec::new());
            }
            if fits == best && fits > 0 {
                told.push(about);
            }
        }
        told
    }

    /// How well the socket fits, 0 for not at all. The system gives a connection to the listener that says most about its
    /// address.
    fn fits(&self, socket: &Socket) -> u8 {
        let (local, remote) = (canonical(socket.local), canonical(socket.remote));
        match self {
            Self::Connection { local: own, remote: other } => {
                u8::from(!socket.listens && same(local, *own) && same(remote, *other))
            }
            Self::Listener(at) if !socket.listens || local.port() != at.port() => 0,
            Self::Listener(at) if local.ip() == at.ip() => 3,
            Self::Listener(at) if local.ip().is_unspecified() && local.is_ipv4() == at.is_ipv4() => 2,
            // It listens on both, unless it was told not to.
            Self::Listener(at) => u8::from(local.ip().is_unspecified() && at.is_ipv4()),
        }
    }
}

/// Scopes and flow labels are not told alike everywhere.
fn same(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() && one.port() == other.port()
}

fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_that_the_system_would_choose_is_chosen() {
        let listens = |at: &'static str| (at, "0.0.0.0:0", true);
        let connected = |local: &'static str, remote: &'static str| (local, remote, false);
        let (listener, connection) = (Sought::listener, Sought::connection);
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let asked = listener(at("127.0.0.1:80"));
        let client = connection(at("127.0.0.1:5000"), at("127.0.0.1:80"));
        let mapped = connection(at("[::ffff:127.0.0.1]:5000"), at("[::ffff:127.0.0.1]:80"));
        let v6 = listener(at("[::1]:80"));
        for (sought, sockets, want) in [
            (asked, vec![], vec![]),
            (asked, vec![listens("127.0.0.1:80")], vec![0]),
            (asked, vec![listens("127.0.0.1:81"), listens("127.0.0.2:80"), listens("[::1]:80")], vec![]),
            (asked, vec![listens("[::]:80"), listens("0.0.0.0:80"), listens("127.0.0.1:80")], vec![2]),
            (asked, vec![listens("[::]:80"), listens("0.0.0.0:80")], vec![1]),
            (asked, vec![listens("[::]:80")], vec![0]),
            (asked, vec![listens("[::ffff:127.0.0.1]:80")], vec![0]),
            (asked, vec![listens("127.0.0.1:80"), listens("127.0.0.1:80")], vec![0, 1]),
            (asked, vec![connected("127.0.0.1:80", "127.0.0.1:5000")], vec![]),
            (v6, vec![listens("0.0.0.0:80"), listens("127.0.0.1:80")], vec![]),
            (v6, vec![listens("[::]:80"), listens("[::1]:80")], vec![1]),
            (client, vec![connected("127.0.0.1:80", "127.0.0.1:5000")], vec![]),
            (client, vec![connected("127.0.0.1:5000", "127.0.0.1:80")], vec![0]),
            (client, vec![connected("127.0.0.1:5000", "127.0.0.1:81"), connected("127.0.0.2:5000", "127.0.0.1:80")], vec![]),
            (client, vec![connected("[::ffff:127.0.0.1]:5000", "[::ffff:127.0.0.1]:80")], vec![0]),
            (mapped, vec![connected("127.0.0.1:5000", "127.0.0.1:80")], vec![0]),
            (client, vec![listens("127.0.0.1:5000")], vec![]),
        ] {
            let told = sockets
                .iter()
                .enumerate()
                .map(|(n, (local, remote, listens))| (Socket { local: at(local), remote: at(remote), listens: *listens }, n));
            assert_eq!(sought.best(told), want, "{sought:?} among {sockets:?}");
        }
    }
}
