//! The agent's side of the demo: one request on a connection of its own, no pool and no retry, as the report describes it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// The header field with a request's start.
pub(super) const START: &str = "x-start";
/// Most header fields of a response.
const HEAD_FIELDS: usize = 128;

/// Where requests go.
#[derive(Clone)]
pub(super) struct Client {
    address: SocketAddr,
    /// As the requests name it.
    host: String,
    /// The head of a CONNECT that comes first.
    connect: Option<String>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// `POST`.
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) target: &'static str,
    /// JSON, or empty.
    pub(super) body: String,
    /// Which start it belongs to, where the plan of faults must know.
    pub(super) start: Option<u64>,
}

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The coding in which it came.
    pub(super) coding: Option<String>,
    /// Without its framing, and decoded.
    pub(super) body: Vec<u8>,
}

/// Why there is none. Display is short: it is a row of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum Failure {
    #[error("connection refused")]
    Refused,
    #[error("connection reset")]
    Reset,
    #[error("connection closed early")]
    Closed,
    #[error("no response in time")]
    TimedOut,
    #[error("not HTTP")]
    Garbage,
    #[error("no tunnel")]
    NoTunnel,
    #[error("other I/O error")]
    Other,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::UnexpectedEof => Self::Closed,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Self::Garbage,
            _ => Self::Other,
        }
    }
}

impl Client {
    /// Plain HTTP.
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), connect: None, tls: None }
    }

    /// TLS that trusts this authority (DER) and no other.
    pub(super) fn tls(address: SocketAddr, authority: &[u8]) -> Result<Self, rustls::Error> {
        let tls = Some((connector(authority)?, ServerName::from(address.ip())));
        Ok(Self { tls, ..Self::plain(address) })
    }

    /// The same for a host of this name, which is at that address.
    pub(super) fn named(host: &'static str, address: SocketAddr, authority: &[u8]) -> Result<Self, rustls::Error> {
        let name = ServerName::try_from(host).map_err(|e| rustls::Error::General(e.to_string()))?;
        Ok(Self { address, host: host.into(), connect: None, tls: Some((connector(authority)?, name)) })
    }

    /// By tunnels through this proxy, which knows the token. The head looks as an agent's.
    pub(super) fn through(self, proxy: SocketAddr, token: &str) -> Self {
        let target = format!("{}:443", self.host);
        let login = BASE64_STANDARD.encode(format!("leeward:{token}"));
        let fields = format!("Host: {target}\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic {login}");
        Self { address: proxy, connect: Some(format!("CONNECT {target} HTTP/1.1\r\n{fields}\r\n\r\n")), ..self }
    }
}

/// TLS that trusts this authority (DER) and no other.
fn connector(authority: &[u8]) -> Result<TlsConnector, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.to_vec().into())?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Client {
    /// Sends one request on a fresh connection and reads its response.
    pub(super) async fn ask(&self, request: &Request, limit: Duration) -> Result<Answer, Failure> {
        self.session().ask(request, limit).await
    }

    /// A client that keeps its connection.
    pub(super) fn session(&self) -> Session {
        Session { client: self.clone(), open: None }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        if let Some(head) = &self.connect {
            stream.write_all(head.as_bytes()).await?;
            let mut answer = Vec::new();
            // Nothing follows it before the hello.
            while !answer.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut answer).await? == 0 {
                    return Err(Failure::Closed);
                }
                if !b"HTTP/1.1 200 ".starts_with(answer.get(..13).unwrap_or_default()) {
                    return Err(Failure::NoTunnel);
                }
            }
        }
        Ok(match &self.tls {
            None => Box::new(stream),
            Some((tls, name)) => Box::new(tls.connect(name.clone(), stream).await?),
        })
    }
}

/// One request after another on a connection that is kept as long as it lasts, as an agent's pool does. It retries nothing.
pub(super) struct Session {
    client: Client,
    open: Option<Box<dyn Stream>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Session {
    /// Sends one request and reads its response.
    pub(super) async fn ask(&mut self, request: &Request, limit: Duration) -> Result<Answer, Failure> {
        timeout(limit, self.exchange(request)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn exchange(&mut self, request: &Request) -> Result<Answer, Failure> {
        // Taken out: when it fails or time is up it is dropped, and the next request makes another.
        let mut stream = match self.open.take() {
            Some(open) => open,
            None => self.client.connect().await?,
        };
        let answer = converse(&mut stream, &self.client.host, request).await?;
        self.open = Some(stream);
        Ok(answer)
    }
}

async fn converse(stream: &mut Box<dyn Stream>, host: &str, request: &Request) -> Result<Answer, Failure> {
    let Request { method, target, body, start } = request;
    let start = start.map_or_else(String::new, |number| format!("{START}: {number}\r\n"));
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01\r\naccept-encoding: gzip\r\n{start}{length}\r\n"
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    stream.flush().await?;
    let mut got = Vec::new();
    loop {
        if let Some(answer) = complete(&got, *method == "HEAD")? {
            return Ok(answer);
        }
        if stream.read_buf(&mut got).await? == 0 {
            return Err(Failure::Closed);
        }
    }
}

/// The response once all of it is there.
fn complete(got: &[u8], bodiless: bool) -> Result<Option<Answer>, Failure> {
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(start) = response.parse(got).map_err(|_| Failure::Garbage)? else { return Ok(None) };
    let status = response.code.ok_or(Failure::Garbage)?;
    let rest = &got[start..];
    if (100..200).contains(&status) {
        return complete(rest, bodiless);
    }
    if bodiless || matches!(status, 204 | 304) {
        return Ok(Some(Answer { status, coding: None, body: Vec::new() }));
    }
    let field = |name: &str| {
        let found = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
        found.and_then(|h| std::str::from_utf8(h.value).ok())
    };
    let body = if field("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        unchunk(rest)?
    } else {
        let length: usize = field("content-length").and_then(|v| v.parse().ok()).ok_or(Failure::Garbage)?;
        rest.get(..length).map(<[u8]>::to_vec)
    };
    let Some(body) = body else { return Ok(None) };
    let coding = field("content-encoding").map(str::to_owned);
    let body = match &coding {
        None => body,
        Some(coding) => scripted::coding::decode(coding, &body)?,
    };
    Ok(Some(Answer { status, coding, body }))
}

fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(rest).map_err(|_| Failure::Garbage)?;
        let httparse::Status::Complete((start, size)) = size else { return Ok(None) };
        let size = usize::try_from(size).map_err(|_| Failure::Garbage)?;
        if size == 0 {
            // The upstream of the demo sends no trailers: an empty line ends the body.
            return Ok(rest[start..].starts_with(b"\r\n").then_some(body));
        }
        let Some(chunk) = rest.get(start..start + size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        rest = &rest[start + size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scripted::{Fault, Mark, Plan, Upstream};

    const LIMIT: Duration = Duration::from_secs(10);

    fn messages(stream: bool) -> Request {
        let body = format!(r#"{{"model":"m","max_tokens":5,"stream":{stream},"messages":[]}}"#);
        Request { method: "POST", target: "/v1/messages", body, start: None }
    }

    #[tokio::test]
    async fn asks_over_tls_and_trusts_only_the_named_authority() {
        let upstream = Upstream::tls(Plan::none()).unwrap();
        let client = Client::tls(upstream.address(), upstream.authority().unwrap()).unwrap();
        let answer = client.ask(&messages(true), LIMIT).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(String::from_utf8(answer.body).unwrap().contains("message_stop"));
        assert_eq!(client.ask(&messages(false), LIMIT).await.unwrap().status, 200);
        assert_eq!(upstream.log().record().connections.len(), 2, "each request has a connection of its own");

        let stranger = Upstream::tls(Plan::none()).unwrap();
        let mistrusting = Client::tls(stranger.address(), upstream.authority().unwrap()).unwrap();
        assert_eq!(mistrusting.ask(&messages(false), LIMIT).await, Err(Failure::Garbage));
        assert_eq!(stranger.log().record().requests.len(), 0);
    }

    #[tokio::test]
    async fn a_compressed_answer_says_what_a_plain_one_says() {
        let upstream = Upstream::plain(Plan::none()).unwrap();
        let client = Client::plain(upstream.address());
        for stream in [true, false] {
            let plain = client.ask(&messages(stream), LIMIT).await.unwrap();
            let compressed = Request { target: "/v1/messages?coding=gzip", ..messages(stream) };
            let answer = client.ask(&compressed, LIMIT).await.unwrap();
            assert_eq!(answer, Answer { coding: Some("gzip".into()), ..plain });
        }
        let half = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff";
        assert_eq!(complete(half, false), Err(Failure::Closed), "its coding has no end");
        let text = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\nplain text";
        assert_eq!(complete(text, false), Err(Failure::Garbage), "it is not in its coding");
    }

    #[tokio::test]
    async fn a_session_keeps_its_connection_as_long_as_it_lasts() {
        let upstream = Upstream::plain(Plan::queue([Fault::None, Fault::ResetOnNextByte])).unwrap();
        let mut session = Client::plain(upstream.address()).session();
        let mut got = Vec::new();
        for _ in 0..4 {
            got.push(session.ask(&messages(true), LIMIT).await.map(|a| a.status));
        }
        assert_eq!(got, [Ok(200), Ok(200), Err(Failure::Reset), Ok(200)]);
        assert_eq!(upstream.log().record().connections.len(), 2);
    }

    #[tokio::test]
    async fn names_what_went_wrong() {
        let stream = Mark::Events(3);
        for (fault, failure) in [
            (Fault::ResetAtAccept, Failure::Reset),
            (Fault::Overflow, Failure::Reset),
            (Fault::ResetInTls, Failure::Reset),
            (Fault::CloseInTls, Failure::Closed),
            (Fault::ResetHelloOver(300), Failure::Reset),
            (Fault::ResetInServerHello(100), Failure::Reset),
            (Fault::ResetBeforeHeaders, Failure::Reset),
            (Fault::CloseBeforeHeaders, Failure::Closed),
            (Fault::TruncateAfter(stream), Failure::Closed),
            (Fault::GarbageStatusLine, Failure::Garbage),
            (Fault::BadChunk(Mark::Events(1)), Failure::Garbage),
        ] {
            let upstream = Upstream::tls(Plan::always(fault.clone())).unwrap();
            let client = Client::tls(upstream.address(), upstream.authority().unwrap()).unwrap();
            assert_eq!(client.ask(&messages(true), LIMIT).await, Err(failure), "{fault:?}");
        }
        let silent = Upstream::tls(Plan::always(Fault::StallInServerHello(100))).unwrap();
        let client = Client::tls(silent.address(), silent.authority().unwrap()).unwrap();
        assert_eq!(client.ask(&messages(true), Duration::from_millis(50)).await, Err(Failure::TimedOut));
        silent.follow(Plan::always(Fault::ResetHelloOver(8000)));
        assert_eq!(client.ask(&messages(true), LIMIT).await.map(|a| a.status), Ok(200));
        assert_eq!(silent.log().record().faults().get("reset-hello-over"), None, "it let the small hello pass");
        let silent = Upstream::plain(Plan::always(Fault::StallBeforeHeaders)).unwrap();
        let client = Client::plain(silent.address());
        assert_eq!(client.ask(&messages(true), Duration::from_millis(50)).await, Err(Failure::TimedOut));
        silent.stop().await;
        assert_eq!(client.ask(&messages(true), LIMIT).await, Err(Failure::Refused));
    }
}
