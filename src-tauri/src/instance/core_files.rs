//! A crash leaves no core file: keys and tokens are in this process's memory. Programs that it starts get back what it had.
//!
//! `LEEWARD_DEBUGGABLE=1` leaves all as it is, for a debugger. On Windows nothing is changed: whether dumps are written is
//! the machine's own setting there, and they stay with their user.

#[cfg(unix)]
#[path = "core_files/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "core_files/windows.rs"]
mod platform;

use crate::config::environment;

/// The variable that leaves a process open to debuggers.
pub const DEBUGGABLE: &str = "LEEWARD_DEBUGGABLE";

/// The limit of core files before Leeward set its own.
#[derive(Clone, Debug)]
pub struct CoreLimit(Option<platform::Limit>);

/// Ends core files of this process.
#[must_use = "programs that are started get the limit back"]
pub fn no_core_files() -> CoreLimit {
    CoreLimit((!is_debuggable()).then(platform::lower).flatten())
}

/// Keeps the user's other programs from reading this process's memory, and the system from handing it to a program when it
/// crashes. Not for a program with windows: the desktop's portals look into whoever asks them, and refuse when they cannot.
pub fn hide_memory() {
    if !is_debuggable() {
        platform::hide();
    }
}

fn is_debuggable() -> bool {
    environment(DEBUGGABLE).is_some_and(|value| !["", "0"].contains(&value.as_str()))
}

impl CoreLimit {
    /// Starts a program, which has the former limit.
    pub fn starting<T>(&self, start: impl FnOnce() -> T) -> T {
        let Some(former) = &self.0 else { return start() };
        platform::set(former);
        let started = start();
        platform::lower();
        started
    }
}
