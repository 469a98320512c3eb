//! How many attempts beyond one a request the upstreams may see: a bucket that requests and time fill.
//!
//! A request sent again takes from it or is not sent. A connection that was not made takes from it whether there is
//! something or not, but when less than half is left the next dial waits: half of the bucket is kept for what an agent would
//! otherwise see.
//! So attempts <= (1 + share) x requests + floor x time + what the bucket holds at most.

use crate::config::Retry;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Seconds of `floor` that the bucket holds, as in Finagle's and tower's defaults (deposits live for 10 s).
const SECONDS: f64 = 10.0;
/// Requests whose share it holds where that is more.
const REQUESTS: f64 = 100.0;

/// Shared by all upstreams of an engine and by its generations.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    capacity: f64,
    share: f64,
    floor: f64,
    at: Instant,
}

impl Budget {
    pub(crate) fn new(retry: &Retry) -> Self {
        Self(Mutex::new(Bucket::new(f64::from(retry.budget), f64::from(retry.budget_floor), Instant::now())))
    }

    /// Goes by another config from now on; what is in it stays.
    pub(crate) fn follow(&self, retry: &Retry) {
        self.with(|bucket| {
            let like = Bucket::new(f64::from(retry.budget), f64::from(retry.budget_floor), bucket.at);
            *bucket = Bucket { tokens: bucket.tokens.min(like.capacity), ..like };
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.refill(Instant::now());
        act(&mut bucket)
    }

    /// A request came.
    pub(crate) fn deposit(&self) {
        self.with(Bucket::deposit);
    }

    /// Takes one attempt, if there is one.
    pub(crate) fn withdraw(&self) -> bool {
        self.with(Bucket::withdraw)
    }

    /// Takes one for a connection that nobody waits for, if more than half is there.
    pub(crate) fn spare(&self) -> bool {
        self.with(|bucket| bucket.pause().is_zero() && bucket.withdraw())
    }

    /// Gives back what a spare connection took: it serves a request after all, or was counted otherwise.
    pub(crate) fn refund(&self) {
        self.with(Bucket::refund);
    }

    /// Counts connections that were tried in vain.
    pub(crate) fn charge(&self, tries: usize) {
        self.with(|bucket| bucket.charge(tries));
    }

    /// How long the next dial shall wait after one that failed.
    pub(crate) fn pause(&self) -> Duration {
        self.with(|bucket| bucket.pause())
    }
}

impl Bucket {
    fn new(share: f64, floor: f64, now: Instant) -> Self {
        Self { tokens: floor * SECONDS, capacity: (floor * SECONDS).max(share * REQUESTS), share, floor, at: now }
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.floor).min(self.capacity);
        self.at = now;
    }

    fn deposit(&mut self) {
        self.tokens = (self.tokens + self.share).min(self.capacity);
    }

    fn withdraw(&mut self) -> bool {
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }

    fn refund(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.capacity);
    }

    fn charge(&mut self, tries: usize) {
        // A long time without a network must not cost the requests after it their replays.
        self.tokens = (self.tokens - tries as f64).max(-self.capacity).min(self.tokens);
    }

    fn pause(&self) -> Duration {
        let missing = self.capacity / 2.0 - self.tokens;
        match missing > 0.0 || self.capacity <= 0.0 {
            true => Duration::try_from_secs_f64(missing / self.floor).unwrap_or(Duration::MAX),
            false => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn taken(bucket: &mut Bucket) -> u32 {
        (0..10_000).take_while(|_| bucket.withdraw()).count() as u32
    }

    #[test]
    fn time_and_requests_fill_it() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0.2, 10.0, now);
        assert_eq!(taken(&mut bucket), 100, "ten seconds' worth at the start");
        bucket.refill(now + Duration::from_secs(3));
        assert_eq!(taken(&mut bucket), 30);
        for _ in 0..51 {
            bucket.deposit();
        }
        assert_eq!(taken(&mut bucket), 10, "one for five requests");
        bucket.refill(now + Duration::from_secs(10_000));
        assert_eq!(taken(&mut bucket), 100, "it does not grow without end");
    }

    #[test]
    fn failed_dials_leave_half_of_it_to_replays() {
        let mut bucket = Bucket::new(0.2, 10.0, Instant::now());
        bucket.charge(50);
        assert_eq!(bucket.pause(), Duration::ZERO);
        bucket.charge(2);
        assert_eq!(bucket.pause(), Duration::from_millis(200), "until half is there again");
        assert_eq!(taken(&mut bucket), 48);
        assert_eq!(bucket.pause(), Duration::from_secs(5));
    }

    #[test]
    fn debts_are_paid_first_and_have_an_end() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0.0, 10.0, now);
        bucket.charge(100_000);
        bucket.refill(now + Duration::from_secs(10));
        assert_eq!(taken(&mut bucket), 0);
        bucket.refill(now + Duration::from_secs(11));
        assert_eq!(taken(&mut bucket), 10);
    }

    #[test]
    fn another_config_changes_what_it_gets_and_not_what_it_has() {
        let home = tempfile::tempdir().unwrap();
        let retry = crate::config::Config::under(home.path()).unwrap().retry;
        let budget = Budget::new(&retry);
        assert!((0..90).all(|_| budget.withdraw()));
        budget.follow(&Retry { budget_floor: 0, budget: 1.0, ..retry });
        let left = (0..1000).take_while(|_| budget.withdraw()).count();
        assert!((9..100).contains(&left), "{left}");
        budget.deposit();
        assert!(budget.withdraw() && !budget.withdraw(), "a share of one");
    }

    #[test]
    fn without_floor_and_share_there_is_never_anything() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0.0, 0.0, now);
        bucket.deposit();
        bucket.refill(now + Duration::from_secs(100));
        bucket.charge(1);
        assert_eq!((bucket.withdraw(), bucket.pause()), (false, Duration::MAX));
        assert!(bucket.tokens.abs() < f64::EPSILON);
    }
}
