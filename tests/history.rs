//! The history of faults as people and scripts get it: over HTTP, on the command line, across processes, and on bad days.

use crate::{
    cli::undocumented,
    home::{Home, Serving, get, kill, until},
    support::{TestEngine, client, message},
};
use leeward::status::faults::Cause;
use scripted::{Fault, Plan, Upstream};
use serde_json::Value;
use std::{
    net::TcpListener,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// A runtime for the upstream and the clients of a test that waits for processes.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn ask(runtime: &tokio::runtime::Runtime, serving: &Serving, path: &str) -> u16 {
    let url = format!("http://{}{path}", serving.address);
    let sent = client().post(url).header("user-agent", "claude-cli/2.1 (test)").json(&message(false)).send();
    runtime.block_on(async { sent.await.unwrap().status().as_u16() })
}

fn history(home: &Home) -> Value {
    let ran = home.run(&["stats", "--since", "1h", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

fn sum(map: &Value) -> u64 {
    map.as_object().unwrap().values().filter_map(Value::as_u64).sum()
}

/// An address at which nobody listens.
fn nowhere() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn what_happened_is_known_whoever_is_asked_and_however_the_process_ended() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let home = Home::new();
    home.configure(&format!(
        "upstream = '{}'\n[connect]\ntimeout = '200ms'\nstagger = '100ms'\n[retry]\ntotal = '200ms'\n[circuit]\nmax_wait = '200ms'\n[upstreams]\ngone = 'http://{}'",
        upstream.url(),
        nowhere()
    ));
    let mut serving = home.serve(&[]);
    assert_eq!(ask(&runtime, &serving, "/v1/messages"), 200);
    upstream.follow(Plan::times(1, Fault::ResetOnReuse));
    assert_eq!(ask(&runtime, &serving, "/v1/messages"), 200);
    assert!(ask(&runtime, &serving, "/@gone/v1/messages") >= 500);

    let running = history(&home);
    assert_eq!(undocumented(&running), [""; 0], "docs/json.md does not say what these are");
    let (retried, failed) = (running["retried_total"].as_u64().unwrap(), running["failed_total"].as_u64().unwrap());
    assert!(retried > 0 && failed == 1, "{running}");
    assert_eq!((sum(&running["retried"]), sum(&running["failed"])), (retried, failed), "{running}");
    assert_eq!((&running["whose"]["network"], &running["requests"]), (&1.into(), &3.into()), "{running}");
    assert_eq!(running["rescued"], 1, "the other one failed in the end: {running}");
    let faults = running["faults"].as_array().unwrap();
    assert_eq!(faults.len() as u64, retried + failed);
    assert_eq!((&faults[0]["upstream"], &faults[0]["retried"]), (&"gone".into(), &false.into()), "newest first: {running}");
    assert!(faults.iter().all(|f| f["agent"] == "claude-cli"), "{running}");
    let stats: Value = serde_json::from_str(&home.run(&["stats", "--json"]).stdout).unwrap();
    assert_eq!((&stats["whose"]["network"], &stats["today"]["retried"]), (&1.into(), &retried.into()), "{stats}");
    assert_eq!(sum(&stats["retried"]), retried);

    // Killed: whoever comes next reads what was written.
    kill(serving.pid(), "KILL");
    serving.ended();
    let same = |later: &Value| {
        for key in ["requests", "retried", "failed", "whose", "by_phase", "faults"] {
            assert_eq!(later[key], running[key], "{key}");
        }
    };
    same(&history(&home));
    let mut serving = home.serve(&[]);
    same(&history(&home));
    let stats: Value = serde_json::from_str(&home.run(&["stats", "--json"]).stdout).unwrap();
    assert_eq!((&stats["retried_total"], &stats["today"]["retried"]), (&0.into(), &retried.into()), "{stats}");
    assert_eq!(ask(&runtime, &serving, "/v1/messages"), 200);

    // Told to end: what came last is written as well.
    kill(serving.pid(), "TERM");
    serving.ended();
    if cfg!(unix) {
        assert_eq!(history(&home)["requests"], 4);
    }
    let ran = home.run(&["stats", "--since", "7d"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for word in
        ["1 request rescued, 1 failed (this machine's network)", "newest faults", "claude-cli, gone", "requests in the last 7 d"]
    {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
}

#[tokio::test]
async fn the_history_is_for_holders_of_the_token() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let url = engine.url("/_leeward/v1/history");
    assert_eq!(client().get(&url).send().await.unwrap().status(), 401);
    let ask = async |query: &str| {
        let response = client().get(format!("{url}{query}")).bearer_auth(engine.token()).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (status, history) = ask("?since=2h&step=15m&limit=5").await;
    assert_eq!((status, &history["step_ms"]), (200, &900_000.into()), "{history}");
    for (query, word) in [("?since=soon", "since"), ("?from=1h", "from"), ("?since=3650d&step=5m", "step")] {
        let (status, refused) = ask(query).await;
        let sentence = refused.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
        assert!(status == 400 && sentence.contains(word), "{query}: {status} {refused}");
    }
    let posted = client().post(&url).bearer_auth(engine.token()).send().await.unwrap();
    assert_eq!(posted.status(), 405);
}

/// A folder where the file should be: as for a disk that cannot be written, and it holds against root as well.
#[test]
fn a_ledger_that_cannot_be_written_keeps_nobody_from_being_served() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let home = Home::new();
    home.configure(&format!("upstream = '{}'", upstream.url()));
    std::fs::create_dir_all(home.paths().ledger_file()).unwrap();
    let serving = home.serve(&[]);
    until("it is told", || home.status()["status"]["conditions"][0]["code"] == "ledger-unusable");
    assert_eq!(home.status()["verdict"], "degraded");
    assert!(get(serving.address, "/readyz").unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(ask(&runtime, &serving, "/v1/messages"), 200);
    let ran = home.run(&["stats", "--since", "1h"]);
    assert!(ran.code == Some(69) && ran.stderr.contains("not kept at the moment"), "{ran:?}");
    assert_eq!(home.run(&["stats"]).code, Some(0));
}

#[test]
fn a_damaged_ledger_is_set_aside_with_a_line_in_the_log() {
    let home = Home::new();
    std::fs::create_dir_all(home.paths().state_dir).unwrap();
    std::fs::write(home.paths().ledger_file(), [0xA5; 5000]).unwrap();
    let ran = home.run(&["stats", "--since", "1h"]);
    assert!(ran.code == Some(69) && ran.stderr.contains("is damaged"), "{ran:?}");
    let _serving = home.serve(&[]);
    assert_eq!(history(&home)["requests"], 0);
    assert_eq!(home.status()["status"]["conditions"], serde_json::json!([]));
    until("the log tells of it", || home.run(&["logs"]).stdout.contains("it is kept as"));
}

#[test]
fn without_a_ledger_there_is_no_history_and_no_file() {
    let home = Home::new();
    let ran = home.run(&["stats", "--since", "1h"]);
    assert!(ran.code == Some(69) && ran.stderr.contains("no Leeward is running"), "{ran:?}");
    home.configure("[ledger]\nenabled = false");
    let _serving = home.serve(&[]);
    let ran = home.run(&["stats", "--since", "1h"]);
    assert!(ran.code == Some(69) && ran.stderr.contains("ledger.enabled"), "{ran:?}");
    assert!(!home.paths().ledger_file().exists());
    home.configure("[ledger]\nenabled = true");
    assert_eq!(home.run(&["restart"]).code, Some(0));
    until("the file is kept from now on", || home.run(&["stats", "--since", "1h"]).code == Some(0));
}

/// A storm of faults is written beside the requests, not in their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_faults_slows_nobody_down() {
    const STORM: u64 = 10_000;
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let client = client();
    let traffic = engine.engine.traffic();
    let measure = async || {
        let mut times = Vec::new();
        for _ in 0..200 {
            let began = Instant::now();
            let answer = client.post(engine.url("/v1/messages")).json(&message(false)).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap();
            times.push(began.elapsed());
        }
        times.sort();
        (times[100], times[198])
    };
    let calm = measure().await;
    let over = AtomicBool::new(false);
    let (storm, took) = std::thread::scope(|scope| {
        let storming = scope.spawn(|| {
            let ticket = traffic.begin();
            let (mut count, mut took) = (0u64, Duration::ZERO);
            // At least the storm, and for as long as somebody measures.
            while count < STORM || !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                (0..100).for_each(|_| ticket.count_retried(Cause::FreshReset, 1));
                (count, took) = (count + 100, took + began.elapsed());
                std::thread::sleep(Duration::from_micros(500));
            }
            (count, took)
        });
        let storm = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(measure()));
        over.store(true, Ordering::Relaxed);
        let (count, took) = storming.join().unwrap();
        (storm, (count, took))
    });
    let (count, spent) = took;
    println!("p50, p99 of a request: {calm:?} calm, {storm:?} with {count} faults meanwhile, {:?} each", spent / count as u32);
    let url = engine.url("/_leeward/v1/history?since=1h");
    let history: Value = client.get(url).bearer_auth(engine.token()).send().await.unwrap().json().await.unwrap();
    assert_eq!(history["retried_total"], count, "every one is counted");
    assert_eq!(sum(&history["retried"]) + history["lost"].as_u64().unwrap(), count, "and written down, or called lost");
    // Generous, for machines that are busy: a request that waited for the disk or the ledger would take far longer.
    assert!(storm.0 < calm.0 * 10 + Duration::from_millis(20), "{calm:?} {storm:?}");
}
