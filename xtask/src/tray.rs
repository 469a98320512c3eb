//! The tray's build and its tests, on a display and a session bus of their own.

use crate::{
    packages::{self, TRAY, TRAY_TESTS},
    shell::Shell,
    ui,
};
use anyhow::Result;

/// Everything the tray needs to compile: system packages and the panel it embeds.
pub(crate) fn prepare() -> Result<()> {
    packages::ensure(&TRAY)?;
    ui::install()?;
    ui::build()
}

/// Lints of the tray's own targets; the library was linted without it.
pub(crate) fn clippy() -> Result<()> {
    packages::ensure(&TRAY)?;
    Shell::cargo("clippy --locked --features tray --bin leeward-tray --test tray -- -D warnings").run()
}

/// The real program on a virtual display. Its unit tests run with it.
pub(crate) fn tests() -> Result<()> {
    packages::ensure(&TRAY)?;
    if !cfg!(target_os = "linux") {
        return Shell::cargo("test --locked --features tray --bin leeward-tray --test tray").run();
    }
    packages::ensure(&TRAY_TESTS)?;
    // Built first: a compiler's output is not for the virtual display's log.
    Shell::cargo("test --locked --features tray --bin leeward-tray --test tray --no-run").run()?;
    let cargo = Shell::cargo("test --locked --features tray --bin leeward-tray --test tray");
    // Software rendering and no accessibility bus: neither exists on a bare machine.
    cargo.under("xvfb-run --auto-servernum dbus-run-session --").env("NO_AT_BRIDGE", "1").env("LIBGL_ALWAYS_SOFTWARE", "1").run()
}
