//! What was retried and what failed over time, and how it is asked for. Data only: who keeps it is not said here.

use super::stats::{FaultCount, Percentiles};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// Counts are kept for periods of this length; five minutes divide every time zone's offset.
pub const PERIOD_MS: u64 = 5 * 60 * 1000;
/// Steps that are chosen when none is named: 5 and 15 minutes, 1 and 6 hours, 1 day.
const STEPS_MS: [u64; 5] = [PERIOD_MS, 3 * PERIOD_MS, 12 * PERIOD_MS, 72 * PERIOD_MS, 288 * PERIOD_MS];
/// As many buckets as a chart of that width shows.
const GOOD_BUCKETS: u64 = 300;
/// More is a mistake of whoever asks.
const MOST_BUCKETS: u64 = 2000;
/// Faults that are listed unless another number is asked for, and the most that may be.
pub const FAULTS: (usize, usize) = (200, 1000);

/// Which part of the history, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From here on, in milliseconds since 1970; on a period's border.
    pub since_unix_ms: u64,
    /// To here.
    pub until_unix_ms: u64,
    /// Length of a bucket, a multiple of a period.
    pub step_ms: u64,
    /// How many single faults, the newest ones.
    pub faults: usize,
}

impl Span {
    /// The last `length` before now.
    pub fn last(length: Duration, now_unix_ms: u64) -> Self {
        let since = now_unix_ms.saturating_sub(millis(length));
        let since = since - since % PERIOD_MS;
        let until = now_unix_ms.max(since + 1);
        Self { since_unix_ms: since, until_unix_ms: until, step_ms: good_step(until - since), faults: FAULTS.0 }
    }

    /// From here to there; `step`: the length of a bucket, chosen where none is given; `faults`: how many single ones.
    ///
    /// # Errors
    /// A sentence that says what makes no sense, and what to write.
    pub fn between(since: u64, until: u64, step: Option<u64>, faults: usize) -> Result<Self, String> {
        if since >= until {
            return Err("`since` must be before `until`.".into());
        }
        // The database counts in 63 bits.
        if i64::try_from(until).is_err() {
            return Err("`until` is beyond all time.".into());
        }
        let since = since - since % PERIOD_MS;
        let step = match step {
            Some(0) => return Err("`step` must be longer than nothing.".into()),
            Some(step) => step.checked_next_multiple_of(PERIOD_MS).ok_or("`step` is too long.")?,
            None => good_step(until - since),
        };
        let buckets = (until - since).div_ceil(step);
        if buckets > MOST_BUCKETS {
            return Err(format!("This makes {buckets} buckets; choose a longer `step`."));
        }
        Ok(Self { since_unix_ms: since, until_unix_ms: until, step_ms: step, faults })
    }
}

/// The shortest round step that makes a good chart; whole days where even those are too many.
fn good_step(length: u64) -> u64 {
    let day = STEPS_MS[STEPS_MS.len() - 1];
    let good = STEPS_MS.into_iter().find(|step| length.div_ceil(*step) <= GOOD_BUCKETS);
    good.unwrap_or_else(|| length.div_ceil(GOOD_BUCKETS).div_ceil(day).saturating_mul(day))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Somebody wants to know; the response is the history, or a sentence that says why there is none.
#[derive(Debug)]
pub struct Question {
    /// What is asked for.
    pub span: Span,
    /// Where the response goes.
    pub reply: oneshot::Sender<Result<History, String>>,
}

/// Where questions go.
pub type Questions = mpsc::Sender<Question>;

/// `GET /_leeward/v1/history`: public and stable, see docs/json.md. Counts are of the whole span.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct History {
    /// Beginning of the span, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// Its end.
    pub until_unix_ms: u64,
    /// Length of a bucket in milliseconds.
    pub step_ms: u64,
    /// Everything counted.
    #[serde(flatten)]
    pub counts: Counts,
    /// Faults after which Leeward tried again, by cause.
    pub retried: BTreeMap<String, u64>,
    /// Faults with which a request failed, by cause.
    pub failed: BTreeMap<String, u64>,
    /// Both by how far the request was.
    pub by_phase: BTreeMap<String, FaultCount>,
    /// Faults with which a request failed, by who has to look at them.
    pub whose: BTreeMap<String, u64>,
    /// Faults that are counted and could not be written down one by one.
    pub lost: u64,
    /// The span in steps, oldest first; steps in which nothing happened are absent.
    pub buckets: Vec<Bucket>,
    /// Single faults, newest first.
    pub faults: Vec<Entry>,
}

/// What was counted.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Counted"))]
pub struct Counts {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests by how they ended.
    pub outcomes: BTreeMap<String, u64>,
    /// Faults after which Leeward tried again.
    pub retried_total: u64,
    /// Requests that failed: their agents saw an error of Leeward's or a broken response.
    pub failed_total: u64,
    /// Requests that met a fault and still ended well.
    pub rescued: u64,
    /// Requests that were sent again.
    pub replays: u64,
    /// Those of them whose first sending may have been processed.
    pub replays_unknown: u64,
    /// Latencies in milliseconds.
    pub latency_ms: Latency,
}

/// Latencies of requests to upstreams.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Latency {
    /// From the request's head to the response's last byte.
    pub total: Percentiles,
    /// From the request's head to the response's head.
    pub first_byte: Percentiles,
}

/// One step of the span.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Bucket {
    /// Its beginning, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// What was counted in it.
    #[serde(flatten)]
    pub counts: Counts,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Fault"))]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// The program that asked.
    pub agent: Option<String>,
    /// The upstream's name.
    pub upstream: String,
    /// How far the request was.
    pub phase: String,
    /// What went wrong.
    pub cause: String,
    /// Who has to look at it.
    pub whose: String,
    /// Whether Leeward tried again; if not, the request failed with it.
    pub retried: bool,
    /// The attempt that failed, from 1.
    pub attempt: u32,
    /// Milliseconds since the request's head was read.
    pub took_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_123_456;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn every_length_of_time_has_a_span() {
        for length in [Duration::ZERO, Duration::from_millis(1), DAY, 4000 * DAY, Duration::MAX] {
            let span = Span::last(length, NOW);
            assert!(span.since_unix_ms < span.until_unix_ms && span.step_ms > 0, "{length:?}: {span:?}");
        }
    }
}
