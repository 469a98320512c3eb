//! Whether a failed attempt is made again: one pure decision from what is known. Waits and sends nothing itself.
//!
//! The rows are U1, U3, U5, U6 and U7 of the design's section 4. A proxy may repeat what provably never reached the
//! origin; RFC 9110 section 9.2.2 forbids it to repeat anything else that is not idempotent on its own account, and the
//! licence for U6 is that an inference request has no effect but its answer.

use crate::{config::Retry, status::traffic::Cause};
use std::time::Duration;

/// What became of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// In memory whole: it can be sent again.
    Held,
    /// Streamed, and nothing of it has been sent yet.
    Untouched,
    /// Streamed, and sent in part: gone.
    Spent,
}

/// What is known about a failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Replays of this request before it.
    pub replays: u32,
    /// What went wrong; the phase is part of it.
    pub cause: Cause,
    /// The request's body.
    pub body: Body,
    /// A safe method, or an inference path (`route::is_replayable`).
    pub replayable: bool,
    /// A safe method.
    pub idempotent: bool,
    /// Time since the first attempt began.
    pub elapsed: Duration,
    /// Time that retrying may take in all.
    pub limit: Duration,
    /// The pause before this attempt.
    pub last_pause: Duration,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again.
    Retry {
        /// Pause before it.
        after: Duration,
        /// On a connection that has served nobody yet.
        fresh: bool,
        /// The origin may have seen the request: counts against the budget and is reported.
        replay: bool,
    },
    /// Tell the client.
    Pass,
}

/// Attempts whose request provably never arrived; past this the path is broken, not unlucky.
const MAX_UNSENT: u32 = 8;

/// Decides. `budget` is asked only when a replay is otherwise due; `roll` is a random number in 0..1.
pub fn decide(attempt: &Attempt, policy: &Retry, budget: impl FnOnce() -> bool, roll: f64) -> Verdict {
    let pause = jitter(policy, attempt.last_pause, roll);
    let in_time = |after: Duration| attempt.elapsed + after < attempt.limit;
    let sendable = attempt.body != Body::Spent;
    match attempt.cause {
        // U1, U2: not reached.
        Cause::Dns | Cause::Connect | Cause::Tls | Cause::CompanyProxy if sendable && in_time(pause) => {
            Verdict::Retry { after: pause, fresh: false, replay: false }
        }
        // U4: the pool has already looked for another connection.
        Cause::StalePooled if sendable && in_time(Duration::ZERO) => {
            Verdict::Retry { after: Duration::ZERO, fresh: true, replay: false }
        }
        // U5: a truncated request cannot be processed. The first time at once, as one reset is the common case.
        Cause::WriteFailed | Cause::WriteStalled if attempt.body == Body::Held && attempt.number < MAX_UNSENT => {
            let after = if attempt.number == 1 { Duration::ZERO } else { pause };
            // The upstream has seen a part of it: it costs budget, though it is no replay.
            if in_time(after) && budget() { Verdict::Retry { after, fresh: true, replay: false } } else { Verdict::Pass }
        }
        // U6: very probably not processed. Safe methods may be repeated whatever became of them (U7).
        Cause::ReusedReset | Cause::FreshReset
            if attempt.body == Body::Held
                && (attempt.cause == Cause::ReusedReset || attempt.idempotent)
                && attempt.replayable
                && attempt.replays < policy.replays
                && in_time(Duration::ZERO) =>
        {
            if budget() {
                Verdict::Retry { after: Duration::ZERO, fresh: true, replay: true }
            } else {
                Verdict::Pass
            }
        }
        Cause::Dns
        | Cause::Connect
        | Cause::Tls
        | Cause::CompanyProxy
        | Cause::StalePooled
        | Cause::WriteFailed
        | Cause::WriteStalled
        | Cause::ReusedReset
        | Cause::FreshReset => Verdict::Pass,
        // U3, U13 and faults after the first byte: permanent, running, or shown.
        Cause::Certificate
        | Cause::ResponseTimeout
        | Cause::BadResponse
        | Cause::CutMidStream
        | Cause::Loop
        | Cause::ProxyLogin
        | Cause::CutBeforeContent
        | Cause::CutWhileHeld
        | Cause::Declined
        | Cause::CircuitOpen => Verdict::Pass,
    }
}

/// Decorrelated jitter: between `base` and three times the last pause, at most `cap`.
fn jitter(policy: &Retry, last: Duration, roll: f64) -> Duration {
    let top = (last * 3).max(policy.base).min(policy.cap);
    policy.base + (top - policy.base.min(top)).mul_f64(roll)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Retry = Retry {
        replays: 2,
        total: Duration::from_secs(45),
        base: Duration::from_millis(50),
        cap: Duration::from_secs(2),
        budget: 0.2,
        budget_floor: 10,
        unknown_fate: crate::config::UnknownFate::Replay,
        absorb: false,
        absorb_within: Duration::from_secs(5),
    };

    fn attempt(cause: Cause) -> Attempt {
        Attempt {
            number: 1,
            replays: 0,
            cause,
            body: Body::Held,
            replayable: true,
            idempotent: false,
            elapsed: Duration::from_millis(10),
            limit: POLICY.total,
            last_pause: Duration::ZERO,
        }
    }

    fn retried(a: &Attempt) -> bool {
        decide(a, &POLICY, || true, 0.5) != Verdict::Pass
    }

    #[test]
    fn the_table() {
        // cause, held inference POST, not replayable POST, untouched stream, spent stream, GET
        for (cause, held, other, untouched, spent, get) in [
            (Cause::Dns, true, true, true, false, true),
            (Cause::Connect, true, true, true, false, true),
            (Cause::Tls, true, true, true, false, true),
            (Cause::Certificate, false, false, false, false, false),
            (Cause::StalePooled, true, true, true, false, true),
            (Cause::WriteFailed, true, true, false, false, true),
            (Cause::ReusedReset, true, false, false, false, true),
            (Cause::FreshReset, false, false, false, false, true),
            (Cause::ResponseTimeout, false, false, false, false, false),
            (Cause::BadResponse, false, false, false, false, false),
            (Cause::CutMidStream, false, false, false, false, false),
            (Cause::Loop, false, false, false, false, false),
            (Cause::CompanyProxy, true, true, true, false, true),
            (Cause::ProxyLogin, false, false, false, false, false),
            (Cause::WriteStalled, true, true, false, false, true),
            (Cause::CutBeforeContent, false, false, false, false, false),
            (Cause::CutWhileHeld, false, false, false, false, false),
            (Cause::Declined, false, false, false, false, false),
            (Cause::CircuitOpen, false, false, false, false, false),
        ] {
            let base = attempt(cause);
            assert_eq!(retried(&base), held, "{cause:?} held");
            assert_eq!(retried(&Attempt { replayable: false, ..base }), other, "{cause:?} other");
            assert_eq!(retried(&Attempt { body: Body::Untouched, ..base }), untouched, "{cause:?} untouched");
            assert_eq!(retried(&Attempt { body: Body::Spent, ..base }), spent, "{cause:?} spent");
            assert_eq!(retried(&Attempt { idempotent: true, ..base }), get, "{cause:?} get");
        }
        assert_eq!(Cause::ALL.len(), 19, "a new cause needs a row");
    }

    #[test]
    fn replays_are_few_and_budgeted_and_on_a_fresh_connection() {
        let base = attempt(Cause::ReusedReset);
        assert_eq!(decide(&base, &POLICY, || true, 0.5), Verdict::Retry { after: Duration::ZERO, fresh: true, replay: true });
        assert_eq!(decide(&base, &POLICY, || false, 0.5), Verdict::Pass, "no budget");
        assert_eq!(decide(&Attempt { replays: 2, ..base }, &POLICY, || true, 0.5), Verdict::Pass, "two are enough");
        let mut asked = false;
        decide(
            &attempt(Cause::Connect),
            &POLICY,
            || {
                asked = true;
                true
            },
            0.5,
        );
        assert!(!asked, "a connection that was never made costs no budget");
    }

    #[test]
    fn nothing_is_tried_past_the_limit() {
        for cause in [Cause::Dns, Cause::Connect, Cause::Tls, Cause::WriteFailed, Cause::ReusedReset] {
            assert!(!retried(&Attempt { elapsed: POLICY.total, ..attempt(cause) }), "{cause:?}");
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
}
