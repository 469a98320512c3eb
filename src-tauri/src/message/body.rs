//! Request bodies: read whole where they can be replayed, streamed where not, and handed out again without a copy.

use crate::telemetry::Trace;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

/// What a body can fail with; hyper then aborts the client's connection, which is what the client must see.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that all requests together hold for replay.
#[derive(Clone, Debug, Default)]
pub struct HeldBytes(Arc<AtomicU64>);

impl HeldBytes {
    /// Room for nothing yet.
    pub(crate) fn permit(&self) -> Permit {
        Permit { held: self.clone(), bytes: 0 }
    }

    /// Bytes held now.
    pub fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Gives back what it took when it goes.
#[derive(Debug)]
pub(crate) struct Permit {
    held: HeldBytes,
    bytes: u64,
}

impl Permit {
    /// Takes room for more bytes, if all permits together stay within the limit.
    pub(crate) fn grow(&mut self, by: u64, limit: u64) -> bool {
        let fits = |now: u64| now.checked_add(by).filter(|sum| *sum <= limit);
        let grown = self.held.0.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if grown {
            self.bytes += by;
        }
        grown
    }

    /// Gives some of it back early.
    pub(crate) fn shrink(&mut self, by: u64) {
        let by = by.min(self.bytes);
        self.bytes -= by;
        self.held.0.fetch_sub(by, Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Relaxed);
    }
}

/// A request's body before it is sent.
#[derive(Debug)]
pub(crate) enum Payload {
    /// In memory, for as many attempts as it takes.
    Held(Arc<Held>),
    /// Too large for that: what has been read, and the rest.
    Stream(Streamed),
    /// A streamed one that has been handed out.
    Spent,
}

/// A body too large for memory: what has been read, and the rest.
pub(crate) struct Streamed {
    prefix: VecDeque<Bytes>,
    rest: Incoming,
    /// Bytes that `rest` may still bring.
    left: u64,
    fault: ClientFault,
    trace: Trace,
}

/// What went wrong on the client's side while its body was streamed: set by the body, asked by whoever sends it, so that
/// the API is not blamed.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientFault(Arc<Mutex<Option<ReadError>>>);

impl ClientFault {
    /// What it was, once.
    pub(crate) fn take(&self) -> Option<ReadError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, why: ReadError) -> BoxError {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        "the agent's body did not arrive whole".into()
    }
}

/// A body in memory, in the pieces in which it came.
pub(crate) struct Held {
    chunks: Vec<Bytes>,
    len: u64,
    trailers: Option<HeaderMap>,
    _permit: Permit,
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

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// Over `limits.body_bytes`.
    TooLarge,
    /// The client stopped sending, or sent broken chunks.
    Client(String),
}

/// Caps for reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    pub(crate) body: u64,
    pub(crate) replay_body: u64,
    pub(crate) replay_total: u64,
}

/// Many tiny pieces are joined, so that bookkeeping never outweighs the bytes.
const MAX_CHUNKS: usize = 4096;

/// Reads a body whole if it fits, else as far as it fitted.
pub(crate) async fn read(mut body: Incoming, held: &HeldBytes, caps: Caps, trace: &Trace) -> Result<Payload, ReadError> {
    let mut permit = held.permit();
    let (mut chunks, mut len, mut trailers) = (Vec::new(), 0u64, None);
    if body.is_end_stream() {
        return Ok(Payload::Held(Arc::new(Held { chunks, len, trailers, _permit: permit })));
    }
    if body.size_hint().exact().is_some_and(|n| n > caps.replay_body || !permit.grow(n, caps.replay_total)) {
        return Ok(Payload::stream(Vec::new(), body, caps.body, trace));
    }
    let reserved = permit.bytes;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| ReadError::Client(e.to_string()))?;
        match frame.into_data() {
            Ok(data) => {
                len += data.len() as u64;
                trace.up(data.len() as u64);
                if len > caps.body {
                    return Err(ReadError::TooLarge);
                }
                let fits = len <= caps.replay_body && (len <= reserved || permit.grow(data.len() as u64, caps.replay_total));
                chunks.push(data);
                if !fits {
                    return Ok(Payload::stream(chunks, body, caps.body - len, trace));
                }
                if chunks.len() >= MAX_CHUNKS {
                    chunks = vec![join(&chunks)];
                }
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(Payload::Held(Arc::new(Held { chunks, len, trailers, _permit: permit })))
}

fn join(chunks: &[Bytes]) -> Bytes {
    let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    chunks.iter().for_each(|c| all.extend_from_slice(c));
    all.freeze()
}

impl Payload {
    fn stream(read: Vec<Bytes>, rest: Incoming, left: u64, trace: &Trace) -> Self {
        Self::Stream(Streamed { prefix: read.into(), rest, left, fault: ClientFault::default(), trace: trace.clone() })
    }

    /// The pieces that have been read and not been sent.
    pub(crate) fn read_so_far(&self) -> impl Iterator<Item = &Bytes> + Clone {
        let (held, streamed) = match self {
            Self::Held(held) => (Some(&held.chunks), None),
            Self::Stream(streamed) => (None, Some(&streamed.prefix)),
            Self::Spent => (None, None),
        };
        held.into_iter().flatten().chain(streamed.into_iter().flatten())
    }

    /// Where a streamed body will tell of its client's faults.
    pub(crate) fn client_fault(&self) -> ClientFault {
        match self {
            Self::Stream(streamed) => streamed.fault.clone(),
            Self::Held(_) | Self::Spent => ClientFault::default(),
        }
    }

    /// A body to send: of a held one as often as asked, of a streamed one once.
    pub(crate) fn take(&mut self) -> Option<Outgoing> {
        match self {
            Self::Held(held) => Some(Outgoing::of(held)),
            Self::Stream(_) | Self::Spent => match std::mem::replace(self, Self::Spent) {
                Self::Stream(streamed) => Some(Outgoing::Stream(streamed)),
                Self::Held(_) | Self::Spent => None,
            },
        }
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

/// A body on its way out.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// One of possibly several readings of a held body.
    Held { held: Arc<Held>, next: usize, left: u64, trailers_sent: bool },
    /// The only reading of a streamed one.
    Stream(Streamed),
}

impl Outgoing {
    /// A new reading from the first byte.
    fn of(held: &Arc<Held>) -> Self {
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
            Self::Stream(Streamed { prefix, rest, left, fault, trace }) => {
                if let Some(chunk) = prefix.pop_front() {
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Poll::Ready(ready!(Pin::new(rest).poll_frame(cx)).map(|frame| {
                    let frame = frame.map_err(|e| fault.set(ReadError::Client(e.to_string())))?;
                    let bytes = frame.data_ref().map_or(0, |d| d.len() as u64);
                    trace.up(bytes);
                    *left = left.checked_sub(bytes).ok_or_else(|| fault.set(ReadError::TooLarge))?;
                    Ok(frame)
                }))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Held { held, next, trailers_sent, .. } => {
                *next == held.chunks.len() && (held.trailers.is_none() || *trailers_sent)
            }
            Self::Stream(Streamed { prefix, rest, .. }) => prefix.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held { left, .. } => SizeHint::with_exact(*left),
            Self::Stream(Streamed { prefix, rest, .. }) => {
                let before: u64 = prefix.iter().map(|c| c.len() as u64).sum();
                rest.size_hint().exact().map_or_else(SizeHint::default, |n| SizeHint::with_exact(n + before))
            }
        }
    }
}
