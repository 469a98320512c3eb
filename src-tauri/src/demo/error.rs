//! Why the demo could not be run. What it found is in `report.rs`.

use std::io;

/// Why the demo could not be run. That Leeward failed in it is no error but a report that did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A socket or the scratch folder could not be made.
    #[error("the demo could not set up its own servers on loopback: {0}")]
    Setup(#[from] io::Error),
    /// The throw-away certificate was refused.
    #[error("the demo's own certificate was refused: {0}")]
    Tls(#[from] rustls::Error),
    /// The engine's config was refused.
    #[error("the demo's config was refused: {0}")]
    Config(#[from] crate::config::Error),
    /// The engine did not start.
    #[error("Leeward did not start for the demo: {0}")]
    Engine(#[from] crate::supervisor::StartError),
}
