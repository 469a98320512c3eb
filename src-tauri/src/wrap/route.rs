//! From the base URL an agent would use to the one behind Leeward. Pure: URLs in, URLs out.

use crate::{
    config::Config,
    instance::{base_url, reachable},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};
use url::Url;

/// The variable by which a wrapped program, and a `wrap` inside it, knows that a base URL is Leeward's.
pub const MARKER: &str = "LEEWARD_BASE_URL";

/// Where an agent's requests go by themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstParty<'a> {
    /// The upstream's name; `None` is the default upstream.
    pub upstream: Option<&'a str>,
    /// What the agent's default URL has after the host.
    pub path: &'a str,
}

/// The result of routing one base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// What the agent is given.
    pub url: String,
    /// The upstream's name; `None` is the default upstream.
    pub upstream: Option<String>,
}

/// Turns base URLs into ones that lead through Leeward, and collects the gateways met on the way.
#[derive(Debug)]
pub(super) struct Router<'a> {
    base: String,
    own: Vec<(IpAddr, u16)>,
    config: &'a Config,
    /// Set where the agent's way out is its own: then each upstream has a name of this session, made with this.
    apart: Option<[u8; 16]>,
    /// Gateways that Leeward must know, by the name they are reached under.
    pub gateways: BTreeMap<String, String>,
}

impl<'a> Router<'a> {
    /// A router for a Leeward at `address`. `marker` is the inherited value of `MARKER`.
    pub(super) fn new(address: SocketAddr, config: &'a Config, marker: Option<&str>, apart: Option<[u8; 16]>) -> Self {
        let mut own = vec![(reachable(address).ip(), address.port())];
        if let Some((ip, port)) = marker.and_then(|m| Url::parse(m).ok()).as_ref().and_then(loopback) {
            own.push((ip, port));
        }
        Self { base: base_url(address), own, config, apart, gateways: BTreeMap::new() }
    }

    /// The address that agents are given, without a path.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// True when a URL is Leeward's own, also an earlier one's.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        loopback(url).is_some_and(|(ip, port)| {
            self.own.iter().any(|(own, own_port)| port == *own_port && (ip == *own || (ip.is_loopback() && own.is_loopback())))
        })
    }

    /// Routes what the user has set (`inherited`), or the agent's default.
    ///
    /// # Errors
    /// A sentence, when the inherited value cannot be an upstream.
    pub(super) fn route(&mut self, inherited: Option<&str>, first: FirstParty<'_>) -> Result<Route, String> {
        let Some(text) = inherited.map(str::trim).filter(|t| !t.is_empty()) else {
            return Ok(self.named(first.upstream, first.path));
        };
        // With port 0 nothing counts as Leeward's own: that is decided below, where the earlier address is known too.
        let url = crate::config::check_upstream(text, SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let path = url.path().trim_end_matches('/');
        if self.is_own(&url) {
            return Ok(match path.strip_prefix("/@") {
                Some(rest) => {
                    let name = rest.split('/').next().unwrap_or_default();
                    Route { url: format!("{}{path}", self.base), upstream: Some(name.to_owned()) }
                }
                None => self.named(first.upstream, first.path),
            });
        }
        if first.upstream.is_none()
            && let Some(rest) = below(&url, &self.config.upstream)
        {
            return Ok(self.named(None, rest));
        }
        let known = self.config.upstreams.iter().filter_map(|(name, known)| below(&url, known).map(|rest| (name, rest)));
        if let Some((name, rest)) = known.min_by_key(|(_, rest)| rest.len()) {
            return Ok(self.named(Some(name), rest));
        }
        let gateway = url.as_str().trim_end_matches('/').to_owned();
        Ok(self.gateway(gateway, ""))
    }

    /// A name of this session for a URL.
    fn gateway(&mut self, url: String, path: &str) -> Route {
        let name = match self.apart {
            None => name_of(url.as_bytes()),
            Some(apart) => name_of(&[url.as_bytes(), &apart].concat()),
        };
        let route = self.prefixed(Some(&name), path);
        self.gateways.insert(name, url);
        route
    }

    fn named(&mut self, upstream: Option<&str>, path: &str) -> Route {
        let url = upstream.map_or(Some(&self.config.upstream), |name| self.config.upstreams.get(name));
        match (self.apart, url) {
            (Some(_), Some(url)) => self.gateway(url.as_str().trim_end_matches('/').to_owned(), path),
            _ => self.prefixed(upstream, path),
        }
    }

    fn prefixed(&self, upstream: Option<&str>, path: &str) -> Route {
        let prefix = upstream.map(|name| format!("/@{name}")).unwrap_or_default();
        Route { url: format!("{}{prefix}{path}", self.base), upstream: upstream.map(str::to_owned) }
    }
}

/// Address and port of an http URL that names this machine by number or as localhost.
fn loopback(url: &Url) -> Option<(IpAddr, u16)> {
    let port = url.port_or_known_default()?;
    match url.host()? {
        url::Host::Ipv4(ip) => Some((ip.into(), port)),
        url::Host::Ipv6(ip) => Some((ip.into(), port)),
        url::Host::Domain(name) if name.eq_ignore_ascii_case("localhost") => Some((std::net::Ipv4Addr::LOCALHOST.into(), port)),
        url::Host::Domain(_) => None,
    }
}

/// The rest of a URL's path below an upstream; `None` when it is another server or path.
fn below<'u>(url: &'u Url, upstream: &Url) -> Option<&'u str> {
    if url.origin() != upstream.origin() {
        return None;
    }
    let rest = url.path().trim_end_matches('/').strip_prefix(upstream.path().trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// A name for a URL that is the same in every process and version, and no other URL's: 128 bits of its SHA-256. In base 32,
/// as a log takes a long run of hexadecimal digits for a secret.
fn name_of(gateway: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, gateway);
    let bits = digest.as_ref().iter().take(16).fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let digits = (0..26).rev().map(|at| char::from(DIGITS[(bits >> (5 * at)) as usize & 31]));
    std::iter::once("gw-".to_owned()).chain(digits.map(String::from)).collect()
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
