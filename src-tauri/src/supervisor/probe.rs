//! The self-probe: a real HTTP request over the real port, as any client would make it (L9).

use crate::config::Config;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

/// Asks `/livez`; true when it is answered within the limit. Also tells how long it took.
pub(super) async fn probe(config: &Config, address: SocketAddr) -> (bool, Duration) {
    let began = Instant::now();
    let answered = timeout(config.watch.probe_timeout, ask(config, reachable(address))).await;
    (matches!(answered, Ok(Ok(true))), began.elapsed())
}

async fn ask(config: &Config, address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let token = config.client_token.as_ref().map_or(String::new(), |t| format!("x-leeward-token: {}\r\n", t.reveal()));
    stream.write_all(format!("GET /livez HTTP/1.1\r\nhost: {address}\r\n{token}connection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = [0u8; 512];
    let mut filled = 0;
    while filled < answer.len() {
        let n = stream.read(&mut answer[filled..]).await?;
        if n == 0 {
            break;
        }
        filled += n;
    }
    Ok(is_alive(&answer[..filled]))
}

/// A connection too many is told so by an engine that works; replacing it would help nobody.
fn is_alive(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.starts_with("HTTP/1.1 200")
        || (text.starts_with("HTTP/1.1 503") && text.contains("x-leeward-error: too-many-connections"))
}

/// The unspecified address is not one to connect to.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
