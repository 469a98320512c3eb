//! A response's body as it comes from the upstream, and the connection that must be driven for it to come.

use crate::upstream::Connection;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A body and its connection. Dropping it closes the connection, which cancels the request upstream.
#[derive(Debug)]
pub(super) struct Source {
    body: Incoming,
    connection: Option<Connection>,
}

impl Source {
    pub(super) fn new(body: Incoming, connection: Connection) -> Self {
        Self { body, connection: Some(connection) }
    }

    /// The next frame; drives the connection while there is none.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &mut self.connection {
            Some(connection) if frame.is_pending() => {
                // Driving the connection may have read what the body waits for.
                connection.poll_drive(cx);
                let frame = Pin::new(&mut self.body).poll_frame(cx);
                if frame.is_pending() {
                    connection.disable_user_timeout();
                }
                frame
            }
            _ => frame,
        }
    }

    /// True when nothing comes any more.
    pub(super) fn is_end(&self) -> bool {
        self.body.is_end_stream()
    }

    /// False once the connection has been taken.
    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    /// The connection: to be given back at the body's clean end, to be dropped at any other.
    pub(super) fn take_connection(&mut self) -> Option<Connection> {
        self.connection.take()
    }
}
