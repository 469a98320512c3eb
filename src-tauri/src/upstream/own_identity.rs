//! What an upstream or a company proxy learns of the user that Leeward runs as, whoever sends the request. Pure.

use super::endpoint::Endpoint;
use crate::config::{CompanyProxy, ProxyKind};

/// Names what is shown on the way to an endpoint, by the key or variable that it comes from; `None` where nothing is.
/// `certificate`: whether there is one to show; `may_change`: the proxy may be one within TLS later.
pub(super) fn shown(certificate: bool, endpoint: &Endpoint, proxy: Option<&CompanyProxy>, may_change: bool) -> Option<String> {
    let is_tls = endpoint.tls || may_change || proxy.is_some_and(|p| p.kind == ProxyKind::Https);
    if certificate && is_tls {
        return Some("the client certificate of tls.client_cert".to_owned());
    }
    proxy.filter(|p| p.login.is_some()).map(|p| format!("the company proxy's login from {}", p.source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_shows_who_we_are_is_named() {
        const CERTIFICATE: Option<&str> = Some("tls.client_cert");
        const LOGIN: Option<&str> = Some("proxy.url");
        for (certificate, url, proxy, want) in [
            (false, "https://api", None, None),
            (false, "http://api", None, None),
            (true, "https://api", None, CERTIFICATE),
            (true, "http://api", None, None),
            (true, "http://api", Some("http://corp:80"), None),
            (true, "http://api", Some("https://corp:80"), CERTIFICATE),
            (true, "https://api", Some("socks5h://corp:80"), CERTIFICATE),
            (true, "http://api", Some("http://me:pw@corp:80"), LOGIN),
            (false, "http://api", Some("http://corp:80"), None),
            (false, "https://api", Some("https://corp:80"), None),
            (false, "http://api", Some("http://me:pw@corp:80"), LOGIN),
            (false, "https://api", Some("http://me:pw@corp:80"), LOGIN),
            (false, "https://api", Some("https://me@corp:80"), LOGIN),
            (false, "https://api", Some("socks5://me:pw@corp:80"), LOGIN),
        ] {
            let endpoint = Endpoint::of(&url.parse().unwrap());
            let proxy = proxy.map(|url| CompanyProxy::parse(url, "proxy.url").unwrap());
            let told = shown(certificate, &endpoint, proxy.as_ref(), false);
            let names = |key: &str| told.as_deref().is_some_and(|told| told.ends_with(key) && !told.contains("pw"));
            assert!(want.map_or(told.is_none(), names), "{url} by {proxy:?}: {told:?}");
            let later = shown(certificate, &endpoint, proxy.as_ref(), true);
            assert!(later == told || certificate, "{url} by {proxy:?}: {later:?}");
            assert!(!certificate || later.is_some_and(|later| later.contains("tls.client_cert")), "{url} by {proxy:?}");
        }
    }
}
