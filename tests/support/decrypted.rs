//! An agent in intercept mode: a session whose TLS ends in the engine, and a client that trusts whom a test says.

use super::{LIMIT, TestEngine, client, company::Company};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use leeward::{
    config::{CompanyProxy, Config, ProxyChoice},
    supervisor::TestHooks,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use scripted::{Plan, Upstream};
use serde_json::{Value, json};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub const API: &str = "api.anthropic.com";
/// The header names of an agent's CONNECT and of a child tool's.
pub const AGENT: &[&str] = &["Host", "Proxy-Connection", "Proxy-Authorization"];
pub const CHILD: &[&str] = &["Host", "Proxy-Authorization", "User-Agent", "Proxy-Connection"];

/// An engine whose every upstream is the scripted one.
pub struct World {
    pub engine: TestEngine,
    pub upstream: Upstream,
    pub company: Company,
}

/// An open session.
pub struct Session {
    pub told: Value,
    _stream: reqwest::Response,
}

impl World {
    pub async fn new(plan: Plan) -> Self {
        Self::tuned(plan, |_| {}).await
    }

    pub async fn tuned(plan: Plan, tune: impl FnOnce(&mut Config)) -> Self {
        let upstream = Upstream::tls(plan).unwrap();
        let company = Company::leading_to(upstream.address()).await;
        let proxy = format!("http://{}", company.address);
        let set = |config: &mut Config| {
            config.proxy.url = ProxyChoice::Named(CompanyProxy::parse(&proxy, "proxy.url").unwrap());
            config.connect.parallel = 4;
            tune(config);
        };
        let engine = TestEngine::with(Some(&upstream), set, TestHooks::default());
        Self { engine, upstream, company }
    }

    /// A session of Claude Code in intercept mode, with `more` in its request.
    pub async fn session(&self, more: Value) -> Session {
        session(&self.engine, more).await
    }

    pub fn folder(&self) -> PathBuf {
        self.engine.home.path().join("state/authority")
    }

    /// The certificate of an authority.
    pub fn certificate(&self, id: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.folder().join(format!("{id}.crt"))).unwrap()
    }

    /// The certificate of the real server's authority.
    pub fn real(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.upstream.authority().unwrap().to_vec())
    }

    pub async fn conditions(&self) -> Vec<Value> {
        self.engine.health().await["conditions"].as_array().unwrap().clone()
    }

    /// A request in TLS in a tunnel, by an agent that trusts our certificate.
    pub async fn ask(&self, session: &Session, host: &str, request: &str) -> String {
        let root = self.certificate(session.id());
        let mut tls = tls(self.engine.address, host, &Hello::of(host, &root)).await.unwrap();
        say(&mut tls, request).await
    }
}

impl Session {
    /// The authority that its agent was started with.
    pub fn id(&self) -> &str {
        self.told["authority"].as_str().unwrap_or_else(|| panic!("{}", self.told))
    }
}

pub async fn session(engine: &TestEngine, more: Value) -> Session {
    let mut body = json!({ "agent": "claude", "pid": 1, "tunnel_token": TOKEN, "intercept": true });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let url = engine.url("/_leeward/v1/sessions");
    let mut stream = client().post(url).bearer_auth(engine.token()).json(&body).send().await.unwrap();
    let first = stream.chunk().await.unwrap().unwrap();
    Session { told: serde_json::from_slice(&first).unwrap(), _stream: stream }
}

/// How a client begins.
#[derive(Clone, Copy)]
pub struct Hello<'a> {
    pub names: &'a str,
    pub root: &'a CertificateDer<'static>,
    pub alpn: &'a [&'a str],
    pub sni: bool,
    pub shape: &'a [&'a str],
}

impl<'a> Hello<'a> {
    pub fn of(host: &'a str, root: &'a CertificateDer<'static>) -> Self {
        Self { names: host, root, alpn: &["http/1.1"], sni: true, shape: AGENT }
    }
}

/// The head of a CONNECT with these fields.
pub fn connect_head(target: &str, shape: &[&str]) -> String {
    let fields: String = shape
        .iter()
        .map(|name| match name.to_ascii_lowercase().as_str() {
            "host" => format!("{name}: {target}\r\n"),
            "proxy-authorization" => format!("{name}: Basic {}\r\n", BASE64_STANDARD.encode(format!("leeward:{TOKEN}"))),
            _ => format!("{name}: x\r\n"),
        })
        .collect();
    format!("CONNECT {target} HTTP/1.1\r\n{fields}\r\n")
}

/// A tunnel that stands.
pub async fn tunnel(address: SocketAddr, target: &str, shape: &[&str]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(connect_head(target, shape).as_bytes()).await.unwrap();
    let answer = super::raw::read_response(&mut stream).await;
    assert_eq!(answer, "HTTP/1.1 200 Connection Established\r\n\r\n");
    stream
}

/// TLS in a tunnel to `host`.
pub async fn tls(address: SocketAddr, host: &str, hello: &Hello<'_>) -> io::Result<TlsStream<TcpStream>> {
    let stream = tunnel(address, &format!("{host}:443"), hello.shape).await;
    let mut roots = RootCertStore::empty();
    roots.add(hello.root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = hello.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.enable_sni = hello.sni;
    let name = ServerName::try_from(hello.names.to_owned()).unwrap();
    timeout(LIMIT, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

/// Sends a request and reads the response, which must state its length or be chunked.
pub async fn say(tls: &mut TlsStream<TcpStream>, request: &str) -> String {
    tls.write_all(request.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    timeout(LIMIT, read(tls)).await.unwrap()
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut out = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&out).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
            match length {
                Some(length) if body.len() >= length => return text,
                None if head.contains("chunked") && body.ends_with("0\r\n\r\n") => return text,
                _ => {}
            }
        }
        let n = stream.read_buf(&mut out).await.unwrap();
        assert!(n > 0, "it ended early: {text}");
    }
}

pub fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

pub fn post(host: &str, path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
