//! The way through a company proxy: asks it for a tunnel (CONNECT, RFC 9110 section 9.3.6; SOCKS 5) and says what it said.
//!
//! Speaks over any stream and reads not a byte more than the proxy's own reply. Sends no request of a client's.

mod socks;

use super::{endpoint::Endpoint, heard::Heard};
use crate::{
    config::{CompanyProxy, ProxyKind},
    message::Failure,
    status::faults::Cause,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Request, Uri, header::PROXY_AUTHORIZATION};
use std::{io, net::IpAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// More than any proxy says, error pages excluded.
const LONGEST_HEAD: usize = 16 << 10;
/// Fields of such a head.
const MOST_FIELDS: usize = 100;

/// What a tunnel is asked for.
pub(super) struct Wanted<'a> {
    pub(super) proxy: &'a CompanyProxy,
    pub(super) endpoint: &'a Endpoint,
    /// The upstream's address, where it is not the proxy that resolves names.
    pub(super) address: Option<IpAddr>,
    /// How long the proxy may take; it resolves and connects in our stead.
    pub(super) limit: Duration,
    /// Where it is noted what the proxy says.
    pub(super) heard: Option<&'a Heard>,
}

/// How requests are written on a connection to a proxy that forwards them itself (RFC 9112 section 3.2.2).
#[derive(Debug)]
pub(super) struct Forwarded {
    /// The proxy, for messages.
    proxy: CompanyProxy,
    /// Scheme and authority, which stand before each target.
    pub(super) origin: String,
    /// The value of `Proxy-Authorization`.
    pub(super) login: Option<HeaderValue>,
}

impl Forwarded {
    pub(super) fn new(proxy: &CompanyProxy, endpoint: &Endpoint) -> Option<Self> {
        let login = match authorization(proxy) {
            Some(value) => {
                let mut value = HeaderValue::try_from(value).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Some(Self { proxy: proxy.clone(), origin: format!("http://{}", endpoint.authority()?), login })
    }

    /// Makes the target absolute and logs in.
    pub(super) fn address<B>(&self, request: &mut Request<B>) {
        // For `OPTIONS *` the target is the authority alone (RFC 9112 section 3.2.4).
        let target = request.uri().path_and_query().map_or("/", |t| t.as_str()).trim_start_matches('*');
        if let Ok(absolute) = Uri::try_from(format!("{}{target}", self.origin)) {
            *request.uri_mut() = absolute;
        }
        if let Some(login) = &self.login {
            request.headers_mut().insert(PROXY_AUTHORIZATION, login.clone());
        }
    }

    /// The proxy did not take the login.
    pub(super) fn refused_login(&self) -> Failure {
        refused_login(&self.proxy, "")
    }
}

/// The failure of a company proxy, with its name.
pub(super) fn failed(proxy: &CompanyProxy, what: impl std::fmt::Display) -> Failure {
    let what = format!("{proxy} {what}");
    Failure::new(Cause::CompanyProxy, &what).fact(format!("the company proxy {what}"), "Check proxy.url")
}

/// The failure of a login.
fn refused_login(proxy: &CompanyProxy, schemes: &str) -> Failure {
    let what = if proxy.login.is_some() { "refuses user and password" } else { "wants user and password" };
    let what = format!("{proxy} {what}{schemes}");
    Failure::new(Cause::ProxyLogin, &what).fact(format!("the company proxy {what}"), "Put them into proxy.url")
}

/// Opens the tunnel on a stream to the proxy.
pub(super) async fn open<S>(stream: &mut S, wanted: &Wanted<'_>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let talk = async {
        match wanted.proxy.kind {
            ProxyKind::Http | ProxyKind::Https => connect(stream, wanted).await,
            ProxyKind::Socks5 | ProxyKind::Socks5h => socks::open(stream, wanted).await,
        }
    };
    timeout(wanted.limit, talk).await.unwrap_or_else(|_| {
        Err(failed(wanted.proxy, format_args!("made no connection to {} within {:?}", wanted.endpoint, wanted.limit)))
    })
}

fn broke(proxy: &CompanyProxy, error: &io::Error) -> Failure {
    failed(proxy, format_args!("broke the connection before it had made one to the upstream ({error})"))
}

async fn connect<S>(stream: &mut S, Wanted { proxy, endpoint, heard, .. }: &Wanted<'_>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // CONNECT always names the port.
    let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
    let authority = format!("{host}:{}", endpoint.port);
    let login = authorization(proxy).map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{login}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|e| broke(proxy, &e))?;
    stream.flush().await.map_err(|e| broke(proxy, &e))?;
    let head = read_head(stream, proxy).await?;
    let (status, schemes) = read_status(&head).ok_or_else(|| failed(proxy, "answered something that is not HTTP"))?;
    if let Some(heard) = heard {
        // A refusal for good, or one for the moment.
        heard.note(matches!(status, 400..=499) && !matches!(status, 408 | 425 | 429));
    }
    match status {
        200..=299 => Ok(()),
        407 => Err(refused_login(proxy, &schemes)),
        _ => Err(failed(proxy, format_args!("answered {status} to a CONNECT to {authority}"))),
    }
}

/// Up to the empty line and not a byte further: what follows belongs to the upstream.
async fn read_head(stream: &mut (impl AsyncRead + Unpin), proxy: &CompanyProxy) -> Result<Vec<u8>, Failure> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() >= LONGEST_HEAD {
            return Err(failed(proxy, "answered with headers that do not end"));
        }
        head.push(stream.read_u8().await.map_err(|e| broke(proxy, &e))?);
    }
    Ok(head)
}

/// Status, and the names of the ways to log in, where it states any.
fn read_status(head: &[u8]) -> Option<(u16, String)> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(head).ok()?;
    let schemes: Vec<&str> = response
        .headers
        .iter()
        .filter(|h| h.name.eq_ignore_ascii_case("proxy-authenticate"))
        .filter_map(|h| std::str::from_utf8(h.value).ok()?.split([' ', ',']).next())
        .filter(|s| !s.is_empty() && s.len() <= 20 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        .collect();
    let schemes = if schemes.is_empty() { String::new() } else { format!(" ({})", schemes.join(", ")) };
    Some((response.code?, schemes))
}

/// Basic, the one way that needs no conversation (RFC 7617).
fn authorization(proxy: &CompanyProxy) -> Option<String> {
    let (user, password) = proxy.login.as_ref()?;
    Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", password.reveal()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    const PLACE: fn() -> Endpoint = || Endpoint { tls: true, host: "api.x".into(), port: 443 };

    fn proxy(kind: ProxyKind, login: bool) -> CompanyProxy {
        let login = login.then(|| ("me".to_owned(), Secret::new("hush".into())));
        CompanyProxy { kind, host: "gate".into(), port: 3128, login, source: "proxy.url".into() }
    }

    /// The proxy's reply is scripted; comes back with what was sent and what was left unread.
    async fn talk(proxy: &CompanyProxy, answer: &[u8]) -> (Result<(), Failure>, Vec<u8>, Vec<u8>) {
        talk_within(Duration::from_secs(20), proxy, answer).await
    }

    async fn talk_within(limit: Duration, proxy: &CompanyProxy, answer: &[u8]) -> (Result<(), Failure>, Vec<u8>, Vec<u8>) {
        talk_to(None, limit, proxy, answer).await
    }

    async fn talk_to(
        address: Option<IpAddr>,
        limit: Duration,
        proxy: &CompanyProxy,
        answer: &[u8],
    ) -> (Result<(), Failure>, Vec<u8>, Vec<u8>) {
        let (mut near, mut far) = tokio::io::duplex(64 << 10);
        far.write_all(answer).await.unwrap();
        let endpoint = PLACE();
        let wanted = Wanted { proxy, endpoint: &endpoint, address, limit, heard: None };
        let done = open(&mut near, &wanted).await;
        let mut left = Vec::new();
        far.shutdown().await.unwrap();
        near.read_to_end(&mut left).await.unwrap();
        drop(near);
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        (done, sent, left)
    }

    #[tokio::test]
    async fn connect_reads_the_head_and_nothing_more() {
        let (done, sent, left) = talk(&proxy(ProxyKind::Http, true), b"HTTP/1.0 200 Connection established\r\n\r\nTLS").await;
        assert!(done.is_ok());
        assert_eq!(left, b"TLS");
        let wanted = "CONNECT api.x:443 HTTP/1.1\r\nHost: api.x:443\r\nProxy-Authorization: Basic bWU6aHVzaA==\r\n\r\n";
        assert_eq!(String::from_utf8(sent).unwrap(), wanted);
    }

    #[tokio::test]
    async fn each_answer_has_its_cause_and_names_the_proxy() {
        let basic: &[u8] = b"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: Basic realm=\"x\"\r\n\r\n";
        let long = [b"HTTP/1.1 200 x\r\n".to_vec(), vec![b'x'; LONGEST_HEAD]].concat();
        for (login, answer, cause, detail) in [
            (false, basic, Cause::ProxyLogin, "wants user and password (Negotiate, Basic)"),
            (true, basic, Cause::ProxyLogin, "refuses user and password (Negotiate, Basic)"),
            (false, b"HTTP/1.1 403 Forbidden\r\n\r\n", Cause::CompanyProxy, "answered 403 to a CONNECT to api.x:443"),
            (false, b"HTTP/1.1 502 Bad\r\ncontent-length: 3\r\n\r\nbad", Cause::CompanyProxy, "answered 502"),
            (false, b"220 smtp ready\r\n\r\n", Cause::CompanyProxy, "is not HTTP"),
            (false, &long, Cause::CompanyProxy, "headers that do not end"),
            (false, b"HTTP/1.1 2", Cause::CompanyProxy, "made no connection to api.x:443 within 200ms"),
        ] {
            // Only of the last one more is waited for, in vain.
            let limit = Duration::from_millis(if answer == b"HTTP/1.1 2" { 200 } else { 20_000 });
            let failure = talk_within(limit, &proxy(ProxyKind::Https, login), answer).await.0.unwrap_err();
            assert!(failure.cause == cause && failure.detail.contains(detail), "{failure:?}");
            assert!(
                failure.detail.starts_with("https://gate:3128 (proxy.url)") && !failure.detail.contains("hush"),
                "{failure:?}"
            );
        }
    }

    #[tokio::test]
    async fn socks_asks_by_name_and_logs_in() {
        let answer = [&[5, 2, 1, 0][..], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], b"TLS"].concat();
        let (done, sent, left) = talk(&proxy(ProxyKind::Socks5h, true), &answer).await;
        assert!(done.is_ok(), "{done:?}");
        assert_eq!(left, b"TLS");
        let wanted = [&[5, 2, 0, 2, 1, 2][..], b"me", &[4], b"hush", &[5, 1, 0, 3, 5], b"api.x", &[1, 187]].concat();
        assert_eq!(sent, wanted);
    }

    #[tokio::test]
    async fn socks_asks_for_an_address_where_the_name_is_resolved_here() {
        // The proxy connected from a name, which is read past.
        let answer = [&[5, 0][..], &[5, 0, 0, 3, 4], b"gate", &[0, 9], b"TLS"].concat();
        let (v4, v6) = ("192.0.2.7".parse().unwrap(), "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap());
        for (address, kind, octets) in [(IpAddr::V4(v4), 1, v4.octets().to_vec()), (v6.into(), 4, v6.octets().to_vec())] {
            let proxy = proxy(ProxyKind::Socks5, false);
            let (done, sent, left) = talk_to(Some(address), Duration::from_secs(20), &proxy, &answer).await;
            assert!(done.is_ok() && left == b"TLS", "{done:?} {left:?}");
            assert_eq!(sent, [&[5, 1, 0, 5, 1, 0, kind][..], &octets, &[1, 187]].concat());
        }
    }

    #[tokio::test]
    async fn each_refusal_of_socks_has_its_cause() {
        for (answer, cause, detail) in [
            (&[5, 255][..], Cause::ProxyLogin, "wants user and password"),
            (&[5, 2], Cause::ProxyLogin, "wants user and password"),
            (&[5, 128], Cause::ProxyLogin, "wants user and password"),
            (&[5, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "to api.x:443: it failed in general (code 1)"),
            (&[5, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "the network cannot be reached (code 3)"),
            (&[5, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "the host cannot be reached (code 4)"),
            (&[5, 0, 5, 6, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "it took too long (code 6)"),
            (&[5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "it does not make connections (code 7)"),
            (&[5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "it does not know this kind of address (code 8)"),
            (&[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "the upstream refused (code 5)"),
            (&[5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "its rules forbid it (code 2)"),
            (&[5, 0, 5, 99, 0, 1, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "it gives no known reason (code 99)"),
            (&[5, 0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0], Cause::CompanyProxy, "is not SOCKS 5"),
            (&[4, 0], Cause::CompanyProxy, "is not SOCKS 5"),
            (b"HT", Cause::CompanyProxy, "is not SOCKS 5"),
        ] {
            let failure = talk(&proxy(ProxyKind::Socks5h, false), answer).await.0.unwrap_err();
            assert!(failure.cause == cause && failure.detail.contains(detail), "{failure:?}");
        }
        let failure = talk(&proxy(ProxyKind::Socks5h, true), &[5, 2, 1, 1]).await.0.unwrap_err();
        assert!(failure.cause == Cause::ProxyLogin && failure.detail.contains("refuses user"), "{failure:?}");
    }
}
