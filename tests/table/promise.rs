//! The specification: what a client sees of each fault, by the kind of its request (rows U1-U16). Exhaustive by type.

use super::ask::Ask;
use scripted::{Fault, Mark};

/// What a client sees when a fault strikes once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Promise {
    /// The right answer, one fault of these causes having been retried.
    Repaired(&'static [&'static str]),
    /// The right answer; somebody may have noticed the fault, or nobody.
    Right,
    /// What an agent that asks the upstream itself gets, fault and all: status and body.
    AsSent,
    /// An error of Leeward's: one of these statuses and codes.
    Told(&'static [(u16, &'static str)]),
    /// `Repaired` as long as a part of the request was not out yet, else `Told`.
    InTime(&'static [&'static str], &'static [(u16, &'static str)]),
    /// The response is aborted, so that the client knows.
    Aborted,
    /// Neither an end nor an error: the client's own patience ends it.
    Silence,
}

use Promise::*;

const CUT: &[&str] = &["cut-before-content"];
const RESET: &[(u16, &str)] = &[(502, "reset")];
/// Which of the two it is depends on how much the system's buffers took.
const RESET_OR_UNSENT: &[(u16, &str)] = &[(502, "reset"), (503, "write-failed")];
/// What ends at the agent's own deadline.
pub const TIMEOUT: Promise = Told(&[(504, "response-timeout")]);

/// A fault or a kind without a promise does not compile.
pub fn promise(fault: &Fault, ask: Ask) -> Promise {
    match fault {
        // Responses that are whole; U12 among them. What was to come behind a length that was claimed nobody can know.
        Fault::None | Fault::Slice(_) | Fault::Drip(..) | Fault::Interim(_) | Fault::Status(..) => AsSent,
        Fault::ErrorEvent(_) | Fault::ShortContentLength(_) => AsSent,

        // U1, U2: not reached, so that everything may be sent again. An RST may come before `connect` has returned.
        Fault::ResetAtAccept | Fault::Overflow => Repaired(&["tls", "connect"]),
        Fault::ResetInTls | Fault::CloseInTls | Fault::StallInTls => Repaired(&["tls"]),
        Fault::ResetHelloOver(_) | Fault::ResetInServerHello(_) | Fault::StallInServerHello(_) => Repaired(&["tls"]),

        // U4: the request after it is struck; the pool may have noticed by itself.
        Fault::CloseIdle(_) | Fault::ResetIdle(_) => Right,

        // U5: a request that was cut short cannot have been processed.
        Fault::ResetMidRequest(_) | Fault::CloseMidRequest(_) | Fault::StallMidRequest(_) if ask == Ask::Get => match fault {
            // Without a body it has been read whole.
            Fault::StallMidRequest(_) => TIMEOUT,
            _ => Repaired(&["fresh-reset"]),
        },
        Fault::ResetMidRequest(_) if ask.is_held() => Repaired(&["write-failed"]),
        Fault::CloseMidRequest(_) if ask.may_run_twice() => Repaired(&["write-failed", "fresh-reset"]),
        Fault::CloseMidRequest(_) if ask.is_held() => InTime(&["write-failed"], RESET),
        Fault::ResetMidRequest(_) | Fault::CloseMidRequest(_) => Told(RESET_OR_UNSENT),
        Fault::StallMidRequest(_) if ask.is_held() => Repaired(&["write-stalled"]),
        Fault::StallMidRequest(_) => Told(&[(503, "write-stalled")]),

        // U6: very probably not processed.
        Fault::ResetOnReuse | Fault::CloseOnReuse if ask.may_repeat() => Repaired(&["reused-reset"]),
        Fault::ResetOnNextByte | Fault::CloseOnNextByte if ask.may_repeat() => Repaired(&["reused-reset"]),
        Fault::ResetOnReuse | Fault::CloseOnReuse => Told(RESET),
        Fault::ResetOnNextByte | Fault::CloseOnNextByte => Told(RESET_OR_UNSENT),

        // U7: nobody knows.
        Fault::ResetBeforeHeaders | Fault::CloseBeforeHeaders if ask.may_run_twice() => Repaired(&["fresh-reset"]),
        Fault::ResetBeforeHeaders | Fault::CloseBeforeHeaders => Told(RESET),

        // What came instead of a response has shown nobody anything; a head that is too large will be so the next time.
        Fault::GarbageStatusLine if ask.may_repeat() => Repaired(&["not-http"]),
        Fault::GarbageStatusLine | Fault::HugeHead(_) => Told(&[(502, "bad-response")]),

        // U8: a head that never was complete has shown nobody anything.
        Fault::ResetInHead(_) | Fault::CloseInHead(_) if ask.may_repeat() => Repaired(CUT),
        Fault::ResetInHead(_) | Fault::CloseInHead(_) => Told(&[(502, "cut")]),

        // U8, U9, U10.
        Fault::ResetAfter(mark) | Fault::TruncateAfter(mark) => cut(*mark, ask, false),
        Fault::BadChunk(mark) => cut(*mark, ask, true),
        // An event has shown something by then; a response in one piece has not.
        Fault::LyingContentLength(_) if !ask.is_stream() && ask.may_repeat() => Repaired(CUT),
        Fault::LyingContentLength(_) => Aborted,

        // U13: it may be running.
        Fault::StallBeforeHeaders | Fault::StallInHead(_) => TIMEOUT,

        // U14
        Fault::StallAfter(mark) if matches!(cut(*mark, ask, false), Right) && !ask.is_stream() => AsSent,
        Fault::HeadersThenSilence | Fault::StallAfter(_) | Fault::NeverEnds => Silence,
    }
}

/// A response that breaks off; `chunked`: within its framing, so that one of known length is chunked as well.
fn cut(mark: Mark, ask: Ask, chunked: bool) -> Promise {
    let (whole, content) = match mark {
        Mark::End => (ask.is_stream() || !chunked, true),
        Mark::Events(events) if ask.is_stream() => (false, events > ask.preamble()),
        Mark::Events(events) => (events > 0 && !chunked, events > 0),
        // The table has only marks within the first event.
        Mark::Bytes(_) => (false, false),
    };
    match (whole, ask.is_stream() && content) {
        // U10: after the last event a stream is whole, and behind its length anything is.
        (true, _) => Right,
        (false, false) if ask.may_repeat() => Repaired(CUT),
        // U9
        (false, _) => Aborted,
    }
}
