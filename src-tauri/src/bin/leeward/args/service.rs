//! `leeward service`, as it is typed. Decides nothing.

use clap::Subcommand;

/// Serve at login without a desktop, by the system's service manager
///
/// systemd's user manager and launchd hold the port and bring Leeward back; on Windows a task does, and holds no port. No
/// administrator is needed. Beside the tray, the service stands by and serves when the tray ends. Exit code 69 when there is no
/// such manager; then nothing is written.
#[derive(Clone, Copy, Debug, Subcommand)]
#[command(after_help = "Examples:\n  leeward service install\n  leeward service status\n  leeward service uninstall")]
pub(crate) enum Service {
    /// Write its files, start it now and at each login; again after a new port or program
    Install {
        /// Print JSON; its form is stable, see docs/json.md
        #[arg(long)]
        json: bool,
    },
    /// End it and remove exactly what `install` wrote
    Uninstall {
        /// Print JSON; its form is stable, see docs/json.md
        #[arg(long)]
        json: bool,
    },
    /// Show whether it is installed, active and listening, who has the port, and what differs; exit code 69 if it is not active
    Status {
        /// Print JSON; its form is stable, see docs/json.md
        #[arg(long)]
        json: bool,
    },
}
