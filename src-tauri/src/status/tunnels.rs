//! Tunnels (CONNECT) as others see them: their counters and how each ended. A tunnel is no request. Data only.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a tunnel ended, or why there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEnd {
    /// Both ends have closed, and every byte was carried.
    Carried,
    /// The same, after a connection had broken before the server's first byte and another one had taken its place.
    Rescued,
    /// One end was reset after the server had sent something; so was the other.
    Reset,
    /// The host was not reached, or lost before its first byte.
    Failed,
    /// No tunnel: no token, a host that is not allowed, not a valid CONNECT, too many connections.
    Refused,
    /// The client went away before the server had sent anything.
    ClientGone,
    /// Leeward ended, and the tunnel with it.
    Cut,
    /// Its TLS ends at Leeward (intercept mode): what it carries are requests, and counted as such.
    Decrypted,
}

impl TunnelEnd {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 8] =
        [Self::Carried, Self::Rescued, Self::Reset, Self::Failed, Self::Refused, Self::ClientGone, Self::Cut, Self::Decrypted];

    /// The name in JSON and metrics; public and stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Rescued => "rescued",
            Self::Reset => "reset",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::ClientGone => "client-gone",
            Self::Cut => "cut",
            Self::Decrypted => "decrypted",
        }
    }
}

/// Tunnels in `GET /stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Tunnels"))]
pub struct TunnelStats {
    /// CONNECTs that became a tunnel.
    pub opened: u64,
    /// Tunnels open now.
    pub open: u64,
    /// CONNECTs by how they ended; those that run are not among them.
    pub ended: BTreeMap<&'static str, u64>,
    /// Faults with which a tunnel failed, by cause.
    pub failed: BTreeMap<&'static str, u64>,
    /// Connections that were made anew before a server's first byte.
    pub reconnects: u64,
    /// Those of them on which a TLS hello was sent again.
    pub replayed_hellos: u64,
    /// CONNECTs that waited for their session to register again.
    pub waited: u64,
    /// Bytes from clients to servers.
    pub bytes_up: u64,
    /// Bytes from servers to clients.
    pub bytes_down: u64,
}

/// Tunnels in the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TunnelCounts {
    /// Open now.
    pub open: u64,
    /// CONNECTs that became a tunnel.
    pub opened: u64,
    /// Tunnels that ended well although a connection had broken before the server's first byte.
    pub rescued: u64,
    /// CONNECTs whose host was not reached, or lost before its first byte.
    pub failed: u64,
}
