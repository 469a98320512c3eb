//! Tunnels: CONNECT and a TLS handshake through one, and the bytes that one carries, beside neither and beside a bare relay.

use crate::{record::Record, wire};
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
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// What is relayed in a measurement of full length, which takes three seconds.
const BYTES: f64 = (1u64 << 30) as f64 / 3.0;
/// Handshakes before the first one that counts.
const WARM: usize = 5;

/// How a server is reached.
pub(crate) enum Way {
    /// Without anybody, or through a bare relay at the server's own place.
    Bare,
    /// By a CONNECT at this proxy, with these credentials.
    Connect(SocketAddr, Option<String>),
}

impl Way {
    async fn open(&self, server: SocketAddr) -> Result<TcpStream> {
        let Self::Connect(proxy, login) = self else {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            return Ok(stream);
        };
        let mut stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        let login = login.as_ref().map_or_else(String::new, |login| format!("Proxy-Authorization: {login}\r\n"));
        stream.write_all(format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n{login}\r\n").as_bytes()).await?;
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
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (mut took, began) = (Vec::new(), Instant::now());
    while took.len() < WARM * 3 || began.elapsed() < time {
        let connector = TlsConnector::from(Arc::new(config.clone()));
        let host = ServerName::IpAddress(IpAddr::from(Ipv4Addr::LOCALHOST).into());
        let start = Instant::now();
        let made = async { Ok::<_, anyhow::Error>(connector.connect(host, way.open(server).await?).await?) };
        let stream = timeout(wire::LIMIT, made).await.context("a handshake did not end")??;
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
