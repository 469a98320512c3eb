//! Leeward at login without a desktop, by the system's own service manager: systemd's user units, a launch agent, a task.
//!
//! Writes and removes what the manager reads, asks the manager, and speaks to it from a process that serves. The texts are
//! pure functions of what is wanted. Serves nothing, and touches no file that it has not written.

mod command;
mod error;
#[cfg(any(target_os = "macos", test))]
mod launch_agent;
mod manager;
mod notify;
mod report;
#[cfg(any(unix, test))]
mod saved;
#[cfg(any(windows, test))]
mod scheduled_task;
#[cfg(any(all(unix, not(target_os = "macos")), test))]
mod units;
mod wanted;

#[cfg(all(unix, not(target_os = "macos")))]
#[path = "service/linux.rs"]
mod platform;
#[cfg(target_os = "macos")]
#[path = "service/macos.rs"]
mod platform;
#[cfg(windows)]
#[path = "service/windows.rs"]
mod platform;

pub use error::Error;
pub use manager::{Installation, install, state, status, uninstall, wake};
pub use notify::Notifier;
pub use report::{File, FileState, Installed, Report, State};
pub use wanted::Wanted;
