//! What goes wrong on the client's side of a body. Names only; what the client gets, `exchange` says.

use super::outgoing::BoxError;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// Over `limits.body_bytes`.
    TooLarge,
    /// The client stopped sending, or sent broken chunks.
    Client(String),
    /// It paused, and others waited for its turn.
    GaveWay,
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
