//! Whether upstreams can be reached, by what their dials and responses met last. Written by the pool, read with the status.

use crate::{
    health::unix_ms,
    status::{
        faults::Cause,
        recent::{Reach, ReachState},
    },
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// What is known of the way to one host and port. Clones of its `Arc` write the same.
#[derive(Debug, Default)]
pub struct Reaching {
    /// In milliseconds since 1970; 0: never, or not since the network changed.
    reached: AtomicU64,
    /// True while `trouble` holds something, so that the good path takes no lock.
    fails: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone, Debug)]
struct Trouble {
    since_unix_ms: u64,
    cause: Cause,
    reason: Option<&'static str>,
    says: String,
    next: &'static str,
}

impl Reaching {
    /// A connection was made, or a response came.
    pub fn succeeded(&self) {
        self.reached.store(unix_ms().max(1), Relaxed);
        if self.fails.swap(false, Relaxed) {
            *self.lock() = None;
        }
    }

    /// No connection could be made. `says` and `next`: for people.
    pub fn failed(&self, cause: Cause, reason: Option<&'static str>, says: String, next: &'static str) {
        let mut trouble = self.lock();
        let since_unix_ms = trouble.as_ref().map_or_else(unix_ms, |t| t.since_unix_ms);
        *trouble = Some(Trouble { since_unix_ms, cause, reason, says, next });
        self.fails.store(true, Relaxed);
    }

    /// What was known is about another network.
    pub fn forget(&self) {
        self.reached.store(0, Relaxed);
        self.fails.store(false, Relaxed);
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As others see it.
    pub(super) fn picture(&self, name: String) -> Reach {
        let trouble = self.lock().clone();
        let reached = Some(self.reached.load(Relaxed)).filter(|at| *at > 0);
        let state = match (&trouble, reached) {
            (Some(_), _) => ReachState::Failing,
            (None, Some(_)) => ReachState::Reached,
            (None, None) => ReachState::NotTried,
        };
        Reach {
            name,
            state,
            reached_unix_ms: reached,
            failing_since_unix_ms: trouble.as_ref().map(|t| t.since_unix_ms),
            cause: trouble.as_ref().map(|t| t.cause.as_str().to_owned()),
            reason: trouble.as_ref().and_then(|t| t.reason).map(str::to_owned),
            says: trouble.as_ref().map(|t| t.says.clone()),
            next: trouble.map(|t| t.next.to_owned()),
        }
    }
}

/// All of them, by `HOST:PORT`.
pub(super) type Reaches = Mutex<BTreeMap<String, Arc<Reaching>>>;
