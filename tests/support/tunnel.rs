//! What the tests of tunnels share: a session with a token, CONNECTs on bare sockets, hellos, scripted ends.

use super::{
    LIMIT, TestEngine, client,
    raw::{self, read_response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use leeward::config::Config;
use scripted::{Plan, Upstream};
use serde_json::json;
use socket2::SockRef;
use std::{fmt::Display, net::SocketAddr, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// What clients of a public listener send.
pub const CLIENT_TOKEN: &str = "a-token-for-clients";
pub const ESTABLISHED: &str = "HTTP/1.1 200 Connection Established\r\n\r\n";

/// Registers a session; it lasts as long as the response.
pub async fn register(engine: &TestEngine, more: serde_json::Value) -> reqwest::Response {
    let mut body = json!({ "agent": "test", "pid": 1, "tunnel_token": TOKEN });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let url = format!("http://127.0.0.1:{}/_leeward/v1/sessions", engine.address.port());
    let asked = client().post(url).header("x-leeward-token", CLIENT_TOKEN).bearer_auth(engine.token()).json(&body);
    let mut stream = asked.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.unwrap().is_some());
    stream
}

/// An engine, and a session of it.
pub async fn session(tune: impl FnOnce(&mut Config)) -> (TestEngine, reqwest::Response) {
    let engine = TestEngine::tuned(&Upstream::plain(Plan::none()).unwrap(), tune);
    let stream = register(&engine, json!({})).await;
    (engine, stream)
}

/// The value of `Proxy-Authorization`.
pub fn login(token: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("leeward:{token}")))
}

/// A CONNECT's head.
pub fn connect(target: impl Display, token: Option<&str>) -> String {
    let login = token.map_or_else(String::new, |token| format!("Proxy-Authorization: {}\r\n", login(token)));
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n")
}

/// A ClientHello of so many bytes, as far as anybody between the two ends can see.
pub fn hello(length: u16) -> Vec<u8> {
    let ([a, b], [c, d]) = ((length - 5).to_be_bytes(), (length - 9).to_be_bytes());
    let mut bytes = vec![22, 3, 1, a, b, 1, 0, c, d];
    bytes.resize(length.into(), 7);
    bytes
}

/// Ends a connection by a reset.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Asks for a tunnel with the session's token, and reads the answer.
pub async fn ask(engine: &TestEngine, target: impl Display) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    stream.write_all(connect(target, Some(TOKEN)).as_bytes()).await.unwrap();
    let answer = read_response(&mut stream).await;
    (stream, answer)
}

/// A tunnel.
pub async fn open(engine: &TestEngine, target: impl Display) -> TcpStream {
    let (stream, answer) = ask(engine, target).await;
    assert_eq!(answer, ESTABLISHED);
    stream
}

/// A server, and where it is.
pub async fn server() -> (TcpListener, SocketAddr) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

/// A tunnel to a server, and the server's end of it.
pub async fn pair(engine: &TestEngine, server: &TcpListener) -> (TcpStream, TcpStream) {
    let tunnel = open(engine, server.local_addr().unwrap()).await;
    let (far, _) = timeout(LIMIT, server.accept()).await.unwrap().unwrap();
    (tunnel, far)
}

/// Reads all until the end.
pub async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    raw::read_all(stream, LIMIT).await
}

/// The counters of tunnels.
pub async fn counts(engine: &TestEngine) -> serde_json::Value {
    engine.stats().await["tunnels"].clone()
}

/// Plants secrets in CONNECTs of a `serve` that logs everything: the session's token and a wrong one, cookies, keys, bytes.
#[cfg(target_os = "linux")]
pub async fn plant(home: &crate::home::Home, proxy: SocketAddr, target: SocketAddr) {
    let control = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let egress = json!({ "proxies": { "HTTPS_PROXY": "http://me:PLANTED-password@127.0.0.1:9" } });
    let token = "PLANTED-tunnel-token-of-32-letters-or-more";
    let body = json!({ "agent": "test", "pid": 1, "tunnel_token": token, "egress": egress });
    let url = format!("http://{proxy}/_leeward/v1/sessions");
    let mut session = client().post(url).bearer_auth(control.trim()).json(&body).send().await.unwrap();
    assert!(session.status() == 200 && session.chunk().await.unwrap().is_some());
    let more = "Cookie: PLANTED-cookie\r\nAuthorization: Bearer PLANTED-bearer\r\n\r\n";
    for (target, token) in [
        (target.to_string(), token),
        ("api.invalid:443".to_owned(), token),
        (proxy.to_string(), token),
        ("me:PLANTED-user@api.invalid:443".to_owned(), token),
        (target.to_string(), "PLANTED-wrong"),
    ] {
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        let head = connect(&target, Some(token));
        stream.write_all(head.trim_end().as_bytes()).await.unwrap();
        stream.write_all(format!("\r\n{more}").as_bytes()).await.unwrap();
        let answer = read_response(&mut stream).await;
        assert!(!answer.contains("PLANTED"), "{answer}");
        if answer == ESTABLISHED {
            stream.write_all(b"GET /?key=PLANTED-inside HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").await.unwrap();
            rest(&mut stream).await;
        }
    }
}
