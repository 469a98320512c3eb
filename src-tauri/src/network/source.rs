//! What a source of the system says to the watch: a hint, and how it ended. Judges neither.

use std::io;

/// What a source noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Something about links, addresses or routes: compare.
    Routes,
    /// Something about the clocks: read them.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux tells"))]
    Clocks,
    /// The system says that it has resumed.
    #[cfg_attr(not(any(target_os = "linux", windows)), allow(dead_code, reason = "not every system tells"))]
    Resumed,
}

/// For the log: a source that ends costs nothing but what it would have reported.
pub(super) fn note(what: &str, ended: io::Result<()>) {
    match ended {
        Ok(()) => tracing::debug!("this system does not tell of changes: {what}"),
        Err(e) => tracing::debug!("this system does not tell of changes: {what}: {e}"),
    }
}
