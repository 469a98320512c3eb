//! What is said of WebSockets while they run and after: counters, Activity, `status`; how they drain; and the ways to upstreams.

use crate::{
    home::Home,
    support::{
        LIMIT, TestEngine, client,
        company::Company,
        eventually,
        websocket::{ACCEPT, DOORS, Door, End, REALTIME, Server, World, field, handshake},
    },
};
use leeward::{
    config::{CompanyProxy, ProxyChoice, WebSocket},
    supervisor::TestHooks,
};
use serde_json::{Value, json};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

async fn rows(engine: &TestEngine) -> Vec<Value> {
    let url = engine.url("/_leeward/v1/activity");
    let answer: Value = client().get(url).bearer_auth(engine.token()).send().await.unwrap().json().await.unwrap();
    let rows = answer["requests"].as_array().unwrap().clone();
    rows.into_iter().filter(|row| row["path"] == "/v1/realtime").collect()
}

async fn echoes(near: &mut End, far: &mut End, word: &[u8]) {
    near.send(word).await;
    assert_eq!(far.exactly(word.len()).await, word);
    far.send(word).await;
    assert_eq!(near.exactly(word.len()).await, word);
}

/// Its handshake is a request that ends with the 101; the entry in Activity is one, and goes on.
#[tokio::test]
async fn each_websocket_is_counted_and_shown_until_its_end() {
    for door in DOORS {
        let mut world = World::new(door).await;
        let (mut near, mut far) = world.open().await;
        echoes(&mut near, &mut far, b"12345").await;
        let open = rows(&world.engine).await;
        assert_eq!(open.len(), 1, "{door:?}");
        for (name, value) in
            [("method", json!("GET")), ("phase", json!("streaming")), ("status", json!(101)), ("took_ms", json!(null))]
        {
            assert_eq!(open[0][name], value, "{door:?} {name}: {}", open[0]);
        }
        let stats = world.engine.stats().await;
        assert_eq!((&stats["in_flight"], &stats["outcomes"]["answered"]), (&json!(0), &json!(1)), "{door:?}: {stats}");
        let open = stats["origins"].as_object().unwrap().values().map(|o| o["open"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(open, 0, "{door:?}: its connection is no pool's any more");
        near.shutdown().await.unwrap();
        far.rest().await;
        far.shutdown().await.unwrap();
        near.rest().await;
        let (near, mut far) = world.open().await;
        near.reset();
        far.error().await;
        let expected = json!({
            "opened": 2, "open": 0, "ended": { "carried": 1, "reset": 1, "client-gone": 0, "cut": 0 }, "bytes_up": 5, "bytes_down": 5,
        });
        eventually("both have ended", async || world.counts().await == expected).await;
        let ended = rows(&world.engine).await;
        let shown: Vec<_> = ended.iter().map(|row| (&row["outcome"], &row["bytes_up"], &row["bytes_down"])).collect();
        assert_eq!(shown, [(&json!("reset"), &json!(0), &json!(0)), (&json!("carried"), &json!(5), &json!(5))], "{door:?}");
        assert!(ended.iter().all(|row| row["took_ms"].as_f64().is_some() && row["phase"] == "done"), "{ended:?}");
        let metrics = client().get(world.engine.url("/metrics")).send().await.unwrap().text().await.unwrap();
        for line in [
            "leeward_websockets_open 0",
            "leeward_websockets_opened_total 2",
            "leeward_websockets_ended_total{end=\"reset\"} 1",
            "leeward_websocket_bytes_total{direction=\"up\"} 5",
        ] {
            assert!(metrics.lines().any(|have| have == line), "{door:?}: {line}\n{metrics}");
        }
        let url = world.engine.url("/_leeward/v1/status");
        let status = client().get(url).bearer_auth(world.engine.token()).send().await.unwrap().json().await.unwrap();
        let lines = leeward::view::lines(&status, leeward::health::unix_ms());
        let text = lines.into_iter().find(|line| line.label == "sockets").map(|line| line.text);
        assert_eq!(text.as_deref(), Some("0 WebSockets open, 2 opened"), "{door:?}");
    }
}

/// As streams: restarts let them run on the old engine, and a stop waits for them within its drain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_drain_like_streams() {
    for door in DOORS {
        let mut world = World::new(door).await;
        let (mut near, mut far) = world.open().await;
        for round in 0..20 {
            world.engine.restart().await;
            echoes(&mut near, &mut far, format!("round {round}").as_bytes()).await;
        }
        let counts = world.counts().await;
        assert_eq!((&counts["open"], &counts["opened"]), (&json!(1), &json!(1)), "{door:?}");
        // A handshake that is under way when its engine is replaced is served by it.
        let mut late = world.near().await;
        late.send(world.handshake(REALTIME, "")).await;
        let asked = world.server.asked().await;
        world.engine.restart().await;
        let mut late_far = asked.accept(b"").await;
        let head = late.head().await;
        assert!(head.starts_with("HTTP/1.1 101 ") && field(&head, "sec-websocket-accept") == Some(ACCEPT), "{door:?}: {head}");
        assert_eq!(field(&head, "connection"), Some("Upgrade"), "{door:?}: {head}");
        echoes(&mut late, &mut late_far, b"late").await;

        let World { engine: TestEngine { engine, home: _home, .. }, .. } = world;
        let stopping = tokio::task::spawn_blocking(move || engine.stop(Duration::from_secs(60)));
        echoes(&mut near, &mut far, b"an engine that stops still carries").await;
        assert!(!stopping.is_finished(), "{door:?}: it waits for them");
        drop((near, far, late, late_far));
        timeout(LIMIT, stopping).await.expect("their end is its end").unwrap();
    }
}

/// Out of time, both sides get an end, and soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_without_a_drain_ends_websockets_at_once() {
    for door in DOORS {
        let mut world = World::new(door).await;
        let (mut near, mut far) = world.open().await;
        let World { engine: TestEngine { engine, home: _home, .. }, .. } = world;
        let traffic = engine.traffic();
        let began = Instant::now();
        tokio::task::spawn_blocking(move || engine.stop(Duration::ZERO)).await.unwrap();
        assert_eq!(near.rest().await, b"", "{door:?}: an end, no reset");
        // Within TLS the upstream sees its connection end without a farewell, as from any program that ends.
        assert_eq!(timeout(LIMIT, far.read(&mut [0])).await.unwrap().unwrap_or_default(), 0, "{door:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{door:?}: {:?}", began.elapsed());
        assert_eq!(traffic.snapshot().websockets.ended["cut"], 1, "{door:?}");
    }
}

/// A restart's drain has an end, also for a client that reads nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_that_is_over_ends_the_websockets_of_the_old_engine() {
    for door in DOORS {
        let mut world = World::tuned(door, &[], |config| config.drain = Duration::from_millis(300)).await;
        let (mut near, mut far) = world.open().await;
        let (_full, mut sender) = world.open().await;
        while let Ok(wrote) = timeout(Duration::from_millis(500), sender.write(&[7; 64 << 10])).await {
            wrote.unwrap();
        }
        echoes(&mut near, &mut far, b"x").await;
        let began = Instant::now();
        world.engine.restart().await;
        assert_eq!(near.rest().await, b"", "{door:?}");
        eventually("both are cut", async || world.counts().await["ended"]["cut"] == 2).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{door:?}: {:?}", began.elapsed());
        let (mut near, mut far) = world.open().await;
        echoes(&mut near, &mut far, b"and the new one carries").await;
    }
}

/// One that says nothing for longer than any of the engine's clocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_no_websocket() {
    for door in DOORS {
        let mut world = World::tuned(door, &[], |config| {
            let short = Duration::from_millis(100);
            (config.client.idle, config.client.head, config.client.body_idle) = (Duration::from_secs(1), short * 10, short);
            (config.client.buffer_idle, config.client.first_request_timeout) = (short, short);
            (config.pool.idle, config.response_timeout) = (short, Duration::from_secs(1));
            (config.stream.stall_alarm, config.connect.write_stall) = (short, Duration::from_secs(1));
        })
        .await;
        let (mut near, mut far) = world.open().await;
        let silent = timeout(Duration::from_secs(3), async { tokio::join!(near.read_u8(), far.read_u8()) }).await;
        assert!(silent.is_err(), "{door:?}: {silent:?}");
        echoes(&mut near, &mut far, b"still here").await;
    }
}

/// A WebSocket takes no place from others in its upstream's pool.
#[tokio::test]
async fn open_websockets_leave_the_pool_to_requests() {
    for door in DOORS {
        let mut world = World::tuned(door, &[], |config| config.pool.size = 1).await;
        let mut open = vec![world.open().await];
        open.push(world.open().await);
        let mut near = world.near().await;
        near.send(format!("GET /v1/models HTTP/1.1\r\nHost: {}\r\n\r\n", world.host())).await;
        let mut asked = world.server.asked().await;
        asked.far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert!(near.head().await.starts_with("HTTP/1.1 200 "), "{door:?}");
        for (near, far) in &mut open {
            echoes(near, far, b"and both go on").await;
        }
    }
}

/// A handshake takes no connection that has served a request: its server may be about to close that one.
#[tokio::test]
async fn a_handshake_goes_out_on_a_fresh_connection() {
    for door in DOORS {
        let mut world = World::new(door).await;
        let mut near = world.near().await;
        near.send(format!("GET /v1/models HTTP/1.1\r\nHost: {}\r\n\r\n", world.host())).await;
        let mut first = world.server.asked().await;
        first.far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        near.head().await;
        // The same client's connection, and not the same one behind.
        near.send(world.handshake(REALTIME, "")).await;
        let mut far = world.server.asked().await.accept(b"").await;
        assert!(near.head().await.starts_with("HTTP/1.1 101 "), "{door:?}");
        echoes(&mut near, &mut far, b"x").await;
        near.reset();
        far.error().await;
        // What was idle meanwhile still serves.
        let mut near = world.near().await;
        near.send(format!("GET /v1/models HTTP/1.1\r\nHost: {}\r\n\r\n", world.host())).await;
        assert!(first.far.head().await.starts_with("GET /v1/models "), "{door:?}");
    }
}

/// A company proxy that forwards requests to http upstreams is asked for a tunnel.
#[tokio::test]
async fn company_proxies_tunnel_websockets_to_http_and_https_upstreams() {
    for tls in [false, true] {
        let mut server = Server::start(tls, &[]).await;
        let company = Company::http(Some("me:hush")).await;
        let proxy = format!("http://me:hush@{}", company.address);
        let (address, trust) = (server.address, server.trust());
        let engine = TestEngine::with(
            None,
            |config| {
                config.upstream = format!("{}://{address}/gateway", if tls { "https" } else { "http" }).parse().unwrap();
                (config.trust, config.connect.parallel) = (trust, 1);
                config.proxy.url = ProxyChoice::Named(CompanyProxy::parse(&proxy, "proxy.url").unwrap());
            },
            TestHooks::default(),
        );
        for round in 1..=2 {
            let mut near = End::Plain(TcpStream::connect(engine.address).await.unwrap());
            near.send(handshake(&engine.address.to_string(), REALTIME, "")).await;
            let asked = server.asked().await;
            assert!(asked.head.starts_with("GET /gateway/v1/realtime?model=x HTTP/1.1\r\n"), "{}", asked.head);
            assert_eq!(asked.field("proxy-authorization"), None);
            let mut far = asked.accept(b"").await;
            assert!(near.head().await.starts_with("HTTP/1.1 101 "));
            echoes(&mut near, &mut far, b"x").await;
            assert_eq!(company.seen().len(), round);
        }
        assert!(company.seen().iter().all(|seen| *seen == format!("CONNECT {address}")), "{:?}", company.seen());
        if !tls {
            let answer = client().get(engine.url("/v1/models")).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "forwarded", "requests are forwarded as before");
        }
    }
}

/// `/@NAME`, of the config and of a session; what the config says of a place holds for a session's name for it.
#[tokio::test]
async fn named_and_session_upstreams_carry_websockets() {
    let mut server = Server::start(false, &[]).await;
    let url = format!("http://{}/own", server.address);
    let named = url.clone();
    let engine = TestEngine::with(
        None,
        move |config| {
            config.upstreams.insert("named".into(), named.parse().unwrap());
            config.websocket.insert(Some("named".into()), WebSocket::Carry);
        },
        TestHooks::default(),
    );
    let body = json!({ "agent": "test", "pid": 1, "upstreams": { "brought": url, "elsewhere": "http://127.0.0.1:9/" } });
    let url = engine.url("/_leeward/v1/sessions");
    let mut session = client().post(url).bearer_auth(engine.token()).json(&body).send().await.unwrap();
    assert!(session.status() == 200 && session.chunk().await.unwrap().is_some());
    for path in ["/@named/v1/realtime", "/@brought/v1/realtime", "/@named/v1/responses", "/@brought/v1/responses"] {
        let mut near = End::Plain(TcpStream::connect(engine.address).await.unwrap());
        near.send(handshake(&engine.address.to_string(), path, "")).await;
        let asked = server.asked().await;
        let rest = path.splitn(3, '/').nth(2).unwrap();
        assert!(asked.head.starts_with(&format!("GET /own/{rest} HTTP/1.1\r\n")), "{path}: {}", asked.head);
        assert!(asked.field("via").is_some(), "{path}: a circle would be found");
        let mut far = asked.accept(b"").await;
        assert!(near.head().await.starts_with("HTTP/1.1 101 "), "{path}");
        echoes(&mut near, &mut far, b"x").await;
    }
    let mut near = End::Plain(TcpStream::connect(engine.address).await.unwrap());
    near.send(handshake(&engine.address.to_string(), "/@elsewhere/v1/responses", "")).await;
    assert!(near.head().await.starts_with("HTTP/1.1 426 "), "nobody has said that it carries them");
}

/// An instance that ends when nobody uses it is used as long as a WebSocket is open.
#[tokio::test]
async fn an_open_websocket_keeps_an_instance_that_would_end() {
    let home = Home::new();
    let mut server = Server::start(false, &[]).await;
    home.configure(&format!("upstream = 'http://{}'\n", server.address));
    let mut serving = home.serve(&["--exit-when-idle", "500ms"]);
    let mut near = End::Plain(TcpStream::connect(serving.address).await.unwrap());
    near.send(handshake(&serving.address.to_string(), REALTIME, "")).await;
    let mut far = server.asked().await.accept(b"").await;
    near.head().await;
    // Its end would come after half a second.
    let ended = timeout(Duration::from_secs(3), near.read_u8()).await;
    assert!(ended.is_err(), "{ended:?}");
    echoes(&mut near, &mut far, b"x").await;
    drop((near, far));
    assert_eq!(tokio::task::spawn_blocking(move || serving.ended()).await.unwrap(), Some(0));
}

/// A thousand messages and their echoes, binary and text, then a close with a code and a reason.
const NODE: &str = r#"
const socket = new WebSocket(process.argv[1], ['realtime']);
socket.binaryType = 'arraybuffer';
let got = 0;
const message = (n) => n % 2 ? `text ${n} ü` : new Uint8Array(n * 7 % 70000).fill(n % 251);
const show = (data) => typeof data === 'string' ? data : Buffer.from(data).toString('base64');
socket.onopen = () => { for (let n = 0; n < 1000; n++) socket.send(message(n)); };
socket.onmessage = ({ data }) => {
  const wanted = message(got);
  if (show(data) !== (typeof wanted === 'string' ? wanted : show(wanted.buffer))) { console.log('WRONG', got); process.exit(3); }
  if (++got === 1000) socket.close(4001, 'enough');
};
socket.onerror = (e) => console.log('error', e.error?.message ?? e.message);
socket.onclose = ({ code, reason, wasClean }) => console.log(JSON.stringify({ got, protocol: socket.protocol, code, reason, wasClean }));
"#;

/// Node's own client, whose frames a small server echoes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_client_sends_a_thousand_messages_and_closes_with_its_code() {
    let mut world = World::new(Door::BaseUrl).await;
    let url = format!("ws://{}/v1/realtime", world.engine.address);
    let mut node = tokio::process::Command::new("node");
    node.args(["--experimental-websocket", "--no-warnings", "-e", NODE, &url]).kill_on_drop(true);
    let child = match node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            // Past the harness's capture.
            std::io::Write::write_all(&mut std::io::stderr(), b"SKIP node: not installed\n").unwrap();
            return;
        }
        child => child.unwrap(),
    };
    let asked = world.server.asked().await;
    let accept = accepted(asked.field("sec-websocket-key").unwrap());
    let mut far = asked.far;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: realtime\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    far.send(response).await;
    timeout(LIMIT * 3, echo(&mut far)).await.expect("its close in time");
    let ran = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout).into_owned(), String::from_utf8_lossy(&ran.stderr).into_owned());
    let told: Value = serde_json::from_str(out.trim()).unwrap_or_else(|e| panic!("{e}: {out} {err}"));
    assert_eq!(told, json!({ "got": 1000, "protocol": "realtime", "code": 4001, "reason": "enough", "wasClean": true }));
    eventually("it has ended well", async || world.counts().await["ended"]["carried"] == 1).await;
}

/// `Sec-WebSocket-Accept` for a key (RFC 6455 section 4.2.2).
fn accepted(key: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let all = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, all.as_bytes()))
}

/// Sends every frame back as it came, unmasked; a close is the last one.
async fn echo(far: &mut End) {
    loop {
        let head = far.exactly(2).await;
        let length = match head[1] & 0x7f {
            126 => u16::from_be_bytes(far.exactly(2).await.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(far.exactly(8).await.try_into().unwrap()),
            short => short.into(),
        };
        let mask = far.exactly(4).await;
        let mut content = far.exactly(usize::try_from(length).unwrap()).await;
        content.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let mut frame = vec![head[0]];
        match content.len() {
            short @ ..126 => frame.push(short as u8),
            middle @ ..65_536 => frame.extend([&[126][..], &(middle as u16).to_be_bytes()].concat()),
            long => frame.extend([&[127][..], &(long as u64).to_be_bytes()].concat()),
        }
        far.send([frame, content].concat()).await;
        if head[0] & 0xf == 8 {
            far.shutdown().await.unwrap();
            return assert_eq!(far.rest().await, b"");
        }
    }
}
