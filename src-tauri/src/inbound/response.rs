//! The body of any response to a client, and the mark that its connection is busy until it is out. Decides nothing.

use super::connection_state::InFlightGuard;
use crate::{
    exchange::{self, Switched},
    message::BoxError,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A response's body.
#[derive(Debug)]
pub(super) enum ResponseBody {
    /// Of one of Leeward's own paths.
    Own(axum::body::Body),
    /// Of a request to an upstream.
    Exchange(exchange::ResponseBody),
}

impl ResponseBody {
    /// Takes out what the response switches to, where it does; what is left is empty.
    pub(super) fn take_switched(&mut self) -> Option<Box<Switched>> {
        let Self::Exchange(body) = self else { return None };
        match std::mem::replace(body, Bytes::new().into()) {
            exchange::ResponseBody::Switched(switched) => Some(switched),
            other => {
                *body = other;
                None
            }
        }
    }
}

impl From<axum::body::Body> for ResponseBody {
    fn from(body: axum::body::Body) -> Self {
        Self::Own(body)
    }
}

impl From<exchange::ResponseBody> for ResponseBody {
    fn from(body: exchange::ResponseBody) -> Self {
        Self::Exchange(body)
    }
}

impl From<Bytes> for ResponseBody {
    fn from(text: Bytes) -> Self {
        Self::Exchange(text.into())
    }
}

/// A body that keeps its connection marked busy.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: ResponseBody,
    pub(super) _busy: InFlightGuard,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.body {
            ResponseBody::Own(body) => Pin::new(body).poll_frame(cx).map_err(BoxError::from),
            ResponseBody::Exchange(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            ResponseBody::Own(body) => body.is_end_stream(),
            ResponseBody::Exchange(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            ResponseBody::Own(body) => body.size_hint(),
            ResponseBody::Exchange(body) => body.size_hint(),
        }
    }
}
