//! The network changes or the machine sleeps: it is noticed, told once, and the next request meets a fresh connection.

use crate::support::{LIMIT, TestEngine, client, eventually, message, seam::scripted_network};
use leeward::{
    network::{NetworkNews, NetworkWhy},
    status::Status,
    supervisor::{NetworkSource, TestHooks},
};
use scripted::{Plan, Upstream};

fn engine(source: NetworkSource) -> TestEngine {
    TestEngine::with(None, |_| {}, TestHooks { network: Some(source), ..TestHooks::default() })
}

async fn status_with(engine: &TestEngine, changes: u64) -> Status {
    let mut status = engine.engine.status();
    let seen = tokio::time::timeout(LIMIT, status.wait_for(|s| s.network.changes >= changes)).await;
    seen.expect("the change shows in time").expect("the engine runs").clone()
}

#[tokio::test]
async fn a_change_shows_in_the_status_and_asks_for_a_probe() {
    let (tell, source) = scripted_network();
    let engine = engine(source);
    assert_eq!(engine.engine.status().borrow().network, leeward::status::Network::default());
    tell.send(NetworkNews::Changed { why: NetworkWhy::Woke, fingerprint: Some(7) }).await.unwrap();
    let status = status_with(&engine, 1).await;
    assert_eq!((status.network.changes, status.network.last_why), (1, Some(NetworkWhy::Woke)));
    assert!(status.network.last_unix_ms >= Some(status.started_unix_ms));
    // The configured distance of probes is much longer than this test.
    eventually("a probe", async || engine.engine.status().borrow().probe.as_ref().is_some_and(|p| p.ok)).await;
}

#[tokio::test]
async fn the_engine_can_be_told_of_a_change() {
    let (_silent, source) = scripted_network();
    let engine = engine(source);
    engine.engine.network_changed();
    let status = status_with(&engine, 1).await;
    assert_eq!(status.network.last_why, Some(NetworkWhy::Reported));
    engine.engine.network_changed();
    status_with(&engine, 2).await;
}

/// What an agent that asks once sees: status and whether the connection to the upstream was there before.
async fn ask(engine: &TestEngine) -> (u16, String) {
    let answer = client().post(engine.url("/v1/messages")).json(&message(false)).send().await.unwrap();
    let connection = answer.headers()["x-leeward-connection"].to_str().unwrap().to_owned();
    let status = answer.status().as_u16();
    answer.bytes().await.unwrap();
    (status, connection)
}

/// L10: what was idle is closed, a connection is warm before the next request, and nobody counts a fault.
#[tokio::test]
async fn l10_the_next_request_after_a_change_meets_a_warm_fresh_connection() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let (tell, source) = scripted_network();
    let engine = TestEngine::with(Some(&upstream), |_| {}, TestHooks { network: Some(source), ..TestHooks::default() });
    assert_eq!(ask(&engine).await, (200, "fresh".to_owned()));
    assert_eq!(ask(&engine).await, (200, "reused".to_owned()), "it waits idle");
    for (nth, why) in [(1, NetworkWhy::Routes), (2, NetworkWhy::Woke)] {
        tell.send(NetworkNews::Changed { why, fingerprint: Some(nth as u64) }).await.unwrap();
        let changed = upstream.log().wait_for(
            |r| r.connections.len() == nth + 1 && r.connections[nth].ready && r.connections[..nth].iter().all(|c| c.closed),
            LIMIT,
        );
        changed.await.expect("the old connection is closed and a new one made, without a request");
        assert_eq!(ask(&engine).await.0, 200);
        let record = upstream.log().record();
        assert_eq!(record.requests.last().unwrap().connection, nth as u64, "{why:?}: on the new connection");
        assert_eq!(record.connections.len(), nth + 1, "{why:?}: and on no other");
    }
    let stats = engine.stats().await;
    assert_eq!((&stats["retried_total"], &stats["replays"]), (&0.into(), &0.into()), "{stats}");
    assert_eq!(stats["pool"]["dial_failures"], 0, "{stats}");
    assert_eq!(engine.engine.status().borrow().network.changes, 2);
}
