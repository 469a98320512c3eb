//! What is said of tunnels while they run and after: counters, Activity, `status`; how they drain, and what idle ones cost.

#[cfg(target_os = "linux")]
use crate::home::{Home, get};
use crate::support::{
    LIMIT, TestEngine, client, eventually,
    tunnel::{TOKEN, ask, connect, counts, hello, login, open, pair, reset, rest, server, session},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

async fn activity(engine: &TestEngine) -> Vec<Value> {
    let url = engine.url("/_leeward/v1/activity");
    let answer: Value = client().get(url).bearer_auth(engine.token()).send().await.unwrap().json().await.unwrap();
    answer.as_array().or_else(|| answer["requests"].as_array()).unwrap_or_else(|| panic!("{answer}")).clone()
}

/// Every way in which a tunnel ends has its word, in the counters and in Activity; none is a request.
#[tokio::test]
async fn each_end_has_its_word_and_no_tunnel_is_a_request() {
    let (engine, _session) = session(|_| {}).await;
    let (server, address) = server().await;
    let before = engine.stats().await;

    // Carried, with bytes.
    let (mut near, mut far) = pair(&engine, &server).await;
    near.write_all(b"12345").await.unwrap();
    far.write_all(b"123").await.unwrap();
    near.shutdown().await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!((rest(&mut near).await, rest(&mut far).await), (b"123".to_vec(), b"12345".to_vec()));
    // Rescued: a hello was sent again.
    let (mut near, mut first) = pair(&engine, &server).await;
    near.write_all(&hello(517)).await.unwrap();
    first.read_exact(&mut vec![0; 517]).await.unwrap();
    reset(first);
    let mut far = timeout(LIMIT, server.accept()).await.unwrap().unwrap().0;
    far.read_exact(&mut vec![0; 517]).await.unwrap();
    far.write_all(b"x").await.unwrap();
    drop(far);
    rest(&mut near).await;
    drop(near);
    // Reset, after the server's first byte.
    let (mut near, mut far) = pair(&engine, &server).await;
    far.write_all(b"x").await.unwrap();
    near.read_u8().await.unwrap();
    reset(far);
    near.read_u8().await.unwrap_err();
    // Failed: what was sent is no hello.
    let (mut near, mut far) = pair(&engine, &server).await;
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    far.read_exact(&mut [0; 4]).await.unwrap();
    reset(far);
    near.read_u8().await.unwrap_err();
    // The client leaves before the server has said anything.
    let (near, _far) = pair(&engine, &server).await;
    reset(near);
    // Refused: no token, and Leeward itself.
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    stream.write_all(connect(address, None).as_bytes()).await.unwrap();
    assert!(crate::support::raw::read_response(&mut stream).await.starts_with("HTTP/1.1 407"));
    ask(&engine, engine.address).await;

    let expected =
        json!({ "carried": 1, "rescued": 1, "reset": 1, "failed": 1, "client-gone": 1, "refused": 2, "cut": 0, "decrypted": 0 });
    eventually("all have ended", async || counts(&engine).await["ended"] == expected).await;
    let stats = engine.stats().await;
    let tunnels = &stats["tunnels"];
    assert_eq!(
        (&tunnels["opened"], &tunnels["open"], &tunnels["replayed_hellos"]),
        (&json!(5), &json!(0), &json!(1)),
        "{tunnels}"
    );
    assert!(tunnels["bytes_up"].as_u64().unwrap() >= 5 + 517 && tunnels["bytes_down"].as_u64().unwrap() >= 5, "{tunnels}");
    for figure in ["requests", "outcomes", "latency_ms", "rescued", "retried_total", "failed", "pool", "in_flight"] {
        assert_eq!(stats[figure], before[figure], "{figure}: a tunnel is no request");
    }

    let rows = activity(&engine).await;
    let rows: Vec<_> = rows.iter().filter(|row| row["method"] == "CONNECT").collect();
    assert_eq!(rows.len(), 7);
    for (row, (outcome, attempts)) in rows.iter().rev().zip([
        ("carried", 1),
        ("rescued", 2),
        ("reset", 1),
        ("failed", 1),
        ("client-gone", 1),
        ("refused", 0),
        ("refused", 1),
    ]) {
        assert_eq!((&row["outcome"], row["attempts"].as_array().unwrap().len()), (&json!(outcome), attempts), "{row}");
        assert!(row["took_ms"].as_f64().is_some() && row["path"].as_str().unwrap().starts_with("127.0.0.1:"), "{row}");
    }
    let carried = rows.last().unwrap();
    assert_eq!(
        (&carried["path"], &carried["bytes_up"], &carried["bytes_down"]),
        (&json!(address.to_string()), &json!(5), &json!(3))
    );
    assert_eq!((&carried["agent"], &carried["status"]), (&json!("test"), &json!(200)));
    assert!(carried["session"].as_str().is_some_and(|session| session.starts_with("test-")), "{carried}");

    let metrics = client().get(engine.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "leeward_tunnels_opened_total 5",
        "leeward_tunnels_open 0",
        "leeward_by_door_total{door=\"tunnel\"} 5",
        "leeward_by_door_total{door=\"base-url\"} 0",
        "leeward_tunnels_ended_total{end=\"rescued\"} 1",
        "leeward_tunnel_hellos_replayed_total 1",
        "leeward_tunnels_failed_total{cause=\"tls\",phase=\"handshake\",whose=\"network\"} 1",
    ] {
        assert!(metrics.lines().any(|have| have == line), "{line}\n{metrics}");
    }
    for text in [metrics, stats.to_string(), json!(rows).to_string()] {
        assert!(!text.contains(TOKEN) && !text.contains(&login(TOKEN)), "{text}");
    }
}

/// As streams: a restart lets them run on the old engine, and a stop waits for them within its drain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tunnels_drain_like_streams() {
    let (engine, _session) = session(|_| {}).await;
    let (server, _) = server().await;
    let (mut near, mut far) = pair(&engine, &server).await;
    far.write_all(b"1").await.unwrap();
    assert_eq!(near.read_u8().await.unwrap(), b'1');
    engine.restart().await;
    engine.restart().await;
    far.write_all(b"2").await.unwrap();
    assert_eq!(near.read_u8().await.unwrap(), b'2');
    assert_eq!(counts(&engine).await["open"], 1);
    // In the handshake, too: the hello is sent again by an engine that drains.
    let (mut early, broken) = pair(&engine, &server).await;
    engine.restart().await;
    early.write_all(&hello(517)).await.unwrap();
    reset(broken);
    let mut second = timeout(LIMIT, server.accept()).await.unwrap().unwrap().0;
    second.read_exact(&mut vec![0; 517]).await.unwrap();

    let TestEngine { engine, home: _home, .. } = engine;
    let stopping = tokio::task::spawn_blocking(move || engine.stop(Duration::from_secs(60)));
    far.write_all(b"3").await.unwrap();
    assert_eq!(near.read_u8().await.unwrap(), b'3', "an engine that stops still carries");
    second.write_all(b"4").await.unwrap();
    assert_eq!(early.read_u8().await.unwrap(), b'4');
    assert!(!stopping.is_finished(), "it waits for them");
    drop((near, far, early, second));
    timeout(LIMIT, stopping).await.expect("their end is its end").unwrap();
}

/// Out of time, both sides get an end, and soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_without_a_drain_ends_tunnels_at_once() {
    let (engine, _session) = session(|_| {}).await;
    let (server, _) = server().await;
    let (mut near, mut far) = pair(&engine, &server).await;
    far.write_all(b"1").await.unwrap();
    assert_eq!(near.read_u8().await.unwrap(), b'1');
    let (mut silent, mut silent_far) = pair(&engine, &server).await;
    let TestEngine { engine, home: _home, .. } = engine;
    let traffic = engine.traffic();
    let began = Instant::now();
    tokio::task::spawn_blocking(move || engine.stop(Duration::ZERO)).await.unwrap();
    for end in [&mut near, &mut far, &mut silent, &mut silent_far] {
        assert_eq!(timeout(LIMIT, end.read(&mut [0])).await.unwrap().unwrap(), 0, "an end, no reset");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(traffic.snapshot().tunnels.ended["cut"], 2);
}

/// L8 for tunnels, with room for a debug build's larger tasks.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thousand_idle_tunnels_cost_little() {
    const COUNT: usize = 1000;
    let home = Home::new();
    let mut serve = home.command(&["serve"]);
    serve.env(leeward::instance::DEBUGGABLE, "1");
    let serving = home.serve_by(serve);
    let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let body = json!({ "agent": "test", "pid": 1, "tunnel_token": TOKEN });
    let url = format!("http://{}/_leeward/v1/sessions", serving.address);
    let mut held = client().post(url).bearer_auth(token.trim()).json(&body).send().await.unwrap();
    held.chunk().await.unwrap();
    let (server, address) = server().await;
    let one = async || {
        let mut near = TcpStream::connect(serving.address).await.unwrap();
        near.write_all(connect(address, Some(TOKEN)).as_bytes()).await.unwrap();
        assert!(crate::support::raw::read_response(&mut near).await.starts_with("HTTP/1.1 200"));
        let (mut far, _) = server.accept().await.unwrap();
        near.write_all(&hello(1795)).await.unwrap();
        far.read_exact(&mut vec![0; 1795]).await.unwrap();
        far.write_all(&[7; 4096]).await.unwrap();
        near.read_exact(&mut vec![0; 4096]).await.unwrap();
        (near, far)
    };
    // What the first ones need for all.
    let mut open = vec![];
    for _ in 0..50 {
        open.push(one().await);
    }
    let before = resident_kib(serving.pid());
    for _ in 0..COUNT {
        open.push(one().await);
    }
    let stats: Value = serde_json::from_str(get(serving.address, "/stats").unwrap().split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(stats["tunnels"]["open"], COUNT + 50);
    let each = (resident_kib(serving.pid()) - before) as f64 / COUNT as f64;
    println!("{each:.1} KiB an idle tunnel");
    assert!(each < 20.0, "{each:.1} KiB an idle tunnel");
}

#[cfg(target_os = "linux")]
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// One line for users.
#[tokio::test]
async fn status_says_in_one_line_what_tunnels_do() {
    let (engine, _session) = session(|_| {}).await;
    let (server, address) = server().await;
    let lines = async |engine: &TestEngine| {
        let url = engine.url("/_leeward/v1/status");
        let status = client().get(url).bearer_auth(engine.token()).send().await.unwrap().json().await.unwrap();
        let lines = leeward::view::lines(&status, leeward::health::unix_ms());
        lines.into_iter().filter(|line| line.label == "tunnels").map(|line| line.text).collect::<Vec<_>>()
    };
    assert_eq!(lines(&engine).await, [""; 0], "nothing to say");
    let _tunnel = open(&engine, address).await;
    server.accept().await.unwrap();
    assert_eq!(lines(&engine).await, ["1 open, 1 opened, 0 failed"]);
}
