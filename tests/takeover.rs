//! A second Leeward on the same state folder: the first one shows its window or gives way. Handing the
//! very socket on is in `handover.rs`.

use crate::{
    home::{Home, get, until},
    support::{client, config, silent},
};
use leeward::{
    config::{Config, Flags, Settings},
    health::unix_ms,
    instance::{Lock, Record, TakeOver, take_over},
    proof::Challenge,
    supervisor::{Engine, EngineOptions, TestHooks},
};
use scripted::{Plan, Upstream};
use std::{
    io::{BufRead, BufReader, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

pub const DRAIN: Duration = Duration::from_secs(30);

pub fn hooks() -> TestHooks {
    TestHooks { network: Some(silent()), ..TestHooks::default() }
}

pub fn host(config: &Config) -> EngineOptions {
    EngineOptions::of(Arc::new(Settings::new(Flags { config_file: Some(config.paths.config_file.clone()), ..Flags::default() })))
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
    let engine = Engine::start_with(config, host, hooks()).unwrap();
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
    let engine = Engine::start_with(config, host, hooks()).unwrap();
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

fn head(reader: &mut impl BufRead) -> Vec<String> {
    reader.lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect()
}

/// One that knows no way to pass its socket ends first; the very address is bound again at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_hand_over_frees_its_place() {
    for bound in ["127.0.0.1:0", "0.0.0.0:0"] {
        frees_its_place(bound).await;
    }
}

async fn frees_its_place(bound: &'static str) {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), None);
    let paths = config.paths.clone();
    let lock = Lock::acquire(&paths).unwrap();
    let token = leeward::instance::create_token(&paths).unwrap();
    let listener = std::net::TcpListener::bind(bound).unwrap();
    let address = listener.local_addr().unwrap();
    let record = Record { pid: 1, address, version: "test".into(), started_unix_ms: unix_ms() };
    // What such a one does, as far as it is asked.
    let old = std::thread::spawn(move || {
        let mut asked = Vec::new();
        while !asked.iter().any(|path| path == "/_leeward/v1/stop") {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            // The first request of each connection asks for the proof.
            let asked_for = head(&mut reader);
            let challenge = asked_for[0].split(['=', ' ']).nth(2).and_then(Challenge::parse).unwrap();
            let proof = format!("{{\"proof\":\"{}\"}}", challenge.answer(&token, address));
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{proof}", proof.len()).unwrap();
            let lines = head(&mut reader);
            let length = lines.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            reader.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
            let path = lines[0].split(' ').nth(1).unwrap().to_owned();
            let status = if path.ends_with("/stop") { "202 Accepted" } else { "404 Not Found" };
            write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
            asked.push(path);
        }
        drop((listener, lock));
        asked
    });
    let TakeOver::Taken(taken) = take_over(&paths, &record, None, DRAIN).await.unwrap() else { panic!("it has no window") };
    let asked = old.join().unwrap();
    assert_eq!((asked[0].as_str(), asked.last().unwrap().as_str()), ("/_leeward/v1/show", "/_leeward/v1/stop"));
    assert!(taken.confirmation.is_none());
    assert_eq!(taken.listener.local_addr().unwrap(), record.address);
    let host = host(&config).holding(taken.lock).inheriting(Some(taken.listener));
    let engine = Engine::start_with(config, host, hooks()).unwrap();
    assert_eq!(engine.address(), record.address);
    assert!(get(leeward::instance::reachable(engine.address()), "/livez").is_some(), "{bound}");
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
