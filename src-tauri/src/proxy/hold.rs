//! What of an answer is held back, and for how long: until its first content (U8), or until it is whole (U11).
//!
//! As long as a client has seen nothing of an answer, one that breaks off can be asked for again. Decides nothing about
//! that (`retry`) and sends nothing (`relay`, `hold::later`).

mod buffer;
mod cuts;
mod deferred;

pub(super) use buffer::Buffer;
pub use cuts::Cuts;
pub(super) use deferred::DeferredBody;

use super::{
    attempts::Attempts,
    relay::{Relay, Source},
    retry::Kind as Request,
    sse::{Kind, Scanner},
    upstream::{Connection, Failure, innermost},
};
use crate::{
    config::StreamMode,
    status::{
        activity::Trace,
        traffic::{Cause, Outcome},
    },
};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    response,
};
use hyper::body::{Body as _, Incoming};
use std::{future::poll_fn, time::Duration};
use tokio::time::timeout;

/// How an answer reaches its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Frame by frame, as it comes.
    Stream,
    /// Events, from the first content on.
    UntilFirstContent,
    /// Small and not a stream: when it is there.
    BufferSmall,
    /// Events, when the last one is there.
    BufferStream,
    /// No stream, and the user wants it whole whatever its size.
    BufferBody,
}

impl Delivery {
    /// Chooses from the answer's head.
    pub(super) fn of(attempts: &Attempts, head: &response::Parts, body: &Incoming) -> Self {
        let stream = &attempts.proxy.config.stream;
        if !attempts.can_be_repaired() || !head.status.is_success() || body.is_end_stream() {
            return Self::Stream;
        }
        let inference = attempts.kind == Request::Inference;
        let holds = inference && holds(attempts);
        if is_type(&head.headers, "text/event-stream") {
            // Events in a compressed stream cannot be told apart, nor pings put between them.
            return match inference && !head.headers.contains_key(CONTENT_ENCODING) {
                true if holds => Self::BufferStream,
                true => Self::UntilFirstContent,
                false => Self::Stream,
            };
        }
        let small = match body.size_hint().exact() {
            Some(length) => length <= stream.commit_bytes,
            None => is_type(&head.headers, "application/json") && !attempts.asks_for_a_stream_of_json(),
        };
        match small {
            _ if holds => Self::BufferBody,
            true => Self::BufferSmall,
            false => Self::Stream,
        }
    }

    /// Events, held back for now.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Self::UntilFirstContent | Self::BufferStream)
    }
}

/// A stream of events that can be read as it passes.
pub(super) fn is_plain_event_stream(headers: &HeaderMap) -> bool {
    is_type(headers, "text/event-stream") && !headers.contains_key(CONTENT_ENCODING)
}

/// Whether answers of this upstream are gathered whole now.
pub(super) fn holds(attempts: &Attempts) -> bool {
    let stream = &attempts.proxy.config.stream;
    match stream.mode {
        StreamMode::Pass => false,
        StreamMode::Hold => true,
        StreamMode::Adaptive => attempts.proxy.shared.cuts.are_frequent(&attempts.upstream.origin.endpoint.host, stream),
    }
}

fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(wanted))
}

/// How gathering ended.
#[derive(Debug)]
pub(super) enum Gathered {
    /// It may be passed on from here: content has come, or more than may be held.
    Commit,
    /// It is whole.
    Whole,
    /// It broke off, and its client has seen nothing of it.
    Cut(Failure),
}

/// An answer that is held back.
#[derive(Debug)]
pub(super) struct ResponseBuffer {
    delivery: Delivery,
    source: Source,
    buffer: Buffer,
    scanner: Option<Scanner>,
    /// Bytes that may be held, where that ends the holding; `None`: a file takes what memory does not.
    most: Option<u64>,
    memory: u64,
    total: u64,
    /// Silence after which an answer is given up.
    silence: Duration,
    content: bool,
    trace: Trace,
}

impl ResponseBuffer {
    pub(super) fn new(delivery: Delivery, body: Incoming, connection: Connection, attempts: &Attempts) -> Self {
        let config = &attempts.proxy.config;
        let holds = matches!(delivery, Delivery::BufferStream | Delivery::BufferBody);
        let trace = attempts.ticket.trace().clone();
        trace.held();
        Self {
            trace,
            delivery,
            source: Source::new(body, connection),
            // A window is small and never waits for room.
            buffer: if holds { Buffer::new(attempts.proxy.shared.held.permit()) } else { Buffer::default() },
            scanner: delivery
                .is_stream()
                .then(|| Scanner::new(usize::try_from(config.stream.commit_bytes).unwrap_or(usize::MAX))),
            most: (!holds).then_some(config.stream.commit_bytes),
            memory: config.stream.hold_memory,
            total: config.limits.replay_total_bytes,
            silence: config.stream.stall_alarm,
            content: false,
        }
    }

    /// Gathers until it may be passed on. Dropping the future loses nothing: the next call goes on.
    pub(super) async fn run(&mut self) -> Gathered {
        loop {
            let Ok(frame) = timeout(self.silence, poll_fn(|cx| self.source.poll_frame(cx))).await else {
                // It may still be running, so it is not asked for again (U13).
                let detail = format!("its answer has been silent for {:?}", self.silence);
                return Gathered::Cut(Failure { cause: Cause::ResponseTimeout, detail });
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(_)) if self.has_last() => return Gathered::Whole,
                Some(Err(error)) => return self.cut(innermost(&error)),
                None if self.lacks_its_end() => return self.cut("it ended before its last event".into()),
                None => return Gathered::Whole,
            };
            if let Some(data) = frame.data_ref() {
                self.trace.down(data.len() as u64);
            }
            if let (Some(scanner), Some(data)) = (&mut self.scanner, frame.data_ref()) {
                scanner.feed(data, |kind| self.content |= matches!(kind, Kind::Content | Kind::Last));
            }
            if let Err(why) = self.buffer.push(frame, self.memory, self.total) {
                tracing::warn!("a gathered answer is passed on before it is whole, because its file cannot be written: {why}");
                return Gathered::Commit;
            }
            if self.source.is_end() && !self.lacks_its_end() {
                return Gathered::Whole;
            }
            if self.most.is_some_and(|most| self.buffer.len() > most)
                || (self.delivery == Delivery::UntilFirstContent && self.content)
            {
                return Gathered::Commit;
            }
        }
    }

    fn has_last(&self) -> bool {
        self.scanner.as_ref().is_some_and(Scanner::is_complete)
    }

    /// A stream whose dialect ends with an event of its own, without that event: somebody on the way ended it politely.
    fn lacks_its_end(&self) -> bool {
        self.scanner.as_ref().is_some_and(|s| s.promises_an_end() && !s.is_complete())
    }

    fn cut(&self, detail: String) -> Gathered {
        let cause = if matches!(self.delivery, Delivery::BufferStream | Delivery::BufferBody) {
            Cause::CutWhileHeld
        } else {
            Cause::CutBeforeContent
        };
        Gathered::Cut(Failure { cause, detail })
    }

    /// The body that passes on what is held and then the rest; `whole`: there is no rest.
    pub(super) fn relay(mut self, attempts: Attempts, outcome: Outcome, whole: bool) -> Relay {
        if whole && let Some(connection) = self.source.take_wire() {
            attempts.upstream.origin.put_back(connection); // one that broke off behind its last event is found unusable there
        }
        Relay::after(self.buffer, self.scanner, self.source, attempts, outcome)
    }
}
