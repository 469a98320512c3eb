//! Whether anything starts Leeward at each login, so that an endpoint in a file is answered then, too. Looks at the system's
//! own entries; starts nothing and asks no process.

#[cfg(unix)]
#[path = "lasting/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "lasting/windows.rs"]
mod platform;

use crate::wrap::AgentContext;

/// What starts Leeward at login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// A unit, an agent of launchd or a task, by its place.
    Service(String),
    /// The tray's start at login, by its place.
    Tray(String),
}

/// What starts Leeward at login; `None` where nothing does.
pub fn lasting_port(context: &AgentContext<'_>) -> Option<Lasting> {
    platform::lasting_port(context)
}
