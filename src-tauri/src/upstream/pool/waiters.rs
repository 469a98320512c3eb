//! Requests that wait for a connection, oldest first: one that comes back from a failed attempt keeps its place.
//!
//! Bookkeeping under the pool's lock; waits for nothing itself.

use crate::{message::Failure, upstream::connection::Connection};
use std::collections::VecDeque;
use tokio::{sync::oneshot, time::Instant};

/// What a waiting request gets.
pub(super) type Given = Result<Connection, Failure>;

#[derive(Debug)]
struct Waiter {
    /// When its request began.
    began: Instant,
    /// Takes only a connection that has served nobody.
    fresh: bool,
    give: oneshot::Sender<Given>,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Waiters(VecDeque<Waiter>);

impl Waiters {
    /// Queues a request after those that began before it.
    pub(super) fn add(&mut self, began: Instant, fresh: bool) -> oneshot::Receiver<Given> {
        let (give, take) = oneshot::channel();
        let behind = self.0.iter().rposition(|w| w.began <= began).map_or(0, |at| at + 1);
        self.0.insert(behind, Waiter { began, fresh, give });
        take
    }

    /// How many wait; those that left are forgotten.
    pub(super) fn count(&mut self) -> usize {
        self.0.retain(|w| !w.give.is_closed());
        self.0.len()
    }

    /// Gives a connection to the first that takes it. `fresh`: it has served nobody. Returns it when nobody does.
    pub(super) fn give(&mut self, connection: Connection, fresh: bool) -> Option<Connection> {
        let mut connection = connection;
        while let Some(at) = self.0.iter().position(|w| fresh || !w.fresh) {
            let waiter = self.0.remove(at)?;
            match waiter.give.send(Ok(connection)) {
                Ok(()) => return None,
                Err(Ok(back)) => connection = back, // that request is gone
                Err(Err(_)) => return None,
            }
        }
        Some(connection)
    }

    /// Notifies the first `most` of them of a failure.
    pub(super) fn tell(&mut self, failure: &Failure, most: usize) {
        let mut told = 0;
        while told < most
            && let Some(waiter) = self.0.pop_front()
        {
            told += usize::from(waiter.give.send(Err(failure.clone())).is_ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::faults::Cause;
    use std::time::Duration;

    #[test]
    fn the_oldest_is_told_first_wherever_it_came_in() {
        let (mut waiters, now) = (Waiters::default(), Instant::now());
        let at = |s| now + Duration::from_secs(s);
        let mut second = waiters.add(at(2), false);
        let mut third = waiters.add(at(3), false);
        let mut first = waiters.add(at(1), true);
        let mut third_too = waiters.add(at(3), false);
        let failure = Failure::new(Cause::Connect, "refused");
        for (told, next) in [&mut first, &mut second, &mut third, &mut third_too].into_iter().enumerate() {
            assert_eq!(waiters.count(), 4 - told);
            assert!(next.try_recv().is_err());
            waiters.tell(&failure, 1);
            assert_eq!(next.try_recv().unwrap().unwrap_err().cause, Cause::Connect);
        }
    }

    #[test]
    fn who_has_left_neither_counts_nor_is_told() {
        let (mut waiters, now) = (Waiters::default(), Instant::now());
        let gone = waiters.add(now, false);
        let mut here = waiters.add(now, false);
        drop(gone);
        waiters.tell(&Failure::new(Cause::Connect, "refused"), 1);
        assert!(here.try_recv().unwrap().is_err());
        drop(waiters.add(now, false));
        assert_eq!(waiters.count(), 0);
    }

    #[test]
    fn all_are_told_what_cannot_change() {
        let (mut waiters, now) = (Waiters::default(), Instant::now());
        let all: Vec<_> = (0..5).map(|_| waiters.add(now, false)).collect();
        waiters.tell(&Failure::new(Cause::Certificate, "not trusted"), usize::MAX);
        for mut one in all {
            assert!(one.try_recv().unwrap().is_err());
        }
    }
}
