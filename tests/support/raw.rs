//! Clients on bare sockets, for what no HTTP library would send.

use super::LIMIT;
use socket2::SockRef;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Sends bytes and reads until the other side closes, or `quiet` passes without a byte.
pub async fn talk(address: SocketAddr, bytes: &[u8], quiet: Duration) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    String::from_utf8_lossy(&read_all(&mut stream, quiet).await).into_owned()
}

/// Sends bytes and reads one answer that states its length.
pub async fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A refusal may come before the last byte is out; the response is what counts.
    stream.write_all(bytes).await.ok();
    read_response(&mut stream).await
}

/// Reads until the end, an error, or silence.
pub async fn read_all(stream: &mut TcpStream, quiet: Duration) -> Vec<u8> {
    let mut out = Vec::new();
    let mut piece = [0u8; 4096];
    while let Ok(Ok(n)) = timeout(quiet, stream.read(&mut piece)).await {
        if n == 0 {
            break;
        }
        out.extend_from_slice(&piece[..n]);
    }
    out
}

/// Reads one response that states its length.
pub async fn read_response(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    let mut byte = [0u8; 1];
    timeout(LIMIT, async {
        while !out.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).await.unwrap();
            out.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&out).to_ascii_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |v| v.trim().parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        out.extend(body);
    })
    .await
    .expect("a whole response");
    String::from_utf8(out).unwrap()
}

/// Connects and leaves with an RST in one of the four ways of the founding bug's report.
pub async fn reset(address: SocketAddr, shape: usize) {
    let Ok(mut stream) = TcpStream::connect(address).await else { panic!("connection refused at {address}") };
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    let said: &[u8] = match shape % 4 {
        0 => b"",
        1 => b"GET /health HT",
        2 => b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        _ => b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\nabc",
    };
    if !said.is_empty() {
        stream.write_all(said).await.ok();
    }
}
