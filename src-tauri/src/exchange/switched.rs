//! What is left of a request that was answered with another protocol (101). Carries nothing itself.

use crate::{telemetry::WebSocketTicket, upstream::Blind};
use bytes::Bytes;

/// The upstream's end, for whoever has the client's.
#[derive(Debug)]
pub(crate) struct Switched {
    pub(crate) server: Blind,
    /// What has come of it after the response.
    pub(crate) came: Bytes,
    pub(crate) ticket: WebSocketTicket,
}
