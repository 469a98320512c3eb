//! The same port on the other loopback address: held, so that `http://localhost` leads to nobody else. A socket that is bound
//! and does not listen refuses, and clients go on to the address that accepts. Accepts nothing itself.

use crate::{
    health::{Code, Tracker},
    instance,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The other address, and the socket that holds it.
#[derive(Debug)]
pub(super) struct OtherLoopback {
    address: Option<SocketAddr>,
    held: Option<Socket>,
    /// That of the listener, for the sentence.
    served: SocketAddr,
}

impl OtherLoopback {
    /// Of a listener there. Nothing is held yet.
    pub(super) fn of(served: SocketAddr) -> Self {
        Self { address: other(served), held: None, served }
    }

    /// Holds the other address, unless that is done. Reports who has it instead, and that it is ours again.
    pub(super) fn hold(&mut self, health: &Tracker) {
        let (Some(address), None) = (self.address, &self.held) else { return };
        match bind(address) {
            Ok(held) => {
                self.held = Some(held);
                health.clear(Code::OtherLoopbackTaken, None);
            }
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                if !health.stands(Code::OtherLoopbackTaken) {
                    let sentence = self.taken(address);
                    tracing::warn!("{sentence}");
                    health.set(Code::OtherLoopbackTaken, None, sentence);
                }
            }
            // A machine without IPv6 leads nobody there; what is only short is asked for again.
            Err(e) => tracing::debug!("{address} is not held: {e}"),
        }
    }

    fn taken(&self, address: SocketAddr) -> String {
        let (holder, port, served) = (instance::holder_of(address, &[]), address.port(), instance::reachable(self.served));
        format!(
            "{address} is taken by {holder}: programs that are set to http://localhost:{port} may send their keys there. End it, or set them to http://{served}."
        )
    }

    /// The other address, where there is one.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Another process is to hold it, or nobody.
    pub(super) fn release(&mut self) {
        self.held = None;
    }
}

/// `localhost` means both. A listener on `::` has, on most systems, all of IPv4 as well.
fn other(served: SocketAddr) -> Option<SocketAddr> {
    let ip: IpAddr = match served.ip() {
        IpAddr::V4(ip) if ip == Ipv4Addr::LOCALHOST || ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Ipv4Addr::LOCALHOST.into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, served.port()))
}

/// Without SO_REUSEADDR: with it, others that set it could bind the same and listen (Linux), as nobody listens here. So
/// nobody shares the port; on Windows other users cannot by default. No connection is accepted here, so that none is left
/// after that would keep a later bind out.
fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn each_loopback_has_another() {
        for (served, wanted) in [
            ("127.0.0.1:1", Some("[::1]:1")),
            ("0.0.0.0:1", Some("[::1]:1")),
            ("[::1]:1", Some("127.0.0.1:1")),
            ("[::]:1", None),
            ("127.0.0.2:1", None),
            ("192.0.2.1:1", None),
        ] {
            assert_eq!(other(served.parse().unwrap()), wanted.map(|w| w.parse().unwrap()), "{served}");
        }
    }

    /// A port that is free on both, and the listener on the first; `None` on a machine without IPv6.
    fn served() -> Option<(TcpListener, SocketAddr)> {
        TcpListener::bind("[::1]:0").map_err(|e| eprintln!("SKIP: no [::1] here: {e}")).ok()?;
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = other(listener.local_addr().unwrap()).unwrap();
            if TcpListener::bind(address).is_ok() {
                return Some((listener, address));
            }
        }
    }

    #[test]
    fn what_is_held_refuses_and_nobody_else_gets_it() {
        let Some((listener, address)) = served() else { return };
        let health = Tracker::default();
        let mut ours = OtherLoopback::of(listener.local_addr().unwrap());
        ours.hold(&health);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        for reuse in [false, true] {
            let thief = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).unwrap();
            // On Windows this takes a port from the same user.
            #[cfg(unix)]
            {
                thief.set_reuse_address(reuse).unwrap();
                thief.set_reuse_port(reuse).unwrap();
            }
            assert_eq!(thief.bind(&address.into()).unwrap_err().kind(), io::ErrorKind::AddrInUse, "{reuse}");
        }
        ours.release();
        TcpListener::bind(address).unwrap();
    }

    #[test]
    fn who_has_it_is_told_until_it_is_ours() {
        let Some((listener, address)) = served() else { return };
        let health = Tracker::default();
        let stranger = TcpListener::bind(address).unwrap();
        let mut ours = OtherLoopback::of(listener.local_addr().unwrap());
        ours.hold(&health);
        assert!(health.stands(Code::OtherLoopbackTaken));
        let sentence = ours.taken(address);
        assert!(sentence.starts_with(&format!("{address} is taken by ")) && sentence.contains("http://127.0.0.1:"), "{sentence}");
        drop(stranger);
        ours.hold(&health);
        assert!(!health.stands(Code::OtherLoopbackTaken));
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
