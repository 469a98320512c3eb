//! The vocabulary of misbehaviour: what a scripted upstream can do to a connection, a request or a response.
//!
//! Names only. `connection.rs` acts them out in an exhaustive `match`, so a fault that nothing acts out does not compile.

use std::time::Duration;

/// A point in a response, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// This many bytes of the body (its content, without chunk framing); 0 is right after the headers.
    Bytes(u64),
    /// This many pieces of the body: for a stream its events, else the whole body is one piece.
    Events(u64),
    /// After the last byte of the body; in a chunked one before its last chunk.
    End,
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

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident $(($($field:ty),+))? = $when:ident $text:literal,)*) => {
        /// What the upstream does wrong.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Fault { $($(#[$doc])* $name $(($($field),+))?,)* }

        impl Fault {
            /// The names of all of them.
            pub const NAMES: &'static [&'static str] = &[$($text,)*];

            /// When it can strike.
            pub fn when(&self) -> When {
                match self { $(Self::$name { .. } => When::$when,)* }
            }

            /// A stable kebab-case name, for tables and logs.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => $text,)* }
            }
        }
    };
}

faults! {
    /// Nothing; the response is given as it should be.
    #[default]
    None = Request "none",

    // While a connection is made.

    /// RST at once after the TCP connection is made: no byte is read. A live listener cannot refuse any earlier.
    ResetAtAccept = Connecting "reset-at-accept",
    /// The same because too many wait to be accepted; an upstream with a `Queue` does it on its own.
    Overflow = Connecting "overflow",
    /// RST after the first bytes of the `ClientHello` have come (on a plain upstream: of the request).
    ResetInTls = Connecting "reset-in-tls",
    /// The same with FIN.
    CloseInTls = Connecting "close-in-tls",
    /// The `ClientHello` is read and nothing ever answered (on a plain upstream: the request).
    StallInTls = Connecting "stall-in-tls",
    /// RST when the `ClientHello` is longer than this many bytes, as a box on the way does that knows no post-quantum key
    /// share. A shorter one, and a plain connection, are served.
    ResetHelloOver(u16) = Connecting "reset-hello-over",
    /// RST after this many bytes of the TLS response to the `ClientHello` (on a plain upstream as `ResetInTls`).
    ResetInServerHello(usize) = Connecting "reset-in-server-hello",
    /// Silence after this many bytes of that response (on a plain upstream as `StallInTls`).
    StallInServerHello(usize) = Connecting "stall-in-server-hello",

    // Between two requests of a connection.

    /// The request is read whole and answered; the kept-alive connection is closed (FIN) after idling this long.
    CloseIdle(Duration) = Request "close-idle",
    /// As `CloseIdle`, but with RST.
    ResetIdle(Duration) = Request "reset-idle",
    /// The request is answered; FIN at the first byte of the next one, the rest of which is still read.
    CloseOnNextByte = Request "close-on-next-byte",
    /// The request is answered; RST at the first byte of the next one.
    ResetOnNextByte = Request "reset-on-next-byte",

    // Before any byte of the response.

    /// A request on a reused connection is read whole, then RST with no response byte.
    ResetOnReuse = Reused "reset-on-reuse",
    /// A request on a reused connection is read whole, then FIN with no response byte.
    CloseOnReuse = Reused "close-on-reuse",
    /// A request (also the first of its connection) is read whole, then RST with no response byte.
    ResetBeforeHeaders = Request "reset-before-headers",
    /// A request is read whole, then FIN with no response byte.
    CloseBeforeHeaders = Request "close-before-headers",
    /// The request is read whole and nothing ever answered.
    StallBeforeHeaders = Request "stall-before-headers",
    /// RST after this many bytes of the request body; without a body, right after the head.
    ResetMidRequest(u64) = Request "reset-mid-request",
    /// FIN at that point, while the rest of the request is still read: a connection closed in one direction only.
    CloseMidRequest(u64) = Request "close-mid-request",
    /// From that point on nothing more is read, and nothing answered, until the upstream ends.
    StallMidRequest(u64) = Request "stall-mid-request",

    // In the head of the response.

    /// A line that is no HTTP status line, then FIN.
    GarbageStatusLine = Request "garbage-status-line",
    /// The right response, its head blown up by a field of this many bytes.
    HugeHead(usize) = Request "huge-head",
    /// The right response after this many `103 Early Hints`.
    Interim(usize) = Request "interim",
    /// RST after this many bytes of the response head.
    ResetInHead(usize) = Request "reset-in-head",
    /// FIN after this many bytes of the response head.
    CloseInHead(usize) = Request "close-in-head",
    /// Silence after this many bytes of the response head.
    StallInHead(usize) = Request "stall-in-head",
    /// The response head, then silence.
    HeadersThenSilence = Request "headers-then-silence",

    // In the body of the response.

    /// RST at this point of the response. What comes before it is one write, or the RST would overtake some of it.
    ResetAfter(Mark) = Request "reset-after",
    /// FIN at this point of the response, which is left incomplete; what the client still sends is read.
    TruncateAfter(Mark) = Request "truncate-after",
    /// Silence from this point of the response on; the connection stays open.
    StallAfter(Mark) = Request "stall-after",
    /// `content-length` says this many bytes more than are sent before the FIN.
    LyingContentLength(u64) = Request "lying-content-length",
    /// `content-length` says this many bytes less than are sent; the connection stays open.
    ShortContentLength(u64) = Request "short-content-length",
    /// A chunk size that is no number, at this point of the body.
    BadChunk(Mark) = Request "bad-chunk",
    /// Of a stream this many events, then an error in the dialect of the request's path, and the end. Other responses are right.
    ErrorEvent(usize) = Request "error-event",
    /// The right headers of a stream, then `ping` events for ever.
    NeverEnds = Request "never-ends",

    // Responses that are whole.

    /// This status with an error body in the dialect of the request's path, and these headers.
    Status(u16, Vec<(String, String)>) = Request "status",
    /// The right response, written this many bytes at a time.
    Slice(usize) = Request "slice",
    /// The same with a pause before each.
    Drip(usize, Duration) = Request "drip",
}
