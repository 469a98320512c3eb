//! Owns the listening socket and decides what runs on it, on a thread of its own that no request can stall.
//!
//! Each engine generation has its own runtime and a dup of the one socket: a restart never closes it, so it refuses
//! nobody. Serves no request itself and paints nothing.

mod backstop;
mod config_file;
mod engine;
mod former;
mod generation;
mod generations;
mod hooks;
mod options;
mod other_loopback;
mod probe;
mod recorder;
mod recovery;
mod run;
mod socket;
mod start_error;

#[cfg(unix)]
#[path = "supervisor/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "supervisor/windows.rs"]
mod platform;

pub use engine::Engine;
pub use hooks::{NetworkSource, TestHooks};
pub use options::{EngineOptions, Refilter, Reload};
pub use recorder::Recorder;
pub use start_error::StartError;
