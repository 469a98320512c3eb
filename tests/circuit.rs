//! An upstream that cannot be reached: few dials, requests parked in order, and the truth when that does not help (U1, U16).

use crate::support::{LIMIT, TestEngine, client, eventually, message};
use leeward::{
    config::{Config, Trust},
    supervisor::TestHooks,
};
use scripted::{Plan, Upstream};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// An address at which nobody listens.
fn nowhere() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An engine before an upstream that is not there; its circuit opens with the first failed dial.
fn engine(address: SocketAddr, tune: impl FnOnce(&mut Config)) -> TestEngine {
    let tune = |c: &mut Config| {
        c.upstream = format!("http://{address}").parse().unwrap();
        c.retry.total = 2 * LIMIT;
        c.circuit.failures = 1;
        c.circuit.max_wait = 2 * LIMIT;
        c.circuit.probe = Duration::from_millis(20);
        tune(c);
    };
    TestEngine::with(None, tune, TestHooks::default())
}

async fn origin(engine: &TestEngine, address: SocketAddr) -> serde_json::Value {
    engine.stats().await["origins"][address.to_string()].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u1_parked_requests_are_released_in_order_of_arrival() {
    const REQUESTS: u64 = 30;
    let address = nowhere();
    // One connection: the order in which requests get it is the order in which the upstream sees them.
    let engine = engine(address, |c| c.pool.size = 1);
    let mut asked = JoinSet::new();
    for n in 0..REQUESTS {
        let request = client().post(engine.url(&format!("/v1/messages?n={n}"))).json(&message(false));
        asked.spawn(async move { request.send().await.unwrap().status().as_u16() });
        eventually("it is parked", async || origin(&engine, address).await["waiting"] == n + 1).await;
    }
    let seen = origin(&engine, address).await;
    assert_eq!(seen["circuit"], "open");
    assert!(seen["last_failure"].as_str().unwrap().contains(&address.to_string()), "{seen}");
    let dials = engine.stats().await["pool"]["dials"].as_u64().unwrap();
    eventually("it is probed", async || engine.stats().await["pool"]["dials"].as_u64().unwrap() > dials + 2).await;
    let upstream = Upstream::start(address, Plan::none(), false).unwrap();
    assert_eq!(asked.join_all().await, vec![200; REQUESTS as usize]);
    let order: Vec<_> = upstream.log().record().requests.iter().map(|r| r.head.query("n").unwrap().to_owned()).collect();
    assert_eq!(order, (0..REQUESTS).map(|n| n.to_string()).collect::<Vec<_>>());
    let stats = engine.stats().await;
    assert_eq!((&stats["retried"]["circuit-open"], &stats["outcomes"]["failed"]), (&REQUESTS.into(), &0.into()), "{stats}");
    let seen = origin(&engine, address).await;
    assert_eq!((&seen["circuit"], &seen["waiting"], seen.get("last_failure")), (&"closed".into(), &0.into(), None), "{seen}");
}

/// Fifty requests and nobody there: a handful of dials, whatever the requests' own patience with failures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_upstream_is_dialled_a_few_times_for_all() {
    let address = nowhere();
    let engine = engine(address, |c| {
        c.circuit.failures = 5;
        c.circuit.max_wait = Duration::from_millis(500);
        // Longer than the requests' patience: who was told of a failed dial does not come back, and no probe is due.
        (c.circuit.probe, c.retry.base, c.retry.cap) = (8 * LIMIT, 4 * LIMIT, 4 * LIMIT);
    });
    let mut asked = JoinSet::new();
    for _ in 0..50 {
        let request = client().post(engine.url("/v1/messages")).json(&message(false));
        asked.spawn(async move { request.send().await.unwrap().headers()["x-leeward-error"].to_str().unwrap().to_owned() });
    }
    let told = asked.join_all().await;
    let stats = engine.stats().await;
    let dials = stats["pool"]["dials"].as_u64().unwrap();
    // Five in a row open it, and three more may have been under way.
    assert!((5..=8).contains(&dials), "{dials} dials for 50 requests");
    let parked = told.iter().filter(|code| *code == "circuit-open").count();
    assert!(parked >= 45, "{told:?}");
}

/// U16: told what the matter is, in each dialect, when parking has not helped; and not before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u16_who_was_parked_in_vain_is_told_why() {
    let address = nowhere();
    let engine = engine(address, |c| {
        c.circuit.max_wait = Duration::from_millis(300);
        c.circuit.probe = Duration::from_secs(2);
    });
    for (path, pointer, wanted) in [
        ("/v1/messages", "/error/type", "api_error"),
        ("/v1/chat/completions", "/error/code", "circuit-open"),
        ("/v1beta/models/g:generateContent", "/error/status", "UNAVAILABLE"),
    ] {
        let began = Instant::now();
        let response = client().post(engine.url(path)).json(&message(false)).send().await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(300), "parked for its time: {:?}", began.elapsed());
        let headers = response.headers().clone();
        assert_eq!((response.status().as_u16(), &headers["x-leeward-error"]), (503, &"circuit-open".parse().unwrap()));
        let after: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=2).contains(&after) && headers["x-should-retry"] == "true", "{headers:?}");
        let json: serde_json::Value = response.json().await.unwrap();
        assert_eq!(json.pointer(pointer).unwrap(), wanted, "{json}");
        let sentence = json.pointer("/error/message").unwrap().as_str().unwrap();
        let parts = ["Leeward: nothing listens on", &address.to_string(), "Start the server", "More: leeward status"];
        assert!(parts.iter().all(|part| sentence.contains(part)), "{sentence}");
    }
    assert_eq!(engine.stats().await["failed"]["circuit-open"], 3);
}

/// Parking ends with the client's own patience, which is half of what it states.
#[tokio::test]
async fn u16_nobody_is_parked_beyond_his_patience() {
    let address = nowhere();
    // A first attempt has the time that making a connection may take, whatever the patience.
    let engine = engine(address, |c| {
        (c.connect.dns_timeout, c.connect.timeout, c.connect.tls_timeout) = Default::default();
    });
    let began = Instant::now();
    let request = client().post(engine.url("/v1/messages")).header("x-stainless-timeout", "1").json(&message(false));
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-leeward-error"], "circuit-open");
    assert!((Duration::from_millis(500)..LIMIT).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// A certificate that is not believed does not get better: nobody is parked for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u3_what_is_permanent_is_told_to_all_who_wait() {
    let (upstream, other) = (Upstream::tls(Plan::none()).unwrap(), Upstream::tls(Plan::none()).unwrap());
    let engine = TestEngine::tuned(&upstream, |c| {
        c.trust = Trust::Only(vec![other.authority().unwrap().to_vec()]);
        c.circuit.failures = 1;
        c.circuit.max_wait = 2 * LIMIT;
        c.connect.parallel = 1;
    });
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        let request = client().post(engine.url("/v1/messages")).json(&message(false));
        asked.spawn(async move { request.send().await.unwrap().headers()["x-leeward-error"].to_str().unwrap().to_owned() });
    }
    assert!(asked.join_all().await.iter().all(|code| code == "certificate"));
    assert_eq!(origin(&engine, upstream.address()).await["circuit"], "closed");
}

/// A client that leaves while it is parked neither dials nor takes a connection from those behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u15_who_has_left_the_queue_takes_nothing() {
    let address = nowhere();
    let engine = engine(address, |c| c.pool.size = 1);
    let mut gone = JoinSet::new();
    for _ in 0..5 {
        gone.spawn(client().post(engine.url("/v1/messages?n=gone")).json(&message(false)).send());
    }
    eventually("they are parked", async || origin(&engine, address).await["waiting"] == 5).await;
    let last = tokio::spawn(client().post(engine.url("/v1/messages?n=last")).json(&message(false)).send());
    eventually("the last is parked", async || origin(&engine, address).await["waiting"] == 6).await;
    gone.shutdown().await;
    eventually("they are forgotten", async || origin(&engine, address).await["waiting"] == 1).await;
    let upstream = Upstream::start(address, Plan::none(), false).unwrap();
    assert_eq!(last.await.unwrap().unwrap().status(), 200);
    let seen: Vec<_> = upstream.log().record().requests.iter().map(|r| r.head.query("n").unwrap().to_owned()).collect();
    assert_eq!((seen, upstream.log().record().connections.len()), (vec!["last".to_owned()], 1));
}
