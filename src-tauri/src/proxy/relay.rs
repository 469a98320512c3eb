//! An answer on its way to the client: first what was held back of it, then frame by frame as it comes.
//!
//! Holds the upstream connection and drives it. At the clean end it goes back to the pool; dropped earlier (the client
//! left) it closes, which cancels the request upstream at once.

mod silence;
mod source;

pub use silence::Silent;
pub(super) use source::Source;

use super::{
    Proxy,
    attempts::Attempts,
    error::Dialect,
    hold::Buffer,
    reply::Broken,
    sse::{GLIMPSE, Scanner},
    upstream::Upstream,
};
use crate::status::traffic::{Cause, Outcome, Ticket};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use silence::{Due, Silence};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The body of a proxied response.
#[derive(Debug)]
pub(super) struct Relay {
    proxy: Arc<Proxy>,
    upstream: Arc<Upstream>,
    ticket: Ticket,
    attempts: u32,
    dialect: Dialect,
    /// How the request will have ended if the body comes to its end.
    outcome: Outcome,
    /// What was held back, and comes first.
    held: Buffer,
    source: Source,
    /// Nothing comes from the source any more.
    ended: bool,
    /// What the client learns once everything before it has been written.
    broken: Option<Broken>,
    /// Only for streams of events.
    events: Option<Box<Events>>,
}

/// What is followed of a stream of events.
#[derive(Debug)]
struct Events {
    scanner: Scanner,
    silence: Silence,
}

impl Relay {
    /// Passes on an answer as it comes. `events`: it is a stream of events, not compressed.
    pub(super) fn new(source: Source, attempts: Attempts, outcome: Outcome, events: bool) -> Self {
        Self::after(Buffer::default(), events.then(|| Scanner::new(GLIMPSE)), source, attempts, outcome)
    }

    /// Passes on what was held back, then what is still to come.
    pub(super) fn after(held: Buffer, scanner: Option<Scanner>, source: Source, attempts: Attempts, outcome: Outcome) -> Self {
        let Attempts { proxy, upstream, ticket, number, dialect, .. } = attempts;
        ticket.trace().streams();
        let events = scanner.map(|mut scanner| {
            scanner.glance(dialect == Dialect::Gemini);
            // An answer that states its length has no room for pings.
            let stream = &proxy.config.stream;
            let ping = Some(stream.ping_after).filter(|_| stream.ping && source.size_hint().exact().is_none());
            Box::new(Events { scanner, silence: Silence::new(ping, stream.stall_alarm) })
        });
        let mut relay = Self {
            proxy,
            upstream,
            ticket,
            attempts: number,
            dialect,
            outcome,
            held,
            source,
            ended: false,
            broken: None,
            events,
        };
        if relay.source.is_end() || !relay.source.is_open() {
            relay.end();
        }
        relay
    }

    /// The answer is complete: the connection may serve the next request.
    fn end(&mut self) {
        self.ended = true;
        self.events = None;
        if self.held.is_empty() {
            self.ticket.ends_as(self.outcome);
        }
        if let Some(connection) = self.source.take_wire() {
            self.upstream.origin.put_back(connection);
        }
    }

    fn cut(&mut self, why: Broken) {
        self.source.take_wire();
        self.ended = true;
        self.ticket.ends_as(Outcome::Cut);
        self.ticket.pass_on(Cause::CutMidStream, self.attempts);
        let endpoint = &self.upstream.origin.endpoint;
        // A broken download says nothing about streams, which are what gathering is for.
        if self.events.take().is_some() {
            self.proxy.shared.cuts.note(&endpoint.host);
        }
        tracing::warn!(origin = %endpoint, "an answer was cut after it had begun: {why}");
        self.broken = Some(why);
    }

    /// True when the last event has been passed on: whatever happens behind it, the answer is whole (U10).
    fn has_last_event(&self) -> bool {
        self.events.as_ref().is_some_and(|e| e.scanner.is_complete())
    }

    /// True when the head, which the client has seen, announced more than has come: then no end is a clean one.
    fn owes_more(&self) -> bool {
        self.source.size_hint().exact().is_some_and(|left| left > 0)
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        let Some(events) = &mut self.events else { return Poll::Pending };
        let shared = &self.proxy.shared;
        let between = events.scanner.at_boundary();
        events.silence.poll_due(cx, between, &shared.silent, &shared.health, &self.upstream.origin.endpoint.host)
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(held) = this.held.pop() {
            if this.ended && this.held.is_empty() {
                this.ticket.ends_as(this.outcome);
            }
            return Poll::Ready(Some(held.map_err(Broken::from)));
        }
        if let Some(broken) = this.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let broken: Broken = match this.source.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.ticket.trace().down(data.len() as u64);
                }
                if let (Some(events), Some(data)) = (&mut this.events, frame.data_ref()) {
                    events.silence.ends();
                    events.scanner.feed(data, |_| {});
                }
                if this.source.is_end() {
                    this.end();
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(_))) if this.has_last_event() && !this.owes_more() => {
                this.source.take_wire();
                this.end();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => Box::new(error),
            Poll::Ready(None) => {
                this.end();
                return Poll::Ready(None);
            }
            Poll::Pending => match std::task::ready!(this.poll_silence(cx)) {
                Due::Ping => return Poll::Ready(Some(Ok(Frame::data(this.dialect.ping())))),
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
            self.ticket.ends_as(self.outcome);
        }
    }
}
