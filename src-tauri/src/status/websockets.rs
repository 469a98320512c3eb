//! WebSockets as others see them: their counters and how each ended. Their handshakes are requests; what follows is none. Data only.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a WebSocket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketEnd {
    /// Both ends have closed, and every byte was carried.
    Carried,
    /// One end was reset; so was the other.
    Reset,
    /// The client went away before it had the response.
    ClientGone,
    /// Leeward ended, and the WebSocket with it.
    Cut,
}

impl WebSocketEnd {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Carried, Self::Reset, Self::ClientGone, Self::Cut];

    /// The name in JSON and metrics; public and stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Reset => "reset",
            Self::ClientGone => "client-gone",
            Self::Cut => "cut",
        }
    }
}

/// WebSockets in `GET /stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "WebSockets"))]
pub struct WebSocketStats {
    /// Handshakes that were answered with 101.
    pub opened: u64,
    /// Open now.
    pub open: u64,
    /// By how they ended; those that run are not among them.
    pub ended: BTreeMap<&'static str, u64>,
    /// Bytes from clients to upstreams.
    pub bytes_up: u64,
    /// Bytes from upstreams to clients.
    pub bytes_down: u64,
}

/// WebSockets in the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct WebSocketCounts {
    /// Open now.
    pub open: u64,
    /// Handshakes that were answered with 101.
    pub opened: u64,
}
