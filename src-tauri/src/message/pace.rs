//! How long a client may keep us waiting for a body: waiting uses its time up, bytes that come give some of it back. A clock's
//! arithmetic only; it waits for nothing.

use std::time::Duration;
use tokio::time::Instant;

/// A client's time for one body.
#[derive(Debug)]
pub(crate) struct Pace {
    /// All of it.
    full: Duration,
    /// Bytes that give a second back; 0: one byte gives all of it back.
    rate: u64,
    left: Duration,
    /// When the present wait began.
    since: Option<Instant>,
}

impl Pace {
    /// A body that may pause for `full`, and must bring `rate` bytes a second.
    pub(crate) fn new(full: Duration, rate: u64) -> Self {
        Self { full, rate, left: full, since: None }
    }

    /// Nothing is there: when the client's time will be over.
    pub(crate) fn waits(&mut self) -> Instant {
        *self.since.get_or_insert_with(Instant::now) + self.left
    }

    /// So many bytes came.
    pub(crate) fn brought(&mut self, bytes: u64) {
        let Some(since) = self.since.take() else { return };
        self.left = if self.rate == 0 {
            self.full
        } else {
            let given = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
            (self.left.saturating_sub(since.elapsed()) + given).min(self.full)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, pause};

    const FULL: Duration = Duration::from_secs(10);

    /// How long a client lasts that brings so many bytes after each second of waiting; a thousand seconds are for ever.
    async fn lasts(rate: u64, bytes: u64) -> Option<u64> {
        let mut pace = Pace::new(FULL, rate);
        for second in 1..1000 {
            let end = pace.waits();
            advance(Duration::from_secs(1)).await;
            if Instant::now() >= end {
                return Some(second);
            }
            pace.brought(bytes);
        }
        None
    }

    #[tokio::test]
    async fn who_dribbles_runs_out_of_time_and_who_moves_does_not() {
        pause();
        for (rate, bytes, seconds) in
            [(1000, 0, Some(10)), (1000, 1, Some(11)), (1000, 500, Some(19)), (1000, 1000, None), (0, 1, None)]
        {
            assert_eq!(lasts(rate, bytes).await, seconds, "{bytes} bytes a second of {rate}");
        }
    }

    /// What has been brought early is no credit for a longer pause, and what is not waited for costs nothing.
    #[tokio::test]
    async fn a_pause_is_never_longer_than_all_of_it() {
        pause();
        let mut pace = Pace::new(FULL, 1000);
        pace.waits();
        pace.brought(1 << 40);
        advance(FULL * 100).await;
        assert_eq!(pace.waits(), Instant::now() + FULL);
        assert_eq!(pace.waits(), Instant::now() + FULL, "the same wait");
    }
}
