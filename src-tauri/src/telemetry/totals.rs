//! The counters that a history is made of, as running totals. Never content.

use super::traffic::{Traffic, histogram};
use crate::status::{faults::Outcome, stats::Today};
use hdrhistogram::Histogram;
use std::sync::{PoisonError, atomic::Ordering::Relaxed};

/// Everything counted since the process started; the difference of two is what happened between them.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests by how they ended, in the order of `Outcome::ALL`.
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Faults after which Leeward tried again.
    pub retried: u64,
    /// Requests that met a fault and still ended well.
    pub rescued: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were sent again.
    pub replays: u64,
    /// Those of them whose first sending may have been processed.
    pub replays_unknown: u64,
    /// Microseconds from the request's head to the response's last byte.
    pub total: Histogram<u32>,
    /// Microseconds from the request's head to the response's head.
    pub first_byte: Histogram<u32>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            requests: 0,
            outcomes: Default::default(),
            retried: 0,
            rescued: 0,
            failed: 0,
            replays: 0,
            replays_unknown: 0,
            total: histogram(),
            first_byte: histogram(),
        }
    }
}

impl Totals {
    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.requests == 0
            && self.outcomes.iter().all(|n| *n == 0)
            && self.retried == 0
            && self.failed == 0
            && self.replays == 0
            && self.total.is_empty()
            && self.first_byte.is_empty()
    }

    /// What was counted after `earlier`, an older value of the same counters.
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: &Histogram<u32>, then: &Histogram<u32>| {
            let mut rest = now.clone();
            // Counts of the same histogram only grow, so the older one always fits into the newer.
            if rest.subtract(then).is_ok() { rest } else { now.clone() }
        };
        let mut outcomes = self.outcomes;
        outcomes.iter_mut().zip(earlier.outcomes).for_each(|(n, then)| *n = n.saturating_sub(then));
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            outcomes,
            retried: self.retried.saturating_sub(earlier.retried),
            rescued: self.rescued.saturating_sub(earlier.rescued),
            failed: self.failed.saturating_sub(earlier.failed),
            replays: self.replays.saturating_sub(earlier.replays),
            replays_unknown: self.replays_unknown.saturating_sub(earlier.replays_unknown),
            total: less(&self.total, &earlier.total),
            first_byte: less(&self.first_byte, &earlier.first_byte),
        }
    }
}

impl Traffic {
    /// The counters of this moment.
    pub fn totals(&self) -> Totals {
        let sum = |counts: &[std::sync::atomic::AtomicU64]| counts.iter().map(|n| n.load(Relaxed)).sum();
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        Totals {
            requests: self.requests.load(Relaxed),
            outcomes: self.outcomes.each_ref().map(|n| n.load(Relaxed)),
            retried: sum(&self.retried),
            rescued: self.rescued.load(Relaxed),
            failed: self.failed_requests.load(Relaxed),
            replays: self.replays.load(Relaxed),
            replays_unknown: self.replays_unknown.load(Relaxed),
            total: recorded.total.clone(),
            first_byte: recorded.first_byte.clone(),
        }
    }

    /// What a day counts, since the process started.
    pub(super) fn counted(&self) -> Today {
        Today {
            requests: self.requests.load(Relaxed),
            rescued: self.rescued.load(Relaxed),
            failed: self.failed_requests.load(Relaxed),
            retried: self.retried.iter().map(|n| n.load(Relaxed)).sum(),
        }
    }

    /// Says what earlier processes counted of the present day.
    pub fn counted_before_today(&self, before: Today) {
        self.today.counted_before(before);
    }

    /// A new day: what this process and earlier ones have counted so far is of other days.
    pub fn begin_day(&self) {
        self.today.begin(self.counted());
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        status::{faults::Cause, stats::Today},
        telemetry::Traffic,
    };
    use std::sync::Arc;

    #[test]
    fn the_difference_of_two_moments_is_what_happened_between_them() {
        let traffic = Arc::new(Traffic::default());
        traffic.begin().count_retried(Cause::Dns, 1);
        let earlier = traffic.totals();
        assert!(traffic.totals().since(&earlier).is_empty());
        let ticket = traffic.begin();
        ticket.failed_with(Cause::Dns, 1);
        drop(ticket);
        traffic.replay(true);
        let between = traffic.totals().since(&earlier);
        assert_eq!((between.requests, between.retried, between.failed), (1, 0, 1));
        assert_eq!((between.replays, between.replays_unknown, between.total.len()), (1, 1, 1));
        assert_eq!(between.outcomes.iter().sum::<u64>(), 1);
    }

    #[test]
    fn a_day_has_what_was_counted_before_and_since_and_the_next_one_nothing() {
        let traffic = Arc::new(Traffic::default());
        traffic.begin().count_retried(Cause::Dns, 1);
        traffic.counted_before_today(Today { requests: 20, rescued: 8, failed: 2, retried: 10 });
        assert_eq!(traffic.snapshot().today, Today { requests: 21, rescued: 8, failed: 2, retried: 11 });
        traffic.begin_day();
        assert_eq!(traffic.snapshot().today, Today::default());
        traffic.begin().failed_with(Cause::Dns, 1);
        assert_eq!(traffic.snapshot().today, Today { requests: 1, rescued: 0, failed: 1, retried: 0 });
    }
}
