//! Through which door what agents ask has come. Data only.

use serde::{Deserialize, Serialize};

/// What came through each door since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Doors {
    /// Requests by a base URL.
    pub base_url: u64,
    /// Tunnels (CONNECT) that were not decrypted; what they carry is not counted.
    pub tunnel: u64,
    /// Requests in decrypted tunnels.
    pub intercept: u64,
    /// Requests in decrypted tunnels that Leeward answered itself: for the list of connectors.
    pub local: u64,
}

impl Doors {
    /// All of them by name, as covers and metrics name them.
    pub fn named(&self) -> [(&'static str, u64); 4] {
        [("base-url", self.base_url), ("tunnel", self.tunnel), ("intercept", self.intercept), ("local", self.local)]
    }
}
