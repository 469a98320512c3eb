//! An agent's start: four requests at the same moment on four new connections, the upstream TLS and 50 ms away. What a
//! proxy may have open already is announced to it as an agent does it, with `HEAD /api/hello` before.

use crate::{link::Link, record::Record, wire};
use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;

/// As between Europe and the APIs' edge, roughly.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(50);
/// Requests at the same moment: what Claude Code sends when it starts.
const AT_ONCE: usize = 4;
/// What a proxy has to get ready in, after the greeting.
const GREETED: Duration = Duration::from_millis(500);
/// Bursts a round.
const BURSTS: usize = 3;

/// The long way to the upstream.
pub(crate) async fn link(upstream: SocketAddr) -> Result<Link> {
    Link::start(upstream, ROUND_TRIP).await
}

/// Through a proxy, which speaks plain HTTP to us.
pub(crate) async fn through(name: &str, address: SocketAddr, record: &mut Record) -> Result<()> {
    for _ in 0..BURSTS {
        let hello = format!("HEAD /api/hello HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(address).await?;
        tokio::io::AsyncWriteExt::write_all(&mut stream, hello.as_bytes()).await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        tokio::time::sleep(GREETED).await;
        let request = wire::request(address, "", 1024);
        let began = Instant::now();
        let mut asked = JoinSet::new();
        for _ in 0..AT_ONCE {
            let request = request.clone();
            asked.spawn(async move { Ok(wire::Line::open(address).await?.ask(&request).await?.status) });
        }
        record.add(name, "burst", all(asked, began).await?);
    }
    Ok(())
}

/// Without a proxy: four TLS connections of the agent's own.
pub(crate) async fn direct(link: SocketAddr, authority: &Path, record: &mut Record) -> Result<()> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    for _ in 0..BURSTS {
        // A new agent has no session tickets.
        let connector = TlsConnector::from(Arc::new(config.clone()));
        let request = wire::request(link, "", 1024);
        let began = Instant::now();
        let mut asked = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (connector, request) = (connector.clone(), request.clone());
            asked.spawn(async move {
                let stream = TcpStream::connect(link).await?;
                stream.set_nodelay(true)?;
                let name = ServerName::IpAddress(std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into());
                let stream = connector.connect(name, stream).await?;
                Ok(wire::Line::over(stream).ask(&request).await?.status)
            });
        }
        record.add("direct", "burst", all(asked, began).await?);
    }
    Ok(())
}

/// Milliseconds until the last of them was answered.
async fn all(mut asked: JoinSet<Result<u16>>, began: Instant) -> Result<f64> {
    while let Some(done) = tokio::time::timeout(wire::LIMIT, asked.join_next()).await.context("a burst did not end")? {
        let status = done??;
        anyhow::ensure!(status == 200, "a request of the burst was answered {status}");
    }
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
