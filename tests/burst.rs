//! The start-up burst: many agents at once, an edge with a short accept queue, and nobody who notices.

use crate::support::{
    LIMIT, TestEngine, client,
    edge::{ANSWER, Edge},
    eventually, message,
};
use leeward::{
    config::{Config, Trust},
    supervisor::TestHooks,
};
use scripted::{Fault, Moment, Plan, Upstream};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::Barrier, task::JoinSet};

const AGENTS: usize = 50;

fn engine(edge: &Edge, tune: impl FnOnce(&mut Config)) -> TestEngine {
    let tune = |c: &mut Config| {
        c.upstream = edge.url().parse().unwrap();
        if let Some(authority) = &edge.authority {
            c.trust = Trust::Only(vec![authority.clone()]);
        }
        // The figures that are shipped; only the machine's slowness is allowed for.
        (c.retry.budget, c.retry.budget_floor) = (0.2, 10);
        (c.retry.base, c.retry.cap) = (Duration::from_millis(50), Duration::from_secs(2));
        c.retry.total = LIMIT;
        (c.connect.timeout, c.connect.tls_timeout) = (LIMIT, LIMIT);
        tune(c);
    };
    TestEngine::with(None, tune, TestHooks::default())
}

/// What an agent asks at its start, all of it at once.
async fn start(url: String, begin: Arc<Barrier>) {
    let client = client();
    let post = |stream| client.post(format!("{url}/v1/messages")).json(&message(stream)).send();
    begin.wait().await;
    let (hello, models, short, long) = tokio::join!(
        client.head(format!("{url}/api/hello")).send(),
        client.get(format!("{url}/v1/models")).send(),
        post(false),
        post(true),
    );
    assert_eq!(hello.unwrap().status(), 200);
    for response in [models, short, long] {
        let response = response.unwrap();
        assert_eq!(response.status(), 200, "{:?}", response.headers());
        assert_eq!(response.text().await.unwrap(), ANSWER);
    }
}

async fn burst(engine: &TestEngine) -> serde_json::Value {
    let begin = Arc::new(Barrier::new(AGENTS));
    let mut agents = JoinSet::new();
    for _ in 0..AGENTS {
        agents.spawn(start(engine.url(""), begin.clone()));
    }
    agents.join_all().await;
    let stats = engine.stats().await;
    assert_eq!((&stats["requests"], &stats["outcomes"]["answered"]), (&200.into(), &200.into()), "{stats}");
    stats
}

/// Four at a time never fill a queue of eight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_agents_at_once_at_an_edge_with_a_queue_of_eight_over_tls() {
    let edge = Edge::start(8, Duration::from_millis(5), 1, true).await;
    let stats = burst(&engine(&edge, |_| {})).await;
    assert_eq!(edge.overflowed.load(Relaxed), 0, "{stats}");
    assert!(edge.came.load(Relaxed) <= 64, "one pool: {stats}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_agents_at_once_at_an_edge_with_a_queue_of_eight() {
    let edge = Edge::start(8, Duration::from_millis(5), 1, false).await;
    let stats = burst(&engine(&edge, |_| {})).await;
    assert!(edge.came.load(Relaxed) <= 64 + edge.overflowed.load(Relaxed), "one pool: {stats}");
}

/// An edge whose queue is shorter than a few dials: they become fewer, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_agents_at_once_at_an_edge_with_a_queue_of_one() {
    let edge = Edge::start(1, Duration::from_millis(5), 4, true).await;
    let stats = burst(&engine(&edge, |_| {})).await;
    assert!(edge.overflowed.load(Relaxed) >= 3, "the queue was too short for four: {stats}");
    assert!(stats["pool"]["dial_failures"].as_u64().unwrap() > 0, "{stats}");
}

/// `HEAD /api/hello` is the first thing that an agent says: the connections for what follows are made meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_makes_the_connections_that_follow() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    assert_eq!(client().head(engine.url("/api/hello")).send().await.unwrap().status(), 200);
    let parallel = u64::try_from(engine_parallel()).unwrap();
    let origin = upstream.address().to_string();
    eventually("as many as are made at once are idle", async || engine.stats().await["origins"][&origin]["idle"] == parallel)
        .await;
    let requests = (0..4).map(|_| client().post(engine.url("/v1/messages")).json(&message(false)).send());
    for response in futures_util::future::join_all(requests).await {
        assert_eq!(response.unwrap().headers()["x-leeward-attempts"], "1");
    }
    assert_eq!(upstream.log().record().connections.len() as u64, parallel, "none was made for them");
}

/// Starts at an edge that resets two of five new connections and spoils two of five kept ones: no request fails, and none
/// is parked for what the next dial mends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_under_resets_park_nobody() {
    let upstream = Upstream::tls(Plan::by(|moment| match moment {
        // Two in a row at most, and not the same two at every start.
        Moment::Connection { connection } => match connection * 37 % 100 {
            0..20 => Fault::ResetAtAccept,
            20..40 => Fault::ResetInTls,
            _ => Fault::None,
        },
        Moment::Request { nth: 1.., ordinal, .. } => match ordinal * 37 % 100 {
            0..20 => Fault::ResetOnReuse,
            20..40 => Fault::CloseIdle(Duration::ZERO),
            _ => Fault::None,
        },
        Moment::Request { .. } => Fault::None,
    }));
    let upstream = upstream.unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        (c.retry.budget, c.retry.budget_floor) = (0.2, 10);
        // A pause would be seen.
        (c.retry.base, c.retry.cap, c.retry.total) = (2 * LIMIT, 2 * LIMIT, LIMIT);
    });
    for start in 0..30 {
        let requests = (0..4).map(|_| client().post(engine.url("/v1/messages")).json(&message(false)).send());
        for response in futures_util::future::join_all(requests).await {
            assert_eq!(response.unwrap().status(), 200, "{start}");
        }
    }
    let stats = engine.stats().await;
    assert!(stats["pool"]["dial_failures"].as_u64().unwrap() > 5, "{stats}");
    assert_eq!((stats["retried"]["circuit-open"].as_u64(), &stats["outcomes"]["answered"]), (Some(0), &120.into()), "{stats}");
}

fn engine_parallel() -> usize {
    let home = tempfile::tempdir().unwrap();
    Config::under(home.path()).unwrap().connect.parallel
}
