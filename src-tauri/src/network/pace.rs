//! How often the network is compared and reported: the first change at once, a burst once a second. Reads no clock.

use std::time::Duration;
use tokio::time::Instant;

/// A VPN that comes up makes dozens of changes within a second or two: after one was reported, the next waits for this.
const AFTER_NEWS: Duration = Duration::from_secs(1);
/// Containers that come and go change nothing that matters, and still cost a picture each time.
const AFTER_PICTURE: Duration = Duration::from_millis(100);

/// When to compare next.
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

    /// When to compare; `None`: nothing may have changed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Compared: what is reported from now on wants another picture.
    pub(super) fn compared(&mut self, now: Instant) {
        *self = Self { earliest: Some(now + AFTER_PICTURE), due: None };
    }

    /// A change was reported.
    pub(super) fn announced(&mut self, now: Instant) {
        self.earliest = Some(now + AFTER_NEWS);
        self.due = self.due.map(|due| due.max(now + AFTER_NEWS));
    }
}
