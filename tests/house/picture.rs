//! The panel's sample of a status is what the engine writes.

use super::root;
use std::fs;

#[test]
fn the_panel_knows_the_status() {
    use leeward::{config, control, health, network, status};
    let status = status::Status {
        version: "0.1.0".into(),
        pid: 4711,
        started_unix_ms: 1_700_000_000_000,
        phase: status::Phase::Serving,
        generation: 2,
        listener: status::Listener {
            address: "127.0.0.1:8787".into(),
            also: Vec::new(),
            accepting: true,
            accepted: 12,
            accept_errors: 1,
            rebinds: 0,
            last_accept_error: Some("connection aborted".into()),
            connections: 3,
            over_cap: 0,
        },
        conditions: vec![health::Condition {
            code: health::Code::UpstreamUnreachable,
            subject: Some("anthropic".into()),
            severity: health::Severity::Degraded,
            sentence: "api.anthropic.com cannot be reached".into(),
            since_unix_ms: 1_700_000_001_000,
        }],
        probe: Some(status::Probe { at_unix_ms: 1_700_000_060_000, ok: true, took_us: 400, misses: 0, unasked: 0 }),
        upstream: "https://api.anthropic.com/".into(),
        sessions: vec![control::Session {
            id: "claude-4712".into(),
            agent: "claude".into(),
            pid: 4712,
            since_unix_ms: 1_700_000_002_000,
            covers: config::Covers { mode: config::Mode::Auto, inference: config::Door::BaseUrl, rest: config::Door::Tunnel },
            folder: Some("/home/me/project".into()),
            door: None,
            port: 8787,
        }],
        network: status::Network { changes: 1, last_unix_ms: Some(1_700_000_003_000), last_why: Some(network::NetworkWhy::Woke) },
        tunnels: status::tunnels::TunnelCounts { open: 2, opened: 40, rescued: 3, failed: 1 },
        websockets: status::websockets::WebSocketCounts { open: 1, opened: 7 },
        doors: status::doors::Doors { base_url: 391, tunnel: 40, intercept: 9, local: 1 },
        recent: status::recent::Recent {
            window_s: 300,
            requests: 391,
            rescued: 12,
            waiting: 3,
            ..status::recent::Recent::default()
        },
        today: status::stats::Today { requests: 900, rescued: 20, failed: 1, retried: 31 },
        reach: status::recent::Reach {
            name: "api.anthropic.com".into(),
            state: status::recent::ReachState::Failing,
            reached_unix_ms: Some(1_700_000_000_000),
            failing_since_unix_ms: Some(1_700_000_022_000),
            cause: Some("connect".into()),
            reason: Some("connection refused".into()),
            says: Some("can't reach api.anthropic.com (connection refused)".into()),
            next: Some("Check network or VPN".into()),
        },
        headline: status::recent::Headline {
            level: status::recent::HeadlineLevel::Broken,
            sentence: "Can't reach api.anthropic.com (connection refused), 3 requests waiting, for 41 s".into(),
            next: "Check network or VPN; Leeward retries by itself".into(),
        },
    };
    let sample = fs::read_to_string(root().join("ui/src/status.sample.json")).unwrap();
    let sample: serde_json::Value = serde_json::from_str(&sample).unwrap();
    assert_eq!(
        serde_json::to_value(status).unwrap(),
        sample,
        "the status (left) and ui/src/status.sample.json (right) differ: change the sample with it"
    );
}
