//! Single tries for whoever examines the way to an upstream: one address, one kind of hello, by the engine's own dial, trust and
//! proxies. And whole dials, step by step. Sends no request but a HEAD without credentials of an API.

use super::{Dial, DialContext, Io, Made, Next, Try};
use crate::{
    config::{CompanyProxy, Config, ProxyKind},
    escape,
    message::{Failure, NOT_ASKED},
    network::Network,
    status::faults::Cause,
    upstream::{
        budget::{Budget, Budgets},
        endpoint::Endpoint,
        paths::{PathCache, Share},
        stream::{Counted, Meter},
        tunnel::Forwarded,
    },
};
use rustls::pki_types::ServerName;
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use url::Url;
use x509_parser::prelude::{FromDer, X509Certificate};

/// More than the head of any response to a HEAD.
const LONGEST_HEAD: usize = 64 << 10;
/// Fields of such a head.
const MOST_FIELDS: usize = 128;
/// Names of 200 letters that make a classical hello larger than any packet.
const PADDING: usize = 8;

/// Makes single connections as the engine of a config makes them.
pub(crate) struct Prober {
    config: Arc<Config>,
    context: Arc<DialContext>,
    /// Nobody else draws on it.
    budget: Arc<Budget>,
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prober").finish_non_exhaustive()
    }
}

/// How long the steps of a dial took; noted by the dial itself.
#[derive(Debug)]
pub(in crate::upstream) struct Steps {
    began: Instant,
    named: OnceLock<Duration>,
    connected: OnceLock<Duration>,
}

impl Steps {
    fn begin() -> Self {
        Self { began: Instant::now(), named: OnceLock::new(), connected: OnceLock::new() }
    }

    /// There is an address.
    pub(super) fn named(&self) {
        self.named.set(self.began.elapsed()).ok();
    }

    /// There is a TCP connection, the first one.
    pub(super) fn connected(&self) {
        self.connected.set(self.began.elapsed()).ok(); // others lost the race, or followed one that broke
    }
}

/// A dial in progress: how far it has come can be seen at any time.
#[derive(Debug)]
pub(crate) struct Walk(Steps);

impl Walk {
    /// It begins now.
    pub(crate) fn begin() -> Self {
        Self(Steps::begin())
    }

    /// Until the name had an address. `None`: it has none, or not yet; a dial may still go where it went before.
    pub(crate) fn named(&self) -> Option<Duration> {
        self.0.named.get().copied()
    }

    /// From then until there was a TCP connection, the first one.
    pub(crate) fn connected(&self) -> Option<Duration> {
        Some(self.0.connected.get()?.saturating_sub(self.named().unwrap_or_default()))
    }

    /// Since there is one.
    pub(crate) fn since_connected(&self) -> Option<Duration> {
        Some(self.0.began.elapsed().saturating_sub(*self.0.connected.get()?))
    }
}

/// Why a dial made no connection, for people.
#[derive(Debug)]
pub(crate) struct Unreached {
    /// Without a full stop.
    pub(crate) sentence: String,
    /// What to do; without a full stop.
    pub(crate) next: &'static str,
    /// False: this machine had nothing to ask with, so nothing is known.
    pub(crate) is_asked: bool,
}

impl Unreached {
    fn of(failure: &Failure, name: &str) -> Self {
        let told = failure.told(name);
        Self { sentence: told.sentence(), next: told.next, is_asked: told.unreached != Some(NOT_ASKED) }
    }
}

/// What was agreed on in a TLS handshake with the upstream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshake {
    /// `TLSv1_3`.
    pub(crate) version: Option<String>,
    /// `X25519MLKEM768`.
    pub(crate) key_exchange: Option<String>,
    /// The protocol within it.
    pub(crate) alpn: Option<String>,
    /// Who issued the server's certificate.
    pub(crate) issuer: Option<String>,
    /// Until when it is valid, in seconds since 1970.
    pub(crate) not_after_unix_s: Option<i64>,
}

/// A connection that was made.
pub(crate) struct Probed {
    io: Counted,
    forwarded: Option<Forwarded>,
    authority: String,
    /// How long it took, TLS included.
    pub(crate) took: Duration,
    /// `None`: the upstream speaks no TLS.
    pub(crate) handshake: Option<Handshake>,
}

impl std::fmt::Debug for Probed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probed").field("took", &self.took).field("handshake", &self.handshake).finish_non_exhaustive()
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// Its status.
    pub(crate) status: u16,
    /// The server's time.
    pub(crate) date: Option<SystemTime>,
    /// The connection stays open.
    pub(crate) is_kept: bool,
}

impl Prober {
    /// `own` is Leeward's own address, which is never dialled.
    pub(crate) fn new(config: Config, own: SocketAddr) -> Self {
        let (_, network) = watch::channel(Network::default());
        let context = Arc::new(DialContext::new(&config, Arc::new(PathCache::new(network)), own));
        Self::with(Arc::new(config), context)
    }

    /// With what an engine dials with.
    pub(in crate::upstream) fn with(config: Arc<Config>, context: Arc<DialContext>) -> Self {
        let budget = Budgets::new(&config.retry).of(&Endpoint::of(&config.upstream));
        Self { budget, context, config }
    }

    /// The company proxy on the way.
    pub(crate) fn proxy(&self, url: &Url) -> Option<CompanyProxy> {
        let endpoint = Endpoint::of(url);
        self.context.proxying.route(endpoint.tls, &endpoint.host, endpoint.port)
    }

    /// Whether the config lets hellos carry a post-quantum share.
    pub(crate) fn may_offer_post_quantum(&self) -> bool {
        self.context.connectors.may_offer_post_quantum()
    }

    /// Where the next connection may go: the addresses of the upstream, or of the company proxy before it.
    pub(crate) async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, Failure> {
        let endpoint = Endpoint::of(url);
        let dial = self.dial(&endpoint);
        let next = self.proxy(url).map_or((endpoint.host.clone(), endpoint.port), |proxy| (proxy.host, proxy.port));
        dial.resolve(&next.0, next.1).await
    }

    /// One connection to one of them.
    pub(crate) async fn connect(&self, url: &Url, address: SocketAddr, post_quantum: bool) -> Result<Probed, Failure> {
        let endpoint = Endpoint::of(url);
        let dial = self.dial(&endpoint);
        let proxy = self.proxy(url);
        let (host, port) = proxy.as_ref().map_or((endpoint.host.clone(), endpoint.port), |p| (p.host.clone(), p.port));
        let mut next = Next { proxy, host: &host, port, address: None };
        if next.proxy.as_ref().is_some_and(|p| p.kind == ProxyKind::Socks5) {
            next.address = dial.resolve(&endpoint.host, endpoint.port).await?.first().map(SocketAddr::ip);
        }
        if dial.is_own(address) {
            return Err(dial.own_address(&next));
        }
        let share = if post_quantum { Share::PostQuantum } else { Share::Classical };
        let began = Instant::now();
        let (io, _, forwarded) = dial.reach(&next, Try { address, share, after: None }).await?;
        Self::probed(&endpoint, io, forwarded, began)
    }

    /// A dial as for a request: addresses are raced, and what is known of the network counts. `walk` sees how it goes.
    pub(crate) async fn dial_by_steps(&self, url: &Url, walk: &Walk) -> Result<Probed, Unreached> {
        let endpoint = Endpoint::of(url);
        let made = Dial { steps: Some(&walk.0), ..self.dial(&endpoint) }.run().await;
        let probed = made.and_then(|Made { io, forwarded, .. }| Self::probed(&endpoint, io, forwarded, walk.0.began));
        probed.map_err(|failure| Unreached::of(&failure, &endpoint.name()))
    }

    fn probed(endpoint: &Endpoint, io: Io, forwarded: Option<Forwarded>, began: Instant) -> Result<Probed, Failure> {
        let took = began.elapsed();
        let authority = endpoint.authority().ok_or_else(|| Failure::new(Cause::Connect, format!("{endpoint} is no host")))?;
        let handshake = endpoint.tls.then(|| agreed(&io));
        let io = Counted::new(io, Arc::new(Meter::default()));
        Ok(Probed { io, forwarded, authority: authority.to_string(), took, handshake })
    }

    /// A handshake whose hello is classical and as large as a post-quantum one: names of protocols that nobody speaks fill it.
    /// What refuses this and not a small one refuses the size. A certificate is none of its business.
    pub(crate) async fn padded(&self, url: &Url, address: SocketAddr) -> Result<(), Failure> {
        let endpoint = Endpoint::of(url);
        let proxy = self.proxy(url);
        let (host, port) = proxy.as_ref().map_or((endpoint.host.clone(), endpoint.port), |p| (p.host.clone(), p.port));
        let mut next = Next { proxy, host: &host, port, address: None };
        let dial = Dial { blind: true, ..self.dial(&endpoint) };
        if next.proxy.as_ref().is_some_and(|p| p.kind == ProxyKind::Socks5) {
            next.address = dial.resolve(&endpoint.host, endpoint.port).await?.first().map(SocketAddr::ip);
        }
        let (io, ..) = dial.reach(&next, Try { address, share: Share::Classical, after: None }).await?;
        let broke = |why: String| Failure::new(Cause::Tls, format!("the TLS handshake broke ({why})"));
        let mut config = self.context.connectors.connector(Share::Classical)?.config().as_ref().clone();
        let filling = (0..PADDING).map(|n| format!("x-leeward-padding-{n:0>200}").into_bytes());
        config.alpn_protocols.extend(filling);
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|e| broke(e.to_string()))?;
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, Counted::new(io, Arc::new(Meter::default())));
        match timeout(self.config.connect.tls_timeout, shaken).await {
            Err(_) => Err(broke(format!("no response within {:?}", self.config.connect.tls_timeout))),
            // Whoever sends a certificate or an alert has read all of the hello.
            Ok(Err(e)) if e.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => Ok(()),
            Ok(Err(e)) => Err(broke(e.to_string())),
            Ok(Ok(_)) => Ok(()),
        }
    }

    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> Dial<'a> {
        Dial::new(endpoint, &self.config, &self.context, &self.budget)
    }
}

fn agreed(io: &Io) -> Handshake {
    let session = match io {
        Io::Plain(_) => return Handshake::default(),
        Io::Tls(stream) => stream.get_ref().1,
        Io::Nested(stream) => stream.get_ref().1,
    };
    let certificate = session.peer_certificates().and_then(|chain| X509Certificate::from_der(chain.first()?).ok());
    Handshake {
        version: session.protocol_version().map(|version| format!("{version:?}")),
        key_exchange: session.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
        alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        issuer: certificate.as_ref().map(|(_, c)| escape::foreign(&c.issuer().to_string()).into_owned()),
        not_after_unix_s: certificate.map(|(_, c)| c.validity().not_after.timestamp()),
    }
}

impl Probed {
    /// A HEAD of a path, without any credential of an API.
    ///
    /// # Errors
    /// What broke, as a clause.
    pub(crate) async fn head(&mut self, path: &str) -> Result<Answered, String> {
        let origin = self.forwarded.as_ref().map_or("", |f| f.origin.as_str());
        let login = self.forwarded.as_ref().and_then(|f| f.login.as_ref()?.to_str().ok());
        let login = login.map_or_else(String::new, |login| format!("Proxy-Authorization: {login}\r\n"));
        let agent = concat!("leeward-doctor/", env!("CARGO_PKG_VERSION"));
        let request = format!("HEAD {origin}{path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {agent}\r\n{login}\r\n", self.authority);
        let broke = |e: std::io::Error| format!("the connection broke ({e})");
        self.io.write_all(request.as_bytes()).await.map_err(broke)?;
        self.io.flush().await.map_err(broke)?;
        let mut head = Vec::with_capacity(1024);
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= LONGEST_HEAD {
                return Err("the headers do not end".into());
            }
            head.push(self.io.read_u8().await.map_err(broke)?);
        }
        read_head(&head).ok_or_else(|| "the response was not HTTP".into())
    }

    /// Returns once the other side ends the connection or says something that nobody asked for.
    pub(crate) async fn ended(&mut self) -> String {
        match self.io.read_u8().await {
            Ok(_) => "the server sent bytes that nobody asked for".into(),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "the other side closed it".into(),
            Err(e) => format!("it broke ({e})"),
        }
    }
}

fn read_head(head: &[u8]) -> Option<Answered> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(head).ok()?;
    let field = |name: &str| {
        let field = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    };
    Some(Answered {
        status: response.code?,
        date: field("date").and_then(|text| httpdate::parse_http_date(text).ok()),
        is_kept: !field("connection").is_some_and(|value| value.to_ascii_lowercase().contains("close")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_with_its_date() {
        let answered = read_head(b"HTTP/1.1 404 x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: Close\r\n\r\n").unwrap();
        assert!(answered.status == 404 && !answered.is_kept);
        assert_eq!(answered.date.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 784_111_777);
        let bare = read_head(b"HTTP/1.1 200 x\r\nDate: yesterday\r\n\r\n").unwrap();
        assert!(bare.is_kept && bare.date.is_none());
        assert!(read_head(b"220 smtp\r\n\r\n").is_none());
    }
}
