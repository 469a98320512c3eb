//! The count of the present day: what earlier processes counted of it, and what to leave out of ours. Reads no clock.

use crate::status::stats;
use std::sync::{Mutex, PoisonError};

/// Where the count of the present day stands: what earlier processes counted, and what to leave out of ours.
#[derive(Debug, Default)]
pub(super) struct Today(Mutex<Base>);

#[derive(Clone, Copy, Debug, Default)]
struct Base {
    /// Counted today before this process.
    before: stats::Today,
    /// Counted by this process before today.
    other_days: stats::Today,
}

impl Today {
    /// The day's count, from what this process has counted in all.
    pub(super) fn count(&self, counted: stats::Today) -> stats::Today {
        let Base { before, other_days } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stats::Today {
            requests: before.requests + counted.requests.saturating_sub(other_days.requests),
            rescued: before.rescued + counted.rescued.saturating_sub(other_days.rescued),
            failed: before.failed + counted.failed.saturating_sub(other_days.failed),
            retried: before.retried + counted.retried.saturating_sub(other_days.retried),
        }
    }

    /// Earlier processes counted this much today.
    pub(super) fn counted_before(&self, before: stats::Today) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).before = before;
    }

    /// A new day: `counted` by this process so far belongs to other days.
    pub(super) fn begin(&self, counted: stats::Today) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Base { before: stats::Today::default(), other_days: counted };
    }
}
