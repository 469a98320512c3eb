//! A second Leeward on the same state folder: the first one shows its window or gives way, and nobody is refused.

use crate::{
    home::{Home, Running, get, until},
    restart::ask_steadily,
    support::{LIMIT, client, config, silent},
};
use leeward::{
    config::{Config, Flags, Settings},
    demo::upstream::{Plan, Upstream},
    health::unix_ms,
    instance::{Lock, LockError, Record, TakeOver, read_record, remove_record, take_over, write_record},
    supervisor::{Engine, Host, Seams},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const DRAIN: Duration = Duration::from_secs(30);

fn seams() -> Seams {
    Seams { network: Some(silent()), ..Seams::default() }
}

fn host(config: &Config) -> Host {
    Host::of(Arc::new(Settings::new(Flags { config_file: Some(config.paths.config_file.clone()), ..Flags::default() })))
}

/// What the tray does: takes the place of `record`, and says so.
async fn replace(config: Config, record: &Record) -> Engine {
    let paths = config.paths.clone();
    let TakeOver::Taken(taken) = take_over(&paths, record, None, DRAIN).await.unwrap() else { panic!("a `serve` has no window") };
    let host = host(&config).holding(taken.lock).inheriting(Some(taken.listener));
    let engine = Engine::start_with(config, host, seams()).unwrap();
    let record =
        Record { pid: std::process::id(), address: engine.address(), version: "test".into(), started_unix_ms: unix_ms() };
    write_record(&paths, &record).unwrap();
    if let Some(confirmation) = taken.confirmation {
        confirmation.confirm().unwrap();
    }
    engine
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_serve_hands_its_port_on_and_refuses_nobody() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let home = Home::new();
    home.configure(&format!("upstream = '{}'", upstream.url()));
    let mut serving = home.serve(&[]);
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut load = JoinSet::new();
    for i in 0..8 {
        load.spawn(ask_steadily(serving.address, i % 2 == 0, stop.clone(), served.clone()));
    }
    let mut stream = client().get(format!("http://{}/sse/40?delay_ms=50", serving.address)).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());

    let paths = home.paths();
    let mut config = config(&home.path("leeward"), Some(&upstream));
    config.listen = home.address;
    let engine = replace(config, &read_record(&paths).unwrap()).await;
    assert_eq!(engine.address(), serving.address);
    let seen = served.load(Relaxed);
    crate::support::eventually("requests go on", async || served.load(Relaxed) > seen + 100).await;
    let events = tokio::time::timeout(LIMIT, stream.text()).await.unwrap().expect("the stream finishes where it began");
    assert!(events.matches("data:").count() >= 35, "{events}");
    assert_eq!(serving.ended(), Some(0), "the first one ends by itself once its requests have");
    stop.store(true, Relaxed);
    load.join_all().await; // a refused or reset request panics its task

    assert_eq!(read_record(&paths).unwrap().pid, std::process::id(), "the first one leaves our record alone");
    assert!(matches!(Lock::acquire(&paths), Err(LockError::Held(_))), "the lock came along");
    let health = get(engine.address(), "/health").unwrap();
    assert!(health.contains(&format!("\"pid\":{}", std::process::id())), "{health}");
    engine.stop(Duration::ZERO);
    Lock::acquire(&paths).expect("it goes with the engine");
    remove_record(&paths);
}

/// A `wrap` that began with the first one goes on with the second.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_come_along() {
    let home = Home::new();
    home.agent("claude", r#"touch "$OUT/ready"; while [ ! -e "$OUT/done" ]; do sleep 0.02; done"#);
    let mut serving = home.serve(&[]);
    let mut agent = Running::start(&mut home.command(&["wrap", "claude"]));
    until("the agent runs", || home.path("ready").exists());
    let mut config = config(&home.path("leeward"), None);
    config.listen = home.address;
    let engine = replace(config, &home.record().unwrap()).await;
    assert_eq!(serving.ended(), Some(0));
    until("the session is open", || engine.sessions().list().iter().any(|session| session.agent == "claude"));
    std::fs::write(home.path("done"), "").unwrap();
    assert_eq!(agent.ended(), Some(0));
    engine.stop(Duration::ZERO);
    remove_record(&home.paths());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_fails_to_take_over_leaves_the_first_one_as_it_was() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let record = home.record().unwrap();
    for round in 1..=3 {
        let answer = take_over(&home.paths(), &record, None, DRAIN).await.unwrap();
        assert!(matches!(answer, TakeOver::Taken(_)), "{answer:?}");
        drop(answer);
        let log = || std::fs::read_to_string(home.paths().log_file()).unwrap_or_default();
        until("it has seen that nobody came", || log().matches("this engine goes on").count() == round);
    }
    let health = get(serving.address, "/health").unwrap();
    assert!(health.contains(&format!("\"pid\":{}", serving.pid())) && health.contains("\"status\":\"ok\""), "{health}");
    assert!(matches!(Lock::acquire(&home.paths()), Err(LockError::Held(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_with_a_window_shows_it_and_stays() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), None);
    let paths = config.paths.clone();
    let shown = Arc::new(AtomicU64::new(0));
    let counted = shown.clone();
    let host = host(&config).holding(Lock::acquire(&paths).unwrap()).with_window(move || {
        counted.fetch_add(1, Relaxed);
    });
    let engine = Engine::start_with(config, host, seams()).unwrap();
    let record = Record { pid: 1, address: engine.address(), version: "test".into(), started_unix_ms: unix_ms() };
    assert!(matches!(take_over(&paths, &record, None, DRAIN).await.unwrap(), TakeOver::Shown));
    assert_eq!(shown.load(Relaxed), 1);
    assert!(get(engine.address(), "/livez").is_some());
}

/// An engine inside another program (a test, `demo`) has no lock to give.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_without_a_lock_keeps_its_socket() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), None);
    let paths = config.paths.clone();
    let host = host(&config);
    let engine = Engine::start_with(config, host, seams()).unwrap();
    let answer = client()
        .post(format!("http://{}/_leeward/v1/handover", engine.address()))
        .bearer_auth(std::fs::read_to_string(paths.token_file()).unwrap())
        .json(&serde_json::json!({ "to": home.path().join("nobody") }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 500);
    assert!(answer.text().await.unwrap().contains("keeps its socket"));
}

/// One that can pass no socket, as on Windows, ends first; the port is bound again at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_hand_over_frees_its_place() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), None);
    let paths = config.paths.clone();
    let lock = Lock::acquire(&paths).unwrap();
    leeward::instance::read_or_create_token(&paths).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let record = Record { pid: 1, address: listener.local_addr().unwrap(), version: "test".into(), started_unix_ms: unix_ms() };
    // What such a one does, as far as it is asked.
    let old = std::thread::spawn(move || {
        let mut asked = Vec::new();
        while !asked.iter().any(|path| path == "/_leeward/v1/stop") {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let lines: Vec<String> = reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let length = lines.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            reader.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
            let path = lines[0].split(' ').nth(1).unwrap().to_owned();
            let status = if path.ends_with("/stop") { "202 Accepted" } else { "404 Not Found" };
            let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).unwrap();
            asked.push(path);
        }
        drop((listener, lock));
        asked
    });
    let TakeOver::Taken(taken) = take_over(&paths, &record, None, DRAIN).await.unwrap() else { panic!("it has no window") };
    let asked = old.join().unwrap();
    assert_eq!((asked[0].as_str(), asked.last().unwrap().as_str()), ("/_leeward/v1/show", "/_leeward/v1/stop"));
    assert!(taken.confirmation.is_none());
    let host = host(&config).holding(taken.lock).inheriting(Some(taken.listener));
    let engine = Engine::start_with(config, host, seams()).unwrap();
    assert_eq!(engine.address(), record.address);
    assert!(get(engine.address(), "/livez").is_some());
}

/// Told to stop, it lets go of lock and port first thing, and finishes what it has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_ends_lets_go_before_its_requests_have_finished() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let home = Home::new();
    home.configure(&format!("upstream = '{}'", upstream.url()));
    let mut serving = home.serve(&[]);
    let mut stream = client().get(format!("http://{}/sse/20?delay_ms=100", serving.address)).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let stop = client().post(format!("http://{}/_leeward/v1/stop", serving.address)).bearer_auth(token);
    assert_eq!(stop.json(&serde_json::json!({ "drain_ms": 30_000 })).send().await.unwrap().status(), 202);
    let mut lock = None;
    until("the lock is free", || {
        lock = Lock::acquire(&home.paths()).ok();
        lock.is_some()
    });
    assert_eq!(serving.child.try_wait().unwrap(), None, "its stream is still running");
    until("the port is free", || std::net::TcpListener::bind(serving.address).is_ok());
    assert!(stream.text().await.unwrap().matches("data:").count() >= 15);
    assert_eq!(serving.ended(), Some(0));
}
