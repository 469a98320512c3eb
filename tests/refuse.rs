//! Bad input on the wire: one clear sentence, the documented status, and the engine serves on.

use crate::{
    home::Home,
    support::{LIMIT, TestEngine, client, message, raw},
};
use leeward::supervisor::TestHooks;
use scripted::{Fault, Plan, Upstream};
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Status, code in `x-leeward-error`, and what is sent (`HOST` stands for the engine's address).
const RAW: &[(u16, &str, &str)] = &[
    (400, "not-http", "\0\0\0\0 what is this\r\n\r\n"),
    (400, "not-http", "hello there\r\n\r\n"),
    (400, "not-http", "GET / HTTP/1.1\r\nHost HOST\r\n\r\n"),
    (400, "tls-on-plain-port", "\u{16}\u{3}\u{1}\u{2}"),
    (505, "http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (
        400,
        "ambiguous-length",
        "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (400, "ambiguous-length", "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    (400, "bad-length", "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n"),
    (501, "bad-coding", "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip\r\n\r\n"),
    (400, "bad-lines", "GET / HTTP/1.1\nHost: HOST\n\n"),
    (400, "bad-host", "GET / HTTP/1.1\r\n\r\n"),
    (400, "bad-host", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n"),
    (421, "foreign-host", "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    (421, "foreign-host", "GET /health HTTP/1.1\r\nHost: app.localhost:1\r\n\r\n"),
    (
        403,
        "foreign-origin",
        "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nOrigin: https://evil.example\r\nContent-Length: 2\r\n\r\n{}",
    ),
    (403, "from-browser", "GET /v1/models HTTP/1.1\r\nHost: HOST\r\nSec-Fetch-Site: cross-site\r\n\r\n"),
    (403, "from-browser", "GET /worker.js HTTP/1.1\r\nHost: HOST\r\nService-Worker: script\r\n\r\n"),
    (403, "from-browser", "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nSec-Fetch-Mode: navigate\r\nContent-Length: 0\r\n\r\n"),
    (421, "foreign-target", "GET http://example.com/ HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    (421, "foreign-target", "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n"),
    (421, "foreign-target", "GET http://localhost:3000/ HTTP/1.1\r\nHost: localhost:3000\r\n\r\n"),
    (400, "bad-connect", "CONNECT api.anthropic.com HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    (
        426,
        "upgrade-not-supported",
        "GET /v1/responses HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
    (400, "dot-segments", "GET /v1/../../etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    (400, "dot-segments", "GET /@openai/%2e%2e/x HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    (400, "unknown-upstream", "GET /@nobody/x HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    (413, "body-too-large", "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999999\r\n\r\n"),
    (400, "body-malformed", "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    (405, "wrong-method", "POST /health HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"),
    (401, "control-token", "POST /_leeward/v1/restart HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"),
    (401, "control-token", "GET /_leeward/v1/status HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer 0000\r\n\r\n"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_told_why_and_the_engine_serves_on() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let host = engine.address.to_string();
    for (status, code, said) in RAW {
        let answer = raw::ask(engine.address, said.replace("HOST", &host).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{said:?}\n{answer}");
        assert!(answer.contains(&format!("x-leeward-error: {code}\r\n")), "{said:?}\n{answer}");
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let json: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{said:?}: {e}: {answer}"));
        assert!(json.pointer("/error/message").unwrap().as_str().unwrap().ends_with(['.', ')']), "a sentence: {json}");
    }
    let bombs = [
        (431, "head-too-large", format!("GET / HTTP/1.1\r\nHost: {host}\r\nA: {}\r\n\r\n", "x".repeat(70_000))),
        (431, "head-too-large", format!("GET /{} HTTP/1.1\r\n", "x".repeat(70_000))),
        (431, "too-many-fields", format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "a: b\r\n".repeat(300))),
    ];
    for (status, code, said) in bombs {
        let answer = raw::ask(engine.address, said.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code), "{answer}");
    }
    assert_eq!(upstream.log().record().requests.len(), 0, "nothing of it reached the upstream");
    let good = client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap();
    assert_eq!(good.status(), 200);
}

/// Two requests in one write: both are vetted, both are answered, in order.
#[tokio::test]
async fn pipelined_requests_are_vetted_one_by_one() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let one = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", engine.address);
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    stream.write_all(one.repeat(3).as_bytes()).await.unwrap();
    for _ in 0..3 {
        assert!(raw::read_response(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    let body = message(false).to_string();
    let post = format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}", engine.address, body.len());
    let smuggled =
        format!("{post}POST / HTTP/1.1\r\nhost: {}\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", engine.address);
    let answer = raw::talk(engine.address, smuggled.as_bytes(), LIMIT).await;
    assert!(answer.contains("HTTP/1.1 200") && answer.contains("ambiguous-length"), "{answer}");
    assert_eq!(upstream.log().record().requests.len(), 1);
}

/// A token that can be guessed protects nobody: neither `config check` nor the engine takes it, and neither says it.
#[test]
fn a_weak_client_token_opens_no_address() {
    let home = Home::new();
    let configure = |token: &str| {
        let text = format!("listen = \"0.0.0.0:8787\"\nclient_token = \"{token}\"");
        std::fs::write(home.paths().config_file, text).unwrap();
    };
    for token in ["", "a", "1234", "fifteen-letters"] {
        configure(token);
        let ran = home.run(&["config", "check"]);
        assert_eq!(ran.code, Some(78), "{ran:?}");
        let told = ran.stdout + &ran.stderr;
        assert!(told.contains("client_token: has") && told.contains("16 at least"), "{told}");
        assert!(token.len() < 5 || !told.contains(token), "{told}");
        // What is refused is not in force: nothing is served on that address.
        let serving = home.serve(&[]);
        assert!(serving.address.ip().is_loopback(), "{}", serving.address);
        let status = home.run(&["status"]).stdout;
        assert!(status.contains("client_token: has") && (token.len() < 5 || !status.contains(token)), "{status}");
        drop(serving);
    }
    configure("sixteen-letters-");
    assert_eq!(home.run(&["config", "check"]).code, Some(0));
}

/// A response whose head another server would read in another way is the upstream's fault, and nothing of it gets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_with_bare_line_feeds_is_refused() {
    for (head, want) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 200),
        ("HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 200),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\n", 502),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\nX: y\r\n\r\n", 502),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\n", 502),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                raw::read_response(&mut stream).await;
                stream.write_all(format!("{head}{{}}").as_bytes()).await.unwrap();
            }
        });
        let engine = TestEngine::with(None, |c| c.upstream = url, TestHooks::default());
        let response = client().post(engine.url("/v1/messages")).json(&message(false)).send().await.unwrap();
        assert_eq!(response.status(), want, "{head:?}");
        if want == 502 {
            assert_eq!(response.headers()["x-leeward-error"], "bad-response", "{head:?}");
            let told = response.text().await.unwrap();
            assert!(told.contains("a line of the response's head ends in LF alone"), "{told}");
        }
    }
}

/// An upstream that turns out to be Leeward itself.
#[tokio::test]
async fn a_circle_is_refused() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let engine = TestEngine::tuned(&upstream, |c| {
        c.listen.set_port(port);
        c.upstream = format!("http://127.0.0.1:{port}").parse().unwrap();
    });
    let response = client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["x-should-retry"].to_str().unwrap()), (508, "false"));
}

/// A body of unknown length is cut off at the limit, not read to its end.
#[tokio::test]
async fn an_endless_body_is_refused_at_the_limit() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    // Held for replay, or streamed because it is too large for that.
    for replay_body_bytes in [32 << 20, 20_000] {
        let engine = TestEngine::tuned(&upstream, |c| {
            c.limits.body_bytes = 100_000;
            c.limits.replay_body_bytes = replay_body_bytes;
        });
        let mut stream = TcpStream::connect(engine.address).await.unwrap();
        let head = format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n", engine.address);
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
        for _ in 0..7 {
            // Leeward may have answered and stopped reading already.
            if stream.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
        }
        let answer = String::from_utf8(raw::read_all(&mut stream, LIMIT).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
    }
}

/// What goes wrong while a large body is sent is read by an agent, too, that looks up only behind its last byte: what it
/// still sends is taken and forgotten, or the close would reset the connection and take the answer with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_upload_is_told_to_whom_reads_only_at_its_end() {
    let upstream = Upstream::plain(Plan::times(1, Fault::ResetMidRequest(1000))).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.limits.replay_body_bytes = 64 << 10;
        c.client.linger = LIMIT;
    });
    let body = vec![b'x'; 30 << 20];
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    let head = format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", engine.address, body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.expect("the whole body is taken");
    let answer = raw::read_response(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 50") && answer.contains("x-leeward-error"), "{answer}");
    // Its connection is of no more use, and it has to know: the next request on it would be lost.
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
}

/// An agent that stops in the middle of a streamed body is told so; the API is not blamed.
#[tokio::test]
async fn a_streamed_body_that_stalls_is_the_agents_fault() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.limits.replay_body_bytes = 100;
        c.client.body_idle = Duration::from_millis(200);
    });
    let head = format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000\r\n\r\nhalf of it", engine.address);
    let answer = raw::talk(engine.address, head.as_bytes(), LIMIT).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body-broken"), "{answer}");
    let stats = engine.stats().await;
    assert_eq!(stats["failed"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum::<u64>(), 0, "{stats}");
}

/// The session path refuses what would be a circle or a built-in's name, and knows a session's gateway after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_bring_their_upstreams() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let gateway = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let open = |upstreams: serde_json::Value| {
        let body = serde_json::json!({ "agent": "claude", "pid": 1, "upstreams": upstreams });
        client().post(engine.url("/_leeward/v1/sessions")).bearer_auth(engine.token()).json(&body).send()
    };
    for bad in [
        serde_json::json!({"openai": "https://x"}),
        serde_json::json!({"a/b": "https://x"}),
        serde_json::json!({"gw-1": format!("http://{}", engine.address)}),
        serde_json::json!({"gw-1": "nonsense"}),
    ] {
        assert_eq!(open(bad.clone()).await.unwrap().status(), 400, "{bad}");
    }
    let mut session = open(serde_json::json!({ "gw-1": gateway.url().as_str() })).await.unwrap();
    assert!(session.chunk().await.unwrap().unwrap().starts_with(b"{\"session\":"));
    let ask = async || client().post(engine.url("/@gw-1/v1/messages")).json(&message(false)).send().await.unwrap().status();
    assert_eq!(ask().await, 200);
    assert_eq!(gateway.log().record().requests.len(), 1);
    assert!(
        std::fs::read_to_string(engine.home.path().join("state/session-upstreams.json")).unwrap().contains("gw-1"),
        "kept for an engine to come"
    );
    let clash = open(serde_json::json!({ "gw-1": upstream.url().as_str() })).await.unwrap();
    assert_eq!((clash.status(), clash.headers()["x-leeward-error"].to_str().unwrap()), (409.try_into().unwrap(), "name-taken"));
    let clash = clash.text().await.unwrap();
    assert!(clash.contains("`gw-1` is the name of another upstream already"), "{clash}");
    assert_eq!(ask().await, 200);
    assert_eq!((gateway.log().record().requests.len(), upstream.log().record().requests.len()), (2, 0), "still the first one's");
    let status: serde_json::Value =
        client().get(engine.url("/_leeward/v1/status")).bearer_auth(engine.token()).send().await.unwrap().json().await.unwrap();
    assert_eq!(status["sessions"][0]["agent"], "claude");
    client().post(engine.url("/_leeward/v1/restart")).bearer_auth(engine.token()).send().await.unwrap();
    assert!(
        tokio::time::timeout(LIMIT, async { while session.chunk().await.unwrap().is_some() {} }).await.is_ok(),
        "told to connect again"
    );
    assert_eq!(ask().await, 200);
}
