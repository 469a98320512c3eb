//! Decrypted connections: the first request of a new agent over a long way, and what a host's first certificate costs.

use super::tunnel::{Way, connector};
use crate::{record::Record, wire};
use anyhow::{Context, Result, ensure};
use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

/// The hosts of Claude Code's row in Leeward's table. Each gets a certificate of its own.
pub(crate) const HOSTS: [&str; 3] = ["api.anthropic.com", "platform.claude.com", "mcp-proxy.anthropic.com"];
/// Requests, each on a connection of its own.
const REQUESTS: usize = 10;
/// CONNECTs of a host after the first one; the fastest counts.
const LATER: usize = 5;
/// What a proxy has to get ready in, after the first tunnel.
const GREETED: Duration = Duration::from_millis(500);

/// The first request of a connection, again and again. What a proxy keeps open to the server it has from the one before.
pub(crate) async fn first_requests(
    name: &str,
    way: &Way,
    server: SocketAddr,
    authority: &Path,
    record: &mut Record,
) -> Result<()> {
    ask(way, server, authority).await?;
    tokio::time::sleep(GREETED).await;
    for _ in 0..REQUESTS {
        let began = Instant::now();
        timeout(wire::LIMIT, ask(way, server, authority)).await.context("a first request did not end")??;
        record.add(name, "intercept first request", began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

async fn ask(way: &Way, server: SocketAddr, authority: &Path) -> Result<()> {
    say(way.open_tls(server, &connector(authority)?).await?, way.host()).await
}

async fn say(stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> Result<()> {
    let answer = wire::Line::over(stream).ask(&wire::request(host, "", 1024)).await?;
    ensure!(answer.status == 200, "a first request was answered {}", answer.status);
    Ok(())
}

/// The first CONNECT of each host, what it takes longer than later ones, and a handshake. Leeward has the certificate before it
/// answers the CONNECT, so that the difference is what issuing one takes.
pub(crate) async fn certificates(
    name: &str,
    ways: &[Way],
    server: SocketAddr,
    authority: &Path,
    record: &mut Record,
) -> Result<()> {
    let answered = async |way: &Way| {
        let began = Instant::now();
        drop(timeout(wire::LIMIT, way.open(server)).await.context("no answer to a CONNECT")??);
        Ok::<_, anyhow::Error>(began.elapsed().as_secs_f64() * 1e3)
    };
    for way in ways {
        let first = answered(way).await?;
        let mut later = f64::INFINITY;
        for _ in 0..LATER {
            later = later.min(answered(way).await?);
        }
        record.add(name, "intercept first answer", first);
        record.add(name, "intercept later answer", later);
        record.add(name, "intercept certificate", (first - later).max(0.0));
    }
    for way in ways {
        let began = Instant::now();
        let connector = connector(authority)?;
        let stream = timeout(wire::LIMIT, way.open_tls(server, &connector)).await.context("a handshake did not end")??;
        record.add(name, "intercept handshake", began.elapsed().as_secs_f64() * 1e3);
        // Who says nothing after the handshake is taken for a client that does not trust the certificate.
        say(stream, way.host()).await?;
    }
    Ok(())
}
