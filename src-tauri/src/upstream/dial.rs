//! Makes one connection: names to addresses, addresses raced through TLS (RFC 8305), the winner made into a connection.
//!
//! A post-quantum hello that broke is followed by a classical one to the same address, after the addresses that have not
//! been tried (U2). What was learned on the way goes to `paths`.

mod order;
mod probe;

pub(crate) use probe::{Probed, Prober, Unreached, Walk};

use super::{
    budget::Budget,
    context::DialContext,
    endpoint::Endpoint,
    heard::{self, Heard},
    paths::{Broken, Ended, Share},
    socket::Socket,
    stream::Io,
    tls, tune,
    tunnel::{self, Forwarded, Wanted},
};
use crate::{
    config::{CompanyProxy, Config, ProxyKind},
    message::{DNS_FAILS, Failure, Known, NO_ANSWER, NO_NETWORK, NO_SUCH_NAME, dns_reason, reason},
    network::is_offline,
    status::faults::Cause,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use probe::Steps;
use rustls::pki_types::ServerName;
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;

/// What a dial needs to know.
#[derive(Clone, Copy)]
pub(super) struct Dial<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) config: &'a Config,
    pub(super) context: &'a Arc<DialContext>,
    /// Charged for each connection that was tried in vain.
    pub(super) budget: &'a Budget,
    /// The bytes are somebody else's: the endpoint's own TLS is not ours to speak.
    pub(super) blind: bool,
    /// A proxy is asked for a tunnel, also where it would forward requests itself.
    pub(super) tunnelled: bool,
    /// Addresses that are tried last, because they broke before.
    pub(super) last: &'a [SocketAddr],
    /// Whether an address may be dialled.
    pub(super) permits: &'a (dyn Fn(IpAddr) -> bool + Sync),
    /// Where it is noted what was heard.
    pub(super) heard: Option<&'a Heard>,
    /// Where it is noted how long the steps took.
    pub(super) steps: Option<&'a Steps>,
}

impl<'a> Dial<'a> {
    /// To an upstream: its own TLS is spoken, and any of its addresses may be dialled.
    pub(super) fn new(endpoint: &'a Endpoint, config: &'a Config, context: &'a Arc<DialContext>, budget: &'a Budget) -> Self {
        Self {
            endpoint,
            config,
            context,
            budget,
            blind: false,
            tunnelled: false,
            last: &[],
            permits: &|_| true,
            heard: None,
            steps: None,
        }
    }
}

/// A connection, and what it took.
pub(super) struct Made {
    pub(super) io: Io,
    pub(super) socket: Socket,
    /// Set when the other side is a proxy that forwards requests.
    pub(super) forwarded: Option<Forwarded>,
    /// What failed on the way to it.
    pub(super) dial_faults: Vec<Cause>,
    /// Where its own fate is remembered.
    pub(super) context: Arc<DialContext>,
}

/// One address, one kind of hello.
#[derive(Clone, Copy)]
struct Try {
    address: SocketAddr,
    share: Share,
    /// What became of a post-quantum hello to this address before.
    after: Option<Broken>,
}

/// Whom a dial connects to: the upstream, or the company proxy before it.
struct Next<'a> {
    proxy: Option<CompanyProxy>,
    host: &'a str,
    port: u16,
    /// The upstream's own address, for a proxy that wants one.
    address: Option<IpAddr>,
}

impl Next<'_> {
    fn failure(&self, what: impl std::fmt::Display) -> Failure {
        match &self.proxy {
            Some(proxy) => tunnel::failed(proxy, format_args!("was not reached: {what}")),
            None => Failure::new(Cause::Connect, what.to_string()),
        }
    }

    /// The same, with the reason in words.
    fn failure_for(&self, what: impl std::fmt::Display, reason: &'static str) -> Failure {
        let failure = self.failure(what);
        match &self.proxy {
            Some(proxy) => {
                failure.fact(format!("can't reach the company proxy {proxy} ({reason})"), "Check network, VPN or proxy.url")
            }
            None => failure.unreached(reason),
        }
    }
}

impl Dial<'_> {
    /// Connects.
    pub(super) async fn run(self) -> Result<Made, Failure> {
        let Endpoint { tls, host, port } = self.endpoint;
        let proxy = self.context.proxying.route(*tls, host, *port);
        let (host, port) = match &proxy {
            Some(proxy) => (proxy.host.clone(), proxy.port),
            None => (host.clone(), *port),
        };
        let mut next = Next { proxy, host: &host, port, address: None };
        if next.proxy.as_ref().is_some_and(|p| p.kind == ProxyKind::Socks5) {
            next.address = self.resolve(&self.endpoint.host, self.endpoint.port).await?.first().map(SocketAddr::ip);
        }
        let addresses = match (self.resolve(next.host, port).await, self.context.cache.last_good((next.host, port))) {
            (Ok(addresses), _) => {
                self.steps.inspect(|steps| steps.named());
                addresses
            }
            (Err(failure), Some(address)) => {
                tracing::info!("{}; trying {address}, where it was before", failure.detail);
                vec![address]
            }
            (Err(failure), None) if next.proxy.is_some() => return Err(next.failure_for(&failure.detail, dns_words(&failure))),
            (Err(failure), None) => return Err(failure),
        };
        if addresses.iter().any(|a| self.is_own(*a)) {
            return Err(self.own_address(&next));
        }
        let mut addresses = self.context.cache.order((next.host, port), addresses);
        addresses.sort_by_key(|address| self.last.contains(address));
        if next.proxy.is_none() {
            addresses.retain(|address| (self.permits)(address.ip()));
            if addresses.is_empty() {
                return Err(Failure::new(Cause::Loop, format!("{} is no public address", self.endpoint)));
            }
        }
        self.race(&next, addresses).await
    }

    fn is_own(self, address: SocketAddr) -> bool {
        let (own, ip) = (self.context.own.ip(), address.ip());
        let local = own.is_loopback() || own.is_unspecified();
        address.port() == self.context.own.port() && (ip == own || (local && (ip.is_loopback() || ip.is_unspecified())))
    }

    fn own_address(self, next: &Next<'_>) -> Failure {
        let who = next.proxy.as_ref().map_or_else(|| self.endpoint.to_string(), |p| format!("the company proxy {p}"));
        Failure::new(Cause::Loop, format!("{who} is Leeward's own address"))
    }

    async fn resolve(self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let limit = self.config.connect.dns_timeout;
        let failed = |why: String, reason: &'static str| {
            let detail = format!("the name {host} could not be resolved ({why})");
            Failure::new(Cause::Dns, detail).unreached(if is_offline() { NO_NETWORK } else { reason })
        };
        let addresses = match timeout(limit, tokio::net::lookup_host((host, port))).await {
            Err(_) => {
                self.hears(false);
                return Err(failed(format!("no response within {limit:?}"), DNS_FAILS));
            }
            Ok(Err(e)) => {
                self.hears(heard::is_no_such_name(&e));
                return Err(failed(e.to_string(), dns_reason(&e)));
            }
            Ok(Ok(addresses)) => order::alternate(addresses.collect()),
        };
        if addresses.is_empty() { Err(failed("no address".into(), NO_SUCH_NAME)) } else { Ok(addresses) }
    }

    fn hears(self, is_no: bool) {
        if let Some(heard) = self.heard {
            heard.note(is_no);
        }
    }

    fn first_share(self) -> Share {
        if self.context.connectors.may_offer_post_quantum() {
            self.context.cache.share(&self.endpoint.host)
        } else {
            Share::Classical
        }
    }

    /// Starts the next try when the last one failed or has had its head start; the first through TLS wins.
    async fn race(self, next: &Next<'_>, addresses: Vec<SocketAddr>) -> Result<Made, Failure> {
        let share = if self.endpoint.tls && !self.blind { self.first_share() } else { Share::Classical };
        let mut waiting: VecDeque<Try> = addresses.into_iter().map(|address| Try { address, share, after: None }).collect();
        let mut running = FuturesUnordered::new();
        let (mut failed, mut dial_faults) = (Vec::new(), Vec::new());
        let mut last = Failure::new(Cause::Connect, format!("{} has no address", self.endpoint));
        loop {
            if running.is_empty() {
                match waiting.pop_front() {
                    Some(tried) => running.push(self.one(next, tried)),
                    None => return Err(last),
                }
            }
            let stagger = tokio::time::sleep(if waiting.is_empty() { Duration::MAX } else { self.config.connect.stagger });
            tokio::select! {
                Some((tried, took, done)) = running.next() => match done {
                    Ok((io, socket, forwarded)) => {
                        self.won(next, tried, &failed);
                        self.budget.charge(running.len()); // those that lost the race
                        return Ok(Made { io, socket, forwarded, dial_faults, context: self.context.clone() });
                    }
                    Err(failure) if matches!(failure.cause, Cause::Certificate | Cause::Clock | Cause::Loop | Cause::ProxyLogin) => return Err(failure),
                    Err(failure) => {
                        self.budget.charge(1);
                        tracing::debug!(endpoint = %self.endpoint, share = ?tried.share, "{}", failure.detail);
                        failed.push(tried.address);
                        dial_faults.push(failure.cause);
                        if matches!(failure.cause, Cause::Tls | Cause::NotTls) && tried.share == Share::PostQuantum {
                            let silent = took >= self.config.connect.tls_timeout;
                            let broken = if silent { Broken::Swallowed } else { Broken::Reset };
                            waiting.push_back(Try { share: Share::Classical, after: Some(broken), ..tried });
                        }
                        // A handshake that broke says more than an address that is unreachable.
                        if last.cause != Cause::Tls { last = failure; }
                        if let Some(tried) = waiting.pop_front() { running.push(self.one(next, tried)); }
                    }
                },
                () = stagger => if let Some(tried) = waiting.pop_front() { running.push(self.one(next, tried)); },
            }
        }
    }

    fn won(self, next: &Next<'_>, tried: Try, failed: &[SocketAddr]) {
        let cache = &self.context.cache;
        if self.endpoint.tls && !self.blind {
            cache.passed(&self.endpoint.host, tried.share, tried.after);
        }
        let host = (next.host, next.port);
        cache.ended(&Ended { host, won: tried.address, failed, quarantine: self.config.connect.quarantine });
    }

    async fn one(self, next: &Next<'_>, tried: Try) -> (Try, Duration, Result<Reached, Failure>) {
        let began = Instant::now();
        let reached = self.reach(next, tried).await;
        (tried, began.elapsed(), reached)
    }

    async fn reach(self, next: &Next<'_>, Try { address, share, .. }: Try) -> Result<Reached, Failure> {
        let connect = &self.config.connect;
        let failed = |why: String, reason: &'static str| {
            let offline = !address.ip().is_loopback() && is_offline();
            let reason = if offline { NO_NETWORK } else { reason };
            next.failure_for(format_args!("no connection to {} at {address} ({why})", next.host), reason)
        };
        let connected = timeout(connect.timeout, tune::connect(address, self.context.cache.segment(address))).await;
        if !matches!(connected, Ok(Ok(_))) {
            self.hears(matches!(&connected, Ok(Err(e)) if heard::is_refused_nearby(e, address.ip())));
        }
        let stream = match connected {
            Err(_) => return Err(failed(format!("no response within {:?}", connect.timeout), NO_ANSWER)),
            Ok(Err(e)) if is_refused(&e) && address.ip().is_loopback() && next.proxy.is_none() => {
                let says = format!("nothing listens on {address}");
                return Err(next.failure(format_args!("{says} ({e})")).fact(says, "Start the server there"));
            }
            Ok(Err(e)) => return Err(failed(e.to_string(), reason(&e))),
            Ok(Ok(stream)) => stream,
        };
        self.steps.inspect(|steps| steps.connected());
        // Listening on every address of this machine, Leeward meets itself wherever both ends of a connection are the same.
        if self.context.own.ip().is_unspecified()
            && address.port() == self.context.own.port()
            && stream.local_addr().is_ok_and(|a| a.ip() == address.ip())
        {
            return Err(self.own_address(next));
        }
        tune::tune(&stream, self.config.pool.keepalive);
        let socket = Socket::new(stream);
        match &next.proxy {
            None if !self.endpoint.tls || self.blind => Ok((Io::Plain(socket.clone()), socket, None)),
            None => Ok((Io::Tls(Box::new(self.secure(&self.endpoint.host, share, socket.clone()).await?)), socket, None)),
            Some(proxy) => self.through(proxy, next.address, share, socket).await,
        }
    }

    /// On from a company proxy: a tunnel, or its own forwarding for http upstreams.
    async fn through(
        self,
        proxy: &CompanyProxy,
        address: Option<IpAddr>,
        share: Share,
        socket: Socket,
    ) -> Result<Reached, Failure> {
        let (connect, endpoint) = (&self.config.connect, self.endpoint);
        let wanted = Wanted { proxy, endpoint, address, limit: connect.dns_timeout + connect.timeout, heard: self.heard };
        let unusable = || tunnel::failed(proxy, format_args!("cannot be asked for {endpoint}"));
        let is_bare = self.blind || !endpoint.tls;
        match (proxy.kind, endpoint.tls || self.tunnelled) {
            (ProxyKind::Http, false) => {
                let forwarded = Forwarded::new(proxy, endpoint).ok_or_else(unusable)?;
                Ok((Io::Plain(socket.clone()), socket, Some(forwarded)))
            }
            (ProxyKind::Https, tunnels) => {
                // Its own handshake carries classical shares only: it is one more path that may break the large hello, and
                // what must be kept from tomorrow's computers is inside the tunnel.
                let outer = self.secure(&proxy.host, Share::Classical, socket.clone()).await;
                let mut outer = outer.map_err(|f| match f.cause {
                    Cause::Certificate | Cause::Clock => f,
                    _ => tunnel::failed(proxy, format_args!("was not reached: {}", f.detail)),
                })?;
                if !tunnels {
                    let forwarded = Forwarded::new(proxy, endpoint).ok_or_else(unusable)?;
                    return Ok((Io::Tls(Box::new(outer)), socket, Some(forwarded)));
                }
                tunnel::open(&mut outer, &wanted).await?;
                if is_bare {
                    return Ok((Io::Tls(Box::new(outer)), socket, None));
                }
                let inner = self.secure(&endpoint.host, share, outer).await?;
                Ok((Io::Nested(Box::new(inner)), socket, None))
            }
            (ProxyKind::Http | ProxyKind::Socks5 | ProxyKind::Socks5h, _) => {
                let mut stream = socket.clone();
                tunnel::open(&mut stream, &wanted).await?;
                if is_bare {
                    return Ok((Io::Plain(stream), socket, None));
                }
                Ok((Io::Tls(Box::new(self.secure(&endpoint.host, share, stream).await?)), socket, None))
            }
        }
    }

    /// The TLS handshake.
    async fn secure<S>(self, host: &str, share: Share, stream: S) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let slow = |why: String| {
            Failure::new(Cause::Tls, format!("the TLS handshake with {host} {why}")).unreached("no answer in the TLS handshake")
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|e| Failure::new(Cause::Connect, format!("{host} is not a name for TLS: {e}")))?;
        let connector = self.context.connectors.connector(share)?;
        let limit = self.config.connect.tls_timeout;
        match timeout(limit, connector.connect(name, stream)).await {
            Err(_) => Err(slow(format!("did not end within {limit:?}"))),
            Ok(Err(e)) => Err(tls::classify(&e, self.endpoint, host)),
            Ok(Ok(stream)) => Ok(stream),
        }
    }
}

/// Why a name was not resolved.
fn dns_words(failure: &Failure) -> &'static str {
    match &failure.known {
        Some(Known::Unreached(reason)) => reason,
        Some(Known::Fact { .. }) | None => DNS_FAILS,
    }
}

fn is_refused(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionRefused
}

/// A connection: its stream, the socket below it, and how requests are written where a proxy forwards them.
type Reached = (Io, Socket, Option<Forwarded>);

#[cfg(test)]
mod tests;
