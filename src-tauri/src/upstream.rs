//! The upstream side: connections whose phase is known, so that a failure says what the origin can have seen.
//!
//! An `Origin` is a scheme, host and port with one pool; several named upstreams may share it. Decides nothing about
//! retries and answers no client: that is `exchange`.

mod blind;
mod budget;
mod circuit;
mod connection;
mod context;
mod dial;
mod endpoint;
mod head_lines;
mod heard;
mod named;
mod own_identity;
mod paths;
mod pool;
mod session_upstreams;
mod socket;
mod stream;
mod success_rate;
mod tls;
mod tune;
mod tunnel;
mod upstreams;

pub(crate) use blind::{Blind, Target};
pub(crate) use budget::{InFlight, Replaying};
pub(crate) use connection::Connection;
pub(crate) use dial::{Probed, Prober, Unreached, Walk};
pub(crate) use heard::{Heard, is_public_address};
pub(crate) use named::Upstream;
pub(crate) use pool::Lease;
pub(crate) use session_upstreams::{Hold, Learned, Remember, SessionUpstream};
pub(crate) use upstreams::{BlindDial, Shared, UpstreamParts, Upstreams};
