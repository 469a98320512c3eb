//! How often the network is looked at and told of: the first change at once, a burst once a second. Reads no clock.

use std::time::Duration;
use tokio::time::Instant;

/// A VPN that comes up makes dozens of changes within a second or two: after one was told, the next waits for this.
const AFTER_NEWS: Duration = Duration::from_secs(1);
/// Containers that come and go change nothing that matters, and still cost a look each time.
const AFTER_LOOK: Duration = Duration::from_millis(100);

/// When to look next.
#[derive(Debug, Default)]
pub(super) struct Pace {
    earliest: Option<Instant>,
    due: Option<Instant>,
}

impl Pace {
    /// Something may have changed.
    pub(super) fn want(&mut self, now: Instant) {
        self.due = Some(self.due.unwrap_or_else(|| self.earliest.map_or(now, |earliest| earliest.max(now))));
    }

    /// When to look; `None`: there is nothing to look for.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Looked: what is told from now on wants another look.
    pub(super) fn looked(&mut self, now: Instant) {
        *self = Self { earliest: Some(now + AFTER_LOOK), due: None };
    }

    /// A change was told.
    pub(super) fn announced(&mut self, now: Instant) {
        self.earliest = Some(now + AFTER_NEWS);
        self.due = self.due.map(|due| due.max(now + AFTER_NEWS));
    }
}
