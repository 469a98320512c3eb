//! A response on its way to the client: first what was held back of it, then frame by frame as it comes.
//!
//! Holds the upstream connection and drives it. At the clean end it goes back to the pool; dropped earlier (the client
//! left) it closes, which cancels the request upstream at once.

use super::{
    context::RequestContext,
    error::Dialect,
    response_buffer::ResponseBuffer,
    silence::{Due, Silence},
    source::Source,
};
use crate::{
    message::{
        BoxError, Buffer, EventReader,
        coding::{Coded, Decoder},
        sse::{GLIMPSE, Scanner},
    },
    status::faults::{Cause, Outcome},
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// The body of a proxied response.
#[derive(Debug)]
pub(crate) struct Relay {
    context: RequestContext,
    /// Attempts made.
    attempts: u32,
    /// How the request will have ended if the body comes to its end.
    outcome: Outcome,
    /// What was held back, and comes first.
    held: Buffer,
    source: Source,
    /// Nothing comes from the source any more.
    ended: bool,
    /// What the client learns once everything before it has been written.
    broken: Option<BoxError>,
    /// Only for streams of events.
    events: Option<Box<Events>>,
}

/// What is followed of a stream of events.
#[derive(Debug)]
struct Events {
    reader: EventReader,
    silence: Silence,
}

impl Relay {
    /// Forwards a response as it comes, after so many `attempts`. `events`: it is a stream of events, and coded so.
    pub(super) fn new(
        source: Source,
        (context, attempts): (RequestContext, u32),
        outcome: Outcome,
        events: Option<Coded>,
    ) -> Self {
        let decoder = match events {
            None | Some(Coded::Opaque) => return Self::after((Buffer::default(), None, source), (context, attempts), outcome),
            Some(Coded::Plain) => None,
            Some(Coded::As(coding)) => Some(Decoder::new(coding)),
        };
        let reader = EventReader::new(Scanner::new(GLIMPSE), decoder);
        Self::after((Buffer::default(), Some(reader), source), (context, attempts), outcome)
    }

    /// Forwards what was held back, then what is still to come; `whole`: nothing is.
    pub(super) fn buffered(
        buffer: ResponseBuffer,
        (context, attempts): (RequestContext, u32),
        outcome: Outcome,
        whole: bool,
    ) -> Self {
        let (held, events, mut source) = buffer.into_parts();
        if whole && let Some(connection) = source.take_connection() {
            context.upstream.origin.put_back(connection); // one that broke off after its last event is found unusable there
        }
        Self::after((held, events, source), (context, attempts), outcome)
    }

    fn after(
        (held, events, source): (Buffer, Option<EventReader>, Source),
        (context, attempts): (RequestContext, u32),
        outcome: Outcome,
    ) -> Self {
        context.ticket.trace().streams();
        let events = events.map(|mut reader| {
            reader.glance(context.dialect() == Dialect::Gemini);
            // A response that states its length has no room for pings, nor has a compressed one: some clients read one member
            // of it only.
            let stream = &context.exchange.config.stream;
            let room = !reader.is_compressed() && source.size_hint().exact().is_none();
            let ping = Some(stream.ping_after).filter(|_| stream.ping && room);
            Box::new(Events { reader, silence: Silence::new(ping, stream.stall_alarm) })
        });
        let mut relay = Self { context, attempts, outcome, held, source, ended: false, broken: None, events };
        if relay.source.is_end() || !relay.source.is_open() {
            relay.end();
        }
        relay
    }

    /// The response is complete: the connection may serve the next request.
    fn end(&mut self) {
        self.ended = true;
        self.events = None;
        if self.held.is_empty() {
            self.context.ticket.ends_as(self.outcome);
        }
        if let Some(connection) = self.source.take_connection() {
            self.context.upstream.origin.put_back(connection);
        }
    }

    fn cut(&mut self, why: BoxError) {
        self.source.take_connection();
        self.ended = true;
        self.context.ticket.ends_as(Outcome::Cut);
        self.context.ticket.failed_with(Cause::CutMidStream, self.attempts);
        let endpoint = &self.context.upstream.origin.endpoint;
        // A broken download says nothing about streams, which are what buffering is for.
        if self.events.take().is_some() {
            self.context.exchange.shared.cuts.note(&endpoint.host);
        }
        tracing::warn!(origin = %endpoint, "a response was cut after it had begun: {why}");
        self.broken = Some(why);
    }

    /// True when the last event has been forwarded: whatever happens after it, the response is whole (U10).
    fn has_last_event(&self) -> bool {
        self.events.as_ref().is_some_and(|e| e.reader.is_complete())
    }

    /// What follows for a client to read a clean end here, after what broke off; `None` when it would not be one.
    fn clean_ending(&mut self) -> Option<Bytes> {
        let may_end = self.has_last_event() && !self.owes_more();
        self.events.as_mut().filter(|_| may_end)?.reader.ending()
    }

    /// True when the head, which the client has seen, announced more than has come: then no end is a clean one.
    fn owes_more(&self) -> bool {
        self.source.size_hint().exact().is_some_and(|left| left > 0)
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        let Some(events) = &mut self.events else { return Poll::Pending };
        let exchange = &self.context.exchange;
        let between = events.reader.at_boundary();
        let host = &self.context.upstream.origin.endpoint.host;
        events.silence.poll_due(cx, between, &exchange.shared.silent, &exchange.health, host)
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(held) = this.held.pop() {
            if this.ended && this.held.is_empty() {
                this.context.ticket.ends_as(this.outcome);
            }
            return Poll::Ready(Some(held.map_err(BoxError::from)));
        }
        if let Some(broken) = this.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let broken: BoxError = match this.source.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.context.ticket.trace().down(data.len() as u64);
                }
                if let (Some(events), Some(data)) = (&mut this.events, frame.data_ref()) {
                    events.silence.ends();
                    events.reader.feed(data);
                }
                if this.source.is_end() {
                    this.end();
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => match this.clean_ending() {
                Some(ending) => {
                    this.source.take_connection();
                    this.end();
                    return Poll::Ready((!ending.is_empty()).then(|| Ok(Frame::data(ending))));
                }
                None => Box::new(error),
            },
            Poll::Ready(None) => {
                this.end();
                return Poll::Ready(None);
            }
            Poll::Pending => match std::task::ready!(this.poll_silence(cx)) {
                Due::Ping => return Poll::Ready(Some(Ok(Frame::data(this.context.dialect().ping())))),
                Due::End => "the upstream has been silent for too long".into(),
            },
        };
        this.cut(broken);
        // hyper drops what it has not written yet when a body fails: one turn lets it write what did arrive.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.broken.is_none() && (self.ended || self.source.is_end())
    }

    fn size_hint(&self) -> SizeHint {
        if self.held.has_trailers() {
            return SizeHint::default();
        }
        let rest = if self.ended { SizeHint::with_exact(0) } else { self.source.size_hint() };
        let mut all = SizeHint::new();
        all.set_lower(rest.lower().saturating_add(self.held.len()));
        if let Some(upper) = rest.upper() {
            all.set_upper(upper.saturating_add(self.held.len()));
        }
        all
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.source.is_end() {
            self.end();
        } else if self.has_last_event() {
            // SDKs leave at the last event, without waiting for the end of the body.
            self.context.ticket.ends_as(self.outcome);
        }
    }
}
