//! Pictures in, words out.

use super::*;
use crate::{
    health::Code,
    status::{Listener, Probe},
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
fn every_state_has_its_sentence() {
    let unreachable = condition(Code::UpstreamUnreachable, Severity::Degraded, "api.anthropic.com cannot be reached.");
    let lost = condition(Code::ListenerLost, Severity::Broken, "the port 8787 cannot be bound");
    let table = [
        (Status::starting(), Level::Degraded, "starting"),
        (serving(), Level::Ok, "accepting on 127.0.0.1:8787, all is well"),
        (with(|s| s.phase = Phase::Restarting), Level::Ok, "accepting on 127.0.0.1:8787, restarting"),
        (
            with(|s| s.conditions = vec![unreachable.clone()]),
            Level::Degraded,
            "accepting on 127.0.0.1:8787, but api.anthropic.com cannot be reached",
        ),
        (
            with(|s| s.conditions = vec![unreachable.clone(), lost.clone()]),
            Level::Broken,
            "accepting on 127.0.0.1:8787, but the port 8787 cannot be bound",
        ),
        (
            with(|s| {
                s.listener.accepting = false;
                s.conditions = vec![lost.clone()];
            }),
            Level::Broken,
            "not accepting: the port 8787 cannot be bound",
        ),
        (with(|s| s.listener.accepting = false), Level::Broken, "not accepting"),
        (with(|s| s.phase = Phase::Draining), Level::Broken, "ending: no longer accepting, requests in flight finish"),
        (with(|s| s.phase = Phase::Stopped), Level::Broken, "stopped"),
    ];
    for (status, level, sentence) in table {
        assert_eq!(verdict(&status), Verdict { level, sentence: sentence.into() });
    }
}

#[test]
fn the_listing_says_everything_once() {
    let status = with(|s| {
        s.listener.accept_errors = 1;
        s.listener.last_accept_error = Some("connection aborted".into());
        s.probe = Some(Probe { at_unix_ms: 61_000, ok: true, took_us: 450, misses: 0, unasked: 0 });
        s.sessions = serde_json::from_value(json!([{"agent": "claude", "pid": 7, "since_unix_ms": 4_000}])).unwrap();
        s.conditions = vec![condition(Code::PortTaken, Severity::Degraded, "nginx holds the port")];
    });
    let faults = Faults { requests: 1, retried: 12, failed: 0, retried_today: 12 };
    let listing: Vec<String> = lines(&status, Some(faults), 64_000).iter().map(|l| format!("{} | {}", l.label, l.text)).collect();
    assert_eq!(
        listing,
        [
            "listener | 127.0.0.1:8787 accepting, 1,234 connections so far, 3 open, 1 accept error survived",
            "survived | connection aborted (the last accept error; it cost one connection at most)",
            "checked | 3 s ago over the real port, response in 0.5 ms",
            "process | pid 42, version 1.2.3, up 1 min, generation 2",
            "upstream | https://api.anthropic.com/",
            "traffic | 1 request, 0 failed, 12 attempts retried",
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
        let line = lines(&status, None, 2_000).into_iter().find(|l| l.label == "checked").unwrap();
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
        let line = lines(&status, None, 2_000).into_iter().find(|l| l.label == "checked").unwrap();
        assert_eq!((line.level, line.text.as_str()), (level, text));
    }
}

#[test]
fn the_tooltip_is_the_truth_and_its_age() {
    let status = with(|s| s.probe = Some(Probe { at_unix_ms: 1_000, ok: true, took_us: 1, misses: 0, unasked: 0 }));
    let faults = Faults { requests: 9, retried: 100, failed: 0, retried_today: 1 };
    assert_eq!(
        tooltip(&status, faults, 4_000),
        "accepting on 127.0.0.1:8787, all is well - 1 attempt retried today - checked 3 s ago"
    );
    let traffic = lines(&status, Some(faults), 0).into_iter().find(|l| l.label == "traffic").unwrap();
    assert_eq!(traffic.text, "9 requests, 0 failed, 100 attempts retried since it started, 1 retried today");
    assert_eq!(tooltip(&serving(), Faults::default(), 0), "accepting on 127.0.0.1:8787, all is well");
}

#[test]
fn a_request_that_failed_says_whose_fault_it_is() {
    for (retried, rescued, whose, sentence) in [
        (0, 0, &[][..], "0 attempts retried, no request failed"),
        (12, 9, &[("agent", 0), ("api-edge", 1)], "12 attempts retried (9 requests rescued), 1 request failed (API edge)"),
        (
            1,
            1,
            &[("network", 1), ("api", 2000)],
            "1 attempt retried (1 request rescued), 2,001 requests failed (2,000 API, 1 this machine's network)",
        ),
        (0, 0, &[("martians", 3)], "0 attempts retried, 3 requests failed (martians)"),
    ] {
        assert_eq!(faults_sentence(retried, rescued, whose), sentence);
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
