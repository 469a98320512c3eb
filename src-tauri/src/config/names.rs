//! Entries of `allowed_hosts` and `allowed_origins`: read from what was written, and compared with what a request says. Pure.
//!
//! Neither knows wildcards: whoever may serve one name of a domain could name all others.

use std::{fmt, net::Ipv6Addr};

/// A host that requests may name, with any port or with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    /// Without brackets.
    host: String,
    port: Option<u16>,
}

impl AllowedHost {
    /// Reads an entry: a name or an address, with a port or without.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` {why}, such as \"llm.example.com\" or \"llm.example.com:8443\""));
        if text.contains('*') {
            return wrong("is a wildcard, and Leeward compares whole names; list each name");
        }
        if text.contains('/') {
            return wrong("is a URL or a path; write its host alone");
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self { host: address.to_string(), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port != 0 => Some(port),
            Some(_) => return wrong("has no valid port after its colon; write a host"),
        };
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(address) => match address.parse::<Ipv6Addr>() {
                Ok(address) => address.to_string(),
                Err(_) => return wrong("has brackets around what is no IPv6 address; write a host"),
            },
            None => host.to_owned(),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if host.is_empty() || !host.bytes().all(plain) || (host.contains(':') && host.parse::<Ipv6Addr>().is_err()) {
            return wrong("is not a host as a request names it (ASCII; xn--… for other letters); write a host");
        }
        Ok(Self { host, port })
    }

    /// Whether it is this host, as a request names it without brackets; `port` if the request names one.
    pub fn is(&self, host: &str, port: Option<u16>) -> bool {
        let same_host = match (self.host.parse::<Ipv6Addr>(), host.parse::<Ipv6Addr>()) {
            (Ok(own), Ok(given)) => own == given,
            _ => self.host.eq_ignore_ascii_case(host),
        };
        // A request over plain HTTP names no port if it is 80.
        same_host && self.port.is_none_or(|own| own == port.unwrap_or(80))
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// An origin that may send requests to upstreams, as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin(String);

impl AllowedOrigin {
    /// Reads an entry: scheme, host and, if it is not the scheme's own, a port.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` {why}, such as \"https://app.example.com\" or \"http://localhost:3000\""));
        if text == "null" {
            return Err("`null` is what pages of many sources send, so it names none of them; give the page an origin".into());
        }
        if text.contains('*') {
            return wrong("is a wildcard, and Leeward compares whole origins; list each one");
        }
        let Some((scheme, authority)) = text.split_once("://") else {
            return wrong("has no scheme; write an origin");
        };
        let sound_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !sound_scheme || authority.is_empty() {
            return wrong("is not an origin; write scheme and host");
        }
        if authority.contains(['/', '?', '#', '@']) {
            return wrong("is more than an origin; write scheme, host and port alone, without a slash at the end");
        }
        if !authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b)) {
            return wrong("is not an origin as browsers write it (ASCII; xn--… for other letters); write one");
        }
        let default = match scheme.to_ascii_lowercase().as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        if !default.is_empty() && authority.ends_with(default) {
            return wrong("names its scheme's own port, which browsers leave out; write it without");
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether it is this one, as a request's `Origin` writes it.
    pub fn is(&self, origin: &str) -> bool {
        self.0.eq_ignore_ascii_case(origin)
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses_with_or_without_a_port() {
        for (entry, host, port, want) in [
            ("llm.example.com", "llm.example.com", None, true),
            ("llm.example.com", "LLM.example.com", Some(8787), true),
            ("llm.example.com", "x.llm.example.com", None, false),
            ("llm.example.com:8443", "llm.example.com", Some(8443), true),
            ("llm.example.com:8443", "llm.example.com", Some(8787), false),
            ("llm.example.com:8443", "llm.example.com", None, false),
            ("llm.example.com:80", "llm.example.com", None, true),
            ("10.0.0.7", "10.0.0.7", Some(1), true),
            ("fd00::7", "fd00:0::7", Some(1), true),
            ("[fd00::7]:9", "fd00::7", Some(9), true),
            ("[fd00::7]:9", "fd00::7", Some(8), false),
            ("my_box", "my_box", None, true),
        ] {
            let entry = AllowedHost::parse(entry).unwrap();
            assert_eq!(entry.is(host, port), want, "{entry} {host} {port:?}");
            assert_eq!(AllowedHost::parse(&entry.to_string()), Ok(entry.clone()), "as it is written: {entry}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_a_sentence() {
        for (entry, want) in [
            ("*.example.com", "is a wildcard"),
            ("*", "is a wildcard"),
            ("http://llm.example.com", "is a URL"),
            ("llm.example.com/", "is a URL"),
            ("llm.example.com:", "no valid port"),
            ("llm.example.com:0", "no valid port"),
            ("llm.example.com:70000", "no valid port"),
            ("[llm.example.com]", "brackets"),
            ("", "is not a host"),
            (":80", "is not a host"),
            ("a b", "is not a host"),
            ("bücher.example", "is not a host"),
            ("me@host", "is not a host"),
        ] {
            let got = AllowedHost::parse(entry).unwrap_err();
            assert!(got.contains(want) && got.contains("llm.example.com:8443"), "{entry}: {got}");
        }
    }

    #[test]
    fn origins_are_exact() {
        let entry = AllowedOrigin::parse("vscode-webview://1a2b").unwrap();
        assert!(entry.is("vscode-webview://1a2b") && !entry.is("vscode-webview://1a2b3"));
        assert!(AllowedOrigin::parse("HTTP://LocalHost:3000").unwrap().is("http://localhost:3000"));
        for good in ["https://app.example.com", "http://[::1]:3000", "chrome-extension://abcdef", "tauri://localhost"] {
            assert_eq!(AllowedOrigin::parse(good).unwrap().to_string(), good);
        }
        for (entry, want) in [
            ("null", "names none of them"),
            ("https://*.example.com", "is a wildcard"),
            ("app.example.com", "no scheme"),
            ("https://", "is not an origin"),
            ("1s://x", "is not an origin"),
            ("https://app.example.com/", "is more than an origin"),
            ("https://app.example.com?x", "is more than an origin"),
            ("https://me@app.example.com", "is more than an origin"),
            ("https://app.example.com:443", "its scheme's own port"),
            ("http://localhost:80", "its scheme's own port"),
            ("https://bücher.example", "as browsers write it"),
            ("", "no scheme"),
        ] {
            let got = AllowedOrigin::parse(entry).unwrap_err();
            assert!(got.contains(want), "{entry}: {got}");
        }
    }
}
