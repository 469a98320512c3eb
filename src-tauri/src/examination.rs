//! An examination of this machine, as the panel asks for it. Knows no check: the program that has a doctor brings it along.

use futures_util::{Stream, future::BoxFuture};
use serde_json::Value;
use std::{pin::Pin, sync::Arc};

/// What is to be examined.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Also what takes a minute.
    pub long: bool,
    /// The checks by name; empty: all.
    pub checks: Vec<String>,
}

/// What an examination says, one value a line. Whoever drops it ends the examination.
pub type Lines = Pin<Box<dyn Stream<Item = Value> + Send>>;

/// Why it does not do what it was asked for; a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One is running.
    #[error("An examination is running already; wait for its end.")]
    AlreadyRuns,
    /// There is nothing yet to share.
    #[error("Nothing has been examined and listed yet.")]
    NotYet,
    /// No check of that name.
    #[error("There is no check `{0}`.")]
    UnknownCheck(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
}

/// Who examines.
pub trait Examine: Send + Sync {
    /// Begins.
    ///
    /// # Errors
    /// `AlreadyRuns` or `UnknownCheck`.
    fn examine(&self, asked: Asked) -> Result<Lines, Refusal>;
    /// What the bundle of the last examination will hold.
    fn list(&self) -> BoxFuture<'static, Result<Value, Refusal>>;
    /// The bundle that was listed last, as the bytes of a zip.
    fn pack(&self) -> BoxFuture<'static, Result<Vec<u8>, Refusal>>;
}

/// The examiner that a program lends its engine.
#[derive(Clone)]
pub struct Examiner(Arc<dyn Examine>);

impl std::fmt::Debug for Examiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Examiner")
    }
}

impl Examiner {
    /// This one.
    pub fn new(examine: impl Examine + 'static) -> Self {
        Self(Arc::new(examine))
    }
}

impl std::ops::Deref for Examiner {
    type Target = dyn Examine;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
