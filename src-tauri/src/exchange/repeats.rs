//! Requests that an agent sends again because they failed here: known by a mark of what they say, for as long as agents try.
//!
//! Claude Code's own loop says of each of its eleven tries that it is the first one. What failed after it may have run would
//! otherwise run three times for each. Marks are keyed by this process, held in memory for a minute, and show nothing of a body.

use crate::message::{Payload, RequestHead};
use http::header::AUTHORIZATION;
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The longest pause between two tries of an agent is 35 s, and the try itself takes time.
const WITHIN: Duration = Duration::from_secs(60);
/// More failures at once than this are another trouble.
const MOST: usize = 1024;

/// The failures of the last minute.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    key: RandomState,
    failed: Mutex<HashMap<u64, Instant>>,
}

impl Repeats {
    /// What tells one request from another: who asks, for what, with which body.
    pub(super) fn mark(&self, head: &RequestHead, payload: &Payload) -> u64 {
        let mut hasher = self.key.build_hasher();
        for name in [AUTHORIZATION.as_str(), "x-api-key", "x-goog-api-key", "x-claude-code-session-id", "session_id"] {
            hasher.write(head.headers.get(name).map_or(&[][..], |value| value.as_bytes()));
            hasher.write_u8(0xFF);
        }
        hasher.write(head.target.path().as_bytes());
        // In blocks, so that the mark does not depend on the pieces in which the body came.
        let mut block = [0; 4096];
        let mut filled = 0;
        for mut piece in payload.read_so_far().map(|piece| &piece[..]) {
            while !piece.is_empty() {
                let taken = piece.len().min(block.len() - filled);
                block[filled..filled + taken].copy_from_slice(&piece[..taken]);
                (filled, piece) = (filled + taken, &piece[taken..]);
                if filled == block.len() {
                    hasher.write(&block);
                    filled = 0;
                }
            }
        }
        hasher.write(&block[..filled]);
        hasher.finish()
    }

    /// A request failed after it may have run, and its agent knows.
    pub(super) fn note(&self, mark: u64) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|_, at| at.elapsed() < WITHIN);
        if failed.len() < MOST {
            failed.insert(mark, Instant::now());
        }
    }

    /// True when the same request has failed lately, so that this one is its agent's own retry.
    pub(super) fn is_one(&self, mark: u64) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(&mark).is_some_and(|at| at.elapsed() < WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_known_for_a_minute_and_each_repeat_makes_it_younger() {
        let repeats = Repeats::default();
        repeats.note(1);
        tokio::time::advance(WITHIN - Duration::from_secs(1)).await;
        assert!(repeats.is_one(1) && !repeats.is_one(2));
        repeats.note(1);
        tokio::time::advance(WITHIN - Duration::from_secs(1)).await;
        assert!(repeats.is_one(1));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!repeats.is_one(1));
        (0..2 * MOST as u64).for_each(|mark| repeats.note(mark));
        assert_eq!(repeats.failed.lock().unwrap().len(), MOST);
    }
}
