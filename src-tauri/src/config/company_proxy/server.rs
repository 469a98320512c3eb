//! One company proxy: what it speaks, where it is, and the login it wants. Dials nothing.

use crate::config::secret::Secret;
use percent_encoding::percent_decode_str;
use std::net::{IpAddr, SocketAddr};
use url::Url;

/// One company proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanyProxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User and password, percent-decoded.
    pub login: Option<(String, Secret)>,
    /// Key or variable that named it.
    pub source: String,
}

/// What a company proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP (RFC 9110): CONNECT for https upstreams, absolute targets for http ones.
    Http,
    /// The same within TLS.
    Https,
    /// SOCKS version 5 (RFC 1928), names resolved here.
    Socks5,
    /// SOCKS version 5, names resolved by the proxy.
    Socks5h,
}

impl ProxyKind {
    fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// RFC 9110 section 4.2 and RFC 1928 section 3.
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }
}

impl CompanyProxy {
    /// Reads a URL; without a scheme it is an HTTP proxy.
    ///
    /// # Errors
    /// A sentence that says what to write instead, without user and password.
    pub fn parse(text: &str, source: &str) -> Result<Self, String> {
        const FORMS: &str = "write http://, https://, socks5:// or socks5h://, then [USER:PASSWORD@]HOST:PORT";
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&full).map_err(|e| format!("is not the URL of a proxy ({e}); {FORMS}"))?;
        let kind = match url.scheme() {
            "http" => ProxyKind::Http,
            "https" => ProxyKind::Https,
            "socks5" => ProxyKind::Socks5,
            "socks5h" | "socks" => ProxyKind::Socks5h,
            other => return Err(format!("names a proxy of the kind `{other}`, which Leeward does not speak; {FORMS}")),
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        if host.is_empty() {
            return Err(format!("names no host; {FORMS}"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("has something behind host and port; {FORMS}"));
        }
        let decoded = |part: &str| {
            percent_decode_str(part)
                .decode_utf8()
                .map(|t| t.into_owned())
                .map_err(|_| "has a user or password that is not UTF-8 when its % signs are decoded".to_owned())
        };
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some((decoded(user)?, Secret::new(decoded(password.unwrap_or_default())?))),
        };
        // One byte states their length, and it is not 0 (RFC 1929 section 2).
        let fits =
            |(user, password): &(String, Secret)| [user.len(), password.reveal().len()].iter().all(|n| (1..=255).contains(n));
        if matches!(kind, ProxyKind::Socks5 | ProxyKind::Socks5h) && !login.as_ref().is_none_or(fits) {
            return Err("needs both user and password for SOCKS 5, or neither; each has 1 to 255 bytes".into());
        }
        if login.as_ref().is_some_and(|(user, _)| user.contains(':')) {
            return Err("has a user with a colon, which no proxy can tell from the password".into());
        }
        let port = url.port().unwrap_or(kind.default_port());
        Ok(Self { kind, host, port, login, source: source.into() })
    }

    /// The URL without user and password.
    pub fn shown(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{}://{host}:{}", self.kind.scheme(), self.port)
    }

    /// True when it is the very address that Leeward listens on.
    pub fn is_at(&self, own: SocketAddr) -> bool {
        let local = own.ip().is_loopback() || own.ip().is_unspecified();
        let here = is_loopback(&self.host) || self.host.parse().is_ok_and(|ip: IpAddr| ip == own.ip() || ip.is_unspecified());
        own.port() != 0 && self.port == own.port() && here && (local || self.host.parse() == Ok(own.ip()))
    }
}

impl std::fmt::Display for CompanyProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.shown(), self.source)
    }
}

/// True for what never leaves this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
