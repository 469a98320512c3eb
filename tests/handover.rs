//! The listening socket itself passes from one process to the next, and nobody is refused.

use crate::{
    home::{Home, get, until},
    restart::ask_steadily,
    support::{LIMIT, client, config},
    takeover::{DRAIN, hooks, host},
};
use leeward::{
    config::Config,
    health::unix_ms,
    instance::{Lock, LockError, Record, TakeOver, read_record, remove_record, take_over, write_record},
    supervisor::Engine,
};
use scripted::{Plan, Upstream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// What the tray does: takes the place of `record`, and says so.
async fn replace(config: Config, record: &Record) -> Engine {
    let paths = config.paths.clone();
    let TakeOver::Taken(taken) = take_over(&paths, record, None, DRAIN).await.unwrap() else { panic!("a `serve` has no window") };
    let host = host(&config).holding(taken.lock).inheriting(Some(taken.listener));
    let engine = Engine::start_with(config, host, hooks()).unwrap();
    let record =
        Record { pid: std::process::id(), address: engine.address(), version: "test".into(), started_unix_ms: unix_ms() };
    write_record(&paths, &record).unwrap();
    if let Some(confirmation) = taken.confirmation {
        confirmation.confirm().unwrap();
    }
    engine
}

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
    if let Ok(other) = std::net::TcpListener::bind("[::1]:0") {
        let other = std::net::SocketAddr::new(other.local_addr().unwrap().ip(), engine.address().port());
        assert!(std::net::TcpListener::bind(other).is_err(), "the other loopback address came along");
    }
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
#[cfg(unix)] // its agent is a script for a POSIX shell
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_come_along() {
    let home = Home::new();
    home.agent("claude", r#"touch "$OUT/ready"; while [ ! -e "$OUT/done" ]; do sleep 0.02; done"#);
    let mut serving = home.serve(&[]);
    let mut agent = crate::home::Running::start(&mut home.command(&["wrap", "claude"]));
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
