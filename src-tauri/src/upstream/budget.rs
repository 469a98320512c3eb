//! How many attempts beyond one a request an origin may see: a bucket that requests and time fill, one for each origin, so that
//! one that fails never spends what a healthy one needs; replays also take from one that all origins share.
//!
//! A request sent again takes from it or is not sent. A connection that was not made takes from its origin's whether there is
//! something or not, but when less than half is left the next dial waits: half of the bucket is kept for what an agent would
//! otherwise see.
//! So attempts <= (1 + share) x requests + floor x time + what the bucket holds at most. Where replays succeed it holds as much
//! as requests are in flight: each of a burst may have its connection broken once.

mod replay;

pub(crate) use replay::{InFlight, Replaying};

use super::endpoint::Endpoint;
use crate::config::Retry;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Seconds of `floor` that the bucket holds, as in Finagle's and tower's defaults (deposits live for 10 s).
const SECONDS: f64 = 10.0;
/// Requests whose share it holds where that is more.
const REQUESTS: f64 = 100.0;
/// What all origins together may have, in budgets of one.
const ORIGINS: f64 = 4.0;

/// The budgets of all origins of an engine; they survive its generations.
#[derive(Debug)]
pub(crate) struct Budgets {
    retry: Mutex<Retry>,
    all: Mutex<HashMap<Endpoint, Arc<Budget>>>,
    shared: Arc<Pot>,
}

impl Budgets {
    pub(crate) fn new(retry: &Retry) -> Self {
        Self { retry: Mutex::new(retry.clone()), all: Mutex::default(), shared: Arc::new(Pot::new(retry, ORIGINS)) }
    }

    /// They go by another config from now on; what is in them stays.
    pub(crate) fn follow(&self, retry: &Retry) {
        *self.retry.lock().unwrap_or_else(PoisonError::into_inner) = retry.clone();
        self.shared.follow(retry, ORIGINS);
        for budget in self.all.lock().unwrap_or_else(PoisonError::into_inner).values() {
            budget.own.follow(retry, 1.0);
        }
    }

    /// The budget of an origin.
    pub(crate) fn of(&self, origin: &Endpoint) -> Arc<Budget> {
        let retry = self.retry.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(origin.clone()).or_insert_with(|| Arc::new(Budget::within(&retry, self.shared.clone()))).clone()
    }
}

/// The budget of one origin.
#[derive(Debug)]
pub(crate) struct Budget {
    own: Pot,
    /// That of all origins.
    shared: Arc<Pot>,
    /// Notified when a replay has ended.
    ended: Notify,
    /// A request has learned that it is spent.
    told: AtomicBool,
}

impl Budget {
    /// One by itself.
    #[cfg(test)]
    pub(crate) fn new(retry: &Retry) -> Self {
        Self::within(retry, Arc::new(Pot::new(retry, ORIGINS)))
    }

    fn within(retry: &Retry, shared: Arc<Pot>) -> Self {
        Self { own: Pot::new(retry, 1.0), shared, ended: Notify::new(), told: AtomicBool::new(false) }
    }

    /// Takes one attempt, if there is one. `first`: the request has not been sent again before.
    pub(crate) fn withdraw(&self, first: bool) -> bool {
        if !self.own.withdraw(first) {
            return false;
        }
        let both = self.shared.withdraw(first);
        if !both {
            self.refund();
        }
        both
    }

    /// Takes one for a connection that nobody waits for, if more than half is there.
    pub(crate) fn spare(&self) -> bool {
        self.own.with(|bucket| bucket.pause().is_zero() && bucket.withdraw(false))
    }

    /// Gives back what was taken from this origin's own: a spare connection serves a request after all or was counted otherwise, or
    /// the shared one has nothing.
    pub(crate) fn refund(&self) {
        self.own.with(Bucket::refund);
    }

    /// Counts connections that were tried in vain.
    pub(crate) fn charge(&self, tries: usize) {
        self.own.with(|bucket| bucket.charge(tries));
    }

    /// How long the next dial shall wait after one that failed.
    pub(crate) fn pause(&self) -> Duration {
        self.own.with(|bucket| bucket.pause())
    }

    /// A request learns that it is spent.
    pub(crate) fn tell(&self) {
        self.told.store(true, Relaxed);
    }

    /// True once, when half of it is there again after that.
    pub(crate) fn has_recovered(&self) -> bool {
        self.told.load(Relaxed) && self.own.with(|bucket| bucket.pause().is_zero()) && self.told.swap(false, Relaxed)
    }
}

/// A bucket, and those who may take from it.
#[derive(Debug)]
struct Pot {
    bucket: Mutex<Bucket>,
    in_flight: AtomicUsize,
    /// Replays whose end is not known yet.
    replaying: AtomicUsize,
    /// The last replay that ended did so with a response.
    works: AtomicBool,
}

impl Pot {
    /// `times`: for so many origins.
    fn new(retry: &Retry, times: f64) -> Self {
        let bucket = Bucket::new(f64::from(retry.budget), f64::from(retry.budget_floor) * times, Instant::now());
        let zero = || AtomicUsize::new(0);
        Self { bucket: Mutex::new(bucket), in_flight: zero(), replaying: zero(), works: AtomicBool::new(false) }
    }

    fn follow(&self, retry: &Retry, times: f64) {
        self.works.store(false, Relaxed);
        self.with(|bucket| {
            let like = Bucket::new(f64::from(retry.budget), f64::from(retry.budget_floor) * times, bucket.at);
            *bucket = Bucket { tokens: bucket.tokens.min(like.capacity), ..like };
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.refill(Instant::now());
        act(&mut bucket)
    }

    fn withdraw(&self, first: bool) -> bool {
        let grows = first && self.works.load(Relaxed);
        self.with(|bucket| bucket.withdraw(grows))
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    capacity: f64,
    share: f64,
    floor: f64,
    /// Most requests that were in flight at once since it was full.
    peak: f64,
    at: Instant,
}

impl Bucket {
    fn new(share: f64, floor: f64, now: Instant) -> Self {
        Self { tokens: floor * SECONDS, capacity: (floor * SECONDS).max(share * REQUESTS), share, floor, peak: 0.0, at: now }
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.floor).min(self.capacity);
        self.at = now;
    }

    /// A request came, and there are so many now.
    fn deposit(&mut self, in_flight: usize) {
        let since_full = if self.tokens >= self.capacity { 0.0 } else { self.peak };
        self.peak = since_full.max(in_flight as f64);
        self.tokens = (self.tokens + self.share).min(self.capacity);
    }

    /// Whether one can be taken. `grows`: it is taken to hold as many as there were requests in flight.
    fn has_one(&self, grows: bool) -> bool {
        self.tokens + if grows { (self.peak - self.capacity).max(0.0) } else { 0.0 } >= 1.0
    }

    /// Takes one, if there is one.
    fn withdraw(&mut self, grows: bool) -> bool {
        let enough = self.has_one(grows);
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
        (0..10_000).take_while(|_| bucket.withdraw(false)).count() as u32
    }

    #[test]
    fn time_and_requests_fill_it() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0.2, 10.0, now);
        assert_eq!(taken(&mut bucket), 100, "ten seconds' worth at the start");
        bucket.refill(now + Duration::from_secs(3));
        assert_eq!(taken(&mut bucket), 30);
        for _ in 0..51 {
            bucket.deposit(1);
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
        let origin = Endpoint::of(&url::Url::parse("https://api.example").unwrap());
        let budgets = Budgets::new(&retry);
        let budget = budgets.of(&origin);
        assert!((0..90).all(|_| budget.withdraw(true)));
        budgets.follow(&Retry { budget_floor: 0, budget: 1.0, ..retry });
        let left = (0..1000).take_while(|_| budget.withdraw(true)).count();
        assert!((9..100).contains(&left), "{left}");
        let _request = InFlight::new(&budgets.of(&origin));
        assert!(budget.withdraw(true) && !budget.withdraw(true), "a share of one");
    }

    #[test]
    fn without_floor_and_share_there_is_never_anything() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0.0, 0.0, now);
        bucket.deposit(1);
        bucket.refill(now + Duration::from_secs(100));
        bucket.charge(1);
        assert_eq!((bucket.withdraw(false), bucket.pause()), (false, Duration::MAX));
        assert!(bucket.tokens.abs() < f64::EPSILON);
    }

    fn retry() -> Retry {
        let home = tempfile::tempdir().unwrap();
        crate::config::Config::under(home.path()).unwrap().retry
    }

    #[tokio::test(start_paused = true)]
    async fn one_origin_never_spends_anothers() {
        let budgets = Budgets::new(&retry());
        let [dead, resets, healthy] = ["http://dead", "http://resets", "http://healthy"]
            .map(|url| budgets.of(&Endpoint::of(&url::Url::parse(url).unwrap())));
        dead.charge(100_000);
        assert_eq!((0..1000).take_while(|_| resets.withdraw(false)).count(), 100);
        assert!(!dead.withdraw(true) && !dead.pause().is_zero());
        assert!(healthy.pause().is_zero() && (0..100).all(|_| healthy.withdraw(false)));
    }

    #[tokio::test(start_paused = true)]
    async fn all_origins_together_have_a_limit() {
        let budgets = Budgets::new(&retry());
        let taken: usize = (0..100)
            .map(|n| budgets.of(&Endpoint::of(&url::Url::parse(&format!("http://o{n}")).unwrap())))
            .map(|budget| (0..1000).take_while(|_| budget.withdraw(false)).count())
            .sum();
        assert_eq!(taken, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_has_a_replay_each_as_long_as_replays_succeed() {
        let budget = Arc::new(Budget::new(&retry()));
        let burst: Vec<_> = (0..250).map(|_| InFlight::new(&budget)).collect();
        let mut replays: Vec<_> = (0..1000).take_while(|_| budget.withdraw(true)).map(|_| Replaying::new(&budget)).collect();
        assert_eq!(replays.len(), 100);
        let patience = Duration::from_secs(45);
        let waits = async { (budget.may_have_more(true, patience).await, Instant::now()) };
        let (began, succeeds) = (Instant::now(), async { replays.pop().unwrap().succeeded() });
        let ((more, at), ()) = tokio::join!(waits, succeeds);
        assert!(more && at == began, "at once");
        assert_eq!((0..1000).take_while(|_| budget.withdraw(true)).count(), 150, "as many as there are requests in flight");
        assert!(!budget.withdraw(false), "a second replay has no such reserve");
        replays.pop().unwrap().failed();
        assert!(!budget.withdraw(true));
        // Where all that run have ended without a response, nobody waits for one.
        replays.drain(..).for_each(Replaying::failed);
        let began = Instant::now();
        assert!(!budget.may_have_more(true, patience).await && began.elapsed().is_zero());
        drop(burst);
        assert_eq!(budget.own.in_flight.load(Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_spent_budget_is_told_until_half_is_there_again() {
        let budget = Budget::new(&retry());
        while budget.withdraw(false) {}
        assert!(!budget.has_recovered(), "nobody was told");
        budget.tell();
        assert!(!budget.has_recovered());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(budget.has_recovered() && !budget.has_recovered());
    }
}
