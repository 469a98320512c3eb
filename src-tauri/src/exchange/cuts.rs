//! How often responses were cut lately, by host: what `stream.mode = "adaptive"` goes by. Survives generations.

use crate::{
    config::{Stream, StreamMode},
    health::{Code, Tracker},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};
use tokio::time::Instant;

/// Cuts that are remembered of one host; the config asks for far fewer.
const REMEMBERED: usize = 256;

/// The times of cuts, by host.
#[derive(Debug, Default)]
pub(super) struct Cuts(Mutex<HashMap<String, VecDeque<Instant>>>);

impl Cuts {
    /// A response of this host was cut in the middle.
    pub(super) fn note(&self, host: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = all.entry(host.to_owned()).or_default();
        times.truncate(REMEMBERED - 1);
        times.push_front(Instant::now());
    }

    /// True when so many were cut within so long that responses are buffered.
    pub(super) fn are_frequent(&self, host: &str, policy: &Stream) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(host).is_some_and(|times| frequent(times, policy))
    }

    /// Says in `health` for which hosts responses are buffered now, and forgets what is old. Called from time to time.
    pub(super) fn review(&self, policy: &Stream, health: &Tracker) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|host, times| {
            times.retain(|at| at.elapsed() < policy.adaptive_within);
            if policy.mode == StreamMode::Adaptive && frequent(times, policy) {
                let sentence = format!(
                    "{} responses of {host} broke off within {:?}, so Leeward buffers each one before it sends it on; this ends by itself",
                    times.len(),
                    policy.adaptive_within
                );
                health.set(Code::ResponsesBuffered, Some(host), sentence);
            } else {
                health.clear(Code::ResponsesBuffered, Some(host));
            }
            !times.is_empty()
        });
    }
}

fn frequent(times: &VecDeque<Instant>, policy: &Stream) -> bool {
    let nth = usize::try_from(policy.adaptive_cuts).unwrap_or(usize::MAX).saturating_sub(1);
    times.get(nth).is_some_and(|at| at.elapsed() < policy.adaptive_within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn frequent_is_so_many_within_so_long_and_ends_by_itself() {
        let home = tempfile::tempdir().unwrap();
        let mut policy = crate::config::Config::under(home.path()).unwrap().stream;
        policy.mode = StreamMode::Adaptive;
        let (cuts, health) = (Cuts::default(), Tracker::default());
        cuts.note("api");
        tokio::time::advance(policy.adaptive_within - Duration::from_secs(1)).await;
        cuts.note("other");
        assert!(!cuts.are_frequent("api", &policy));
        cuts.note("api");
        assert!(cuts.are_frequent("api", &policy) && !cuts.are_frequent("other", &policy));
        cuts.review(&policy, &health);
        assert_eq!(health.visible().len(), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!cuts.are_frequent("api", &policy), "the first one is too old");
        cuts.review(&policy, &health);
        assert_eq!(health.visible(), []);
        tokio::time::advance(policy.adaptive_within).await;
        cuts.review(&policy, &health);
        assert!(cuts.0.lock().unwrap().is_empty());
    }
}
