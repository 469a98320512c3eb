//! What is repaired of decrypted requests, and what is never sent twice.

use crate::support::decrypted::{API, World, get, post};
use scripted::{Fault, Plan};
use serde_json::json;
use std::time::{Duration, Instant};

const LOGIN: &str = "platform.claude.com";
const MCP: &str = "mcp-proxy.anthropic.com";

#[tokio::test]
async fn a_start_up_fetch_that_is_reset_five_times_is_answered_once_and_in_time() {
    for (what, request) in [
        ("a fetch", get(API, "/api/hello")),
        ("flags", post(API, "/api/eval/sdk-x", "{}")),
        ("an account", get(API, "/api/oauth/profile")),
    ] {
        let world = World::new(Plan::times(5, Fault::ResetBeforeHeaders)).await;
        let session = world.session(json!({})).await;
        let began = Instant::now();
        let response = world.ask(&session, API, &request).await;
        assert!(began.elapsed() < Duration::from_millis(2500), "{what}: {:?}", began.elapsed());
        assert!(!response.contains("x-leeward"), "{what}: {response}");
        assert_eq!(world.upstream.log().record().requests.len(), 6, "{what}");
    }
}

#[tokio::test]
async fn what_has_effects_is_sent_once_and_its_agent_is_told() {
    for (host, path, status, body) in [
        (LOGIN, "/v1/oauth/token", "503", "{\"error\":\"temporarily_unavailable\"}"),
        (MCP, "/v1/mcp/id", "502", "Leeward: "),
        (API, "/api/event_logging/v2/batch", "502", "Leeward: "),
        (API, "/api/artifacts/mcp", "502", "Leeward: "),
        (API, "/v1/code/sessions", "502", "Leeward: "),
    ] {
        for fault in [Fault::ResetBeforeHeaders, Fault::CloseBeforeHeaders, Fault::ResetInHead(9)] {
            let world = World::new(Plan::times(1, fault.clone())).await;
            let session = world.session(json!({})).await;
            let response = world.ask(&session, host, &post(host, path, "{}")).await;
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {fault:?}: {response}");
            assert!(response.contains(body), "{path} {fault:?}: {response}");
            assert_eq!(world.upstream.log().record().requests.len(), 1, "{path} {fault:?}");
        }
    }
}

#[tokio::test]
async fn what_never_reached_the_server_is_repaired_for_every_request() {
    for (host, path, status, said) in [
        (LOGIN, "/v1/oauth/token", 200, "renewed"),
        (MCP, "/v1/mcp/id", 404, "is not known here"),
        (API, "/api/event_logging/v2/batch", 200, "{}"),
    ] {
        for fault in [Fault::ResetAtAccept, Fault::ResetInTls, Fault::CloseInTls] {
            // As many as the session's first tunnel dials in advance, and one more.
            let world = World::new(Plan::times(5, fault.clone())).await;
            let session = world.session(json!({})).await;
            let response = world.ask(&session, host, &post(host, path, "{}")).await;
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")) && response.contains(said), "{path}: {response}");
            assert_eq!(world.upstream.log().record().requests.len(), 1, "{path} {fault:?}");
        }
    }
}

#[tokio::test]
async fn an_inference_is_repaired_as_through_a_base_url() {
    let world = World::new(Plan::times(2, Fault::ResetBeforeHeaders)).await;
    let session = world.session(json!({})).await;
    let body = crate::support::message(true).to_string();
    let response = world.ask(&session, API, &post(API, "/v1/messages", &body)).await;
    assert!(response.contains("message_stop") && response.contains("x-leeward-attempts: 3"), "{response}");
}

#[tokio::test]
async fn a_fetch_that_cannot_be_repaired_ends_in_time_with_502() {
    let world = World::new(Plan::always(Fault::ResetBeforeHeaders)).await;
    let session = world.session(json!({})).await;
    let began = Instant::now();
    let response = world.ask(&session, API, &get(API, "/api/oauth/profile")).await;
    assert!(response.starts_with("HTTP/1.1 502 ") && response.contains("x-leeward-error: reset"), "{response}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let requests = world.upstream.log().record().requests.len();
    assert!((2..=6).contains(&requests), "{requests}");
}
