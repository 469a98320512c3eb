//! A response as far as it has come: what an attempt ends with when it does not fail. Decides nothing.

use super::{response_buffer::ResponseBuffer, source::Source};
use crate::upstream::Blind;
use bytes::Bytes;
use http::response;

/// A response that may go to its client, as far as it has come.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) head: response::Parts,
    /// It came on a connection that had served before.
    pub(super) reused: bool,
    pub(super) body: ArrivedBody,
}

/// Where the body of such a response stands.
#[derive(Debug)]
pub(super) enum ArrivedBody {
    /// It passes as it comes.
    Stream(Source),
    /// What has come may be forwarded, and the rest as it comes.
    Begun(ResponseBuffer),
    /// It is there whole.
    Whole(ResponseBuffer),
    /// There is none: the connection speaks another protocol from here on, and this has come of it.
    Switched(Blind, Bytes),
    /// A stream that is still held back; its client must hear something meanwhile.
    Waiting(ResponseBuffer),
}

/// A response that is being buffered.
#[derive(Debug)]
pub(super) struct Buffering {
    pub(super) head: response::Parts,
    pub(super) reused: bool,
    pub(super) buffer: ResponseBuffer,
}
