//! Verdicts over everything that may be known of an agent.

use super::*;
use crate::config::{Covers, Door};
use std::collections::BTreeMap;

fn wrap(agent: &str, pid: u32, mode: Mode) -> Session {
    let covers = Covers { mode, inference: Door::BaseUrl, rest: Door::Tunnel };
    let id = format!("{agent}-{pid}");
    Session { id, agent: agent.into(), pid, since_unix_ms: 1, covers, folder: None, door: None, port: 8787 }
}

fn heard(sessions: Vec<Session>) -> Heard {
    let last_seen_unix_ms =
        BTreeMap::from([("claude-cli".to_owned(), 40), ("Claude-Code".to_owned(), 50), ("curl".to_owned(), 60)]);
    Heard { address: ([127, 0, 0, 1], 8787).into(), sessions, last_seen_unix_ms, since_unix_ms: 7 }
}

fn process(pid: u32, parent: u32) -> Process {
    Process { pid, parent: Some(parent), arguments: vec!["claude".into()], program: None, since_unix_ms: Some(5) }
}

fn to_us(by: By) -> Leads {
    Leads::ToLeeward(by, "ANTHROPIC_BASE_URL".into())
}

fn past() -> Leads {
    Leads::Elsewhere("ANTHROPIC_BASE_URL points to https://gate.corp".into())
}

fn unclear() -> Leads {
    Leads::Unclear("it hides them".into())
}

#[test]
fn a_session_is_judged_by_who_started_it_then_by_where_it_leads() {
    use Protection::{NotKnown, NotProtected, Protected};
    let all = [process(10, 9), process(9, 8), process(20, 1)];
    let family = Family::of(&all);
    let (with_wrap, without) = (heard(vec![wrap("claude", 9, Mode::Auto)]), heard(vec![]));
    let intercepted = heard(vec![wrap("anything", 8, Mode::Intercept)]);
    for (pid, ground, leads, verdict, by, word) in [
        (10, Some(Ok(&with_wrap)), past(), Protected, Some(By::Wrap), "pid 9"),
        (10, Some(Ok(&intercepted)), Leads::ToApi, Protected, Some(By::Intercept), "pid 8"),
        (20, Some(Ok(&with_wrap)), Leads::ToApi, NotProtected, None, "without `leeward wrap`"),
        (20, Some(Ok(&without)), past(), NotProtected, None, "https://gate.corp"),
        (20, Some(Ok(&without)), to_us(By::Environment), Protected, Some(By::Environment), "points at Leeward"),
        (20, Some(Ok(&without)), to_us(By::Settings), Protected, Some(By::Settings), "points at Leeward"),
        (20, Some(Ok(&without)), unclear(), NotKnown, None, "It hides them."),
        (20, None, to_us(By::Settings), NotProtected, None, "no Leeward is running"),
        (20, None, Leads::ToApi, NotProtected, None, "without `leeward wrap`"),
        (20, None, unclear(), NotKnown, None, "It hides them."),
        // Nobody could be asked, so nothing is called unprotected.
        (20, Some(Err("it hangs")), to_us(By::Settings), NotKnown, None, "it hangs"),
        (20, Some(Err("it hangs")), past(), NotKnown, None, "it hangs"),
        (20, Some(Err("it hangs")), Leads::ToApi, NotKnown, None, "it hangs"),
    ] {
        let process = all.iter().find(|process| process.pid == pid).unwrap();
        let found = session(process, None, &family, &Ground { heard: ground }, &leads);
        assert_eq!((found.verdict, found.by), (verdict, by), "{pid} {leads:?}: {found:?}");
        assert!(found.why.contains(word) && found.why.ends_with('.'), "{found:?}");
    }
}

fn running(verdict: Protection, by: Option<By>) -> Running {
    Running { pid: 4, folder: None, since_unix_ms: None, verdict, by, why: String::new() }
}

#[test]
fn an_agent_is_as_badly_off_as_the_worst_of_its_sessions() {
    use Protection::{NotInstalled, NotKnown, NotProtected, Protected};
    let (alone, with_wrap) = (heard(vec![]), heard(vec![wrap("claude", 9, Mode::Auto)]));
    let (good, bad, unknown) = (running(Protected, Some(By::Wrap)), running(NotProtected, None), running(NotKnown, None));
    let (ours, hangs) = (Some(Ok(&alone)), Some(Err("it hangs")));
    for (case, installed, sessions, ground, unlisted, leads, verdict, by) in [
        ("gone", false, vec![], ours, None, Leads::ToApi, NotInstalled, &[][..]),
        ("gone, and nobody could list", false, vec![], ours, Some("no /proc"), Leads::ToApi, NotInstalled, &[]),
        ("runs from nowhere", false, vec![good.clone()], ours, None, Leads::ToApi, Protected, &[By::Wrap]),
        ("one past", true, vec![good.clone(), bad.clone()], ours, None, to_us(By::Settings), NotProtected, &[]),
        ("past and unknown", true, vec![unknown.clone(), bad], ours, None, Leads::ToApi, NotProtected, &[]),
        ("unknown", true, vec![good.clone(), unknown], ours, None, to_us(By::Settings), NotKnown, &[]),
        ("good", true, vec![good.clone()], ours, None, Leads::ToApi, Protected, &[By::Wrap]),
        ("good twice over", true, vec![good], ours, None, to_us(By::Settings), Protected, &[By::Wrap, By::Settings]),
        (
            "wrapped where it is not seen",
            true,
            vec![],
            Some(Ok(&with_wrap)),
            Some("no /proc"),
            Leads::ToApi,
            Protected,
            &[By::Wrap],
        ),
        ("set up", true, vec![], ours, None, to_us(By::Settings), Protected, &[By::Settings]),
        ("set up, unlisted", true, vec![], ours, Some("no /proc"), to_us(By::Settings), Protected, &[By::Settings]),
        ("set up, nobody serves", true, vec![], None, None, to_us(By::Settings), NotProtected, &[]),
        ("set up, nobody could be asked", true, vec![], hangs, None, to_us(By::Settings), NotKnown, &[]),
        ("not set up", true, vec![], ours, None, Leads::ToApi, NotProtected, &[]),
        ("set up elsewhere", true, vec![], ours, None, past(), NotProtected, &[]),
        ("not set up, unlisted", true, vec![], ours, Some("no /proc"), Leads::ToApi, NotKnown, &[]),
        ("elsewhere, unlisted", true, vec![], ours, Some("no /proc"), past(), NotKnown, &[]),
        ("unread", true, vec![], ours, None, unclear(), NotKnown, &[]),
    ] {
        for has_setup in [false, true] {
            let whole =
                Whole { name: "claude", about: "https://x", has_setup, installed, running: &sessions, unlisted, leads: &leads };
            let found = whole.judge(&Ground { heard: ground });
            assert_eq!((found.verdict, found.by.as_slice()), (verdict, by), "{case}: {found:?}");
            assert!(found.why.ends_with('.') && found.advice.as_ref().is_none_or(|advice| !advice.ends_with('.')), "{found:?}");
            assert_eq!(found.verdict == Protected, found.advice.is_none() && !found.by.is_empty(), "{case}: {found:?}");
            if verdict == NotProtected && ground.is_some() {
                let advice = found.advice.unwrap();
                assert!(advice.contains("`leeward wrap claude`"), "{case}: {advice}");
                assert_eq!(advice.contains("`leeward setup claude`"), has_setup, "{case}: {advice}");
            }
        }
    }
}

#[test]
fn the_last_request_is_the_latest_of_all_names_and_none_is_no_flattery() {
    let engine = heard(vec![]);
    let mut many = engine.clone();
    many.last_seen_unix_ms.insert("other".into(), 1);
    for (ground, names, want) in [
        (Some(Ok(&engine)), &["claude-cli", "claude-code", "claude"][..], LastRequest::Seen { at_unix_ms: 50 }),
        (Some(Ok(&engine)), &["codex"], LastRequest::NotSeen { since_unix_ms: 7 }),
    ] {
        assert_eq!(Ground { heard: ground }.last_request(names), want, "{names:?}");
    }
    for ground in [Some(Ok(&many)), Some(Err("it hangs")), None] {
        let found = Ground { heard: ground }.last_request(&["codex"]);
        assert!(matches!(found, LastRequest::NotKnown { .. }), "{found:?}");
    }
}
