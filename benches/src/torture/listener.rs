//! Clients that misbehave, and requests of others beside them.

use super::{Case, Verdict};
use anyhow::Result;
use socket2::SockRef;
use std::{io::Write, net::TcpStream as Blocking, time::Duration};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream};

/// What a client sends before it resets: nothing, half a request line, half a body.
const SHAPES: [&[u8]; 3] = [
    b"",
    b"GET /v1/models HT",
    b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{\"mo",
];
/// A program whose queue is full of dead connections must not stop the storm.
const CONNECT: Duration = Duration::from_secs(5);

pub(super) async fn resets(case: &mut Case<'_>) -> Result<Verdict> {
    let target = case.home.place().listen;
    let (resets, mut asked, mut failed) = (case.count(10_000), 0, 0);
    for n in 0..resets {
        let shape = SHAPES[n as usize % SHAPES.len()];
        tokio::task::spawn_blocking(move || {
            let mut stream = Blocking::connect_timeout(&target, CONNECT)?;
            // With it the close below is an RST, not a FIN.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            stream.write_all(shape)
        })
        .await?
        .ok();
        if n % 10 == 9 {
            asked += 1;
            failed += u64::from(case.agent().within(CONNECT).ask().await.is_err());
        }
    }
    Ok(case.verdict(asked, failed).await)
}

pub(super) async fn idle_clients(case: &mut Case<'_>) -> Result<Verdict> {
    let mut silent = Vec::new();
    for _ in 0..case.count(5000) {
        if let Ok(Ok(stream)) = tokio::time::timeout(CONNECT, TcpStream::connect(case.home.place().listen)).await {
            silent.push(stream);
        }
    }
    beside(case, silent.len()).await
}

pub(super) async fn slow_writers(case: &mut Case<'_>) -> Result<Verdict> {
    let mut slow = Vec::new();
    for _ in 0..case.count(500) {
        let mut stream = TcpStream::connect(case.home.place().listen).await?;
        stream.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: 127").await?;
        slow.push(stream);
    }
    beside(case, slow.len()).await
}

/// A hundred requests, each on a connection of its own, while the others are there.
async fn beside(case: &mut Case<'_>, others: usize) -> Result<Verdict> {
    let (asked, mut failed) = (case.count(100), 0);
    for _ in 0..asked {
        failed += u64::from(case.agent().within(CONNECT).ask().await.is_err());
    }
    let verdict = case.verdict(asked, failed).await;
    Ok(Verdict { note: format!("{others} others"), ..verdict })
}

pub(super) async fn vanish(case: &mut Case<'_>) -> Result<Verdict> {
    let clients = case.count(100);
    let address = case.home.place().listen;
    let body = r#"{"model":"bench","max_tokens":4000,"stream":true}"#;
    let request = format!(
        "POST /v1/messages?pause_ms=5 HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut streams = Vec::new();
    for _ in 0..clients {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut first = [0; 64];
        tokio::time::timeout(CONNECT, stream.read(&mut first)).await??;
        streams.push(stream);
    }
    let streaming = case.upstream.log().read(|record| record.open()) as u64;
    drop(streams);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let still = case.upstream.log().read(|record| record.open()) as u64;
    // What is open besides belongs to the pool: the one connection of the question at the start.
    let still = still.saturating_sub(streaming.saturating_sub(clients));
    Ok(case.verdict(clients, still).await)
}
