//! How many of an origin's recent dials succeed, how long one takes, and how often connections to it were lost lately.
//!
//! Numbers only; what follows from them, `circuit` and the pool decide.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How much the newest dial counts: the share is about the last eight.
const WEIGHT: f64 = 1.0 / 8.0;
/// What is known of successful dials is forgotten this long after the last one, and lost connections after the same time.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// So many connections lost within that time are no accident.
const OFTEN: usize = 3;

/// What is known of one origin's dials.
#[derive(Debug)]
pub(super) struct SuccessRate {
    share: f64,
    succeeded: Option<Instant>,
    took: Duration,
    losses: VecDeque<Instant>,
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self { share: 1.0, succeeded: None, took: Duration::ZERO, losses: VecDeque::new() }
    }
}

impl SuccessRate {
    /// A dial succeeded.
    pub(super) fn succeeded(&mut self, now: Instant) {
        self.share += WEIGHT * (1.0 - self.share);
        self.succeeded = Some(now);
    }

    /// How long the last successful one took.
    pub(super) fn took(&mut self, took: Duration) {
        self.took = took;
    }

    /// A dial failed, or a part of one.
    pub(super) fn failed(&mut self, now: Instant) {
        self.share -= WEIGHT * self.share;
        self.lost(now);
    }

    /// A connection broke before its time.
    pub(super) fn lost(&mut self, now: Instant) {
        if self.losses.len() == OFTEN {
            self.losses.pop_front();
        }
        self.losses.push_back(now);
    }

    /// The share of dials that succeed, from 0 to 1; 0 where none has succeeded lately.
    pub(super) fn share(&self, now: Instant) -> f64 {
        match self.succeeded {
            Some(at) if now.saturating_duration_since(at) < KNOWN_FOR => self.share,
            _ => 0.0,
        }
    }

    /// How long a dial takes.
    pub(super) fn dial_time(&self) -> Duration {
        self.took
    }

    /// Whether connections are lost again and again.
    pub(super) fn loses_often(&self, now: Instant) -> bool {
        let recent = |at: &Instant| now.saturating_duration_since(*at) < KNOWN_FOR;
        self.losses.len() == OFTEN && self.losses.front().is_some_and(recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_before_a_success_and_some_time_after_it() {
        let (mut rate, now) = (SuccessRate::default(), Instant::now());
        rate.failed(now);
        assert_eq!(rate.share(now), 0.0);
        rate.succeeded(now);
        assert!(rate.share(now) > 0.8, "{rate:?}");
        assert_eq!(rate.share(now + KNOWN_FOR), 0.0);
    }

    #[test]
    fn it_follows_what_dials_do() {
        let (mut rate, now) = (SuccessRate::default(), Instant::now());
        for n in 0..200 {
            if n % 5 < 2 { rate.failed(now) } else { rate.succeeded(now) }
        }
        assert!((0.45..0.75).contains(&rate.share(now)), "{rate:?}");
        (0..20).for_each(|_| rate.failed(now));
        assert!(rate.share(now) < 0.1, "{rate:?}");
    }

    #[test]
    fn a_few_losses_within_a_minute_are_often() {
        let (mut rate, now) = (SuccessRate::default(), Instant::now());
        rate.lost(now);
        rate.lost(now);
        assert!(!rate.loses_often(now));
        rate.lost(now + Duration::from_secs(1));
        assert!(rate.loses_often(now + Duration::from_secs(59)) && !rate.loses_often(now + KNOWN_FOR));
    }
}
