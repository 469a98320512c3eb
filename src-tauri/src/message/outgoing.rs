//! Request bodies on their way out: a held one as often as asked, a streamed one once. Reads nothing before it is wanted.

use super::{
    client_fault::{ClientFault, ReadError},
    room::Permit,
    uploads::Turn,
};
use crate::telemetry::Trace;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// What a body can fail with; hyper then aborts the client's connection, which is what the client must see.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body in memory, in the pieces in which it came.
pub(crate) struct Held {
    pub(super) chunks: Vec<Bytes>,
    pub(super) len: u64,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) _permit: Permit,
}

/// A body that is not kept: what has been read, and the rest.
pub(crate) struct Streamed {
    pub(super) prefix: VecDeque<Bytes>,
    /// The room that the prefix takes.
    pub(super) permit: Permit,
    pub(super) trailers: Option<HeaderMap>,
    /// None when all of it has been read.
    pub(super) rest: Option<Incoming>,
    /// Bytes that `rest` may still bring.
    pub(super) left: u64,
    pub(super) turn: Option<Turn>,
    pub(super) fault: ClientFault,
    pub(super) trace: Trace,
}

/// Sizes only: a body never shows.
impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The same.
impl std::fmt::Debug for Streamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Held {
    /// Its length; the framing of the request that carries it.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// True when it must be sent in chunks, because trailers follow.
    pub(crate) fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }
}

impl Streamed {
    /// The next of it that its client sends.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let frame = match Pin::new(rest).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(e))) => return Poll::Ready(Some(Err(self.fault.set(ReadError::of(&e))))),
            Poll::Ready(None) => {
                (self.rest, self.turn) = (None, None);
                return Poll::Ready(None);
            }
            Poll::Pending => {
                return match self.turn.as_mut().map(|turn| turn.poll_gives_way(cx)) {
                    Some(Poll::Ready(())) => Poll::Ready(Some(Err(self.fault.set(ReadError::GaveWay)))),
                    Some(Poll::Pending) | None => Poll::Pending,
                };
            }
        };
        let bytes = frame.data_ref().map_or(0, |d| d.len() as u64);
        self.trace.up(bytes);
        if let Some(turn) = &mut self.turn {
            turn.brought(bytes);
        }
        Poll::Ready(Some(match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(frame)
            }
            None => Err(self.fault.set(ReadError::TooLarge)),
        }))
    }
}

/// A body on its way out.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// One of possibly several readings of a held body.
    Held { held: Arc<Held>, next: usize, left: u64, trailers_sent: bool },
    /// The only reading of a streamed one.
    Stream(Box<Streamed>),
}

impl Outgoing {
    /// Of a request without a body.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        let room = super::room::HeldBytes::default();
        Self::of(&Arc::new(Held { chunks: Vec::new(), len: 0, trailers: None, _permit: room.permit() }))
    }

    /// A new reading from the first byte.
    pub(super) fn of(held: &Arc<Held>) -> Self {
        Self::Held { held: held.clone(), next: 0, left: held.len, trailers_sent: false }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Held { held, next, left, trailers_sent } => {
                if let Some(chunk) = held.chunks.get(*next) {
                    *next += 1;
                    *left -= chunk.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
                }
                match &held.trailers {
                    Some(trailers) if !*trailers_sent => {
                        *trailers_sent = true;
                        Poll::Ready(Some(Ok(Frame::trailers(trailers.clone()))))
                    }
                    _ => Poll::Ready(None),
                }
            }
            Self::Stream(streamed) => {
                if let Some(chunk) = streamed.prefix.pop_front() {
                    streamed.permit.shrink(chunk.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                match streamed.trailers.take() {
                    Some(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                    None => streamed.poll_rest(cx),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Held { held, next, trailers_sent, .. } => {
                *next == held.chunks.len() && (held.trailers.is_none() || *trailers_sent)
            }
            Self::Stream(streamed) => {
                let Streamed { prefix, trailers, rest, .. } = &**streamed;
                prefix.is_empty() && trailers.is_none() && rest.as_ref().is_none_or(Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held { left, .. } => SizeHint::with_exact(*left),
            Self::Stream(streamed) => {
                let Streamed { prefix, trailers, rest, .. } = &**streamed;
                let before: u64 = prefix.iter().map(|c| c.len() as u64).sum();
                match rest {
                    _ if trailers.is_some() => SizeHint::default(), // they follow chunks only
                    Some(rest) => rest.size_hint().exact().map_or_else(SizeHint::default, |n| SizeHint::with_exact(n + before)),
                    None => SizeHint::with_exact(before),
                }
            }
        }
    }
}
