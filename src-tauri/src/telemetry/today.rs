//! The count of the present day: what earlier processes counted of it, and what to leave out of ours. Reads no clock.

use crate::status::stats::FaultCount;
use std::sync::{Mutex, PoisonError};

/// Where the count of the present day stands: what earlier processes counted, and what to leave out of ours.
#[derive(Debug, Default)]
pub(super) struct Today(Mutex<Base>);

#[derive(Clone, Copy, Debug, Default)]
struct Base {
    /// Counted today before this process.
    before: FaultCount,
    /// Counted by this process before today.
    other_days: FaultCount,
}

impl Today {
    /// The day's count, from what this process has counted in all.
    pub(super) fn count(&self, retried: u64, failed: u64) -> FaultCount {
        let Base { before, other_days } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        FaultCount {
            retried: before.retried + retried.saturating_sub(other_days.retried),
            failed: before.failed + failed.saturating_sub(other_days.failed),
        }
    }

    /// Earlier processes counted this much today.
    pub(super) fn counted_before(&self, before: FaultCount) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).before = before;
    }

    /// A new day: `counted` by this process so far belongs to other days.
    pub(super) fn begin(&self, counted: FaultCount) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Base { before: FaultCount::default(), other_days: counted };
    }
}
