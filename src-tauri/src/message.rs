//! What both sides of a request share: bodies, buffers, headers, events, failures. Leaves: they know neither the client's
//! connection nor the upstream's, and decide nothing.

mod body;
mod buffer;
mod client_fault;
pub mod coding;
mod events;
mod failure;
pub mod headers;
mod outgoing;
mod pace;
mod pieces;
mod request_head;
mod room;
pub mod sse;
mod uploads;

pub(crate) use body::{Caps, Payload, read};
pub(crate) use buffer::{Buffer, Limits};
pub(crate) use client_fault::ReadError;
pub(crate) use events::EventReader;
pub(crate) use failure::{
    DNS_FAILS, Failure, Known, NO_ANSWER, NO_NETWORK, NO_SUCH_NAME, NOT_ASKED, Told, dns_reason, innermost, reason,
};
pub(crate) use outgoing::{BoxError, Outgoing};
pub(crate) use pace::Pace;
pub(crate) use request_head::{RequestHead, head_length};
pub use room::HeldBytes;
pub(crate) use uploads::Uploads;
