//! The registry: what it shows of a request's life, what it forgets, what an observer gets.

use super::Seen;
use crate::{
    status::{
        activity::Stage,
        faults::{Cause, Outcome},
    },
    telemetry::Traffic,
};
use std::sync::Arc;

fn traffic() -> Arc<Traffic> {
    Arc::new(Traffic::default())
}

#[test]
fn a_request_is_shown_from_its_head_to_its_end() {
    let traffic = traffic();
    let mut ticket = traffic.begin();
    ticket.noted("POST", "/v1/messages?key=secret");
    ticket.toward(traffic.upstream("api"));
    ticket.from_agent("claude-cli");
    let trace = ticket.trace().clone();
    trace.model("claude-x".into());
    trace.up(7);
    for (number, replay) in [(1, false), (2, true)] {
        if replay {
            ticket.retries(Cause::FreshReset, 1, true);
        }
        trace.begins(number);
        trace.sent(number == 1);
    }
    let shown = traffic.activities().list().remove(0);
    assert_eq!((shown.stage, shown.path.as_str(), shown.upstream.as_str()), (Stage::Sent, "/v1/messages", "api"));
    assert_eq!((shown.outcome, shown.took_ms, shown.bytes_up), (None, None, 7));
    trace.answered();
    trace.streams();
    trace.down(11);
    trace.status(200);
    ticket.first_byte(std::time::Duration::ZERO);
    ticket.ends_as(Outcome::Answered);
    drop(ticket);
    let shown = traffic.activities().list().remove(0);
    assert_eq!((shown.stage, shown.outcome, shown.status, shown.bytes_down), (Stage::Done, Some("answered"), Some(200), 11));
    assert_eq!((shown.agent.as_deref(), shown.model.as_deref()), (Some("claude-cli"), Some("claude-x")));
    let [first, second] = &shown.attempts[..] else { panic!("{shown:?}") };
    assert_eq!((first.cause, first.replay, first.connection), (Some("fresh-reset"), false, Some("reused")));
    assert_eq!((second.cause, second.replay, second.connection), (None, true, Some("fresh")));
    assert!(first.ended_ms.unwrap() <= second.began_ms && second.head_ms <= second.ended_ms, "{shown:?}");
    assert!(second.ended_ms <= shown.took_ms && shown.first_byte_ms <= shown.took_ms, "{shown:?}");
}

#[test]
fn the_last_ones_are_kept_and_the_newest_comes_first() {
    let traffic = traffic();
    let mut live = traffic.begin();
    live.noted("GET", "/live");
    for _ in 0..super::KEPT + 20 {
        traffic.begin().noted("GET", "/");
    }
    let list = traffic.activities().list();
    assert_eq!(list.len(), super::KEPT + 1);
    assert!(list.windows(2).all(|pair| pair[0].id > pair[1].id));
    assert_eq!((list.last().unwrap().path.as_str(), list.last().unwrap().outcome), ("/live", None));
}

#[test]
fn an_observer_is_told_of_each_change_once() {
    let traffic = traffic();
    let activities = traffic.activities();
    let mut seen = Seen::default();
    assert!(activities.changes(&mut seen).is_empty());
    let mut ticket = traffic.begin();
    ticket.noted("GET", "/");
    assert_eq!(activities.changes(&mut seen).len(), 1);
    assert!(activities.changes(&mut seen).is_empty());
    ticket.trace().down(1);
    assert_eq!(activities.changes(&mut seen)[0].bytes_down, 1);
    drop(ticket);
    assert_eq!(activities.changes(&mut seen)[0].outcome, Some("client-gone"));
    assert!(activities.changes(&mut seen).is_empty());
}

#[test]
fn a_request_that_nobody_noted_is_not_shown() {
    let traffic = traffic();
    let ticket = traffic.begin();
    ticket.trace().begins(1);
    drop(ticket);
    assert!(traffic.activities().list().is_empty());
}

#[test]
fn attempts_are_bounded() {
    let traffic = traffic();
    let mut ticket = traffic.begin();
    ticket.noted("GET", "/");
    (1..100).for_each(|n| ticket.trace().begins(n));
    let attempts = traffic.activities().list().remove(0).attempts;
    assert!(attempts.len() <= 32 && attempts.last().unwrap().number == 99);
}
