//! The body of a response to a proxied request: Leeward's own words, or what an upstream sends.

use super::{deferred::DeferredBody, relay::Relay, switched::Switched};
use crate::message::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A response's body.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// In memory.
    Full(Option<Bytes>),
    /// From the upstream.
    Relay(Box<Relay>),
    /// From the upstream, once it is let go.
    Deferred(Box<DeferredBody>),
    /// None: whoever has the client's connection takes it from here.
    Switched(Box<Switched>),
}

impl From<Bytes> for ResponseBody {
    fn from(text: Bytes) -> Self {
        Self::Full(Some(text))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Relay(relay) => Pin::new(relay.as_mut()).poll_frame(cx),
            Self::Deferred(deferred) => Pin::new(deferred.as_mut()).poll_frame(cx),
            Self::Switched(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Relay(relay) => relay.is_end_stream(),
            Self::Deferred(deferred) => deferred.is_end_stream(),
            Self::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Relay(relay) => relay.size_hint(),
            Self::Deferred(deferred) => deferred.size_hint(),
            Self::Switched(_) => SizeHint::with_exact(0),
        }
    }
}
