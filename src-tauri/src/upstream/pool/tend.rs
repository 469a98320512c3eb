//! Keeps idle connections ready while an origin is in use and loses connections again and again: dead ones are found and
//! replaced before the next request needs them. Never beyond the budget; a healthy origin is left alone.

use super::origin::{Idle, Inner, Origin};
use crate::upstream::circuit::Turn;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// It goes on for this long after the last use, and for half the time that idle connections are kept at most: else the last
/// ones would be replaced again and again.
const IN_USE: Duration = Duration::from_secs(30);
/// How long the most connections at once are remembered.
const PEAK: Duration = Duration::from_secs(60);
/// The shortest and the longest pause between two looks.
const LOOKS: [Duration; 2] = [Duration::from_millis(25), Duration::from_secs(1)];

impl Origin {
    /// A request has taken a connection, or waits for one; under the lock that is held.
    pub(super) fn tend_in(self: &Arc<Self>, inner: &mut Inner) {
        let now = Instant::now();
        inner.used = Some(now);
        let busy = inner.open.saturating_sub(inner.idle.len()) + inner.waiters.count();
        if inner.peak.is_none_or(|(most, at)| busy >= most || now.saturating_duration_since(at) > PEAK) {
            inner.peak = Some((busy, now));
        }
        if inner.tended || self.config.pool.idle.is_zero() || !inner.circuit.rate.loses_often(now) {
            return;
        }
        inner.tended = true;
        let origin = self.clone();
        self.tasks.spawn(async move {
            while let Some(pause) = origin.look_after() {
                sleep(pause).await;
            }
        });
    }

    /// Drops dead connections and dials for them; the pause until the next look, or none when it is not needed any more.
    pub(super) fn look_after(self: &Arc<Self>) -> Option<Duration> {
        // One at a time, so that a request meanwhile finds the others; each once, because who waits may want none of them.
        let (mut at, mut left) = (0, self.idle());
        while left > 0
            && let Some(Idle { mut connection, since }) = self.take_at(at)
        {
            left -= 1;
            if connection.is_usable() {
                let mut inner = self.lock();
                let place = at.min(inner.idle.len());
                if inner.waiters.count() == 0 && connection.network() == *self.network.borrow() {
                    inner.idle.insert(place, Idle { connection, since });
                    at += 1;
                } else {
                    drop(inner);
                    let fresh = !connection.will_reuse();
                    self.release(connection, fresh);
                }
            } else {
                self.lock().circuit.rate.lost(Instant::now());
            }
        }
        let now = Instant::now();
        let mut inner = self.lock();
        let unused = inner.used.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        if unused > IN_USE.min(self.config.pool.idle / 2) || !inner.circuit.rate.loses_often(now) {
            inner.tended = false;
            return None;
        }
        self.refill(&mut inner, now);
        Some((unused / 8).clamp(LOOKS[0], LOOKS[1]))
    }

    fn take_at(&self, at: usize) -> Option<Idle> {
        let mut inner = self.lock();
        (at < inner.idle.len()).then(|| inner.idle.remove(at))
    }

    /// As many as were in use at once, and as many again for requests that are sent again; two bursts of dials at most.
    fn refill(self: &Arc<Self>, inner: &mut Inner, now: Instant) {
        let most = 2 * self.config.connect.parallel;
        let wanted = inner.peak.map_or(0, |(peak, _)| 2 * peak).min(most).min(self.config.pool.size);
        while inner.open + inner.dialing < wanted
            && inner.circuit.opened().is_none()
            && inner.circuit.turn(now, inner.dialing + inner.settling) == Turn::Now
            && self.budget.spare()
        {
            self.dial(inner, true);
        }
    }
}
