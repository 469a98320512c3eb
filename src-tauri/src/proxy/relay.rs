//! An upstream's answer on its way to the client: passed frame by frame, never gathered, never looked into.
//!
//! Holds the upstream connection and drives it. At the clean end it goes back to the pool; dropped earlier (the client
//! left) it closes, which cancels the request upstream at once.

use super::{
    reply::Broken,
    upstream::{Origin, Wire},
};
use crate::status::traffic::{Cause, Outcome, Ticket};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The body of a proxied response.
#[derive(Debug)]
pub(super) struct Relay {
    body: Incoming,
    wire: Option<Wire>,
    origin: Arc<Origin>,
    attempts: u32,
    ticket: Ticket,
    /// How the request will have ended if the body comes to its end.
    outcome: Outcome,
    /// What the client learns once everything before it has been written.
    broken: Option<Broken>,
}

impl Relay {
    pub(super) fn new(body: Incoming, wire: Wire, origin: Arc<Origin>, attempts: u32, ticket: Ticket, outcome: Outcome) -> Self {
        let mut relay = Self { body, wire: Some(wire), origin, attempts, ticket, outcome, broken: None };
        if relay.body.is_end_stream() {
            relay.end();
        }
        relay
    }

    /// The answer is complete: the connection may serve the next request.
    fn end(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.ticket.ends_as(self.outcome);
            self.origin.put_back(wire);
        }
    }

    fn cut(&mut self, error: hyper::Error) -> Broken {
        self.wire = None;
        self.ticket.ends_as(Outcome::Cut);
        self.ticket.pass_on(Cause::CutMidStream, self.attempts);
        tracing::warn!(origin = %self.origin.place, "an answer was cut after it had begun: {error}");
        Box::new(error)
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(broken) = this.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        let mut frame = Pin::new(&mut this.body).poll_frame(cx);
        if frame.is_pending()
            && let Some(wire) = &mut this.wire
        {
            // Driving the connection may have read what the body waits for.
            wire.poll_drive(cx);
            frame = Pin::new(&mut this.body).poll_frame(cx);
        }
        match std::task::ready!(frame) {
            Some(Ok(frame)) => {
                if this.body.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                // hyper drops what it has not written yet when a body fails: one turn lets it write what did arrive.
                this.broken = Some(this.cut(error));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                this.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }
}
