//! L5: a restart on the same socket refuses nobody, resets nobody and cuts no stream.

use crate::support::{LIMIT, TestEngine, client, eventually, message, raw};
use leeward::{config::Config, status::Phase, supervisor::Engine};
use scripted::{Plan, Upstream};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// Sends requests at a steady rate until told to stop, on one connection for as long as the answers allow.
pub async fn ask_steadily(address: SocketAddr, keep_alive: bool, stop: Arc<AtomicBool>, served: Arc<AtomicU64>) {
    let body = message(false).to_string();
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {address}\r\nconnection: {connection}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut pace = interval(Duration::from_millis(16));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut open: Option<TcpStream> = None;
    while !stop.load(Relaxed) {
        pace.tick().await;
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => TcpStream::connect(address).await.expect("never refused"),
        };
        stream.write_all(request.as_bytes()).await.expect("never reset while writing");
        let answer = raw::read_response(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        served.fetch_add(1, Relaxed);
        if !answer.to_ascii_lowercase().contains("connection: close") && keep_alive {
            open = Some(stream);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l5_twenty_restarts_under_load_fail_no_request() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut load = JoinSet::new();
    for i in 0..16 {
        load.spawn(ask_steadily(engine.address, i % 2 == 0, stop.clone(), served.clone()));
    }
    let mut stream = client().get(engine.url("/sse/40?delay_ms=100")).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let mut stream = JoinSet::from_iter([stream.text()]);
    let began = Instant::now();
    for round in 1..=20u64 {
        let seen = served.load(Relaxed);
        assert_eq!(engine.restart().await["generation"], round + 1);
        eventually("requests go on", async || served.load(Relaxed) > seen + 50).await;
    }
    let took = began.elapsed();
    let events = stream.join_next().await.unwrap().unwrap().expect("the stream in flight finished on the old engine");
    assert!(events.matches("data:").count() >= 35, "{events}");
    stop.store(true, Relaxed);
    load.join_all().await; // a failed request panics its task
    let health = engine.health().await;
    assert_eq!((health["generation"].as_u64(), health["listener"]["rebinds"].as_u64()), (Some(21), Some(0)));
    println!("{} requests in {took:?} over 20 restarts", served.load(Relaxed));
}

/// A keep-alive connection that is idle over a restart gets its next answer, and is told to reconnect by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l5_an_idle_connection_is_not_closed_under_its_client() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let request = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", engine.address);
    let mut idle = TcpStream::connect(engine.address).await.unwrap();
    idle.write_all(request.as_bytes()).await.unwrap();
    assert!(!raw::read_response(&mut idle).await.contains("connection: close"));
    engine.restart().await;
    idle.write_all(request.as_bytes()).await.unwrap();
    let answer = raw::read_response(&mut idle).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
}

/// A restart that is asked for during another one reads the config again: what was changed in between takes effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_during_a_restart_is_not_lost() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let commands = engine.engine.commands();
    let mut told = Vec::new();
    for _ in 0..2 {
        let (reply, answer) = tokio::sync::oneshot::channel();
        commands.send(leeward::control::Command::Restart { reply }).await.unwrap();
        told.push(answer);
    }
    for (answer, generation) in told.into_iter().zip([2, 3]) {
        let done = tokio::time::timeout(LIMIT, answer).await.unwrap().unwrap().unwrap();
        assert_eq!(done.generation, generation);
    }
}

/// A broken file keeps the running config and says so; a mended one takes effect by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_config_file_takes_effect_and_a_broken_one_does_not() {
    let (first, second) = (Upstream::plain(Plan::none()).unwrap(), Upstream::plain(Plan::none()).unwrap());
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_path_buf();
    let write = |text: String| std::fs::write(folder.join("config.toml"), text).unwrap();
    write(format!("upstream = '{}'", first.url()));
    let load = {
        let folder = folder.clone();
        move || -> Result<Config, String> {
            let mut config = Config::under(&folder).map_err(|e| e.to_string())?;
            config.listen = "127.0.0.1:0".parse().unwrap();
            config.listen_pinned = true;
            Ok(config)
        }
    };
    let engine = Engine::start(load().unwrap(), Box::new(load)).unwrap();
    let mut status = engine.status();
    let ask = async || {
        client().post(format!("http://{}/v1/messages", engine.address())).json(&message(false)).send().await.unwrap().status()
    };
    assert_eq!(ask().await, 200);
    write("upstream = 'nonsense'".into());
    let condition =
        tokio::time::timeout(LIMIT, status.wait_for(|s| !s.conditions.is_empty())).await.unwrap().unwrap().conditions[0].clone();
    assert!(condition.sentence.contains("config.toml:1: upstream: `nonsense` is not a URL"), "{condition:?}");
    assert_eq!(ask().await, 200);
    assert_eq!(first.log().record().requests.len(), 2, "the previous config stays in force");
    write(format!("upstream = '{}'", second.url()));
    tokio::time::timeout(LIMIT, status.wait_for(|s| s.conditions.is_empty() && s.upstream == second.url().as_str()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ask().await, 200);
    assert_eq!(second.log().record().requests.len(), 1);
}

/// The end: what is in flight finishes, and the port refuses from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_requests_in_flight_finish() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let mut stream = client().get(engine.url("/sse/5?delay_ms=100")).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let (address, running) = (engine.address, engine.engine);
    let stopping = tokio::task::spawn_blocking(move || running.stop(LIMIT));
    assert!(stream.text().await.expect("finished").matches("data:").count() >= 4);
    stopping.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// A client has connected and is about to ask when the engine ends: its first request is answered, however idle it looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_answers_a_connection_that_has_yet_to_ask() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.client.first_request_timeout = LIMIT);
    let mut late = TcpStream::connect(engine.address).await.unwrap();
    let mut silent = TcpStream::connect(engine.address).await.unwrap();
    let mut status = engine.engine.status();
    // Both are accepted, and then the engine is asked to end.
    eventually("they are accepted", async || engine.health().await["listener"]["connections"].as_u64() >= Some(3)).await;
    let (address, running) = (engine.address, engine.engine);
    let stopping = tokio::task::spawn_blocking(move || running.stop(LIMIT));
    status.wait_for(|s| s.phase == Phase::Draining).await.unwrap();
    late.write_all(format!("GET /v1/models HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.to_lowercase().contains("connection: close"), "{answer}");
    // The other one leaves, and with it the last reason to wait.
    silent.shutdown().await.unwrap();
    stopping.await.unwrap();
}

/// What an engine said of its upstreams is forgotten with it: the next one may have others, and has asked nobody yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_leaves_no_condition_of_an_upstream_behind() {
    let (upstream, other) = (Upstream::tls(Plan::none()).unwrap(), Upstream::tls(Plan::none()).unwrap());
    let trust = leeward::config::Trust::Only(vec![other.authority().unwrap().to_vec()]);
    let engine = TestEngine::tuned(&upstream, |c| c.trust = trust);
    let asked = client().post(engine.url("/v1/messages")).json(&message(false)).send().await.unwrap();
    assert_eq!(asked.status(), 502);
    assert_eq!(engine.health().await["conditions"][0]["code"], "certificate-untrusted");
    engine.restart().await;
    assert_eq!(engine.health().await["conditions"], serde_json::json!([]));
}

/// Another program has the configured port; to keep the port that is served instead needs no start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_that_is_served_already_is_taken_from_the_config_at_once() {
    use crate::support::{config, silent};
    use leeward::{
        config::{Flags, Settings},
        supervisor::{EngineOptions, TestHooks},
    };
    let home = tempfile::tempdir().unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config { listen: other.local_addr().unwrap(), listen_pinned: false, ..config(home.path(), None) };
    let file = config.paths.config_file.clone();
    std::fs::write(&file, format!("listen = '{}'\n", config.listen)).unwrap();
    let folder = home.path().to_str().unwrap().to_owned();
    let settings = Settings::with(
        move |name| (name == "LEEWARD_HOME").then(|| folder.clone()),
        Flags { config_file: Some(file), ..Flags::default() },
    );
    let token = config.paths.token_file();
    let host = EngineOptions::of(Arc::new(settings)).on_any_port();
    let engine = Engine::start_with(config, host, TestHooks { network: Some(silent()), ..TestHooks::default() }).unwrap();
    let status = || engine.status().borrow().clone();
    let mut changes = engine.status();
    assert_eq!(status().conditions.iter().map(|c| c.code).collect::<Vec<_>>(), [leeward::health::Code::PortTaken]);
    let answer = client()
        .post(format!("http://{}/_leeward/v1/config", engine.address()))
        .bearer_auth(std::fs::read_to_string(token).unwrap())
        .json(&serde_json::json!({ "set": { "listen": engine.address().to_string() } }));
    assert_eq!(answer.send().await.unwrap().status(), 200);
    let mut seen = status();
    let settled = async {
        while !seen.conditions.is_empty() {
            changes.changed().await.unwrap();
            seen = changes.borrow_and_update().clone();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled)
        .await
        .unwrap_or_else(|_| panic!("still wrong: {:?}", status().conditions));
}
