//! Where tunnels lead: the company proxy of a session, what a public listener allows, and how long what is not there takes.

use crate::support::{
    LIMIT, TestEngine, client,
    company::{Company, WriteOutcome},
    eventually,
    raw::read_response,
    tunnel::{CLIENT_TOKEN, ESTABLISHED, TOKEN, ask, connect, counts, open, pair, register, rest, server, session},
};
use leeward::config::{CompanyProxy, ProxyChoice, Secret, TunnelAllow};
use scripted::{Plan, Upstream};
use serde_json::json;
use std::{
    net::{IpAddr, UdpSocket},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn engine() -> TestEngine {
    TestEngine::start(&Upstream::plain(Plan::none()).unwrap())
}

/// The proxy that a session's programs had before they had Leeward.
#[tokio::test]
async fn an_inherited_company_proxy_is_chained() {
    let dead = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    for (login, script, status, says, at_once) in [
        ("me:hush@", &[][..], 200, "Established", true),
        ("me:wrong@", &[], 502, "proxy-login", true),
        ("", &[], 502, "proxy-login", true),
        ("me:hush@", &[WriteOutcome::Status(503), WriteOutcome::Reset], 200, "Established", true),
        ("me:hush@", &[WriteOutcome::Status(403); 64], 502, "company-proxy", true),
        ("me:hush@", &[WriteOutcome::Status(503); 64], 502, "company-proxy", false),
    ] {
        let company = Company::http(Some("me:hush")).await;
        company.script(script.iter().copied());
        let engine = engine();
        let url = format!("http://{login}{}", company.address);
        let egress = json!({ "proxies": { "HTTPS_PROXY": url, "NO_PROXY": "direct.invalid" } });
        let _session = register(&engine, json!({ "egress": egress })).await;
        let began = Instant::now();
        let (_stream, answer) = ask(&engine, "api.invalid:8443").await;
        let took = began.elapsed();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(says), "{login} {script:?}: {answer}");
        assert_eq!(took < Duration::from_secs(2), at_once, "{login} {took:?}: {answer}");
        assert!(took < Duration::from_secs(6), "{took:?}");
        assert!(!answer.contains("hush") && !answer.contains("wrong"), "{answer}");
        // Its NO_PROXY holds, and so does loopback.
        let (direct, address) = server().await;
        let (_, answer) = ask(&engine, "direct.invalid:443").await;
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("x-leeward-error: dns"), "{answer}");
        assert_eq!(ask(&engine, address).await.1, ESTABLISHED);
        direct.accept().await.unwrap();
        assert!(company.seen().iter().all(|line| line == "CONNECT api.invalid:8443"), "{:?}", company.seen());
    }
    let engine = engine();
    let egress = json!({ "proxies": { "HTTPS_PROXY": format!("http://{dead}") } });
    let _session = register(&engine, json!({ "egress": egress })).await;
    let began = Instant::now();
    let (_, answer) = ask(&engine, "api.invalid:443").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains(&dead.to_string()), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(2), "nothing listens there: {:?}", began.elapsed());
}

/// Bytes, and a hello that is sent again through it.
#[tokio::test]
async fn a_tunnel_in_a_company_proxys_tunnel_carries_bytes_both_ways() {
    for socks in [false, true] {
        let company = if socks { Company::socks(None).await } else { Company::http(None).await };
        let scheme = if socks { "socks5h" } else { "http" };
        let url = format!("{scheme}://{}", company.address);
        let (engine, _session) =
            session(|c| c.proxy.url = ProxyChoice::Named(CompanyProxy::parse(&url, "proxy.url").unwrap())).await;
        let (server, address) = server().await;
        let mut tunnel = open(&engine, address).await;
        let hello = crate::support::tunnel::hello(517);
        tunnel.write_all(&hello).await.unwrap();
        let mut seen = vec![0; hello.len()];
        for breaks in [true, false] {
            let (mut far, _) = tokio::time::timeout(LIMIT, server.accept()).await.unwrap().unwrap();
            far.read_exact(&mut seen).await.unwrap();
            assert_eq!(seen, hello);
            if !breaks {
                far.write_all(b"served").await.unwrap();
            }
        }
        assert_eq!(rest(&mut tunnel).await, b"served", "{scheme}");
    }
}

/// On an address that others reach: port 443 of public addresses, and what `tunnel.allow` names.
#[tokio::test]
async fn a_public_listener_leads_only_where_it_may() {
    let (server, address) = server().await;
    let port = address.port();
    let named = format!("127.0.0.1:{port}");
    for (allow, target, status) in [
        (&[][..], "127.0.0.1:443".to_owned(), 403),
        (&[], named.clone(), 403),
        (&[], "10.1.2.3:443".to_owned(), 403),
        (&[], "10.1.2.3:8443".to_owned(), 403),
        (&[], "93.184.216.34:8443".to_owned(), 403),
        (&[], "api.example:8443".to_owned(), 403),
        (&[], "localhost:443".to_owned(), 403),
        (&[named.as_str()], named.clone(), 200),
        (&["127.0.0.0/8"], named.clone(), 200),
        (&["localhost"], format!("localhost:{port}"), 200),
        (&["127.0.0.0/8"], format!("localhost:{port}"), 200),
        (&["127.0.0.1:1"], named.clone(), 403),
        (&["10.0.0.0/8"], format!("localhost:{port}"), 403),
    ] {
        let (engine, _session) = session(|c| {
            c.listen = ([0, 0, 0, 0], 0).into();
            c.client_token = Some(Secret::new(CLIENT_TOKEN.into()));
            c.tunnel_allow = TunnelAllow::parse(allow.iter().map(|entry| (*entry).to_owned()).collect()).unwrap();
        })
        .await;
        let mut stream = TcpStream::connect(("127.0.0.1", engine.address.port())).await.unwrap();
        stream.write_all(connect(&target, Some(TOKEN)).as_bytes()).await.unwrap();
        let answer = read_response(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{allow:?} {target}: {answer}");
        if status == 403 {
            assert!(answer.contains("tunnel-not-allowed") && answer.contains("application/json"), "{answer}");
        } else {
            server.accept().await.unwrap();
        }
    }
}

/// Any port and private addresses, from loopback: the token's holder could go there itself.
#[tokio::test]
async fn from_loopback_every_port_is_reached() {
    let (engine, _session) = session(|_| {}).await;
    for address in own_addresses() {
        let Ok(server) = TcpListener::bind((address, 0)).await else { continue };
        let (mut near, mut far) = pair(&engine, &server).await;
        far.write_all(b"x").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'x', "{address}");
    }
}

/// Loopback, and what this machine has besides.
fn own_addresses() -> Vec<IpAddr> {
    let mut found = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    let route = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // Sends nothing: it only asks for the route.
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    found.extend(route.map(|address| address.ip()));
    found
}

/// A plain no is told soon, silence after four seconds, and neither ever without an answer.
#[tokio::test]
async fn what_is_not_there_is_told_in_time() {
    let (engine, _session) = session(|_| {}).await;
    let (_full, full) = full_queue().await;
    let mut targets = vec![("no-such-host.invalid:443".to_owned(), "dns", 5.0), (full, "connect", 5.0)];
    for address in own_addresses() {
        let Ok(dead) = std::net::TcpListener::bind((address, 0)).and_then(|socket| socket.local_addr()) else { continue };
        targets.push((dead.to_string(), "connect", 2.0));
    }
    for (target, code, within) in targets {
        let began = Instant::now();
        let (mut stream, answer) = ask(&engine, &target).await;
        let took = began.elapsed().as_secs_f64();
        println!("{target}: {took:.2} s");
        assert!(took < within, "{target} {took}: {answer}");
        assert!(
            answer.starts_with("HTTP/1.1 502 ") && answer.contains(&format!("x-leeward-error: {code}")),
            "{target}: {answer}"
        );
        assert!(answer.contains("content-type: application/json") && answer.contains("connection: close"), "{answer}");
        assert_eq!(rest(&mut stream).await, b"");
    }
    let tunnels = counts(&engine).await;
    assert_eq!((&tunnels["opened"], &tunnels["failed"]["dns"]), (&json!(0), &json!(1)), "{tunnels}");
}

/// A listener whose queue takes nobody any more: connections to it are not answered.
async fn full_queue() -> ((std::net::TcpListener, Vec<TcpStream>), String) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let listener = std::net::TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the queue has an end");
    }
    ((listener, waiting), address.to_string())
}

/// Behind a proxy an agent does not announce itself by `HEAD /api/hello`: its first CONNECT does, once a session.
#[tokio::test]
async fn a_sessions_first_connect_warms_the_pool_that_leads_to_the_same_place() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.pool.idle = Duration::from_secs(2));
    let _session = register(&engine, json!({})).await;
    let origin = upstream.address().to_string();
    let open_now = async || engine.stats().await["origins"][&origin]["open"].clone();
    // Nobody sends requests there: no pool, and none is made.
    assert_eq!(ask(&engine, &origin).await.1, ESTABLISHED);
    assert_eq!(open_now().await, serde_json::Value::Null);
    let _second = register(&engine, json!({ "tunnel_token": "abcdefabcdefabcdefabcdefabcdefab" })).await;
    let warm = client().post(engine.url("/_leeward/v1/warm")).bearer_auth(engine.token()).json(&json!({ "upstream": null }));
    assert_eq!(warm.send().await.unwrap().status(), 200);
    eventually("it was warm", async || open_now().await == 4).await;
    eventually("and is cold again", async || open_now().await == 0).await;
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    for (expected, target) in [(407, "x:1"), (200, origin.as_str())] {
        let token = if expected == 200 { "abcdefabcdefabcdefabcdefabcdefab" } else { "none" };
        stream.write_all(connect(target, Some(token)).as_bytes()).await.unwrap();
        assert!(read_response(&mut stream).await.starts_with(&format!("HTTP/1.1 {expected}")));
    }
    eventually("the first CONNECT has warmed it", async || open_now().await == 4).await;
}
