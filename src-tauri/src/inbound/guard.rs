//! Who may talk to us and what a request may look like, once hyper has parsed it. Pure.
//!
//! `head` and `chunks` look at the raw bytes before that.

pub mod chunks;
#[cfg(test)]
mod fuzz;
pub mod head;

use crate::{
    config::Config,
    message::{self, headers::CLIENT_TOKEN},
};
use http::{
    Method, Uri,
    header::{HOST, HeaderMap, ORIGIN},
    uri::Authority,
};
use std::net::SocketAddr;

/// Why a parsed request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The `Host` is neither loopback nor allowed: a web page may have rebound a name to us.
    ForeignHost,
    /// The request comes from a web page.
    ForeignOrigin,
    /// The client token is missing or wrong.
    Token,
    /// `CONNECT`: the tunnel is another mode.
    Connect,
    /// A protocol upgrade.
    Upgrade,
    /// An absolute target that is not ours: we are no forward proxy.
    ForeignTarget,
    /// `.` or `..` in the path.
    DotSegments,
    /// A body larger than `limits.body_bytes`.
    BodyTooLarge,
}

/// Checks one request that arrived on `local`.
///
/// # Errors
/// The first reason to refuse it.
pub fn check(config: &Config, local: SocketAddr, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    if method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let port = local.port();
    let host = headers.get(HOST).map(|v| v.to_str().unwrap_or("\u{0}"));
    // HTTP/1.0 may leave it out; the raw guard has refused that for HTTP/1.1.
    if host.is_some_and(|h| !is_own_authority(config, port, h)) {
        return Err(Refusal::ForeignHost);
    }
    if uri.authority().is_some_and(|a| !is_own_authority(config, port, a.as_str())) {
        return Err(Refusal::ForeignTarget);
    }
    // Only the panel is a web page of ours, and it asks nothing but control paths, of the very authority it came from.
    let control = uri.path().starts_with("/_leeward/");
    let same_origin = |origin: &str| {
        let authority = origin.strip_prefix("http://");
        control && authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    };
    if headers.get_all(ORIGIN).iter().any(|o| !o.to_str().is_ok_and(same_origin)) {
        return Err(Refusal::ForeignOrigin);
    }
    // A browser cannot send it with a page; control paths ask for a stronger one of their own.
    if !control
        && let Some(token) = &config.client_token
        && !headers.get(CLIENT_TOKEN).and_then(|v| v.to_str().ok()).is_some_and(|given| token.matches(given))
    {
        return Err(Refusal::Token);
    }
    if message::headers::asks_for_upgrade(headers) {
        return Err(Refusal::Upgrade);
    }
    if has_dot_segments(uri.path()) {
        return Err(Refusal::DotSegments);
    }
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|n| n > config.limits.body_bytes) {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
}

/// A loopback name, or one that `allowed_hosts` lists, with our port (or none, which only port 80 could mean).
fn is_own_authority(config: &Config, port: u16, text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') || authority.port_u16().unwrap_or(80) != port {
        return false;
    }
    let host = authority.host().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback() || (config.client_token.is_some() && ip == config.listen.ip()))
        || config.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
}

/// True when a segment is `.` or `..`, percent-encoded or not: what they mean upstream is not ours to guess.
fn has_dot_segments(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), text).unwrap();
        Config::under(home.path()).unwrap()
    }

    fn verdict(config: &Config, target: &str, fields: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        for (n, v) in fields {
            headers.append(http::HeaderName::from_bytes(n.as_bytes()).unwrap(), v.parse().unwrap());
        }
        check(config, "127.0.0.1:8787".parse().unwrap(), &Method::POST, &target.parse().unwrap(), &headers)
    }

    #[test]
    fn only_loopback_names_with_our_port_are_hosts() {
        let config = config("allowed_hosts = ['host.docker.internal']");
        for good in
            ["127.0.0.1:8787", "localhost:8787", "LocalHost:8787", "[::1]:8787", "127.9.9.9:8787", "host.docker.internal:8787"]
        {
            assert_eq!(verdict(&config, "/v1/messages", &[("host", good)]), Ok(()), "{good}");
        }
        for bad in [
            "evil.example:8787",
            "127.0.0.1:80",
            "127.0.0.1",
            "127.0.0.1.evil.example:8787",
            "a@127.0.0.1:8787",
            "0.0.0.0:8787",
            "",
        ] {
            assert_eq!(verdict(&config, "/", &[("host", bad)]), Err(Refusal::ForeignHost), "{bad}");
        }
    }

    #[test]
    fn web_pages_are_refused() {
        let config = config("");
        let host = ("host", "localhost:8787");
        for bad in ["https://evil.example", "null", "http://localhost:3000", "http://localhost"] {
            for path in ["/", "/_leeward/v1/status", "/_leeward/ui/"] {
                assert_eq!(verdict(&config, path, &[host, ("origin", bad)]), Err(Refusal::ForeignOrigin), "{bad} {path}");
            }
        }
        let own = ("origin", "http://localhost:8787");
        assert_eq!(verdict(&config, "/_leeward/v1/status", &[host, own]), Ok(()));
        assert_eq!(verdict(&config, "/v1/messages", &[host, own]), Err(Refusal::ForeignOrigin), "the panel asks no upstream");
        let twice = [host, own, ("origin", "https://evil.example")];
        assert_eq!(verdict(&config, "/_leeward/v1/status", &twice), Err(Refusal::ForeignOrigin));
        let rebound = [("host", "evil.example:8787"), ("origin", "http://evil.example:8787")];
        assert_eq!(verdict(&config, "/_leeward/v1/status", &rebound), Err(Refusal::ForeignHost));
        let other_name = [("host", "127.0.0.1:8787"), own];
        assert_eq!(verdict(&config, "/_leeward/v1/status", &other_name), Err(Refusal::ForeignOrigin));
    }

    #[test]
    fn targets_are_ours_and_plain() {
        let config = config("");
        let host = [("host", "localhost:8787")];
        assert_eq!(verdict(&config, "http://localhost:8787/v1/messages", &host), Ok(()));
        assert_eq!(verdict(&config, "http://example.com/", &host), Err(Refusal::ForeignTarget));
        for bad in ["/a/../b", "/..", "/a/%2e%2E/b", "/./a", "/a/.%2e"] {
            assert_eq!(verdict(&config, bad, &host), Err(Refusal::DotSegments), "{bad}");
        }
        for good in ["/a..b/c", "/v1/models/..hidden", "/a/...", "/?q=../x"] {
            assert_eq!(verdict(&config, good, &host), Ok(()), "{good}");
        }
    }

    #[test]
    fn the_client_token_is_asked_for_when_set() {
        let config = config("listen = '0.0.0.0:8787'\nclient_token = 'a-secret-of-tests'");
        let host = ("host", "127.0.0.1:8787");
        assert_eq!(verdict(&config, "/", &[host]), Err(Refusal::Token));
        assert_eq!(verdict(&config, "/", &[host, ("x-leeward-token", "wrong!")]), Err(Refusal::Token));
        assert_eq!(verdict(&config, "/", &[host, ("x-leeward-token", "a-secret-of-tests")]), Ok(()));
        assert_eq!(verdict(&config, "/_leeward/v1/status", &[host]), Ok(()), "the control token is asked for there");
        assert_eq!(verdict(&config, "/@a/_leeward/", &[host]), Err(Refusal::Token));
    }

    #[test]
    fn upgrades_and_huge_bodies_are_refused() {
        let config = config("[limits]\nbody_bytes = '1KiB'");
        let host = ("host", "127.0.0.1:8787");
        assert_eq!(verdict(&config, "/", &[host, ("upgrade", "websocket")]), Err(Refusal::Upgrade));
        assert_eq!(verdict(&config, "/", &[host, ("content-length", "1025")]), Err(Refusal::BodyTooLarge));
        assert_eq!(verdict(&config, "/", &[host, ("content-length", "1024")]), Ok(()));
    }
}
