//! A storm is never amplified: whatever an upstream does, it sees at most 1.2 attempts a request and ten a second more.
//!
//! An attempt is a request that reached the upstream, or a connection on which none did. Each way of failing has a run of
//! its own, with many clients that ask again at once, and the upstream counts.

use crate::support::{LIMIT, TestEngine, client, message};
use leeward::{config::Config, supervisor::TestHooks};
use scripted::{Fault, Mark, Moment, Plan, Upstream};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long each run lasts at least; a request that is under way then still ends.
const RUN: Duration = Duration::from_secs(1);
const CLIENTS: usize = 24;
/// What the budget holds at the start: ten seconds' worth of its ten a second.
const HELD: f64 = 100.0;

/// The defaults of a user, except that nobody waits for long.
fn tune(c: &mut Config) {
    (c.retry.budget, c.retry.budget_floor) = (0.2, 10);
    (c.retry.base, c.retry.cap) = (Duration::from_millis(50), Duration::from_secs(2));
    c.retry.total = Duration::from_secs(1);
    c.circuit.max_wait = Duration::from_millis(500);
    c.connect.tls_timeout = Duration::from_millis(500);
}

/// What came of a run.
#[derive(Debug)]
struct Seen {
    requests: u64,
    attempts: u64,
    connections: u64,
    bound: f64,
    served: u64,
}

/// Clients that ask until the time is over, and what the upstream saw of it. `body` is what they send.
async fn storm(engine: &TestEngine, upstream: Option<&Upstream>, body: String) -> Seen {
    let (began, body) = (Instant::now(), Arc::new(body));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (url, body) = (engine.url("/v1/messages"), Arc::clone(&body));
        clients.spawn(async move {
            let client = client();
            let (mut asked, mut served) = (0, 0);
            while asked < 2 || began.elapsed() < RUN {
                asked += 1;
                let response = client.post(&url).body(body.as_str().to_owned()).send().await.unwrap();
                served += u64::from(response.status() == 200);
                // How a response ends is not what is counted here.
                response.bytes().await.ok();
            }
            served
        });
    }
    let served = clients.join_all().await.iter().sum();
    let stats = engine.stats().await;
    let number = |at: &str| stats.pointer(at).unwrap().as_u64().unwrap();
    let requests = number("/requests");
    let (attempts, connections) = match upstream {
        // A connection that was reset is one attempt, whether anything was read from it or not.
        Some(upstream) => upstream.log().read(|record| {
            let barren = record.connections.iter().filter(|c| c.requests == 0).count();
            ((record.requests.len() + barren) as u64, record.connections.len() as u64)
        }),
        None => (number("/pool/dials"), number("/pool/dials")),
    };
    let bound = 1.2 * requests as f64 + 10.0 * began.elapsed().as_secs_f64() + HELD;
    Seen { requests, attempts, connections, bound, served }
}

/// `bounded`: the bound must hold, for attempts and for connections.
fn judge(what: &str, seen: &Seen) {
    assert!(seen.requests >= 2 * CLIENTS as u64, "{what}: the clients did ask: {seen:?}");
    assert!((seen.attempts as f64) <= seen.bound, "{what}: {seen:?}");
    assert!((seen.connections as f64) <= seen.bound, "{what}: {seen:?}");
}

async fn always(fault: Fault, tls: bool) {
    let upstream = if tls { Upstream::tls(Plan::always(fault.clone())) } else { Upstream::plain(Plan::always(fault.clone())) };
    let upstream = upstream.unwrap();
    let engine = TestEngine::tuned(&upstream, tune);
    let seen = storm(&engine, Some(&upstream), message(true).to_string()).await;
    judge(&format!("{} tls: {tls}", fault.name()), &seen);
    assert_eq!(seen.served, 0, "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_refuses() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = |c: &mut Config| {
        tune(c);
        c.upstream = format!("http://{dead}").parse().unwrap();
    };
    let engine = TestEngine::with(None, refused, TestHooks::default());
    judge("refused", &storm(&engine, None, message(true).to_string()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_resets_at_accept() {
    always(Fault::ResetAtAccept, true).await;
    always(Fault::ResetAtAccept, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_resets_in_tls() {
    always(Fault::ResetInTls, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_resets_before_headers() {
    always(Fault::ResetBeforeHeaders, true).await;
    always(Fault::CloseBeforeHeaders, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_answers_garbage() {
    always(Fault::GarbageStatusLine, true).await;
    always(Fault::ResetInHead(5), false).await;
}

/// U5 is provably not processed, and still no licence to storm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_resets_in_the_request() {
    let upstream = Upstream::plain(Plan::always(Fault::ResetMidRequest(1000))).unwrap();
    let engine = TestEngine::tuned(&upstream, tune);
    // Large enough that a part of it is still unsent.
    let mut message = message(true);
    message["messages"][0]["content"] = "x".repeat(4 << 20).into();
    judge("reset-mid-request", &storm(&engine, Some(&upstream), message.to_string()).await);
}

/// All of it at once, and hardly a connection that can be used twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_fails_in_every_way() {
    let faults = [
        Fault::ResetAtAccept,
        Fault::ResetInTls,
        Fault::ResetBeforeHeaders,
        Fault::CloseOnReuse,
        Fault::GarbageStatusLine,
        Fault::CloseIdle(Duration::ZERO),
        Fault::ResetAfter(Mark::Events(0)),
    ];
    for percent in [30, 60, 90] {
        let upstream = Upstream::tls(Plan::seeded(11, percent, faults.to_vec())).unwrap();
        let engine = TestEngine::tuned(&upstream, tune);
        judge(&format!("{percent} % of all"), &storm(&engine, Some(&upstream), message(true).to_string()).await);
    }
}

/// Dials alone: every response ends its connection, and of ten connections six are reset. What a request would like to have
/// is two dials and a half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_resets_most_connections_and_keeps_none() {
    for percent in [40, 60] {
        // Never more than two in a row.
        let plan = Plan::by(move |moment| match moment {
            Moment::Connection { connection } if connection * 37 % 100 < percent => Fault::ResetInTls,
            Moment::Connection { .. } => Fault::None,
            Moment::Request { .. } => Fault::CloseIdle(Duration::ZERO),
        });
        let upstream = Upstream::tls(plan).unwrap();
        let engine = TestEngine::tuned(&upstream, |c| {
            tune(c);
            c.retry.total = LIMIT;
        });
        let seen = storm(&engine, Some(&upstream), message(false).to_string()).await;
        judge(&format!("{percent} % and no keep-alive"), &seen);
        assert_eq!(seen.served, seen.requests, "slower, and no failure: {seen:?}");
    }
}
