//! How much may be sent again: each origin has its own measure, a burst has a replay each, and a spent measure is named.

use crate::support::{LIMIT, TestEngine, client, eventually, message};
use leeward::config::Config;
use scripted::{Fault, Moment, Plan, Upstream};
use serde_json::json;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::Barrier, task::JoinSet};

/// The figures that are shipped.
fn shipped(c: &mut Config) {
    (c.retry.budget, c.retry.budget_floor) = (0.2, 10);
    c.retry.total = LIMIT;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_cannot_be_reached_costs_a_healthy_one_nothing() {
    let healthy = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&healthy, |c| {
        shipped(c);
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        c.upstreams.insert("dead".into(), format!("https://{dead}").parse().unwrap());
        c.circuit.failures = 1000;
        c.circuit.probe = Duration::from_millis(10);
        c.retry.total = Duration::from_secs(3);
    });
    // So many dials in vain that one budget of all would have been empty, and in debt.
    let mut askers = JoinSet::new();
    for _ in 0..150 {
        let url = engine.url("/@dead/v1/messages");
        askers.spawn(async move { client().post(url).json(&message(false)).send().await.unwrap().status() });
    }
    assert!(askers.join_all().await.iter().all(|status| *status == 503));
    let failures = engine.stats().await["pool"]["dial_failures"].as_u64().unwrap();
    assert!(failures >= 50, "half of a budget at least, from where dials wait for it: {failures}");
    healthy.follow(Plan::by(|_| Fault::ResetOnReuse));
    for _ in 0..60 {
        let response = client().post(engine.url("/v1/messages")).json(&message(false)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{:?} {}", response.headers().clone(), engine.stats().await);
        response.bytes().await.unwrap();
    }
}

/// All at once, and each one's connection is broken once before its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_burst_is_repaired_once() {
    for size in [150, 250] {
        let seen = Mutex::new(HashSet::new());
        let upstream = Upstream::plain(Plan::by(move |moment| match moment {
            Moment::Request { head, .. } if seen.lock().unwrap().insert(head.header("x-id").map(str::to_owned)) => {
                Fault::ResetBeforeHeaders
            }
            Moment::Request { .. } | Moment::Connection { .. } => Fault::None,
        }))
        .unwrap();
        let engine = TestEngine::tuned(&upstream, shipped);
        let begin = Arc::new(Barrier::new(size));
        let mut burst = JoinSet::new();
        for id in 0..size {
            let (url, begin) = (engine.url("/v1/messages"), begin.clone());
            burst.spawn(async move {
                let request = client().post(url).header("x-id", id).json(&message(false));
                begin.wait().await;
                let response = request.send().await.unwrap();
                (response.status().as_u16(), response.text().await.unwrap())
            });
        }
        let failed: Vec<_> = burst.join_all().await.into_iter().filter(|(status, _)| *status != 200).collect();
        assert!(failed.is_empty(), "{} of {size}: {:?}", failed.len(), failed.first());
        assert_eq!(engine.stats().await["replays"], size);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_is_named_and_is_a_condition_until_there_is_more() {
    // With TLS a connection is there before it has answered: that it breaks then is no reason to make fewer.
    let upstream = Upstream::tls(Plan::always(Fault::ResetBeforeHeaders)).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        (c.retry.budget, c.retry.budget_floor) = (0.0, 2);
        c.pool.idle = Duration::from_millis(200); // how often it is looked at
    });
    // Many at once: one after the other they wait for their connections as long as the budget wants.
    let ask = |url: String| async move {
        // Each another one: the same again would be its agent's own retry.
        let body = json!({ "model": "m", "metadata": fastrand::u64(..) });
        let response = client().post(url).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let mut many = JoinSet::new();
    for _ in 0..60 {
        many.spawn(ask(engine.url("/v1/messages")));
    }
    let named: Vec<_> = many.join_all().await.into_iter().filter(|(_, told)| told.contains("retry.budget")).collect();
    assert!(!named.is_empty(), "{}", engine.stats().await);
    assert!(
        named.iter().all(|(status, told)| *status == 502 && told.contains("the budget for sending again is spent")),
        "{named:?}"
    );
    let has =
        |health: &serde_json::Value| health["conditions"].as_array().unwrap().iter().any(|c| c["code"] == "retry-budget-spent");
    assert!(has(&engine.health().await), "{}", engine.health().await);
    eventually("half of it is there again", async || !has(&engine.health().await)).await;
}

/// Streams that run as long as they like leave no connection to others: told in a second, with the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_pool_is_told_in_its_own_words_and_ends_with_its_requests() {
    let upstream = Upstream::plain(Plan::always(Fault::HeadersThenSilence)).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.pool.size = 2;
        c.pool.idle = Duration::from_millis(200); // how often it is looked at
        c.stream.commit_wait = Duration::from_millis(10);
    });
    let ask = || client().post(engine.url("/v1/messages")).json(&message(true)).send();
    let streams = [ask().await.unwrap(), ask().await.unwrap()];
    let began = std::time::Instant::now();
    let refused = ask().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(900) && began.elapsed() < LIMIT / 2, "{:?}", began.elapsed());
    let headers = refused.headers().clone();
    assert_eq!((refused.status().as_u16(), &headers["x-leeward-error"]), (503, &"pool-full".parse().unwrap()));
    assert_eq!((&headers["retry-after"], &headers["x-should-retry"]), (&"1".parse().unwrap(), &"true".parse().unwrap()));
    let told = refused.text().await.unwrap();
    assert!(told.contains("2 requests") && told.contains("pool.size") && !told.contains("network"), "{told}");
    let has = async || engine.health().await["conditions"].to_string().contains("pool-full");
    assert!(has().await);
    // Nothing is retried for it, and the next one is served as soon as one has ended.
    assert_eq!(engine.stats().await["retried_total"], 0);
    drop(streams);
    upstream.follow(Plan::none());
    assert_eq!(ask().await.unwrap().status(), 200);
    eventually("there is room again", async || !has().await).await;
}

/// As many streams at once as an earlier limit allowed, and one more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_257th_stream_is_served() {
    let upstream = Upstream::plain(Plan::always(Fault::NeverEnds)).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.stream.commit_wait = Duration::from_millis(10));
    let mut asks = JoinSet::new();
    for _ in 0..257 {
        let url = engine.url("/v1/messages");
        asks.spawn(async move { client().post(url).json(&message(true)).send().await.unwrap() });
    }
    let streams = asks.join_all().await;
    assert!(streams.iter().all(|response| response.status() == 200));
    assert_eq!(engine.stats().await["in_flight"], 257);
}
