//! Room that all requests share: bytes taken one after the other, up to a limit, and given back by being dropped. Counts only.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Bytes that all requests together hold.
#[derive(Clone, Debug, Default)]
pub struct HeldBytes(Arc<AtomicU64>);

impl HeldBytes {
    /// Room for nothing yet.
    pub(crate) fn permit(&self) -> Permit {
        Permit { held: self.clone(), bytes: 0 }
    }

    /// Bytes held now.
    pub fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Gives back what it took when it goes.
#[derive(Debug)]
pub(crate) struct Permit {
    held: HeldBytes,
    bytes: u64,
}

impl Permit {
    /// Takes room for more bytes, if all permits together stay within the limit.
    pub(crate) fn grow(&mut self, by: u64, limit: u64) -> bool {
        let fits = |now: u64| now.checked_add(by).filter(|sum| *sum <= limit);
        let grown = self.held.0.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if grown {
            self.bytes += by;
        }
        grown
    }

    /// Gives some of it back early.
    pub(crate) fn shrink(&mut self, by: u64) {
        let by = by.min(self.bytes);
        self.bytes -= by;
        self.held.0.fetch_sub(by, Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Relaxed);
    }
}
