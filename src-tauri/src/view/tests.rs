//! Pictures in, words out.

use super::*;
use crate::{
    health::Code,
    status::{Listener, Phase, Probe, doors::Doors, recent::Recent, stats::Today},
};
use serde_json::json;

fn serving() -> Status {
    Status {
        version: "1.2.3".into(),
        pid: 42,
        started_unix_ms: 1_000,
        phase: Phase::Serving,
        generation: 2,
        listener: Listener {
            address: "127.0.0.1:8787".into(),
            accepting: true,
            accepted: 1234,
            connections: 3,
            ..Listener::default()
        },
        upstream: "https://api.anthropic.com/".into(),
        ..Status::starting()
    }
}

fn condition(code: Code, severity: Severity, sentence: &str) -> Condition {
    Condition { code, subject: None, severity, sentence: sentence.into(), since_unix_ms: 1_000 }
}

fn with(change: impl FnOnce(&mut Status)) -> Status {
    let mut status = serving();
    change(&mut status);
    status
}

#[test]
fn the_listing_says_everything_once() {
    let status = with(|s| {
        s.listener.accept_errors = 1;
        s.listener.last_accept_error = Some("connection aborted".into());
        s.probe = Some(Probe { at_unix_ms: 61_000, ok: true, took_us: 450, misses: 0, unasked: 0 });
        s.sessions = serde_json::from_value(json!([{"agent": "claude", "pid": 7, "since_unix_ms": 4_000}])).unwrap();
        s.conditions = vec![condition(Code::PortTaken, Severity::Degraded, "nginx holds the port")];
        s.recent = Recent { window_s: 300, requests: 391, rescued: 12, failed: 1, waiting: 2, ..Recent::default() };
        s.today = Today { requests: 1_000, rescued: 20, failed: 1, retried: 31 };
        s.doors = Doors { base_url: 1_200, tunnel: 40, intercept: 0, local: 1 };
    });
    let listing: Vec<String> = lines(&status, 64_000).iter().map(|l| format!("{} | {}", l.label, l.text)).collect();
    assert_eq!(
        listing,
        [
            "listener | 127.0.0.1:8787 accepting, 1,234 connections so far, 3 open, 1 accept error survived",
            "survived | connection aborted (the last accept error; it cost one connection at most)",
            "checked | 3 s ago over the real port, response in 0.5 ms",
            "process | pid 42, version 1.2.3, up 1 min, generation 2",
            "upstream | https://api.anthropic.com/: not tried yet",
            "recent | 391 requests in 5 min, 12 rescued, 1 failed; 2 waiting now",
            "today | 1,000 requests, 20 rescued, 1 failed; 31 attempts retried",
            "doors | 1,200 by base URL, 40 by tunnel, 1 for the list of connectors answered by Leeward",
            "session | claude (base-url: inference by base URL, the rest past Leeward; pid 7, for 1 min)",
            "degraded | port-taken, for 1 min: nginx holds the port",
        ]
    );
}

#[test]
fn a_missed_probe_is_worse_the_second_time() {
    let probe = |misses| Some(Probe { at_unix_ms: 0, ok: false, took_us: 0, misses, unasked: 0 });
    for (misses, level) in [(1, Level::Degraded), (2, Level::Broken)] {
        let status = with(|s| s.probe = probe(misses));
        let line = lines(&status, 2_000).into_iter().find(|l| l.label == "checked").unwrap();
        assert_eq!((line.level, line.text), (level, format!("2 s ago over the real port, no response ({misses} in a row)")));
    }
}

/// The age is that of the last response, however often Leeward could not ask since.
#[test]
fn a_check_that_could_not_be_made_is_told_as_such() {
    for (misses, unasked, level, text) in [
        (0, 1, Level::Degraded, "2 s ago over the real port, response in 0.0 ms; 1 check since could not be made"),
        (1, 3, Level::Degraded, "2 s ago over the real port, no response (1 in a row); 3 checks since could not be made"),
        (2, 3, Level::Broken, "2 s ago over the real port, no response (2 in a row); 3 checks since could not be made"),
    ] {
        let status = with(|s| s.probe = Some(Probe { at_unix_ms: 0, ok: misses == 0, took_us: 0, misses, unasked }));
        let line = lines(&status, 2_000).into_iter().find(|l| l.label == "checked").unwrap();
        assert_eq!((line.level, line.text.as_str()), (level, text));
    }
}

#[test]
fn the_tooltip_is_the_truth_and_its_age() {
    let status = with(|s| {
        s.probe = Some(Probe { at_unix_ms: 1_000, ok: true, took_us: 1, misses: 0, unasked: 0 });
        s.today = Today { requests: 9, rescued: 1, failed: 0, retried: 100 };
    });
    assert_eq!(tooltip(&status, 4_000), "Ready on 127.0.0.1:8787 - 1 rescued, 0 failed today - checked 3 s ago");
    assert_eq!(tooltip(&serving(), 0), "Ready on 127.0.0.1:8787");
}

#[test]
fn a_request_that_failed_says_whose_fault_it_is_and_is_not_rescued() {
    for (rescued, failed, retried, whose, sentence) in [
        (0, 0, 0, &[][..], "0 requests rescued, none failed; 0 attempts retried"),
        (9, 1, 12, &[("agent", 0), ("api-edge", 1)], "9 requests rescued, 1 failed (API edge); 12 attempts retried"),
        (
            1,
            2001,
            1,
            &[("network", 1), ("api", 2000)],
            "1 request rescued, 2,001 failed (2,000 API, 1 this machine's network); 1 attempt retried",
        ),
        (0, 3, 0, &[("martians", 3)], "0 requests rescued, 3 failed (martians); 0 attempts retried"),
    ] {
        assert_eq!(faults_sentence(rescued, failed, retried, whose), sentence);
    }
}

#[test]
fn numbers_read_well() {
    for (ms, text) in [
        (0, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (3_600_000, "1 h"),
        (3_660_000, "1 h 1 min"),
        (86_400_000, "1 d"),
        (90_000_000, "1 d 1 h"),
    ] {
        assert_eq!(age(ms), text);
    }
    for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(thousands(count), text);
    }
}

#[test]
fn a_status_survives_the_wire() {
    let status = with(|s| s.conditions = vec![condition(Code::ConfigInvalid, Severity::Degraded, "x")]);
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
}
