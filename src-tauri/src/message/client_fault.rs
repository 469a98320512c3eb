//! What goes wrong on the client's side of a body. Names only; what the client gets, `exchange` says.

use super::{failure::innermost, outgoing::BoxError};
use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// Over `limits.body_bytes`.
    TooLarge,
    /// The client broke the rules of the chunked coding.
    Malformed(String),
    /// The client stopped sending.
    Client(String),
    /// It paused, and others waited for its turn.
    GaveWay,
}

impl ReadError {
    /// What the client's connection says.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let why = innermost(error);
        let malformed = std::iter::successors(Some(error), |e: &&(dyn Error + 'static)| (*e).source())
            .filter_map(|e| e.downcast_ref::<io::Error>())
            .any(|e| matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
        if malformed { Self::Malformed(why) } else { Self::Client(why) }
    }
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

    pub(super) fn set(&self, why: ReadError) -> BoxError {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        "the agent's body did not arrive whole".into()
    }
}
