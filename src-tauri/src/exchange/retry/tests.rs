//! The decision's table: every cause against every kind of request, exhaustive by type.

use super::*;

const POLICY: Retry = Retry {
    replays: 2,
    total: Duration::from_secs(45),
    base: Duration::from_millis(50),
    cap: Duration::from_secs(2),
    budget: 0.2,
    budget_floor: 10,
    unknown_fate: UnknownFate::Replay,
    server_errors: true,
    max_retry_after: Duration::from_secs(5),
};

fn attempt(cause: Cause) -> Attempt {
    Attempt {
        number: 1,
        replays: 0,
        cause,
        body: Body::Held,
        kind: Kind::Inference,
        client_retries: false,
        elapsed: Duration::from_millis(10),
        retrying: Duration::ZERO,
        deadline: Duration::from_secs(600),
        last_pause: Duration::ZERO,
        retry_after: Some(Duration::from_secs(1)),
    }
}

fn decided(a: &Attempt) -> Verdict {
    decide(a, &POLICY, || true, 0.5)
}

fn retried(a: &Attempt) -> bool {
    decided(a) != Verdict::Pass
}

/// For which requests an attempt is made again.
#[derive(Clone, Copy, PartialEq)]
enum Again {
    /// Any, as long as its body can still be sent.
    NotReached,
    /// Any whose body is in memory.
    NotWhole,
    /// Safe methods and inferences.
    Replay,
    /// The same, unless the client is retrying by itself: then safe methods only.
    ReplayUnlessClientRetries,
    /// The same, and not even safe methods when the client is retrying.
    Wait,
    Never,
}

fn row(cause: Cause) -> Again {
    match cause {
        Cause::Dns | Cause::Connect | Cause::Tls | Cause::CompanyProxy | Cause::StalePooled => Again::NotReached,
        Cause::WriteFailed | Cause::WriteStalled => Again::NotWhole,
        Cause::ReusedReset | Cause::NotHttp | Cause::CutBeforeContent | Cause::CutWhileBuffered => Again::Replay,
        Cause::FreshReset | Cause::LateReset => Again::ReplayUnlessClientRetries,
        Cause::Declined => Again::Wait,
        Cause::Certificate
        | Cause::Clock
        | Cause::NotTls
        | Cause::ProxyLogin
        | Cause::Loop
        | Cause::BadResponse
        | Cause::CutMidStream
        | Cause::ResponseTimeout
        | Cause::CircuitOpen
        | Cause::PoolFull => Again::Never,
    }
}

#[test]
fn the_table() {
    for cause in Cause::ALL {
        for kind in [Kind::Safe, Kind::Inference, Kind::NotReplayable] {
            for body in [Body::Held, Body::Untouched, Body::Spent] {
                for client_retries in [false, true] {
                    let a = Attempt { kind, body, client_retries, ..attempt(*cause) };
                    let held = body == Body::Held;
                    let wanted = match row(*cause) {
                        Again::NotReached => body != Body::Spent,
                        Again::NotWhole => held,
                        Again::Replay => held && kind != Kind::NotReplayable,
                        Again::ReplayUnlessClientRetries => {
                            held && (kind == Kind::Safe || (kind == Kind::Inference && !client_retries))
                        }
                        Again::Wait => held && kind != Kind::NotReplayable && !client_retries,
                        Again::Never => false,
                    };
                    assert_eq!(retried(&a), wanted, "{a:?}");
                }
            }
        }
    }
}

#[test]
fn replays_are_few_and_budgeted_and_on_a_fresh_connection() {
    for cause in Cause::ALL {
        let base = attempt(*cause);
        let Verdict::Retry { fresh, replay: true, .. } = decided(&base) else { continue };
        assert!(fresh, "{cause:?}");
        assert_eq!(decide(&base, &POLICY, || false, 0.5), Verdict::Pass, "{cause:?}: no budget");
        assert_eq!(decided(&Attempt { replays: 2, ..base }), Verdict::Pass, "{cause:?}: two are enough");
    }
}

#[test]
fn what_never_arrived_costs_no_budget() {
    for cause in [Cause::Dns, Cause::Connect, Cause::Tls, Cause::CompanyProxy, Cause::StalePooled] {
        let verdict = decide(&attempt(cause), &POLICY, || panic!("{cause:?} asked for it"), 0.5);
        assert!(matches!(verdict, Verdict::Retry { replay: false, .. }), "{cause:?}: {verdict:?}");
    }
}

/// U5 is no replay, but the upstream has seen a part of it: a storm of them has an end.
#[test]
fn what_arrived_in_part_costs_budget() {
    for cause in [Cause::WriteFailed, Cause::WriteStalled] {
        assert!(matches!(decided(&attempt(cause)), Verdict::Retry { replay: false, .. }), "{cause:?}");
        assert_eq!(decide(&attempt(cause), &POLICY, || false, 0.5), Verdict::Pass, "{cause:?}: no budget");
    }
}

#[test]
fn what_arrived_in_part_costs_budget_and_is_no_replay() {
    for cause in [Cause::WriteFailed, Cause::WriteStalled] {
        assert!(matches!(decided(&attempt(cause)), Verdict::Retry { replay: false, fresh: true, .. }), "{cause:?}");
        assert_eq!(decide(&attempt(cause), &POLICY, || false, 0.5), Verdict::Pass, "{cause:?}");
    }
}

#[test]
fn an_unknown_fate_can_be_failed() {
    let policy = Retry { unknown_fate: UnknownFate::Pass, ..POLICY };
    for cause in [Cause::FreshReset, Cause::LateReset] {
        let base = attempt(cause);
        assert_eq!(decide(&base, &policy, || true, 0.5), Verdict::Pass);
        assert_ne!(decide(&Attempt { kind: Kind::Safe, ..base }, &policy, || true, 0.5), Verdict::Pass);
    }
}

#[test]
fn a_refusal_is_waited_out_for_as_long_as_the_api_asks_and_only_when_wanted() {
    let base = attempt(Cause::Declined);
    assert_eq!(decided(&base), Verdict::Retry { after: Duration::from_secs(1), fresh: true, replay: true });
    assert!(!retried(&Attempt { retry_after: None, ..base }));
    assert!(!retried(&Attempt { retry_after: Some(Duration::from_secs(6)), ..base }));
    assert_eq!(decide(&base, &Retry { server_errors: false, ..POLICY }, || true, 0.5), Verdict::Pass, "off by default");
}

#[test]
fn nothing_is_tried_past_the_limits() {
    let deadline = Duration::from_secs(600);
    for cause in Cause::ALL {
        assert!(!retried(&Attempt { elapsed: deadline, ..attempt(*cause) }), "{cause:?} at the deadline");
        let held_long = retried(&Attempt { elapsed: deadline / 2, ..attempt(*cause) });
        assert_eq!(held_long, *cause == Cause::CutWhileBuffered, "{cause:?} at half the deadline");
    }
    for cause in [Cause::Dns, Cause::Connect, Cause::Tls, Cause::WriteFailed, Cause::ReusedReset, Cause::FreshReset] {
        assert!(!retried(&Attempt { retrying: POLICY.total, ..attempt(cause) }), "{cause:?}");
        assert!(retried(&Attempt { elapsed: POLICY.total, ..attempt(cause) }), "{cause:?}: only time spent on retrying counts");
    }
    assert!(!retried(&Attempt { number: MAX_UNSENT, ..attempt(Cause::WriteFailed) }));
    assert!(retried(&Attempt { number: 99, ..attempt(Cause::Connect) }), "U1 goes on until the limit");
}

#[test]
fn pauses_grow_and_stay_within_bounds() {
    let mut last = Duration::ZERO;
    for roll in [0.0, 0.3, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0] {
        last = jitter(&POLICY, last, roll);
        assert!((POLICY.base..=POLICY.cap).contains(&last), "{last:?}");
    }
    assert_eq!(last, POLICY.cap);
}
