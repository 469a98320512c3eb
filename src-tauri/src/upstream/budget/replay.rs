//! Who takes from a budget: requests in flight, and their replays until it is known how they end. They count; they decide nothing.

use super::{Budget, Pot};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

impl Budget {
    fn pots(&self) -> [&Pot; 2] {
        [&self.own, &self.shared]
    }

    /// Waits for as long as a replay that runs may succeed and so make room for another one; true when there is room.
    pub(crate) async fn may_have_more(&self, first: bool, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            let ended = self.ended.notified();
            let works = self.own.works.load(Relaxed);
            if self.own.with(|bucket| bucket.has_one(first && works)) {
                return true;
            }
            // What has succeeded already makes no more room.
            if works || self.own.replaying.load(Relaxed) == 0 || timeout_at(until, ended).await.is_err() {
                return false;
            }
        }
    }
}

/// A request in flight, which fills the budget; over when it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Budget>);

impl InFlight {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        for pot in budget.pots() {
            let now = pot.in_flight.fetch_add(1, Relaxed) + 1;
            pot.with(|bucket| bucket.deposit(now));
        }
        Self(budget.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        for pot in self.0.pots() {
            pot.in_flight.fetch_sub(1, Relaxed);
        }
    }
}

/// A replay whose end is not known yet; dropped when its client has left.
#[derive(Debug)]
pub(crate) struct Replaying(Arc<Budget>);

impl Replaying {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        for pot in budget.pots() {
            pot.replaying.fetch_add(1, Relaxed);
        }
        Self(budget.clone())
    }

    /// There is a response.
    pub(crate) fn succeeded(self) {
        self.ends(true);
    }

    /// It failed like the attempt before it.
    pub(crate) fn failed(self) {
        self.ends(false);
    }

    fn ends(self, works: bool) {
        for pot in self.0.pots() {
            pot.works.store(works, Relaxed);
        }
    }
}

impl Drop for Replaying {
    fn drop(&mut self) {
        for pot in self.0.pots() {
            pot.replaying.fetch_sub(1, Relaxed);
        }
        self.0.ended.notify_waiters();
    }
}
