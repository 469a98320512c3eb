//! Response bodies: Leeward's own words, an upstream's answer passed through, or what an own path answers.

use super::{hold::DeferredBody, relay::Relay, said::ConnectionState};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    task::{Context, Poll},
};

/// What a body can fail with; hyper then aborts the client's connection, which is what the client must see.
pub(super) type Broken = Box<dyn std::error::Error + Send + Sync>;

/// A response's body.
#[derive(Debug)]
pub(super) enum Reply {
    /// In memory.
    Full(Option<Bytes>),
    /// From the upstream.
    Relay(Box<Relay>),
    /// From the upstream, once it is let go.
    DeferredBody(Box<DeferredBody>),
    /// From one of Leeward's own paths.
    Own(axum::body::Body),
}

impl Reply {
    pub(super) fn full(text: impl Into<Bytes>) -> Self {
        Self::Full(Some(text.into()))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Relay(relay) => Pin::new(relay.as_mut()).poll_frame(cx),
            Self::DeferredBody(deferred) => Pin::new(deferred.as_mut()).poll_frame(cx),
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(Broken::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Relay(relay) => relay.is_end_stream(),
            Self::DeferredBody(deferred) => deferred.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Relay(relay) => relay.size_hint(),
            Self::DeferredBody(_) => SizeHint::default(),
            Self::Own(body) => body.size_hint(),
        }
    }
}

/// Marks a client's connection busy until its response is out or dropped.
#[derive(Debug)]
pub(super) struct InFlightGuard(Arc<ConnectionState>);

impl InFlightGuard {
    pub(super) fn new(said: &Arc<ConnectionState>) -> Self {
        said.begin();
        Self(said.clone())
    }

    /// The client wants the connection closed behind this answer.
    pub(super) fn client_closes(&self) {
        self.0.client_closes.store(true, Relaxed);
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.busy.store(false, SeqCst);
        self.0.next.wake();
    }
}

/// A reply that keeps its connection marked busy.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) _busy: InFlightGuard,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.reply).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}
