//! The guard inside a decrypted tunnel. Pure.
//!
//! Whoever speaks here has shown a session's token and the tunnel has one host, so that neither a page nor a rebound name can be
//! behind a request. What a request may look like is the same as at the listener.

use super::{Refusal, has_dot_segments};
use crate::config::Config;
use http::{
    Method, Uri,
    header::{CONTENT_LENGTH, HOST, HeaderMap},
};

/// Checks one request of a tunnel to `host`.
///
/// # Errors
/// The first reason to refuse it.
pub(in crate::inbound) fn check_inside(
    config: &Config,
    host: &str,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    if method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let is_host = |text: &str| text.strip_suffix(":443").unwrap_or(text).eq_ignore_ascii_case(host);
    if uri.authority().is_some_and(|authority| !is_host(authority.as_str())) {
        return Err(Refusal::ForeignTarget);
    }
    if headers.get(HOST).is_some_and(|named| !named.to_str().is_ok_and(is_host)) {
        return Err(Refusal::ForeignHost);
    }
    if has_dot_segments(uri.path()) {
        return Err(Refusal::DotSegments);
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|n| n > config.limits.body_bytes) {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_the_tunnels_host_and_looks_like_any_other() {
        let home = tempfile::tempdir().unwrap();
        let config = Config::under(home.path()).unwrap();
        let large = (config.limits.body_bytes + 1).to_string();
        for (method, target, fields, want) in [
            (Method::GET, "/v1/models", &[("host", "api.x")][..], Ok(())),
            (Method::GET, "/v1/models", &[("host", "API.x:443")], Ok(())),
            (Method::GET, "https://api.x/v1/models", &[("host", "api.x")], Ok(())),
            (Method::GET, "/livez", &[("host", "api.x")], Ok(())),
            (Method::POST, "/v1/messages", &[("host", "api.x"), ("origin", "https://evil.x")], Ok(())),
            (Method::POST, "/", &[("host", "api.x"), ("sec-fetch-site", "cross-site")], Ok(())),
            (Method::GET, "/", &[], Ok(())),
            (Method::GET, "/", &[("host", "127.0.0.1")], Err(Refusal::ForeignHost)),
            (Method::GET, "/", &[("host", "api.x:8443")], Err(Refusal::ForeignHost)),
            (Method::GET, "/", &[("host", "api.x.evil")], Err(Refusal::ForeignHost)),
            (Method::GET, "https://evil.x/", &[("host", "api.x")], Err(Refusal::ForeignTarget)),
            (Method::CONNECT, "evil.x:443", &[("host", "api.x")], Err(Refusal::Connect)),
            (Method::GET, "/v1/../x", &[("host", "api.x")], Err(Refusal::DotSegments)),
            (Method::GET, "/v1/responses", &[("host", "api.x"), ("upgrade", "websocket")], Ok(())),
            (Method::POST, "/", &[("host", "api.x"), ("content-length", &large)], Err(Refusal::BodyTooLarge)),
        ] {
            let fields = fields.iter().map(|(n, v)| (n.parse::<http::HeaderName>().unwrap(), v.parse().unwrap())).collect();
            assert_eq!(check_inside(&config, "api.x", &method, &target.parse().unwrap(), &fields), want, "{method} {target}");
        }
    }
}
