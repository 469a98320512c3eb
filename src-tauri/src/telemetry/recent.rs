//! What became of the requests of the last five minutes, in buckets of ten seconds. Writes and reads under its owner's lock.

use crate::status::{faults::Cause, recent};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// Length of a bucket.
const BUCKET: Duration = Duration::from_secs(10);
/// So many buckets are the window.
const BUCKETS: u64 = 30;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It ended well and met no fault.
    Well,
    /// It met a fault and still ended well.
    Rescued,
    /// Its agent saw an error or a broken response.
    Failed(Option<Cause>),
    /// It was refused, or its client left: no upstream was at fault.
    Other,
}

#[derive(Debug)]
struct Bucket {
    number: u64,
    requests: u64,
    rescued: u64,
    failed: u64,
    causes: [u32; Cause::ALL.len()],
}

/// The buckets, oldest first.
#[derive(Debug)]
pub(super) struct Recent {
    began: Instant,
    buckets: VecDeque<Bucket>,
    failed_in_a_row: u64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { began: Instant::now(), buckets: VecDeque::new(), failed_in_a_row: 0 }
    }
}

impl Recent {
    fn number(&self) -> u64 {
        self.began.elapsed().as_secs() / BUCKET.as_secs()
    }

    /// A request has ended.
    pub(super) fn count(&mut self, end: End) {
        if end == End::Other {
            return;
        }
        let number = self.number();
        while self.buckets.front().is_some_and(|bucket| bucket.number + BUCKETS <= number) {
            self.buckets.pop_front();
        }
        if self.buckets.back().is_none_or(|bucket| bucket.number != number) {
            self.buckets.push_back(Bucket { number, requests: 0, rescued: 0, failed: 0, causes: [0; Cause::ALL.len()] });
        }
        let Some(bucket) = self.buckets.back_mut() else { return };
        bucket.requests += 1;
        self.failed_in_a_row = if matches!(end, End::Failed(_)) { self.failed_in_a_row + 1 } else { 0 };
        match end {
            End::Rescued => bucket.rescued += 1,
            End::Failed(cause) => {
                bucket.failed += 1;
                if let Some(cause) = cause {
                    bucket.causes[cause as usize] += 1;
                }
            }
            End::Well | End::Other => {}
        }
    }

    /// The window as others see it; who waits is not known here.
    pub(super) fn window(&self) -> recent::Recent {
        let number = self.number();
        let mut window = recent::Recent { window_s: BUCKET.as_secs() * BUCKETS, ..recent::Recent::default() };
        let mut causes: BTreeMap<String, u64> = BTreeMap::new();
        for bucket in self.buckets.iter().filter(|bucket| bucket.number + BUCKETS > number) {
            window.requests += bucket.requests;
            window.rescued += bucket.rescued;
            window.failed += bucket.failed;
            for (cause, count) in Cause::ALL.iter().zip(bucket.causes).filter(|(_, count)| *count > 0) {
                *causes.entry(cause.as_str().to_owned()).or_default() += u64::from(count);
            }
        }
        window.causes = causes;
        window.failed_in_a_row = self.failed_in_a_row.min(window.failed);
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_five_minutes_is_not_in_it() {
        let mut recent = Recent::default();
        recent.count(End::Failed(Some(Cause::Dns)));
        recent.count(End::Other);
        tokio::time::advance(Duration::from_secs(150)).await;
        recent.count(End::Rescued);
        recent.count(End::Well);
        let window = recent.window();
        assert_eq!((window.window_s, window.requests, window.rescued, window.failed), (300, 3, 1, 1));
        assert_eq!(window.failed_in_a_row, 0, "others ended well after it");
        assert_eq!(window.causes, BTreeMap::from([("dns".to_owned(), 1)]));
        tokio::time::advance(Duration::from_secs(150)).await;
        let window = recent.window();
        assert_eq!((window.requests, window.rescued, window.failed, window.causes.len()), (2, 1, 0, 0));
        tokio::time::advance(Duration::from_secs(1000)).await;
        recent.count(End::Well);
        assert_eq!((recent.window().requests, recent.buckets.len()), (1, 1));
    }
}
