//! Why an attempt failed. Names and words only: what follows from it, `exchange` decides.

use crate::{escape, status::faults::Cause};

/// Why an attempt failed, and what follows for the origin.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What went wrong; see `Cause` for what each says about the origin.
    pub(crate) cause: Cause,
    /// One clause for the sentence that a user may see: host and reason, nothing of the request.
    pub(crate) detail: String,
}

impl Failure {
    /// `detail` may hold what an upstream, its certificate or a proxy says.
    pub(crate) fn new(cause: Cause, detail: impl AsRef<str>) -> Self {
        Self { cause, detail: escape::line(detail.as_ref()).into_owned() }
    }
}

/// The innermost reason, without what a library says around it.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
