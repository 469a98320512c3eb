//! Whether a failed attempt is made again: one pure decision from what is known. Waits and sends nothing itself.
//!
//! The rows are U1 to U13 of the design's section 4. A proxy may repeat what provably never reached the origin; RFC 9110
//! section 9.2.2 forbids it to repeat anything else that is not idempotent on its own account. The licence for U6 to U8
//! is that an inference has no effect but its response, of which the client has seen nothing yet.

use crate::{
    config::{Retry, UnknownFate},
    status::faults::Cause,
};
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

/// What a request is, as far as sending it again goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A safe method (RFC 9110 section 9.2.1): repeating it changes nothing.
    Safe,
    /// Has no effect but its response, and its tokens (`operation`).
    Inference,
    /// Anything else: never sent twice once it may have arrived.
    NotReplayable,
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
    /// What the request is.
    pub kind: Kind,
    /// The client says that it is retrying by itself already.
    pub client_retries: bool,
    /// Time since the first attempt began.
    pub elapsed: Duration,
    /// Time spent on trying again: from each failure to the next attempt's connection.
    pub retrying: Duration,
    /// How long the client waits for this request in all.
    pub deadline: Duration,
    /// The pause before this attempt.
    pub last_pause: Duration,
    /// What the upstream asked to wait, where it declined.
    pub retry_after: Option<Duration>,
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
    /// Report it to the client.
    Pass,
}

/// Attempts whose request provably never arrived; past this the path is broken, not unlucky.
const MAX_UNSENT: u32 = 8;

/// Retries of what did not reach the origin that are made at once: one failed dial says little.
const AT_ONCE: u32 = 2;

/// Decides. `budget` is asked only when a replay is otherwise due; `roll` is a random number in 0..1.
pub fn decide(attempt: &Attempt, policy: &Retry, budget: impl Fn() -> bool, roll: f64) -> Verdict {
    let held = attempt.body == Body::Held;
    let again = |after: Duration, fresh: bool| {
        let in_time = attempt.retrying + after < policy.total && attempt.elapsed + after < attempt.deadline / 2;
        if in_time { Verdict::Retry { after, fresh, replay: false } } else { Verdict::Pass }
    };
    let replay = |after: Duration, patience: Duration| {
        let in_time = attempt.elapsed + after < patience;
        if held && attempt.replays < policy.replays && in_time && budget() {
            Verdict::Retry { after, fresh: true, replay: true }
        } else {
            Verdict::Pass
        }
    };
    let pause = jitter(policy, attempt.last_pause, roll);
    match attempt.cause {
        // U1, U2: not reached.
        Cause::Dns | Cause::Connect | Cause::Tls | Cause::CompanyProxy if attempt.body != Body::Spent => {
            again(if attempt.number <= AT_ONCE { Duration::ZERO } else { pause }, false)
        }
        // U4: the pool has already looked for another connection.
        Cause::StalePooled if attempt.body != Body::Spent => again(Duration::ZERO, true),
        // U5: a truncated request cannot be processed. The first time at once, as one reset is the common case.
        Cause::WriteFailed | Cause::WriteStalled if held && attempt.number < MAX_UNSENT => {
            let verdict = again(if attempt.number == 1 { Duration::ZERO } else { pause }, true);
            // The upstream has seen a part of it: it costs budget, though it is no replay.
            if verdict != Verdict::Pass && budget() { verdict } else { Verdict::Pass }
        }
        // U6: very probably not processed.
        Cause::ReusedReset if attempt.kind != Kind::NotReplayable && attempt.retrying < policy.total => {
            replay(Duration::ZERO, attempt.deadline / 2)
        }
        // U7: nobody knows.
        Cause::FreshReset | Cause::LateReset if may_run_twice(attempt, policy) && attempt.retrying < policy.total => {
            replay(Duration::ZERO, attempt.deadline / 2)
        }
        // U8: processed, and nothing of it was shown. U11: the same after a long time, in which the client was kept waiting.
        Cause::CutBeforeContent | Cause::NotHttp if attempt.kind != Kind::NotReplayable => {
            replay(Duration::ZERO, attempt.deadline / 2)
        }
        Cause::CutWhileBuffered if attempt.kind != Kind::NotReplayable => replay(Duration::ZERO, attempt.deadline),
        // U12: declined; only where the user wants it, and only for as long as the API asks.
        Cause::Declined if policy.server_errors && attempt.kind != Kind::NotReplayable && !attempt.client_retries => {
            match attempt.retry_after {
                Some(after) if after <= policy.max_retry_after && attempt.retrying + after < policy.total => {
                    replay(after.max(policy.base), attempt.deadline / 2)
                }
                _ => Verdict::Pass,
            }
        }
        // The same causes where a row above does not allow it.
        Cause::Dns
        | Cause::Connect
        | Cause::Tls
        | Cause::CompanyProxy
        | Cause::StalePooled
        | Cause::WriteFailed
        | Cause::WriteStalled
        | Cause::ReusedReset
        | Cause::FreshReset
        | Cause::LateReset
        | Cause::CutBeforeContent
        | Cause::NotHttp
        | Cause::CutWhileBuffered
        | Cause::Declined => Verdict::Pass,
        // U3, U9, U13, U16: permanent, shown, still running, or waited for already.
        Cause::Certificate
        | Cause::Clock
        | Cause::NotTls
        | Cause::ProxyLogin
        | Cause::Loop
        | Cause::BadResponse
        | Cause::CutMidStream
        | Cause::ResponseTimeout
        | Cause::CircuitOpen
        | Cause::PoolFull => Verdict::Pass,
    }
}

/// Whether a request may have run when it ended so, in part or whole: then what it asks for decides whether it may run twice.
pub(super) fn may_have_run(cause: Cause) -> bool {
    match cause {
        Cause::ReusedReset
        | Cause::FreshReset
        | Cause::LateReset
        | Cause::NotHttp
        | Cause::CutBeforeContent
        | Cause::CutWhileBuffered => true,
        Cause::Dns
        | Cause::Connect
        | Cause::Tls
        | Cause::Certificate
        | Cause::Clock
        | Cause::NotTls
        | Cause::CompanyProxy
        | Cause::ProxyLogin
        | Cause::Loop
        | Cause::StalePooled
        | Cause::WriteFailed
        | Cause::WriteStalled
        | Cause::Declined
        | Cause::CircuitOpen
        | Cause::PoolFull
        | Cause::BadResponse
        | Cause::CutMidStream
        | Cause::ResponseTimeout => false,
    }
}

/// Whether a request whose fate is unknown may be sent again (U7): safe methods always; an inference unless the config or
/// the client's own retrying says no.
fn may_run_twice(attempt: &Attempt, policy: &Retry) -> bool {
    match attempt.kind {
        Kind::Safe => true,
        Kind::Inference => policy.unknown_fate == UnknownFate::Replay && !attempt.client_retries,
        Kind::NotReplayable => false,
    }
}

/// Decorrelated jitter: between `base` and three times the last pause, at most `cap`.
pub(super) fn jitter(policy: &Retry, last: Duration, roll: f64) -> Duration {
    let top = (last * 3).max(policy.base).min(policy.cap);
    policy.base + (top - policy.base.min(top)).mul_f64(roll)
}

#[cfg(test)]
mod tests;
