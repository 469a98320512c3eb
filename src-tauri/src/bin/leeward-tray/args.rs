//! The tray's command line as it is typed. `leeward man` reads it, too, so it knows nothing of the tray.

use clap::Parser;
use std::path::PathBuf;

/// Leeward in the tray: the engine, its status and a menu. The flags are those of `leeward serve`.
///
/// The first start opens its panel, later ones start without a window. The menu of its icon opens the panel, restarts the engine, starts agents through Leeward and
/// quits. Where the desktop shows no tray icons the panel opens by itself. A second start brings up the first one's window;
/// a `leeward serve` that runs already hands its port over.
#[derive(Debug, Parser)]
#[command(name = "leeward-tray", version)]
pub(crate) struct Arguments {
    /// Address and port to accept on, and no other
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// API that requests go to when their path names no upstream
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// Config file to read
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Started by the session: no window opens by itself
    #[arg(long)]
    pub(crate) hidden: bool,
}
