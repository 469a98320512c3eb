//! The macOS build on a Linux machine, as far as that goes without Apple's SDK: checked and linted, never linked or run.

use crate::{
    shell::target,
    sysroot::{Compiler, Sysroot},
    test::Outcome,
};
use anyhow::Result;

/// What is built for, and never run here.
pub(crate) const TARGET: &str = "aarch64-apple-darwin";

/// Lints of engine, CLI, tray and their tests, or the reason why they cannot run here. The tray needs the panel's page.
pub(crate) fn check() -> Result<Outcome> {
    Sysroot::with(TARGET, Compiler::Pinned, |sysroot| {
        let lint =
            sysroot.lint("--locked --package leeward-tray --package leeward-scripted --features tray --lib --bins --tests");
        // Crates with C in them only want to have built it: what nobody links may be empty.
        lint.env("CC_aarch64_apple_darwin", "true")
            .env("AR_aarch64_apple_darwin", "true")
            .env("SDKROOT", target().join("no-sdk"))
            .run()
    })
}
