//! The network changes or the machine sleeps: it is noticed, told once, and the next request meets a fresh connection.

use crate::support::{LIMIT, TestEngine, eventually, seam::scripted_network};
use leeward::{
    control::{NetworkNews, NetworkWhy},
    status::Status,
    supervisor::{NetworkSource, Seams},
};

fn engine(source: NetworkSource) -> TestEngine {
    TestEngine::with(None, |_| {}, Seams { network: Some(source), ..Seams::default() })
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
    assert_eq!(status.network.last_why, Some(NetworkWhy::Told));
    engine.engine.network_changed();
    status_with(&engine, 2).await;
}
