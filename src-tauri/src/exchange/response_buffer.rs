//! What of a response is held back, and for how long: until its first content (U8), or until it is whole (U11).
//!
//! As long as a client has seen nothing of a response, one that breaks off can be asked for again. Decides nothing about
//! that (`retry`) and sends nothing (`relay`, `deferred`).

use super::{
    context::RequestContext,
    delivery::{Delivery, Facts},
    source::Source,
};
use crate::{
    message::{
        Buffer, EventReader, Failure, Limits,
        coding::Decoder,
        innermost,
        sse::{Kind, Scanner},
    },
    status::faults::Cause,
    telemetry::Trace,
};
use std::{future::poll_fn, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How buffering ended.
#[derive(Debug)]
pub(super) enum Buffered {
    /// It may be forwarded from here: content has come, or more than may be held.
    Commit,
    /// It is whole.
    Whole,
    /// It broke off, and its client has seen nothing of it.
    Cut(Failure),
}

/// A response that is held back.
#[derive(Debug)]
pub(super) struct ResponseBuffer {
    delivery: Delivery,
    source: Source,
    buffer: Buffer,
    scanner: Option<Scanner>,
    /// Of a compressed response.
    decoder: Option<Decoder>,
    /// Bytes that may be held, where that ends the holding; `None`: a file takes what memory does not.
    most: Option<u64>,
    limits: Limits,
    /// When a response that is buffered whole is forwarded as it is.
    until: Option<Instant>,
    /// Silence after which a response is given up.
    silence: Duration,
    content: bool,
    /// Until the first byte is there that says what it is.
    unknown: Option<Facts>,
    commit_bytes: u64,
    trace: Trace,
}

fn scanner(commit_bytes: u64) -> Scanner {
    Scanner::new(usize::try_from(commit_bytes).unwrap_or(usize::MAX))
}

const TOO_LONG: &str = "it takes longer than stream.hold_time";

impl ResponseBuffer {
    /// `facts`: its first byte may show that it is something else. `decoder`: it is compressed, and this shows what it says.
    pub(super) fn new(
        delivery: Delivery,
        source: Source,
        context: &RequestContext,
        facts: Option<Facts>,
        decoder: Option<Decoder>,
    ) -> Self {
        let config = &context.exchange.config;
        let (holds, shared) = (delivery.waits_for_the_end(), &context.exchange.shared);
        let trace = context.ticket.trace().clone();
        trace.held();
        Self {
            trace,
            delivery,
            source,
            // A window is small and never waits for room.
            buffer: if holds { Buffer::new(shared.held.permit(), shared.on_disk.permit()) } else { Buffer::default() },
            scanner: delivery.is_stream().then(|| scanner(config.stream.commit_bytes)),
            decoder,
            most: (!holds).then_some(config.stream.commit_bytes),
            limits: Limits {
                memory: config.stream.hold_memory,
                memory_total: config.limits.replay_total_bytes,
                disk_total: config.stream.hold_disk,
            },
            until: holds.then(|| Instant::now() + config.stream.hold_time),
            silence: config.stream.stall_alarm,
            content: false,
            unknown: facts.filter(|_| !delivery.is_stream()),
            commit_bytes: config.stream.commit_bytes,
        }
    }

    /// Looks what it is, once anything of it is there, and at its events.
    fn look(&mut self, data: &[u8]) {
        let Self { delivery, scanner: events, decoder, content, unknown, commit_bytes, .. } = self;
        let mut read = |text: &[u8]| {
            if let Some(first) = text.iter().find(|byte| !byte.is_ascii_whitespace())
                && let Some(facts) = unknown.take()
            {
                *delivery = delivery.known_by(*first, facts);
                *events = delivery.is_stream().then(|| scanner(*commit_bytes));
            }
            if let Some(events) = events {
                events.feed(text, |kind| *content |= matches!(kind, Kind::Content | Kind::Last));
            }
        };
        match decoder {
            Some(decoder) => decoder.feed(data, read),
            None => read(data),
        }
        let is_seen = self.unknown.is_some() || self.scanner.is_some();
        if self.decoder.as_ref().is_some_and(Decoder::is_lost) && is_seen {
            self.unknown = None;
            if !matches!(self.delivery, Delivery::BufferSmall | Delivery::BufferBody) {
                // Nothing says any more what it is held back for.
                self.delivery = Delivery::Stream;
            }
        } else if !is_seen {
            self.decoder = None;
        }
    }

    /// Buffers until it may be forwarded. Dropping the future loses nothing: the next call goes on.
    pub(super) async fn run(&mut self) -> Buffered {
        loop {
            let silent = Instant::now() + self.silence;
            let limit = self.until.map_or(silent, |until| until.min(silent));
            let Ok(frame) = timeout_at(limit, poll_fn(|cx| self.source.poll_frame(cx))).await else {
                if self.is_late() {
                    return self.commit(TOO_LONG);
                }
                // It may still be running, so it is not asked for again (U13).
                let detail = format!("its response has been silent for {:?}", self.silence);
                return Buffered::Cut(Failure::new(Cause::ResponseTimeout, detail));
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(_)) if self.has_last() => return Buffered::Whole,
                Some(Err(error)) => return self.cut(innermost(&error)),
                None if self.lacks_its_end() => return self.cut("it ended before its last event".into()),
                None => return Buffered::Whole,
            };
            if let Some(data) = frame.data_ref() {
                self.trace.down(data.len() as u64);
            }
            if let (Some(data), true) = (frame.data_ref(), self.unknown.is_some() || self.scanner.is_some()) {
                self.look(data);
            }
            if let Err(why) = self.buffer.push(frame, self.limits) {
                return self.commit(&format!("its file cannot be written: {why}"));
            }
            if self.source.is_end() && !self.lacks_its_end() {
                return Buffered::Whole;
            }
            if self.most.is_some_and(|most| self.buffer.len() > most)
                || (self.delivery == Delivery::UntilFirstContent && self.content)
                || self.delivery == Delivery::Stream
            {
                return Buffered::Commit;
            }
            // Also where one frame follows the other without a pause.
            if self.is_late() {
                return self.commit(TOO_LONG);
            }
        }
    }

    /// What it is held back for.
    pub(super) fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// True when it has been buffered for as long as may be.
    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// What was to be buffered whole is let go.
    fn commit(&self, why: &str) -> Buffered {
        tracing::warn!("a buffered response is passed on before it is whole: {why}");
        Buffered::Commit
    }

    /// In a compressed one its last event is content, and lets it go.
    fn has_last(&self) -> bool {
        self.scanner.as_ref().is_some_and(Scanner::is_complete) && !self.is_compressed()
    }

    /// A stream whose dialect ends with an event of its own, without that event: somebody on the way ended it politely. So
    /// did they with a compressed one that stands in the middle of its coding before anything of it could be shown.
    fn lacks_its_end(&self) -> bool {
        let is_open = !self.content && self.decoder.as_ref().is_some_and(Decoder::is_open);
        self.scanner.as_ref().is_some_and(|s| !s.is_complete() && (is_open || s.promises_an_end()))
    }

    /// True of a stream that takes no pings, because it is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.decoder.is_some()
    }

    fn cut(&self, detail: String) -> Buffered {
        let cause = if self.delivery.waits_for_the_end() { Cause::CutWhileBuffered } else { Cause::CutBeforeContent };
        Buffered::Cut(Failure::new(cause, detail))
    }

    /// Its parts, for whoever passes them on: what is held, what has been read of its events, and the rest.
    pub(super) fn into_parts(self) -> (Buffer, Option<EventReader>, Source) {
        let events = self.scanner.map(|scanner| EventReader::new(scanner, self.decoder));
        (self.buffer, events, self.source)
    }
}
