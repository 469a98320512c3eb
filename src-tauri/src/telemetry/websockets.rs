//! The counters of WebSockets, from the response that opens each. Never content.

use crate::status::websockets::{WebSocketCounts, WebSocketEnd, WebSocketStats};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of all WebSockets.
#[derive(Debug, Default)]
pub struct WebSockets {
    pub(super) opened: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) ended: [AtomicU64; WebSocketEnd::ALL.len()],
    pub(super) bytes_up: AtomicU64,
    pub(super) bytes_down: AtomicU64,
}

impl WebSockets {
    /// Open now: a drain waits for them as for streams.
    pub fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// What the status shows.
    pub fn counts(&self) -> WebSocketCounts {
        WebSocketCounts { open: self.open(), opened: self.opened.load(Relaxed) }
    }

    /// All of it at one moment.
    pub fn snapshot(&self) -> WebSocketStats {
        WebSocketStats {
            opened: self.opened.load(Relaxed),
            open: self.open(),
            ended: WebSocketEnd::ALL.iter().zip(&self.ended).map(|(end, n)| (end.as_str(), n.load(Relaxed))).collect(),
            bytes_up: self.bytes_up.load(Relaxed),
            bytes_down: self.bytes_down.load(Relaxed),
        }
    }
}
