//! CONNECT: who may open a tunnel, and what passes through it when the server's end breaks.

use crate::support::{
    LIMIT, TestEngine, client,
    raw::{read_all, read_response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use scripted::{Plan, Upstream};
use serde_json::json;
use socket2::SockRef;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ESTABLISHED: &str = "HTTP/1.1 200 Connection Established\r\n\r\n";

/// An engine, and a session that lasts as long as the response.
async fn session(upstream: &Upstream) -> (TestEngine, reqwest::Response) {
    let engine = TestEngine::start(upstream);
    let body = json!({ "agent": "test", "pid": 1, "tunnel_token": TOKEN });
    let url = engine.url("/_leeward/v1/sessions");
    let mut stream = client().post(url).bearer_auth(engine.token()).json(&body).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    (engine, stream)
}

fn connect(target: SocketAddr, token: Option<&str>) -> String {
    let login = token.map_or_else(String::new, |token| {
        format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("leeward:{token}")))
    });
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n")
}

/// A ClientHello of so many bytes, as far as anybody between the two ends can see.
fn hello(length: u16) -> Vec<u8> {
    let ([a, b], [c, d]) = ((length - 5).to_be_bytes(), (length - 9).to_be_bytes());
    let mut bytes = vec![22, 3, 1, a, b, 1, 0, c, d];
    bytes.resize(length.into(), 7);
    bytes
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

async fn open(engine: &TestEngine, target: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    stream.write_all(connect(target, Some(TOKEN)).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await, ESTABLISHED);
    stream
}

#[tokio::test]
async fn a_hello_reaches_the_server_whole_although_connections_before_it_broke() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let (engine, _session) = session(&upstream).await;
    for length in [517, 1795] {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sent = hello(length);
        let mut tunnel = open(&engine, server.local_addr().unwrap()).await;
        // At accept, after the hello by a reset, after it by an end.
        reset(server.accept().await.unwrap().0);
        let (first, second) = sent.split_at(300);
        tunnel.write_all(first).await.unwrap();
        tunnel.write_all(second).await.unwrap();
        let mut seen = vec![0; length.into()];
        for ends in [false, true] {
            let (mut broken, _) = timeout(LIMIT, server.accept()).await.unwrap().unwrap();
            broken.read_exact(&mut seen).await.unwrap();
            assert_eq!(seen, sent);
            if !ends {
                reset(broken);
            }
        }
        let (mut last, _) = timeout(LIMIT, server.accept()).await.unwrap().unwrap();
        last.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, sent);
        last.write_all(b"hi").await.unwrap();
        let mut answer = [0; 2];
        tunnel.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hi");
        // After a byte of the server's a reset is the client's.
        reset(last);
        let end = timeout(LIMIT, tunnel.read(&mut answer)).await.unwrap();
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn ends_pass_one_way_at_a_time_and_a_clients_reset_reaches_the_server() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let (engine, _session) = session(&upstream).await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for resets in [false, true] {
        let mut tunnel = open(&engine, server.local_addr().unwrap()).await;
        let (mut far, _) = server.accept().await.unwrap();
        far.write_all(b"x").await.unwrap();
        assert_eq!(tunnel.read_u8().await.unwrap(), b'x');
        if resets {
            reset(tunnel);
            let end = timeout(LIMIT, far.read_u8()).await.unwrap();
            assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        } else {
            tunnel.write_all(b"bye").await.unwrap();
            tunnel.shutdown().await.unwrap();
            assert_eq!(read_all(&mut far, LIMIT).await, b"bye");
            far.write_all(b"still here").await.unwrap();
            drop(far);
            assert_eq!(read_all(&mut tunnel, LIMIT).await, b"still here");
        }
    }
}

#[tokio::test]
async fn without_the_token_a_client_may_ask_again_and_the_token_opens_nothing_else() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let (engine, _session) = session(&upstream).await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = server.local_addr().unwrap();
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    for token in [None, Some("00000000000000000000000000000000")] {
        stream.write_all(connect(target, token).as_bytes()).await.unwrap();
        let refused = read_response(&mut stream).await;
        assert!(refused.starts_with("HTTP/1.1 407 ") && refused.contains("Basic realm=\"leeward\""), "{refused}");
    }
    stream.write_all(connect(target, Some(TOKEN)).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await, ESTABLISHED);
    let control = client().get(engine.url("/_leeward/v1/config")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(control.status(), 401);
    // Leeward itself, and a place where nobody listens.
    let dead = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    for (target, status, code) in [(engine.address, 403, "tunnel-not-allowed"), (dead, 502, "connect")] {
        let mut stream = TcpStream::connect(engine.address).await.unwrap();
        stream.write_all(connect(target, Some(TOKEN)).as_bytes()).await.unwrap();
        let refused = read_response(&mut stream).await;
        assert!(refused.starts_with(&format!("HTTP/1.1 {status} ")) && refused.contains(code), "{refused}");
        assert!(refused.contains("connection: close") && !refused.contains(TOKEN), "{refused}");
        assert_eq!(refused.matches("Leeward: ").count(), 1, "{refused}");
    }
}
