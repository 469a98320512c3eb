//! An answer's body as it comes from the upstream, and the connection that must be driven for it to come.

use crate::proxy::upstream::Wire;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A body and its connection. Dropping it closes the connection, which cancels the request upstream.
#[derive(Debug)]
pub(in crate::proxy) struct Source {
    body: Incoming,
    wire: Option<Wire>,
}

impl Source {
    pub(in crate::proxy) fn new(body: Incoming, wire: Wire) -> Self {
        Self { body, wire: Some(wire) }
    }

    /// The next frame; drives the connection while there is none.
    pub(in crate::proxy) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &mut self.wire {
            Some(wire) if frame.is_pending() => {
                // Driving the connection may have read what the body waits for.
                wire.poll_drive(cx);
                let frame = Pin::new(&mut self.body).poll_frame(cx);
                if frame.is_pending() {
                    wire.bear_gaps();
                }
                frame
            }
            _ => frame,
        }
    }

    /// True when nothing comes any more.
    pub(in crate::proxy) fn is_end(&self) -> bool {
        self.body.is_end_stream()
    }

    /// False once the connection has been taken.
    pub(in crate::proxy) fn is_open(&self) -> bool {
        self.wire.is_some()
    }

    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    /// The connection: to be given back at the body's clean end, to be dropped at any other.
    pub(in crate::proxy) fn take_wire(&mut self) -> Option<Wire> {
        self.wire.take()
    }
}
