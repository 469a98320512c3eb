//! Makes one connection: names to addresses, addresses raced through TLS (RFC 8305), the winner made into a wire.

use super::{
    Failure, Place, tls,
    wire::{Io, Socket},
};
use crate::{
    config::{Connect, Pool},
    proxy::upstream::tls::Roots,
    status::traffic::Cause,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rustls::pki_types::ServerName;
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// What a dial needs to know.
#[derive(Clone, Copy)]
pub(super) struct Dial<'a> {
    pub(super) place: &'a Place,
    pub(super) connect: &'a Connect,
    pub(super) pool: &'a Pool,
    pub(super) roots: &'a Roots,
    /// Leeward's own address, which must not be dialled.
    pub(super) own: SocketAddr,
    /// Where the last connection went, for when its name cannot be resolved (U1).
    pub(super) last_good: Option<SocketAddr>,
}

impl Dial<'_> {
    /// Connects.
    pub(super) async fn run(self) -> Result<(Io, Socket), Failure> {
        let addresses = match (self.resolve().await, self.last_good) {
            (Ok(addresses), _) => addresses,
            (Err(failure), Some(address)) => {
                tracing::info!("{}; trying {address}, where it was before", failure.detail);
                vec![address]
            }
            (Err(failure), None) => return Err(failure),
        };
        if addresses.iter().any(|a| self.is_own(*a)) {
            return Err(self.own_address());
        }
        self.race(addresses).await
    }

    fn is_own(self, address: SocketAddr) -> bool {
        let (own, ip) = (self.own.ip(), address.ip());
        let local = own.is_loopback() || own.is_unspecified();
        address.port() == self.own.port() && (ip == own || (local && (ip.is_loopback() || ip.is_unspecified())))
    }

    fn own_address(self) -> Failure {
        Failure::new(Cause::Loop, format!("{} is Leeward's own address", self.place))
    }

    async fn resolve(self) -> Result<Vec<SocketAddr>, Failure> {
        let Place { host, port, .. } = self.place;
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, *port)]);
        }
        let failed = |why: String| Failure::new(Cause::Dns, format!("the name {host} could not be resolved ({why})"));
        let found = timeout(self.connect.dns_timeout, tokio::net::lookup_host((host.as_str(), *port))).await;
        let addresses = match found {
            Err(_) => return Err(failed(format!("no answer within {:?}", self.connect.dns_timeout))),
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Ok(Ok(addresses)) => alternate(addresses.collect()),
        };
        if addresses.is_empty() { Err(failed("no address".into())) } else { Ok(addresses) }
    }

    /// Starts the next address when the last one failed or has had its head start; the first through TLS wins.
    async fn race(self, addresses: Vec<SocketAddr>) -> Result<(Io, Socket), Failure> {
        let mut waiting = addresses.into_iter();
        let mut running = FuturesUnordered::new();
        let mut last = Failure::new(Cause::Connect, format!("{} has no address", self.place));
        loop {
            if running.is_empty() {
                match waiting.next() {
                    Some(address) => running.push(self.one(address)),
                    None => return Err(last),
                }
            }
            let stagger = tokio::time::sleep(if waiting.len() > 0 { self.connect.stagger } else { Duration::MAX });
            tokio::select! {
                Some(done) = running.next() => match done {
                    Ok(won) => return Ok(won),
                    Err(failure) if matches!(failure.cause, Cause::Certificate | Cause::Loop) => return Err(failure),
                    Err(failure) => {
                        // A handshake that broke tells more than an address that is unreachable.
                        if last.cause != Cause::Tls { last = failure; }
                        if let Some(address) = waiting.next() { running.push(self.one(address)); }
                    }
                },
                () = stagger => if let Some(address) = waiting.next() { running.push(self.one(address)); },
            }
        }
    }

    async fn one(self, address: SocketAddr) -> Result<(Io, Socket), Failure> {
        let Place { host, .. } = self.place;
        let failed = |why: String| Failure::new(Cause::Connect, format!("no connection to {host} at {address} ({why})"));
        let stream = match timeout(self.connect.timeout, TcpStream::connect(address)).await {
            Err(_) => return Err(failed(format!("no answer within {:?}", self.connect.timeout))),
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Ok(Ok(stream)) => stream,
        };
        // Listening on every address of this machine, Leeward meets itself wherever both ends of a connection are the same.
        if self.own.ip().is_unspecified()
            && address.port() == self.own.port()
            && stream.local_addr().is_ok_and(|a| a.ip() == address.ip())
        {
            return Err(self.own_address());
        }
        tune(&stream, self.pool.keepalive).map_err(|e| failed(e.to_string()))?;
        let socket = Socket::new(stream);
        if !self.place.tls {
            return Ok((Io::Plain(socket.clone()), socket));
        }
        let name = ServerName::try_from(host.clone()).map_err(|e| failed(format!("not a name for TLS: {e}")))?;
        let connector = self.roots.connector()?;
        match timeout(self.connect.tls_timeout, connector.connect(name, socket.clone())).await {
            Err(_) => Err(Failure::new(
                Cause::Tls,
                format!("the TLS handshake with {host} did not end within {:?}", self.connect.tls_timeout),
            )),
            Ok(Err(e)) => Err(tls::classify(&e, host)),
            Ok(Ok(stream)) => Ok((Io::Tls(Box::new(stream)), socket)),
        }
    }
}

fn tune(stream: &TcpStream, keepalive: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = socket2::TcpKeepalive::new().with_time(keepalive).with_interval(keepalive);
    socket2::SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// The families take turns, beginning with the one that the system put first (RFC 8305 section 4).
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (a, b): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|x| x.is_ipv6() == first_is_v6);
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return out,
            (x, y) => out.extend(x.into_iter().chain(y)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_without_an_answer_is_looked_for_where_it_was() {
        let home = tempfile::tempdir().unwrap();
        let config = crate::config::Config::under(home.path()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let place = Place { tls: false, host: "name.invalid".into(), port: address.port() };
        let roots = Roots::new(config.trust.clone());
        let connect = Connect { dns_timeout: Duration::from_millis(500), ..config.connect.clone() };
        let dial =
            Dial { place: &place, connect: &connect, pool: &config.pool, roots: &roots, own: config.listen, last_good: None };
        assert_eq!(dial.run().await.err().map(|f| f.cause), Some(Cause::Dns));
        assert!(Dial { last_good: Some(address), ..dial }.run().await.is_ok());
    }

    #[test]
    fn families_take_turns() {
        let list = |text: &[&str]| text.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(
            alternate(list(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"])),
            list(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
        );
        assert_eq!(alternate(list(&["1.1.1.1:1", "1.1.1.2:1"])), list(&["1.1.1.1:1", "1.1.1.2:1"]));
        assert_eq!(alternate(vec![]), vec![]);
    }
}
