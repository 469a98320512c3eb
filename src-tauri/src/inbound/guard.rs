//! Who may talk to us and what a request may look like, once hyper has parsed it. Pure.
//!
//! `head` and `chunks` look at the raw bytes before that; `host` knows our names, `browser` what comes from a web page.

mod browser;
pub mod chunks;
#[cfg(test)]
mod fuzz;
pub mod head;
mod host;
mod inside;
#[cfg(test)]
mod tests;

pub(super) use inside::check_inside;

use crate::{
    admin::is_own,
    config::{CLIENT_TOKEN_HEADER, Config},
};
use browser::Sender;
use http::{
    Method, Uri,
    header::{HOST, HeaderMap, ORIGIN},
};
use std::net::SocketAddr;

/// What a request is that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// For one of Leeward's own paths.
    Own,
    /// For an upstream.
    Upstream,
    /// A browser opened an upstream's path: it gets a page of ours, and nothing is sent upstream.
    Navigation,
}

/// Why a parsed request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The `Host` is neither loopback nor allowed: a web page may have rebound a name to us.
    ForeignHost,
    /// The request comes from a web page of another origin.
    ForeignOrigin,
    /// A browser asks for an upstream's path on behalf of a page that is not allowed to.
    FromBrowser,
    /// The client token is missing or wrong.
    Token,
    /// `CONNECT`: the tunnel is another mode.
    Connect,
    /// A WebSocket, where none is carried.
    Upgrade,
    /// An absolute target that is not ours: we are no forward proxy.
    ForeignTarget,
    /// `.` or `..` in the path.
    DotSegments,
    /// A body larger than `limits.body_bytes`.
    BodyTooLarge,
}

/// Whom a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathKind {
    /// `/livez` and `/readyz`, for whoever watches over this machine: by any name, without a token.
    Probe,
    /// The panel and the control API, which ask for a token of their own.
    Control,
    /// Leeward's other paths.
    Own,
    /// Everything else: an upstream's.
    Upstream,
}

impl PathKind {
    fn of(path: &str) -> Self {
        match path {
            "/livez" | "/readyz" => Self::Probe,
            _ if path.starts_with("/_leeward/") => Self::Control,
            _ if is_own(path) => Self::Own,
            _ => Self::Upstream,
        }
    }
}

/// Checks one request that arrived at `local`, the address of our end of its connection.
///
/// # Errors
/// The first reason to refuse it.
pub fn check(config: &Config, local: SocketAddr, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Admitted, Refusal> {
    if method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    // Before the host: a client that takes us for its HTTP_PROXY names the same foreign one there.
    if uri.authority().is_some_and(|a| !host::is_own_target(config, local, a.as_str())) {
        return Err(Refusal::ForeignTarget);
    }
    let kind = PathKind::of(uri.path());
    let host = headers.get(HOST).map(|v| v.to_str().unwrap_or("\u{0}"));
    // No orchestrator sends what browsers do, and a page that has rebound a name learns nothing from probes either.
    let is_probe = kind == PathKind::Probe && !browser::names_its_site(headers);
    // HTTP/1.0 may leave it out; the raw guard has refused that for HTTP/1.1.
    if !is_probe && host.is_some_and(|h| !host::is_own(config, local, h)) {
        return Err(Refusal::ForeignHost);
    }
    // The panel asks nothing but control paths, of the very authority it came from; other pages nothing but upstreams.
    let may_ask = |origin: &str| match kind {
        PathKind::Control => {
            let authority = origin.strip_prefix("http://");
            authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
        }
        PathKind::Upstream => config.allowed_origins.iter().any(|allowed| allowed.is(origin)),
        PathKind::Probe | PathKind::Own => false,
    };
    if headers.get_all(ORIGIN).iter().any(|o| !o.to_str().is_ok_and(may_ask)) {
        return Err(Refusal::ForeignOrigin);
    }
    if kind == PathKind::Upstream {
        let is_allowed = headers.contains_key(ORIGIN);
        match browser::sender(method, uri.path(), headers) {
            Sender::Program => {}
            Sender::Navigation => return Ok(Admitted::Navigation),
            Sender::Page if is_allowed => {}
            Sender::Page | Sender::Renderer => return Err(Refusal::FromBrowser),
        }
    }
    // A browser cannot send it with a page; control paths ask for a stronger one of their own.
    if matches!(kind, PathKind::Own | PathKind::Upstream)
        && let Some(token) = &config.client_token
        && !headers.get(CLIENT_TOKEN_HEADER).and_then(|v| v.to_str().ok()).is_some_and(|given| token.matches(given))
    {
        return Err(Refusal::Token);
    }
    if has_dot_segments(uri.path()) {
        return Err(Refusal::DotSegments);
    }
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|n| n > config.limits.body_bytes) {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(if kind == PathKind::Upstream { Admitted::Upstream } else { Admitted::Own })
}

/// True when a segment is `.` or `..`, percent-encoded or not: what they mean upstream is not ours to guess.
fn has_dot_segments(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    })
}
