//! The vocabulary of misbehaviour: what a scripted upstream can do to a connection, a request or a response.
//!
//! Names only. `connection.rs` acts them out in an exhaustive `match`, so a fault without a deed does not compile.

use std::time::Duration;

/// A point in a response, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// This many bytes of the body (its content, without chunk framing); 0 is right behind the headers.
    Bytes(u64),
    /// This many pieces of the body: for a stream its events, else the whole body is one piece.
    Events(u64),
}

/// When a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// Before the first request of a connection is read.
    Connecting,
    /// On any request.
    Request,
    /// Only on a request that is not the first of its connection.
    Reused,
}

/// What the upstream does wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing; the answer is given as it should be.
    #[default]
    None,
    /// RST at once after the TCP connection is made: no byte is read. A live listener cannot refuse any earlier.
    ResetAtAccept,
    /// RST after the first bytes of the `ClientHello` have come (on a plain upstream: of the request).
    ResetInTls,
    /// The `ClientHello` is read and nothing ever answered (on a plain upstream: the request).
    StallInTls,
    /// The request is read whole and answered; the kept-alive connection is closed (FIN) after idling this long.
    CloseIdle(Duration),
    /// As `CloseIdle`, but with RST.
    ResetIdle(Duration),
    /// A request on a reused connection is read whole, then RST with no response byte.
    ResetOnReuse,
    /// A request on a reused connection is read whole, then FIN with no response byte.
    CloseOnReuse,
    /// A request (also the first of its connection) is read whole, then RST with no response byte.
    ResetBeforeHeaders,
    /// A request is read whole, then FIN with no response byte.
    CloseBeforeHeaders,
    /// RST after this many bytes of the request body; without a body, right after the head.
    ResetMidRequest(u64),
    /// A line that is no HTTP status line, then FIN.
    GarbageStatusLine,
    /// RST after this many bytes of the response head.
    ResetInHead(usize),
    /// The response head, then silence.
    HeadersThenSilence,
    /// RST at this point of the response.
    ResetAfter(Mark),
    /// FIN at this point of the response, which is left incomplete.
    TruncateAfter(Mark),
    /// Silence from this point of the response on; the connection stays open.
    StallAfter(Mark),
    /// `content-length` says this many bytes more than are sent before the FIN.
    LyingContentLength(u64),
    /// A chunk size that is no number, behind the first piece of the body.
    BadChunk,
    /// The request is read whole and nothing ever answered.
    StallBeforeHeaders,
    /// This status with an error body in the dialect of the request's path, and these headers.
    Status(u16, Vec<(String, String)>),
    /// The right answer, written this many bytes at a time.
    Slice(usize),
    /// The right headers of a stream, then `ping` events for ever.
    NeverEnds,
}

impl Fault {
    /// When it can strike.
    pub fn when(&self) -> When {
        match self {
            Self::ResetAtAccept | Self::ResetInTls | Self::StallInTls => When::Connecting,
            Self::ResetOnReuse | Self::CloseOnReuse => When::Reused,
            Self::None
            | Self::CloseIdle(_)
            | Self::ResetIdle(_)
            | Self::ResetBeforeHeaders
            | Self::CloseBeforeHeaders
            | Self::ResetMidRequest(_)
            | Self::GarbageStatusLine
            | Self::ResetInHead(_)
            | Self::HeadersThenSilence
            | Self::ResetAfter(_)
            | Self::TruncateAfter(_)
            | Self::StallAfter(_)
            | Self::LyingContentLength(_)
            | Self::BadChunk
            | Self::StallBeforeHeaders
            | Self::Status(..)
            | Self::Slice(_)
            | Self::NeverEnds => When::Request,
        }
    }

    /// A stable kebab-case name, for tables and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ResetAtAccept => "reset-at-accept",
            Self::ResetInTls => "reset-in-tls",
            Self::StallInTls => "stall-in-tls",
            Self::CloseIdle(_) => "close-idle",
            Self::ResetIdle(_) => "reset-idle",
            Self::ResetOnReuse => "reset-on-reuse",
            Self::CloseOnReuse => "close-on-reuse",
            Self::ResetBeforeHeaders => "reset-before-headers",
            Self::CloseBeforeHeaders => "close-before-headers",
            Self::ResetMidRequest(_) => "reset-mid-request",
            Self::GarbageStatusLine => "garbage-status-line",
            Self::ResetInHead(_) => "reset-in-head",
            Self::HeadersThenSilence => "headers-then-silence",
            Self::ResetAfter(_) => "reset-after",
            Self::TruncateAfter(_) => "truncate-after",
            Self::StallAfter(_) => "stall-after",
            Self::LyingContentLength(_) => "lying-content-length",
            Self::BadChunk => "bad-chunk",
            Self::StallBeforeHeaders => "stall-before-headers",
            Self::Status(..) => "status",
            Self::Slice(_) => "slice",
            Self::NeverEnds => "never-ends",
        }
    }
}
