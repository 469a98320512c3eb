//! Whether anything starts Leeward at each login, so that an endpoint in a file is answered then, too. Looks at the system's
//! own entries; starts nothing and asks no process.

mod entry;
#[cfg(unix)]
#[path = "lasting/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "lasting/windows.rs"]
mod platform;

pub use entry::Lasting;

use crate::wrap::AgentContext;

/// What starts Leeward at login; `None` where nothing does.
pub fn lasting_port(context: &AgentContext<'_>) -> Option<Lasting> {
    platform::lasting_port(context)
}
