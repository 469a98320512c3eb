//! Request bodies as they come: read whole where they can be replayed, else their start. Sends nothing.

use super::{
    client_fault::{ClientFault, ReadError},
    outgoing::{Held, Outgoing, Streamed},
    pieces::Pieces,
    room::HeldBytes,
    uploads::Turn,
};
use crate::telemetry::Trace;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::Arc;

/// A request's body before it is sent.
#[derive(Debug)]
pub(crate) enum Payload {
    /// In memory, for as many attempts as it takes.
    Held(Arc<Held>),
    /// Too large for that, or there was no room: what has been read, and the rest.
    Stream(Box<Streamed>),
    /// A streamed one that has been handed out.
    Spent,
}

/// Caps for reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    pub(crate) body: u64,
    pub(crate) replay_body: u64,
    pub(crate) replay_total: u64,
}

/// A body that is not kept must show that it moves: so much of it, or all, is there before anything is done for it.
const START: u64 = 16 << 10;

/// Reads a body whole if it fits, else as far as it fitted. What is announced takes no room; what comes does.
pub(crate) async fn read(mut body: Incoming, held: &HeldBytes, caps: Caps, trace: &Trace) -> Result<Payload, ReadError> {
    let mut permit = held.permit();
    let (mut pieces, mut len, mut trailers) = (Pieces::default(), 0u64, None);
    let mut fits = body.size_hint().exact().is_none_or(|n| n <= caps.replay_body);
    let mut rest = None;
    if !body.is_end_stream() {
        while let Some(frame) = body.frame().await {
            match frame.map_err(|e| ReadError::of(&e))?.into_data() {
                Ok(data) => {
                    let came = data.len() as u64;
                    len += came;
                    trace.up(came);
                    if len > caps.body {
                        return Err(ReadError::TooLarge);
                    }
                    fits = fits && len <= caps.replay_body && permit.grow(came, caps.replay_total);
                    pieces.push(data);
                    if !fits && len >= START {
                        rest = Some(body);
                        break;
                    }
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    }
    let chunks = pieces.into_list();
    if fits {
        return Ok(Payload::Held(Arc::new(Held { chunks, len, trailers, _permit: permit })));
    }
    Ok(Payload::Stream(Box::new(Streamed {
        prefix: chunks.into(),
        permit,
        trailers,
        rest,
        left: caps.body - len,
        turn: None,
        fault: ClientFault::default(),
        trace: trace.clone(),
    })))
}

impl Payload {
    /// The pieces that have been read and not been sent.
    pub(crate) fn read_so_far(&self) -> impl Iterator<Item = &Bytes> + Clone {
        let (held, streamed) = match self {
            Self::Held(held) => (Some(&held.chunks), None),
            Self::Stream(streamed) => (None, Some(&streamed.prefix)),
            Self::Spent => (None, None),
        };
        held.into_iter().flatten().chain(streamed.into_iter().flatten())
    }

    /// Where a streamed body will report its client's faults.
    pub(crate) fn client_fault(&self) -> ClientFault {
        match self {
            Self::Stream(streamed) => streamed.fault.clone(),
            Self::Held(_) | Self::Spent => ClientFault::default(),
        }
    }

    /// True when more of it is to come from its client, and it has no turn for that.
    pub(crate) fn needs_turn(&self) -> bool {
        let comes = |s: &Streamed| s.turn.is_none() && s.rest.as_ref().is_some_and(|rest| !rest.is_end_stream());
        matches!(self, Self::Stream(streamed) if comes(streamed))
    }

    /// Its turn, which ends with its last byte.
    pub(crate) fn give_turn(&mut self, turn: Turn) {
        if let Self::Stream(streamed) = self {
            streamed.turn = Some(turn);
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
