//! Intercept mode: whose TLS ends in Leeward, whose does not, and what a decrypted request meets.

use crate::support::{
    LIMIT,
    decrypted::{AGENT, API, CHILD, Hello, World, connect_head, get, post, say, session, tls, tunnel},
    eventually, message,
    raw::read_all,
};
use leeward::config::{Config, WebSocket};
use scripted::Plan;
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn code(condition: &serde_json::Value) -> &str {
    condition["code"].as_str().unwrap()
}

#[tokio::test]
async fn an_agents_requests_are_decrypted_and_reach_their_host_as_they_were_sent() {
    let world = World::new(Plan::none()).await;
    let session = world.session(json!({})).await;
    let root = world.certificate(session.id());
    for alpn in [&[][..], &["http/1.1"], &["h2", "http/1.1"]] {
        let mut tls = tls(world.engine.address, API, &Hello { alpn, ..Hello::of(API, &root) }).await.unwrap();
        let agreed = tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed, (!alpn.is_empty()).then(|| b"http/1.1".to_vec()), "{alpn:?}");
        let request = "GET /v1/models?limit=1 HTTP/1.1\r\nHost: api.anthropic.com\r\nOrigin: https://x\r\nX-Own-Case: 1\r\nanthropic-version: 1\r\n\r\n";
        let response = say(&mut tls, request).await;
        assert!(response.starts_with("HTTP/1.1 200 ") && !response.contains("x-leeward"), "{response}");
        // The same connection serves on, and an inference is repaired and marked as through a base URL.
        let response = say(&mut tls, &post(API, "/v1/messages", &message(true).to_string())).await;
        assert!(response.contains("message_stop") && response.contains("x-leeward-attempts: 1"), "{response}");
    }
    let seen = world.upstream.log().record().requests;
    let first = &seen[0].head;
    assert_eq!((first.target.as_str(), first.header("host")), ("/v1/models?limit=1", Some(API)));
    assert!(first.headers.iter().any(|(name, value)| name == "X-Own-Case" && value == "1"), "{first:?}");
    assert_eq!(first.header("origin"), Some("https://x"));
    assert_eq!(first.header("proxy-authorization"), None);
    let stats = world.engine.stats().await;
    assert_eq!(stats["upstreams"]["api.anthropic.com:443"]["requests"], 6);
    assert_eq!(world.conditions().await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn whatever_cannot_be_decrypted_reaches_the_real_server_in_the_same_connection() {
    for (what, hello, why) in [
        ("no host", Hello { sni: false, ..Hello::of(API, &Vec::new().into()) }, "names no host"),
        ("another host", Hello { names: "platform.claude.com", ..Hello::of(API, &Vec::new().into()) }, "names another host"),
        ("only HTTP/2", Hello { alpn: &["h2"], ..Hello::of(API, &Vec::new().into()) }, "speaks only HTTP/2"),
    ] {
        let world = World::new(Plan::none()).await;
        let _session = world.session(json!({})).await;
        let real = world.real();
        let made = tls(world.engine.address, API, &Hello { root: &real, ..hello }).await;
        // The scripted upstream speaks no HTTP/2; that it says so shows that the client has reached it.
        match made {
            Ok(mut tls) => assert!(say(&mut tls, &get(API, "/api/hello")).await.contains("hello"), "{what}"),
            Err(e) => assert!(what == "only HTTP/2" && e.to_string().contains("NoApplicationProtocol"), "{what}: {e}"),
        }
        let conditions = world.conditions().await;
        assert_eq!((conditions.len(), code(&conditions[0])), (1, "not-decrypted"), "{what}");
        let sentence = conditions[0]["sentence"].as_str().unwrap();
        assert!(sentence.contains(why) && sentence.contains(API), "{what}: {sentence}");
        assert_eq!(conditions[0]["subject"], "claude (pid 1), api.anthropic.com");
    }
}

/// A ClientHello of so many bytes that goes on for ever, or stops, or is none.
#[tokio::test]
async fn a_hello_that_is_none_too_large_or_cut_costs_nobody_anything() {
    let mut large = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff];
    large.resize(64 << 10, 7);
    for (what, bytes, cut, carried) in [
        ("plain text", b"GET / HTTP/1.1\r\n\r\n".to_vec(), false, true),
        ("64 KiB", large, false, true),
        ("cut", vec![22, 3, 1, 1, 0, 1, 0, 0], true, false),
    ] {
        let world = World::new(Plan::none()).await;
        let _session = world.session(json!({})).await;
        let mut stream = tunnel(world.engine.address, "api.anthropic.com:443", AGENT).await;
        // The other end may have closed by then.
        stream.write_all(&bytes).await.ok();
        if cut {
            stream.shutdown().await.unwrap();
            assert_eq!(read_all(&mut stream, LIMIT).await, b"");
        }
        if carried {
            eventually(what, async || !world.upstream.log().record().connections.is_empty()).await;
            assert_eq!(world.conditions().await.len(), 1, "{what}");
        } else {
            assert_eq!(world.conditions().await.len(), 0, "{what}: whoever leaves is not judged");
        }
    }
}

#[tokio::test]
async fn child_tools_other_hosts_and_other_ports_are_not_touched() {
    let world = World::new(Plan::none()).await;
    let session = world.session(json!({})).await;
    let (own, real) = (world.certificate(session.id()), world.real());
    for (host, shape, decrypted) in [
        (API, AGENT, true),
        ("platform.claude.com", &["host", "connection", "proxy-authorization"][..], true),
        ("mcp-proxy.anthropic.com", &["Proxy-Authorization", "Host", "Proxy-Connection"], true),
        (API, CHILD, false),
        (API, &["Host", "Accept", "Proxy-Authorization"], false),
        ("localhost", AGENT, false),
    ] {
        let root = if decrypted { &own } else { &real };
        let mut tls = tls(world.engine.address, host, &Hello { shape, ..Hello::of(host, root) }).await.unwrap();
        assert!(say(&mut tls, &get(host, "/api/hello")).await.contains("hello"), "{host} {shape:?}");
    }
    // Another port of a listed host is another server.
    let stream = tunnel(world.engine.address, "api.anthropic.com:8443", AGENT).await;
    eventually("it is carried", async || world.company.seen().contains(&"CONNECT api.anthropic.com:8443".to_owned())).await;
    drop(stream);
    assert_eq!(world.conditions().await.len(), 0, "none of it is a fault");
}

#[tokio::test]
async fn another_agents_hosts_are_not_its_own() {
    let world = World::new(Plan::none()).await;
    let _codex = world.session(json!({ "agent": "codex" })).await;
    let real = world.real();
    let mut tls = tls(world.engine.address, API, &Hello::of(API, &real)).await.unwrap();
    assert!(say(&mut tls, &get(API, "/api/hello")).await.contains("hello"));
}

#[tokio::test]
async fn a_program_that_does_not_trust_us_loses_one_connection_and_the_rest_of_its_session_is_blind() {
    let world = World::new(Plan::none()).await;
    let first = world.session(json!({})).await;
    let (own, real) = (world.certificate(first.id()), world.real());
    let untrusting = &["Host", "Proxy-Authorization"][..];
    let hello = Hello { shape: untrusting, ..Hello::of(API, &real) };
    let refused = tls(world.engine.address, API, &hello).await.unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");
    eventually("the condition is shown", async || world.conditions().await.len() == 1).await;
    let conditions = world.conditions().await;
    assert!(conditions[0]["sentence"].as_str().unwrap().contains("unknown_ca"), "{conditions:?}");
    let mut again = tls(world.engine.address, API, &hello).await.unwrap();
    assert!(say(&mut again, &get(API, "/api/hello")).await.contains("hello"));
    // Another kind of program, and another host, are judged by themselves.
    let mut agent = tls(world.engine.address, API, &Hello::of(API, &own)).await.unwrap();
    assert!(say(&mut agent, &get(API, "/api/hello")).await.contains("hello"));
    tls(world.engine.address, "platform.claude.com", &Hello { shape: untrusting, ..Hello::of("platform.claude.com", &own) })
        .await
        .unwrap();
    drop((again, agent, first));
    eventually("it ends with the session", async || world.conditions().await.is_empty()).await;
    let second = session(&world.engine, json!({ "authority": own_id(&world) })).await;
    tls(world.engine.address, API, &Hello { shape: untrusting, ..Hello::of(API, &own) }).await.unwrap();
    drop(second);
}

fn own_id(world: &World) -> String {
    let files = std::fs::read_dir(world.folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    files.filter_map(|name| name.strip_suffix(".crt").map(str::to_owned)).next().unwrap()
}

/// Node and Bun look at the certificate only after the handshake, and then close without a word.
#[tokio::test]
async fn who_closes_right_after_the_handshake_is_taken_for_untrusting_unless_it_has_asked_before() {
    let world = World::new(Plan::none()).await;
    let session = world.session(json!({})).await;
    let (own, real) = (world.certificate(session.id()), world.real());
    let served = &["Host", "Proxy-Authorization"][..];
    let known = Hello { shape: served, ..Hello::of(API, &own) };
    let mut tls_known = tls(world.engine.address, API, &known).await.unwrap();
    say(&mut tls_known, &get(API, "/api/hello")).await;
    for hello in [known, Hello::of(API, &own)] {
        let mut silent = tls(world.engine.address, API, &hello).await.unwrap();
        silent.shutdown().await.unwrap();
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).await.ok();
    }
    eventually("the stranger is not decrypted any more", async || world.conditions().await.len() == 1).await;
    let mut blind = tls(world.engine.address, API, &Hello::of(API, &real)).await.unwrap();
    assert!(say(&mut blind, &get(API, "/api/hello")).await.contains("hello"));
    tls(world.engine.address, API, &known).await.unwrap();
}

#[tokio::test]
async fn a_decrypted_request_is_for_its_tunnels_host_alone_and_opens_no_path_of_leewards() {
    let world = World::new(Plan::none()).await;
    let session = world.session(json!({})).await;
    let ask = async |request: &str| world.ask(&session, API, request).await;
    for (request, status, code) in [
        ("GET / HTTP/1.1\r\nHost: github.com\r\n\r\n", 421, "foreign-host"),
        ("GET /v1/%2e%2e/x HTTP/1.1\r\nHost: api.anthropic.com\r\n\r\n", 400, "dot-segments"),
        ("CONNECT github.com:443 HTTP/1.1\r\nHost: api.anthropic.com\r\n\r\n", 501, "connect-not-supported"),
        ("GET https://github.com/ HTTP/1.1\r\nHost: api.anthropic.com\r\n\r\n", 421, "foreign-target"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad-host"),
        (
            "GET /v1/responses HTTP/1.1\r\nHost: api.anthropic.com\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            426,
            "upgrade-not-supported",
        ),
    ] {
        let response = ask(request).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {response}");
        assert!(response.contains(&format!("x-leeward-error: {code}")), "{request}: {response}");
    }
    assert_eq!(world.upstream.log().record().requests.len(), 0);
    for path in ["/livez", "/_leeward/v1/status", "/stats", "/@openai/v1/models"] {
        let response = ask(&get(API, path)).await;
        assert!(response.starts_with("HTTP/1.1 404 ") && response.contains("is not known here"), "{path}: {response}");
    }
}

/// Agents stream their inferences over HTTP then; a program that needs a socket gets it from the real server the next time.
#[tokio::test]
async fn who_is_refused_a_websocket_and_has_no_other_way_is_not_decrypted_any_more() {
    let refuse = |config: &mut Config| {
        config.websocket.insert(Some("anthropic".into()), WebSocket::Refuse);
    };
    let world = World::tuned(Plan::none(), refuse).await;
    let session = world.session(json!({})).await;
    let (own, real) = (world.certificate(session.id()), world.real());
    for (path, root) in [("/v1/responses", &own), ("/v1/code/x", &own), ("/v1/code/x", &real)] {
        let mut tls = tls(world.engine.address, API, &Hello::of(API, root)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {API}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
        let refused_by_us = say(&mut tls, &request).await.starts_with("HTTP/1.1 426 ");
        assert_eq!(refused_by_us, std::ptr::eq(root, &own), "{path}");
    }
    assert!(world.conditions().await[0]["sentence"].as_str().unwrap().contains("WebSocket"));
}

#[tokio::test]
async fn the_list_of_connectors_is_answered_here_where_the_user_wants_none() {
    let world = World::new(Plan::none()).await;
    let off = world.session(json!({ "connectors": false })).await;
    let response = world.ask(&off, API, &get(API, "/v1/mcp_servers?limit=1000&include_additional_installs=true")).await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"data":[],"has_more":false}"#);
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("x-leeward: local"), "{head}");
    assert_eq!(world.upstream.log().record().requests.len(), 0);
    assert_eq!(world.engine.stats().await["upstreams"]["answered-by-leeward"]["requests"], 1);
    world.ask(&off, API, &post(API, "/v1/mcp_servers", "{}")).await;
    let doors = world.engine.stats().await["doors"].clone();
    assert_eq!(doors, json!({ "base_url": 0, "tunnel": 0, "intercept": 1, "local": 1 }));
    drop(off);
    eventually("the session has ended", async || world.engine.engine.sessions().list().is_empty()).await;
    let on = world.session(json!({})).await;
    world.ask(&on, API, &get(API, "/v1/mcp_servers?limit=1000")).await;
    assert_eq!(world.upstream.log().record().requests.len(), 2);
}

#[tokio::test]
async fn a_burst_of_tunnels_shares_a_few_connections() {
    let world = World::new(Plan::none()).await;
    let session = world.session(json!({})).await;
    let root = world.certificate(session.id());
    let hello = Hello::of(API, &root);
    let one = async || {
        let mut tls = tls(world.engine.address, API, &hello).await.unwrap();
        assert!(say(&mut tls, &get(API, "/api/hello")).await.contains("hello"));
    };
    for _ in 0..2 {
        tokio::join!(one(), one(), one(), one(), one(), one(), one(), one(), one(), one());
    }
    let dials = world.company.seen().len();
    assert!(dials <= 4, "{dials} connections for 20 tunnels");
}

#[tokio::test]
async fn a_connection_that_rests_goes_on_and_a_drained_one_is_closed_with_close_notify() {
    let world = World::tuned(Plan::none(), |config| config.client.buffer_idle = Duration::from_millis(1)).await;
    let session = world.session(json!({})).await;
    let root = world.certificate(session.id());
    let mut resting = tls(world.engine.address, API, &Hello::of(API, &root)).await.unwrap();
    // It rests a millisecond after each.
    for _ in 0..50 {
        assert!(say(&mut resting, &get(API, "/api/hello")).await.contains("hello"));
    }
    let World { engine, .. } = world;
    tokio::task::spawn_blocking(move || engine.engine.stop(Duration::from_millis(50))).await.unwrap();
    let mut rest = Vec::new();
    // rustls says `UnexpectedEof` where a FIN comes without close_notify.
    assert_eq!(resting.read_to_end(&mut rest).await.unwrap(), 0);
}

#[tokio::test]
async fn the_answer_to_connect_is_written_at_once_before_any_dial() {
    let world = World::new(Plan::none()).await;
    let _session = world.session(json!({})).await;
    let mut stream = TcpStream::connect(world.engine.address).await.unwrap();
    let mut sent = connect_head("api.anthropic.com:443", AGENT).into_bytes();
    sent.extend([22, 3]);
    stream.write_all(&sent).await.unwrap();
    let mut answer = [0; 256];
    let n = stream.read(&mut answer).await.unwrap();
    assert_eq!(&answer[..n], b"HTTP/1.1 200 Connection Established\r\n\r\n");
}

#[tokio::test]
async fn a_sessions_own_way_out_is_its_decrypted_connections_too() {
    let world = World::tuned(Plan::none(), |config| config.proxy.url = leeward::config::ProxyChoice::Auto).await;
    let proxy = format!("http://{}", world.company.address);
    let session = world.session(json!({ "egress": { "proxies": { "HTTPS_PROXY": proxy } } })).await;
    let response = world.ask(&session, API, &get(API, "/api/hello")).await;
    assert!(response.contains("hello") && !world.company.seen().is_empty(), "{response}");
}
