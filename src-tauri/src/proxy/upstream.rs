//! The upstream side: connections whose phase is known, so that a failure says what the origin can have seen.
//!
//! An `Origin` is a scheme, host and port with one pool; several named upstreams may share it. Decides nothing about
//! retries (`retry`) and answers no client (`error`).

mod circuit;
mod connection;
mod dial;
mod paths;
mod pool;
mod socket;
mod tls;
mod tune;
mod tunnel;

pub(super) use connection::{Connection, head_length, innermost};
pub(super) use paths::PathCache;
pub(super) use pool::{CONDITIONS, Lease, Origin, Parts};

use super::Proxy;
use crate::{
    config::{Config, Proxying},
    status::traffic::{Cause, UpstreamTraffic},
};
use http::{
    HeaderValue,
    uri::{Authority, PathAndQuery, Scheme, Uri},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use url::Url;

/// Why an attempt failed, and what follows for the origin.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// What went wrong; see `Cause` for what each says about the origin.
    pub(super) cause: Cause,
    /// One clause for the sentence that a user may see: host and reason, nothing of the request.
    pub(super) detail: String,
}

impl Failure {
    fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }
}

/// How the upstreams of one generation are reached.
#[derive(Debug)]
pub(super) struct DialContext {
    connectors: tls::Connectors,
    cache: Arc<PathCache>,
    /// Company proxies; none of them is Leeward itself by way of a variable.
    proxying: Proxying,
    /// Leeward's own address, which must not be dialled.
    own: SocketAddr,
    /// How long nothing of a request may move; `None`: for ever.
    write_stall: Option<Duration>,
    /// Interval of keep-alive probes.
    keepalive: Duration,
}

impl DialContext {
    pub(super) fn new(config: &Config, cache: Arc<PathCache>, own: SocketAddr) -> Self {
        let proxying = config.proxy.clone().without(own);
        for dropped in &proxying.dropped {
            tracing::warn!("{dropped} is Leeward's own address and is ignored: requests would go round in a circle");
        }
        Self {
            connectors: tls::Connectors::new(config.trust.clone(), config.tls.clone()),
            cache,
            proxying,
            own,
            write_stall: Some(config.connect.write_stall).filter(|d| !d.is_zero()),
            keepalive: config.pool.keepalive,
        }
    }
}

/// One upstream by name.
#[derive(Debug)]
pub(super) struct Upstream {
    /// Its counters.
    pub(super) traffic: Arc<UpstreamTraffic>,
    /// Where its connections go.
    pub(super) origin: Arc<pool::Origin>,
    /// The value of `Host`; none where the place makes no valid one.
    pub(super) host: Option<HeaderValue>,
    /// Put before every target; no `/` at its end.
    prefix: String,
}

impl Upstream {
    pub(super) fn new(proxy: &Proxy, name: &str, url: &Url, origin: Arc<pool::Origin>) -> Self {
        let host = origin.endpoint.authority().and_then(|authority| HeaderValue::try_from(authority.as_str()).ok());
        Self { traffic: proxy.shared.traffic.upstream(name), origin, host, prefix: url.path().trim_end_matches('/').to_owned() }
    }

    /// The target to ask the origin for; `None` when the two do not make a valid one.
    pub(super) fn target(&self, rest: &str) -> Option<Uri> {
        if self.prefix.is_empty() && rest != "*" {
            return PathAndQuery::try_from(rest).ok().map(Uri::from);
        }
        PathAndQuery::try_from(format!("{}{rest}", self.prefix)).ok().map(Uri::from)
    }
}

/// What makes two upstreams share a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// True for https.
    pub(super) tls: bool,
    /// Host name or address, as in the URL and without brackets.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
}

impl Endpoint {
    pub(super) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Self { tls: url.scheme() == Scheme::HTTPS.as_str(), host, port: url.port_or_known_default().unwrap_or(443) }
    }

    /// The value of `Host`: the port only where it is not the scheme's own.
    pub(super) fn authority(&self) -> Option<Authority> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.tls { 443 } else { 80 };
        let text = if self.port == default { host } else { format!("{host}:{}", self.port) };
        Authority::try_from(text).ok()
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
