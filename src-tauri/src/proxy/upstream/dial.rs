//! Makes one connection: names to addresses, addresses raced through TLS (RFC 8305), the winner made into a wire.
//!
//! A post-quantum hello that broke is followed by a classical one to the same address, behind the addresses that have not
//! been tried (U2). What was learned on the way goes to `paths`.

use super::{
    Failure, Place, Ways,
    paths::{Ended, Share},
    socket::Socket,
    tls, tune,
    wire::Io,
};
use crate::{config::Config, status::traffic::Cause};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rustls::pki_types::ServerName;
use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;

/// What a dial needs to know.
#[derive(Clone, Copy)]
pub(super) struct Dial<'a> {
    pub(super) place: &'a Place,
    pub(super) config: &'a Config,
    pub(super) ways: &'a Arc<Ways>,
}

/// A connection, and what it took.
pub(super) struct Made {
    pub(super) io: Io,
    pub(super) socket: Socket,
    /// What failed on the way to it.
    pub(super) absorbed: Vec<Cause>,
    /// Where its own fate is remembered.
    pub(super) ways: Arc<Ways>,
}

/// One address, one kind of hello.
#[derive(Clone, Copy)]
struct Try {
    address: SocketAddr,
    share: Share,
    /// After a post-quantum hello to this address had failed.
    instead: bool,
}

impl Dial<'_> {
    /// Connects.
    pub(super) async fn run(self) -> Result<Made, Failure> {
        let host = (self.place.host.as_str(), self.place.port);
        let addresses = match (self.resolve().await, self.ways.memory.last_good(host)) {
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
        self.race(self.ways.memory.order(host, addresses)).await
    }

    fn is_own(self, address: SocketAddr) -> bool {
        let (own, ip) = (self.ways.own.ip(), address.ip());
        let local = own.is_loopback() || own.is_unspecified();
        address.port() == self.ways.own.port() && (ip == own || (local && (ip.is_loopback() || ip.is_unspecified())))
    }

    fn own_address(self) -> Failure {
        Failure::new(Cause::Loop, format!("{} is Leeward's own address", self.place))
    }

    async fn resolve(self) -> Result<Vec<SocketAddr>, Failure> {
        let Place { host, port, .. } = self.place;
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, *port)]);
        }
        let limit = self.config.connect.dns_timeout;
        let failed = |why: String| Failure::new(Cause::Dns, format!("the name {host} could not be resolved ({why})"));
        let addresses = match timeout(limit, tokio::net::lookup_host((host.as_str(), *port))).await {
            Err(_) => return Err(failed(format!("no answer within {limit:?}"))),
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Ok(Ok(addresses)) => alternate(addresses.collect()),
        };
        if addresses.is_empty() { Err(failed("no address".into())) } else { Ok(addresses) }
    }

    fn first_share(self) -> Share {
        if self.ways.connectors.may_offer_post_quantum() { self.ways.memory.share(&self.place.host) } else { Share::Classical }
    }

    /// Starts the next try when the last one failed or has had its head start; the first through TLS wins.
    async fn race(self, addresses: Vec<SocketAddr>) -> Result<Made, Failure> {
        let share = if self.place.tls { self.first_share() } else { Share::Classical };
        let mut waiting: VecDeque<Try> = addresses.into_iter().map(|address| Try { address, share, instead: false }).collect();
        let mut running = FuturesUnordered::new();
        let (mut failed, mut absorbed) = (Vec::new(), Vec::new());
        let mut last = Failure::new(Cause::Connect, format!("{} has no address", self.place));
        loop {
            if running.is_empty() {
                match waiting.pop_front() {
                    Some(next) => running.push(self.one(next)),
                    None => return Err(last),
                }
            }
            let stagger = tokio::time::sleep(if waiting.is_empty() { Duration::MAX } else { self.config.connect.stagger });
            tokio::select! {
                Some((tried, done)) = running.next() => match done {
                    Ok((io, socket)) => {
                        self.won(tried, &failed);
                        return Ok(Made { io, socket, absorbed, ways: self.ways.clone() });
                    }
                    Err(failure) if matches!(failure.cause, Cause::Certificate | Cause::Loop) => return Err(failure),
                    Err(failure) => {
                        tracing::debug!(place = %self.place, share = ?tried.share, "{}", failure.detail);
                        failed.push(tried.address);
                        absorbed.push(failure.cause);
                        if failure.cause == Cause::Tls && tried.share == Share::PostQuantum {
                            waiting.push_back(Try { share: Share::Classical, instead: true, ..tried });
                        }
                        // A handshake that broke tells more than an address that is unreachable.
                        if last.cause != Cause::Tls { last = failure; }
                        if let Some(next) = waiting.pop_front() { running.push(self.one(next)); }
                    }
                },
                () = stagger => if let Some(next) = waiting.pop_front() { running.push(self.one(next)); },
            }
        }
    }

    fn won(self, tried: Try, failed: &[SocketAddr]) {
        let memory = &self.ways.memory;
        if self.place.tls {
            memory.passed(&self.place.host, tried.share, tried.instead);
        }
        let host = (self.place.host.as_str(), self.place.port);
        memory.ended(&Ended { host, won: tried.address, failed, quarantine: self.config.connect.quarantine });
    }

    async fn one(self, tried: Try) -> (Try, Result<(Io, Socket), Failure>) {
        (tried, self.connect(tried).await)
    }

    async fn connect(self, Try { address, share, .. }: Try) -> Result<(Io, Socket), Failure> {
        let (connect, Place { host, .. }) = (&self.config.connect, self.place);
        let failed = |why: String| Failure::new(Cause::Connect, format!("no connection to {host} at {address} ({why})"));
        let stream = match timeout(connect.timeout, tune::connect(address, self.ways.memory.segment(address))).await {
            Err(_) => return Err(failed(format!("no answer within {:?}", connect.timeout))),
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Ok(Ok(stream)) => stream,
        };
        // Listening on every address of this machine, Leeward meets itself wherever both ends of a connection are the same.
        if self.ways.own.ip().is_unspecified()
            && address.port() == self.ways.own.port()
            && stream.local_addr().is_ok_and(|a| a.ip() == address.ip())
        {
            return Err(self.own_address());
        }
        tune::tune(&stream, self.config.pool.keepalive).map_err(|e| failed(e.to_string()))?;
        let socket = Socket::new(stream);
        if !self.place.tls {
            return Ok((Io::Plain(socket.clone()), socket));
        }
        let name = ServerName::try_from(host.clone()).map_err(|e| failed(format!("not a name for TLS: {e}")))?;
        let connector = self.ways.connectors.connector(share)?;
        match timeout(connect.tls_timeout, connector.connect(name, socket.clone())).await {
            Err(_) => Err(Failure::new(
                Cause::Tls,
                format!("the TLS handshake with {host} did not end within {:?}", connect.tls_timeout),
            )),
            Ok(Err(e)) => Err(tls::classify(&e, host)),
            Ok(Ok(stream)) => Ok((Io::Tls(Box::new(stream)), socket)),
        }
    }
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
mod tests;
