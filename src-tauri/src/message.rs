//! What both sides of a request share: bodies, buffers, headers, events, failures. Leaves: they know neither the client's
//! connection nor the upstream's, and decide nothing.

mod body;
mod buffer;
mod failure;
pub mod headers;
mod request_head;
pub mod sse;

pub use body::HeldBytes;
pub(crate) use body::{BoxError, Caps, Outgoing, Payload, ReadError, read};
pub(crate) use buffer::Buffer;
pub(crate) use failure::{Failure, innermost};
pub(crate) use request_head::{RequestHead, head_length};
