//! Tunnels: CONNECT and a TLS handshake through one, the bytes that one carries, and what idle ones cost; beside neither and
//! beside a bare relay.

use crate::{process::Process, record::Record, wire};
use anyhow::{Context, Result, ensure};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What is relayed in a measurement of full length, which takes three seconds.
const BYTES: f64 = (1u64 << 30) as f64 / 3.0;
/// Handshakes before the first one that counts.
const WARM: usize = 5;
/// Idle tunnels, and those before them: what the first ones need, they need for all.
const IDLE: usize = 1000;
const BEFORE: usize = 50;
/// How long they have nothing to do.
const REST: Duration = Duration::from_secs(1);

/// How a server is reached.
pub(crate) enum Way {
    /// Without anybody, or through a bare relay at the server's own place.
    Bare,
    /// By a CONNECT at this proxy, with these credentials.
    Connect(SocketAddr, Option<String>),
    /// The same for a host of this name, port 443.
    Host(SocketAddr, Option<String>, &'static str),
}

impl Way {
    /// Connects, up to where the server's own bytes would begin.
    pub(crate) async fn open(&self, server: SocketAddr) -> Result<TcpStream> {
        let (proxy, login, target) = match self {
            Self::Bare => {
                let stream = TcpStream::connect(server).await?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Self::Connect(proxy, login) => (proxy, login, server.to_string()),
            Self::Host(proxy, login, host) => (proxy, login, format!("{host}:443")),
        };
        let mut stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        let login = login.as_ref().map_or_else(String::new, |login| format!("Proxy-Authorization: {login}\r\n"));
        stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n").as_bytes()).await?;
        let mut head = Vec::with_capacity(128);
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 4096, "a head without an end");
            let mut piece = [0; 512];
            let n = stream.read(&mut piece).await?;
            ensure!(n > 0, "no answer to a CONNECT");
            head.extend_from_slice(&piece[..n]);
        }
        ensure!(head.starts_with(b"HTTP/1.1 200") || head.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&head));
        Ok(stream)
    }

    /// The host as requests name it.
    pub(crate) fn host(&self) -> &'static str {
        match self {
            Self::Host(_, _, host) => host,
            Self::Bare | Self::Connect(..) => "localhost",
        }
    }

    /// The same with TLS.
    pub(crate) async fn open_tls(&self, server: SocketAddr, connector: &TlsConnector) -> Result<TlsStream<TcpStream>> {
        let name = match self {
            Self::Host(_, _, host) => ServerName::try_from(*host)?,
            Self::Bare | Self::Connect(..) => ServerName::IpAddress(IpAddr::from(Ipv4Addr::LOCALHOST).into()),
        };
        Ok(connector.connect(name, self.open(server).await?).await?)
    }
}

/// TLS that trusts one authority (PEM). Each is a new agent's, which has no tickets.
pub(crate) fn connector(authority: &Path) -> Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Handshakes one after the other, each on a connection of its own without a ticket.
pub(crate) async fn handshakes(
    name: &str,
    way: &Way,
    server: SocketAddr,
    authority: &Path,
    time: Duration,
    record: &mut Record,
) -> Result<()> {
    let config = connector(authority)?.config().clone();
    let (mut took, began) = (Vec::new(), Instant::now());
    while took.len() < WARM * 3 || began.elapsed() < time {
        let connector = TlsConnector::from(Arc::new((*config).clone()));
        let start = Instant::now();
        let stream = timeout(wire::LIMIT, way.open_tls(server, &connector)).await.context("a handshake did not end")??;
        took.push(start.elapsed().as_secs_f64() * 1e6);
        drop(stream);
    }
    let mut took = took.split_off(WARM);
    took.sort_by(f64::total_cmp);
    record.add(name, "tunnel handshake p50", took[took.len() / 2]);
    record.add(name, "tunnel handshake p99", took[took.len() * 99 / 100]);
    Ok(())
}

/// Bytes from a source.
pub(crate) async fn relays(name: &str, way: &Way, source: SocketAddr, time: Duration, record: &mut Record) -> Result<()> {
    let wanted = (BYTES * time.as_secs_f64()) as u64;
    let mut stream = way.open(source).await?;
    let began = Instant::now();
    stream.write_all(&wanted.to_be_bytes()).await?;
    let (mut piece, mut came) = (vec![0; 256 << 10], 0u64);
    while came < wanted {
        let n = timeout(wire::LIMIT, stream.read(&mut piece)).await.context("a relay stands still")??;
        ensure!(n > 0, "{came} of {wanted} bytes came");
        came += n as u64;
    }
    record.add(name, "tunnel relay", came as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

/// Tunnels that have carried a little in both directions, and now rest.
pub(crate) async fn idle(name: &str, way: &Way, process: &Process, record: &mut Record) -> Result<()> {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = server.local_addr()?;
    let mut held = Vec::new();
    let mut before = 0;
    for number in 0..BEFORE + IDLE {
        if number == BEFORE {
            before = process.memory().pss;
        }
        let one = async {
            let (near, far) = tokio::join!(way.open(address), server.accept());
            let (mut near, (mut far, _)) = (near?, far?);
            let mut piece = [0; 1024];
            near.write_all(&[22; 1024]).await?;
            far.read_exact(&mut piece).await?;
            far.write_all(&piece).await?;
            near.read_exact(&mut piece).await?;
            Ok::<_, anyhow::Error>((near, far))
        };
        held.push(timeout(wire::LIMIT, one).await.with_context(|| format!("tunnel {number} did not open"))??);
    }
    tokio::time::sleep(REST).await;
    record.add(name, "an idle tunnel", process.memory().pss.saturating_sub(before) as f64 / IDLE as f64);
    Ok(())
}
