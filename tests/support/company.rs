//! A company's proxy on loopback: CONNECT, absolute targets and SOCKS 5, with logins, refusals and resets by script.

use socket2::SockRef;
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// What the next connection meets; without a script each one is served.
#[derive(Clone, Copy, Debug)]
pub enum WriteOutcome {
    /// This answer to a CONNECT.
    Status(u16),
    /// RST once the request is there.
    Reset,
}

/// A running proxy; ends when it is dropped.
pub struct Company {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    script: Mutex<VecDeque<WriteOutcome>>,
    /// What `user:password` must be.
    login: Option<&'static str>,
    socks: bool,
    tls: Option<TlsAcceptor>,
    /// Where every CONNECT leads, whatever it names.
    leads: Option<SocketAddr>,
    /// The first line of each request, or the target of each SOCKS request.
    seen: Mutex<Vec<String>>,
}

impl Company {
    pub async fn http(login: Option<&'static str>) -> Self {
        Self::start(login, false, None, None).await
    }

    /// For names that are others' on the Internet: whatever is asked for is this upstream.
    pub async fn leading_to(upstream: SocketAddr) -> Self {
        Self::start(None, false, None, Some(upstream)).await
    }

    pub async fn socks(login: Option<&'static str>) -> Self {
        Self::start(login, true, None, None).await
    }

    /// Within TLS; also the certificate to trust.
    pub async fn https() -> (Self, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
        (Self::start(None, false, Some(TlsAcceptor::from(Arc::new(server))), None).await, cert.der().to_vec())
    }

    async fn start(login: Option<&'static str>, socks: bool, tls: Option<TlsAcceptor>, leads: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { script: Mutex::default(), login, socks, tls, leads, seen: Mutex::default() });
        let mut tasks = JoinSet::new();
        let serving = shared.clone();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                open.spawn(async move { shared.serve(stream).await.ok() });
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    pub fn script(&self, deeds: impl IntoIterator<Item = WriteOutcome>) {
        self.shared.script.lock().unwrap().extend(deeds);
    }

    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let deed = self.script.lock().unwrap().pop_front();
        if matches!(deed, Some(WriteOutcome::Reset)) {
            stream.readable().await?;
            return SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        match &self.tls {
            Some(acceptor) => self.talk(acceptor.accept(stream).await?, deed).await,
            None => {
                let mut stream = stream;
                let talked = self.talk(&mut stream, deed).await;
                if talked.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset) {
                    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                }
                talked
            }
        }
    }

    /// A reset on one side of a tunnel is one on the other, which whoever calls sees to on the near one.
    async fn talk(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, deed: Option<WriteOutcome>) -> io::Result<()> {
        if self.socks {
            return self.socks(stream).await;
        }
        loop {
            let head = head(&mut stream).await?;
            let (method, target) = head.split_once(' ').unwrap_or_default();
            let target = target.split(' ').next().unwrap_or_default();
            self.seen.lock().unwrap().push(format!("{method} {target}"));
            let status = match deed {
                Some(WriteOutcome::Status(status)) => status,
                _ if self.login.is_some_and(|l| !head.contains(&format!("authorization: Basic {}\r\n", base64(l)))) => 407,
                _ => 200,
            };
            if method != "CONNECT" {
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 9\r\n\r\nforwarded");
                stream.write_all(answer.as_bytes()).await?;
                continue;
            }
            let answer = format!("HTTP/1.1 {status} x\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n");
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
            if status != 200 {
                return Ok(());
            }
            let mut on = match self.leads {
                Some(upstream) => TcpStream::connect(upstream).await?,
                None => TcpStream::connect(target).await?,
            };
            let copied = copy_bidirectional(&mut stream, &mut on).await;
            if copied.is_err() {
                SockRef::from(&on).set_linger(Some(Duration::ZERO))?;
            }
            return copied.map(drop);
        }
    }

    async fn socks(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut methods = vec![0; usize::from(bytes::<2>(&mut stream).await?[1])];
        stream.read_exact(&mut methods).await?;
        if let Some(login) = self.login {
            stream.write_all(&[5, if methods.contains(&2) { 2 } else { 255 }]).await?;
            let mut said = Vec::new();
            stream.read_u8().await?;
            for _ in 0..2 {
                let mut part = vec![0; usize::from(stream.read_u8().await?)];
                stream.read_exact(&mut part).await?;
                said.push(String::from_utf8(part).unwrap());
            }
            stream.write_all(&[1, u8::from(said.join(":") != login)]).await?;
        } else {
            stream.write_all(&[5, 0]).await?;
        }
        let host = match bytes::<4>(&mut stream).await?[3] {
            1 => std::net::Ipv4Addr::from(bytes::<4>(&mut stream).await?).to_string(),
            3 => {
                let mut name = vec![0; usize::from(stream.read_u8().await?)];
                stream.read_exact(&mut name).await?;
                String::from_utf8(name).unwrap()
            }
            _ => format!("[{}]", std::net::Ipv6Addr::from(bytes::<16>(&mut stream).await?)),
        };
        let target = format!("{host}:{}", stream.read_u16().await?);
        self.seen.lock().unwrap().push(target.clone());
        let mut on = TcpStream::connect(target).await?;
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        copy_bidirectional(&mut stream, &mut on).await?;
        Ok(())
    }
}

async fn bytes<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut out = [0; N];
    stream.read_exact(&mut out).await?;
    Ok(out)
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut out = Vec::new();
    while !out.ends_with(b"\r\n\r\n") {
        out.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&out).replace("Proxy-Authorization", "proxy-authorization"))
}

fn base64(text: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(text)
}
