//! The macOS build on a Linux machine, as far as that goes without Apple's SDK: checked and linted, never linked or run.

use crate::{sysroot::Sysroot, test::Outcome};
use anyhow::Result;

const TARGET: &str = "aarch64-apple-darwin";

/// Clippy of engine, CLI, tray and their tests, or the reason why it cannot run here. The tray needs the panel's page.
pub(crate) fn check() -> Result<Outcome> {
    let sysroot = match Sysroot::ready(TARGET)? {
        Err(why) => return Ok(Outcome::Skipped(why)),
        Ok(sysroot) => sysroot,
    };
    for what in ["--lib --bin leeward --tests", "--features tray --bin leeward-tray"] {
        let clippy = sysroot.cargo("clippy --locked").args(what.split(' ')).args(["--", "-D", "warnings"]);
        // Crates with C in them only want to have built it: what nobody links may be empty.
        clippy
            .env("CC_aarch64_apple_darwin", "true")
            .env("AR_aarch64_apple_darwin", "true")
            .env("SDKROOT", "/nonexistent")
            .run()?;
    }
    Ok(Outcome::Passed)
}
