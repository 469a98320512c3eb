//! This installation's certificate authority: made when first asked for, kept in the state folder, bound to the hosts of one
//! table. Signs for no other host, and for nobody but the engine.
//!
//! Knows no connection and no session: `inbound` says for which host it needs a certificate, `wrap` where its agent finds ours.

mod bundle;
mod certificate;
mod folder;
mod generation;
mod hosts;
mod leaf;
mod living;
#[cfg(unix)]
#[path = "authority/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "authority/windows.rs"]
mod platform;
#[cfg(test)]
mod tests;
mod trouble;

pub use bundle::{Bundle, bundle};
pub use folder::Shown;
pub use hosts::{hosts, is_intercepted};
pub use living::Authority;
pub use trouble::Trouble;
