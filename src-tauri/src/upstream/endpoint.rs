//! A scheme, host and port: what makes two upstreams share a pool. Pure.

use http::uri::{Authority, Scheme};
use std::net::IpAddr;
use url::Url;

/// What makes two upstreams share a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// True for https.
    pub(crate) tls: bool,
    /// Host name or address, as in the URL and without brackets.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Self { tls: url.scheme() == Scheme::HTTPS.as_str(), host, port: url.port_or_known_default().unwrap_or(443) }
    }

    /// True when it is on this machine: a server that does not run is started by its user, and no network comes back.
    pub(crate) fn is_local(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// As people call it: the port only where it is not the scheme's own.
    pub(crate) fn name(&self) -> String {
        self.authority().map_or_else(|| self.to_string(), |authority| authority.to_string())
    }

    /// The value of `Host`: the port only where it is not the scheme's own.
    pub(crate) fn authority(&self) -> Option<Authority> {
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
