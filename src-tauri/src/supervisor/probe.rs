//! The self-probe: a real HTTP request over the real port, as any client would make it (L9).

use crate::{
    config::{CLIENT_TOKEN_HEADER, Config},
    instance::reachable,
};
use std::{net::SocketAddr, time::Duration};
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
    let token = config.client_token.as_ref().map_or(String::new(), |t| format!("{CLIENT_TOKEN_HEADER}: {}\r\n", t.reveal()));
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
    // Own paths are answered over the connection cap as well, so nothing but a 200 is a sign of life.
    Ok(answer[..filled].starts_with(b"HTTP/1.1 200"))
}
