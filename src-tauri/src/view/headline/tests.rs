//! Design section 11 as a table: each situation, and the two lines that tell it.

use super::*;
use crate::status::{Listener, stats::Today};
use std::collections::BTreeMap;

const NOW: u64 = 1_000_000;

fn serving() -> Status {
    let listener = Listener { address: "127.0.0.1:8787".into(), accepting: true, ..Listener::default() };
    let reach = Reach { name: "api.anthropic.com".into(), ..Reach::default() };
    let recent = Recent { window_s: 300, ..Recent::default() };
    Status { phase: Phase::Serving, listener, reach, recent, ..Status::starting() }
}

fn with(change: impl FnOnce(&mut Status)) -> Status {
    let mut status = serving();
    change(&mut status);
    status
}

/// A way that has been gone for 41 s.
fn gone(cause: Cause, reason: Option<&str>, says: &str, next: &str, waiting: u64) -> Status {
    with(|s| {
        s.recent.waiting = waiting;
        s.reach.state = ReachState::Failing;
        s.reach.failing_since_unix_ms = Some(NOW - 41_000);
        s.reach.cause = Some(cause.as_str().into());
        s.reach.reason = reason.map(str::to_owned);
        (s.reach.says, s.reach.next) = (Some(says.into()), Some(next.into()));
    })
}

fn unreached(reason: &str, waiting: u64) -> Status {
    let says = format!("can't reach api.anthropic.com ({reason})");
    gone(Cause::Connect, Some(reason), &says, "Check network or VPN", waiting)
}

fn failed(failed: u64, requests: u64, cause: Cause) -> Status {
    with(|s| {
        let causes = BTreeMap::from([(cause.as_str().to_owned(), failed)]);
        s.recent = Recent { window_s: 300, requests, failed, failed_in_a_row: failed, causes, ..Recent::default() };
        s.reach.state = ReachState::Reached;
        s.reach.reached_unix_ms = Some(NOW - 8_000);
    })
}

fn condition(code: Code, sentence: &str) -> Condition {
    Condition { code, subject: None, severity: code.traits().0, sentence: sentence.into(), since_unix_ms: NOW - 60_000 }
}

#[test]
fn each_situation_has_its_two_lines() {
    let retries = "Check network or VPN; Leeward retries by itself";
    let port = "127.0.0.1:8787 is taken by nginx (pid 42); Leeward serves on 127.0.0.1:8788 instead. `leeward wrap` finds it.";
    let table = [
        // The way to the default upstream.
        (
            unreached("no network", 3),
            Level::Broken,
            "Can't reach api.anthropic.com (no network), 3 requests waiting, for 41 s",
            retries,
        ),
        (
            unreached("connection refused", 1),
            Level::Broken,
            "Can't reach api.anthropic.com (connection refused), 1 request waiting, for 41 s",
            retries,
        ),
        (unreached("DNS fails", 0), Level::Degraded, "Can't reach api.anthropic.com (DNS fails), for 41 s", retries),
        (
            gone(
                Cause::Certificate,
                None,
                "the certificate of api.anthropic.com is not trusted: issued by Gate CA",
                "If your company inspects TLS, set extra_ca",
                1,
            ),
            Level::Broken,
            "The certificate of api.anthropic.com is not trusted: issued by Gate CA, 1 request waiting, for 41 s",
            "If your company inspects TLS, set extra_ca",
        ),
        (
            gone(Cause::NotTls, None, "127.0.0.1:8000 speaks plain HTTP", "Write http:// in its URL", 0),
            Level::Degraded,
            "127.0.0.1:8000 speaks plain HTTP, for 41 s",
            "Write http:// in its URL",
        ),
        (
            gone(Cause::Connect, None, "nothing listens on 127.0.0.1:11434", "Start the server there", 0),
            Level::Degraded,
            "Nothing listens on 127.0.0.1:11434, for 41 s",
            "Start the server there",
        ),
        // What became of requests.
        (
            failed(23, 391, Cause::FreshReset),
            Level::Degraded,
            "23 of 391 requests failed in 5 min: the API's edge resets connections",
            "More: leeward doctor",
        ),
        (
            failed(4, 4, Cause::FreshReset),
            Level::Broken,
            "4 of 4 requests failed in 5 min: the API's edge resets connections",
            "More: leeward doctor",
        ),
        (
            failed(3, 100, Cause::CutMidStream),
            Level::Degraded,
            "3 of 100 requests failed in 5 min: the API's edge breaks off responses",
            "Set stream.mode = \"hold\", which repairs that",
        ),
        (failed(2, 100, Cause::FreshReset), Level::Ok, "Ready on 127.0.0.1:8787; api.anthropic.com reached 8 s ago", ""),
        // What this machine is like.
        (
            with(|s| s.conditions = vec![condition(Code::PortTaken, port)]),
            Level::Degraded,
            "127.0.0.1:8787 is taken by nginx (pid 42); Leeward serves on 127.0.0.1:8788 instead",
            "`leeward wrap` finds it",
        ),
        (
            with(|s| {
                s.conditions = vec![condition(
                    Code::ListenerLost,
                    "The port 8787 is lost and cannot be bound again: nginx holds it. Leeward tries again.",
                )]
            }),
            Level::Broken,
            "The port 8787 is lost and cannot be bound again: nginx holds it",
            "Leeward tries again",
        ),
        (
            with(|s| {
                s.conditions = vec![condition(
                    Code::ConfigInvalid,
                    "The config is not in force: c.toml:1:1: there is no key `lisen`; did you mean `listen`? Leeward goes on with the defaults; `leeward config check` lists every error.",
                )]
            }),
            Level::Degraded,
            "The config is not in force: c.toml:1:1: there is no key `lisen`; did you mean `listen`?",
            "Leeward goes on with the defaults; `leeward config check` lists every error",
        ),
        (
            with(|s| s.listener.accepting = false),
            Level::Broken,
            "Not accepting on 127.0.0.1:8787",
            "Restart Leeward; see the log",
        ),
        // Nothing is known to be wrong.
        (serving(), Level::Ok, "Ready on 127.0.0.1:8787; api.anthropic.com not tried yet", ""),
        (
            with(|s| {
                s.sessions = serde_json::from_value(serde_json::json!([{ "agent": "claude", "pid": 7, "since_unix_ms": 1 }, { "agent": "codex", "pid": 8, "since_unix_ms": 1 }])).unwrap()
            }),
            Level::Ok,
            "Protecting 2 agents; api.anthropic.com not tried yet",
            "",
        ),
        (
            with(|s| s.phase = Phase::Restarting),
            Level::Ok,
            "Ready on 127.0.0.1:8787, restarting; api.anthropic.com not tried yet",
            "",
        ),
        (with(|s| s.phase = Phase::Draining), Level::Broken, "Ending: requests in flight finish", ""),
        (with(|s| s.phase = Phase::Stopped), Level::Broken, "Stopped", "Start Leeward again"),
        (Status::starting(), Level::Degraded, "Starting", ""),
    ];
    for (status, level, sentence, next) in table {
        assert_eq!(headline(&status, NOW), Headline { level, sentence: sentence.into(), next: next.into() });
        // The tooltip and the menu begin with the same words.
        assert!(super::super::tooltip(&status, NOW).starts_with(sentence), "{sentence}");
    }
}

#[test]
fn all_is_never_well_beside_a_failing_agent() {
    for failing in 1..=50 {
        for requests in failing..=failing * 49 {
            assert!(headline(&failed(failing, requests, Cause::Dns), NOW).level > Level::Ok, "{failing} of {requests}");
        }
    }
    assert_eq!(headline(&failed(1, 1, Cause::Dns), NOW).level, Level::Degraded, "one is no outage");
    let mut over = failed(9, 10, Cause::Dns);
    over.recent.failed_in_a_row = 0;
    assert_eq!(headline(&over, NOW).level, Level::Degraded, "the last one ended well");
}

#[test]
fn what_stops_agents_goes_before_what_the_machine_is_like() {
    let taken = condition(Code::PortTaken, "127.0.0.1:8787 is taken.");
    let mut status = unreached("no network", 2);
    status.conditions = vec![taken.clone()];
    assert!(headline(&status, NOW).sentence.starts_with("Can't reach"));
    let mut status = failed(9, 9, Cause::Tls);
    status.conditions = vec![taken];
    assert!(headline(&status, NOW).sentence.starts_with("9 of 9 requests failed"));
}

#[test]
fn an_outage_is_told_once_and_a_blip_not_at_all() {
    let mut status = unreached("no network", 1);
    let subject = Some("api.anthropic.com".to_owned());
    status.conditions = vec![Condition { subject, ..condition(Code::UpstreamUnreachable, "Can't.") }];
    assert_eq!(conditions(&status), []);
    status.conditions[0].subject = Some("api.openai.com".into());
    assert_eq!(conditions(&status).len(), 1, "another upstream's");
    status.reach.failing_since_unix_ms = Some(NOW - 1_999);
    status.conditions.clear();
    assert_eq!(headline(&status, NOW).level, Level::Ok);
    status.recent.failed = 1;
    assert_eq!(headline(&status, NOW).level, Level::Broken, "a request has failed for it");
}

/// Every class of failure has words of its own, and none shows a name of the code's.
#[test]
fn every_cause_has_its_words() {
    let mut seen = Vec::new();
    for one in Cause::ALL {
        let Headline { sentence, next, .. } = headline(&failed(9, 10, *one), NOW);
        assert!(!sentence.contains(one.as_str()) || !one.as_str().contains('-'), "{sentence}");
        assert!(!next.is_empty() && !sentence.ends_with('.') && !next.ends_with('.'), "{one:?}: {sentence} {next}");
        assert!(sentence.len() + next.len() < 128, "{sentence}. {next}");
        seen.push(sentence);
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 12, "{seen:?}");
}

#[test]
fn hosts_stay_as_they_are_written() {
    for (clause, sentence) in [
        ("can't reach x", "Can't reach x"),
        ("api.x broke", "api.x broke"),
        ("127.0.0.1:8000 speaks plain HTTP", "127.0.0.1:8000 speaks plain HTTP"),
        ("`leeward wrap` finds it", "`leeward wrap` finds it"),
        ("", ""),
    ] {
        assert_eq!(capital(clause), sentence);
    }
}

#[test]
fn what_was_rescued_is_told_beside_what_failed() {
    let today = Today { requests: 9, rescued: 3, failed: 2, retried: 8 };
    let status = Status { today, ..unreached("no network", 0) };
    assert!(super::super::tooltip(&status, NOW).ends_with(" - 3 rescued, 2 failed today"));
}
