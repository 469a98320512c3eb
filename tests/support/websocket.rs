//! What the tests of WebSockets share: an agent's end by each door, an upstream's end on a bare socket, and how both break.

use super::{
    LIMIT, TestEngine,
    company::Company,
    decrypted::{API, Hello, Session, session, tls},
};
use leeward::{
    config::{CompanyProxy, Config, ProxyChoice, Trust},
    supervisor::TestHooks,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::json;
use socket2::SockRef;
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// The key of RFC 6455 section 1.3, and what accepts it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Where no agent's inference goes.
pub const REALTIME: &str = "/v1/realtime?model=x";

/// How an agent reaches the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    BaseUrl,
    Intercept,
}

pub const DOORS: [Door; 2] = [Door::BaseUrl, Door::Intercept];

/// How a connection to the upstream breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    AtAccept,
    InTls,
    BeforeResponse,
}

/// One end of a connection.
pub enum End {
    Plain(TcpStream),
    Client(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Server(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl End {
    fn io(&mut self) -> Pin<&mut (dyn Io + Send)> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Client(stream) => Pin::new(stream),
            Self::Server(stream) => Pin::new(stream),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Client(stream) => stream.get_ref().0,
            Self::Server(stream) => stream.get_ref().0,
        }
    }

    pub fn reset(self) {
        SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.write_all(bytes.as_ref()).await.unwrap();
        self.flush().await.unwrap();
    }

    /// Reads up to the empty line and no further.
    pub async fn head(&mut self) -> String {
        let mut out = Vec::new();
        while !out.ends_with(b"\r\n\r\n") {
            out.push(timeout(LIMIT, self.read_u8()).await.expect("a head in time").unwrap());
        }
        String::from_utf8(out).unwrap()
    }

    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        timeout(LIMIT, self.read_exact(&mut bytes)).await.expect("bytes in time").unwrap();
        bytes
    }

    /// All that comes until the end, which must be one.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match timeout(LIMIT, self.read_to_end(&mut bytes)).await.expect("an end in time") {
            Err(e) => panic!("{e} after {bytes:?}"),
            Ok(_) => bytes,
        }
    }

    /// The error that ends it.
    pub async fn error(&mut self) -> io::ErrorKind {
        let mut bytes = Vec::new();
        timeout(LIMIT, self.read_to_end(&mut bytes)).await.expect("an error in time").expect_err("no error").kind()
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io().poll_read(cx, buf)
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().io().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io().poll_shutdown(cx)
    }
}

/// A request that has reached the upstream.
pub struct Asked {
    pub head: String,
    pub far: End,
}

impl Asked {
    /// A header field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// Agrees; `more` comes in the same write.
    pub async fn accept(mut self, more: &[u8]) -> End {
        self.far.send([SWITCHING, more].concat()).await;
        self.far
    }
}

/// A header field's value.
pub fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// An upstream that agrees to the key of RFC 6455.
pub const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: realtime\r\nX-Own-Case: 1\r\n\r\n";

/// A server on a bare socket: breaks as told, and hands over each request.
pub struct Server {
    pub address: SocketAddr,
    authority: CertificateDer<'static>,
    breaks: Arc<Mutex<VecDeque<Break>>>,
    asked: mpsc::UnboundedReceiver<Asked>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub async fn start(tls: bool, breaks: &[Break]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), API.to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let authority = certificate.der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![authority.clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = tls.then(|| TlsAcceptor::from(Arc::new(config)));
        let breaks = Arc::new(Mutex::new(breaks.iter().copied().collect::<VecDeque<_>>()));
        let (tell, asked) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let script = breaks.clone();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, acceptor.clone(), script.clone(), tell.clone()));
            }
        });
        Self { address, authority, breaks, asked, _tasks: tasks }
    }

    /// That it is what it says.
    pub fn trust(&self) -> Trust {
        Trust::Only(vec![self.authority.to_vec()])
    }

    /// The next request.
    pub async fn asked(&mut self) -> Asked {
        timeout(LIMIT, self.asked.recv()).await.expect("a request in time").unwrap()
    }

    /// That nothing has been asked.
    pub fn assert_silent(&mut self, what: &str) {
        assert!(self.asked.try_recv().is_err(), "{what}: the upstream was asked");
    }

    pub fn assert_all_broke(&self, what: &str) {
        assert!(self.breaks.lock().unwrap().is_empty(), "{what}: a break did not strike");
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    breaks: Arc<Mutex<VecDeque<Break>>>,
    tell: mpsc::UnboundedSender<Asked>,
) {
    let strikes = |wanted: &[Break]| {
        let mut breaks = breaks.lock().unwrap();
        breaks.front().copied().filter(|next| wanted.contains(next)).inspect(|_| _ = breaks.pop_front())
    };
    match strikes(&[Break::AtAccept, Break::InTls]) {
        Some(Break::AtAccept) => return End::Plain(stream).reset(),
        Some(_) => {
            stream.readable().await.unwrap();
            return End::Plain(stream).reset();
        }
        None => {}
    }
    let mut far = match tls {
        None => End::Plain(stream),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => {
                assert_ne!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "a WebSocket needs HTTP/1.1");
                End::Server(Box::new(stream))
            }
            Err(_) => return,
        },
    };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // A connection that was made in advance and never used.
        let Ok(byte) = far.read_u8().await else { return };
        head.push(byte);
    }
    if strikes(&[Break::BeforeResponse]).is_some() {
        return far.reset();
    }
    tell.send(Asked { head: String::from_utf8(head).unwrap(), far }).ok();
}

/// An engine between an agent and a server.
pub struct World {
    pub door: Door,
    pub engine: TestEngine,
    pub server: Server,
    session: Option<Session>,
    _company: Option<Company>,
}

impl World {
    pub async fn new(door: Door) -> Self {
        Self::tuned(door, &[], |_| {}).await
    }

    pub async fn tuned(door: Door, breaks: &[Break], tune: impl FnOnce(&mut Config)) -> Self {
        let server = Server::start(true, breaks).await;
        let trust = server.trust();
        let company = if door == Door::Intercept { Some(Company::leading_to(server.address).await) } else { None };
        let proxy = company.as_ref().map(|company| format!("http://{}", company.address));
        let url = format!("https://{}", server.address).parse().unwrap();
        let set = |config: &mut Config| {
            (config.upstream, config.trust) = (url, trust);
            config.connect.parallel = 1;
            if let Some(proxy) = &proxy {
                config.proxy.url = ProxyChoice::Named(CompanyProxy::parse(proxy, "proxy.url").unwrap());
            }
            tune(config);
        };
        let engine = TestEngine::with(None, set, TestHooks::default());
        let session = if door == Door::Intercept { Some(session(&engine, json!({})).await) } else { None };
        Self { door, engine, server, session, _company: company }
    }

    /// The host that requests name.
    pub fn host(&self) -> String {
        match self.door {
            Door::BaseUrl => self.engine.address.to_string(),
            Door::Intercept => API.to_owned(),
        }
    }

    /// The server's host, as it must be named to it.
    pub fn far_host(&self) -> String {
        match self.door {
            Door::BaseUrl => self.server.address.to_string(),
            Door::Intercept => API.to_owned(),
        }
    }

    /// An agent's connection.
    pub async fn near(&self) -> End {
        let Some(session) = &self.session else { return End::Plain(TcpStream::connect(self.engine.address).await.unwrap()) };
        let folder = self.engine.home.path().join("state/authority");
        let root = CertificateDer::from_pem_file(folder.join(format!("{}.crt", session.id()))).unwrap();
        End::Client(Box::new(tls(self.engine.address, API, &Hello::of(API, &root)).await.unwrap()))
    }

    pub fn handshake(&self, path: &str, more: &str) -> String {
        handshake(&self.host(), path, more)
    }

    /// Both ends of a WebSocket, after the handshake.
    pub async fn open(&mut self) -> (End, End) {
        let mut near = self.near().await;
        near.send(self.handshake(REALTIME, "")).await;
        let far = self.server.asked().await.accept(b"").await;
        let head = near.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (near, far)
    }

    /// The counters of WebSockets.
    pub async fn counts(&self) -> serde_json::Value {
        self.engine.stats().await["websockets"].clone()
    }
}

/// A handshake's head.
pub fn handshake(host: &str, path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: realtime\r\n{more}\r\n"
    )
}
