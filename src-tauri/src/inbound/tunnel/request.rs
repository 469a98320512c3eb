//! The head of a CONNECT: target and token. Pure.

use crate::{config::Secret, upstream::Target};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::uri::Authority;
use std::net::Ipv6Addr;

/// Fields of a head; the guard has counted them before.
const MOST_FIELDS: usize = 256;

/// What a CONNECT asks for.
#[derive(Debug)]
pub struct Connect {
    pub(crate) target: Target,
    /// The password of its Basic credentials.
    pub(crate) token: Option<Secret>,
}

impl Connect {
    /// The target as it is shown.
    pub fn shown(&self) -> String {
        let Target { host, port } = &self.target;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// Why a CONNECT is refused before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// No parser reads it.
    Head,
    /// Not a host and a port.
    Target,
    /// A body: where the tunnel's bytes would begin is not sure.
    Body,
}

/// Whether a head is that of a CONNECT.
pub fn is_connect(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"CONNECT ")
}

/// Reads the head, and where it ends.
///
/// # Errors
/// Why it is refused.
pub fn parse(bytes: &[u8]) -> Result<(Connect, usize), Invalid> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(end)) = request.parse(bytes) else { return Err(Invalid::Head) };
    let mut token = None;
    for field in request.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("transfer-encoding") || (is("content-length") && field.value != b"0") {
            return Err(Invalid::Body);
        }
        if is("proxy-authorization") {
            token = password(field.value);
        }
    }
    let target = request.path.and_then(target).ok_or(Invalid::Target)?;
    Ok((Connect { target, token }, end))
}

fn target(text: &str) -> Option<Target> {
    let authority: Authority = text.parse().ok()?;
    let port = authority.as_str().strip_prefix(authority.host())?.strip_prefix(':')?.parse().ok().filter(|port| *port > 0)?;
    let host = host(authority.host())?.to_owned();
    Some(Target { host, port })
}

/// A name or an address, without brackets; a URI may hold more than either.
fn host(text: &str) -> Option<&str> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let v6 = bracketed.strip_suffix(']')?;
        return v6.split('%').next()?.parse::<Ipv6Addr>().is_ok().then_some(v6);
    }
    let is_name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    is_name.then_some(text)
}

fn password(value: &[u8]) -> Option<Secret> {
    let (scheme, encoded) = std::str::from_utf8(value).ok()?.trim().split_once(' ')?;
    let plain = BASE64_STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
    Some(Secret::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_host_and_a_port_and_nothing_else() {
        for (text, want) in [
            ("api.x:443", Some("api.x:443")),
            ("[::1]:8443", Some("[::1]:8443")),
            ("10.0.0.1:22", Some("10.0.0.1:22")),
            ("api.x", None),
            ("api.x:0", None),
            ("api.x:65536", None),
            ("me@api.x:443", None),
            ("http://api.x:443", None),
            ("/", None),
            (":443", None),
            (";[0]:8443", None),
            ("a;b:443", None),
            ("[::1:443", None),
            ("[a.b]:443", None),
            ("my_host-1.corp.:443", Some("my_host-1.corp.:443")),
        ] {
            let head = format!("CONNECT {text} HTTP/1.1\r\nhost: x\r\n\r\nrest");
            let parsed = parse(head.as_bytes());
            assert_eq!(parsed.as_ref().ok().map(|(asked, _)| asked.shown()).as_deref(), want, "{text}");
            assert!(parsed.is_err() || parsed.is_ok_and(|(_, end)| &head[end..] == "rest"));
        }
    }

    #[test]
    fn the_token_is_the_password_of_basic_credentials_and_never_shown() {
        for (field, want) in [
            ("Proxy-Authorization: Basic bGVld2FyZDpodXNo", Some("hush")),
            ("proxy-authorization: basic  bGVld2FyZDpodXNo ", Some("hush")),
            ("Proxy-Authorization: Bearer bGVld2FyZDpodXNo", None),
            ("Proxy-Authorization: Basic ???", None),
            ("Authorization: Basic bGVld2FyZDpodXNo", None),
        ] {
            let head = format!("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n{field}\r\n\r\n");
            let (asked, _) = parse(head.as_bytes()).unwrap();
            assert_eq!(asked.token.as_ref().map(Secret::reveal), want, "{field}");
            assert!(!format!("{asked:?}").contains("hush"));
        }
        for field in ["transfer-encoding: chunked", "content-length: 1"] {
            let head = format!("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n{field}\r\n\r\n");
            assert_eq!(parse(head.as_bytes()).unwrap_err(), Invalid::Body);
        }
    }
}
