//! Wine without a display: a prefix of its own in the target folder, and the one library that Debian's Wine 8 lacks.

use super::TARGET;
use crate::shell::{Shell, root, target};
use anyhow::{Context, Result};
use std::{fs, path::PathBuf};

/// Debian's package puts nothing on the PATH.
pub(super) const PROGRAM: &str = "/usr/lib/wine/wine64";
/// The control of the prefix's own server.
const SERVER: &str = "/usr/lib/wine/wineserver64";

/// A prefix that is ready.
#[derive(Debug)]
pub(super) struct Wine {
    prefix: PathBuf,
}

impl Wine {
    /// Makes the prefix, or finds it.
    pub(super) fn ready() -> Result<Self> {
        let wine = Self { prefix: target().join("windows").join("wine") };
        let system = wine.prefix.join("drive_c").join("windows").join("system32");
        if !system.join("kernel32.dll").exists() {
            fs::create_dir_all(&wine.prefix)?;
            wine.around(Shell::program(PROGRAM).args(["wineboot", "--init"])).run()?;
        }
        // Rust's standard library takes its random numbers from this library, which Wine has from version 9 on.
        let shim = system.join("bcryptprimitives.dll");
        if !shim.exists() {
            let source = root().join("ci").join("bcryptprimitives.c");
            let made = system.join("bcryptprimitives.new");
            let gcc = Shell::new("x86_64-w64-mingw32-gcc -O2 -s -shared -o").arg(&made).arg(source);
            gcc.arg("-ladvapi32").run()?;
            fs::rename(made, shim).context("the shim cannot be put in its place")?;
        }
        Ok(wine)
    }

    /// A program that finds the prefix, and cargo's way to run what it has built.
    pub(super) fn around(&self, shell: Shell) -> Shell {
        let runner = format!("CARGO_TARGET_{}_RUNNER", TARGET.to_uppercase().replace('-', "_"));
        let shell = shell.env("WINEPREFIX", &self.prefix).env(&runner, PROGRAM);
        // No questions about Mono and Gecko, no messages, no window.
        shell.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env("WINEDEBUG", "-all").env("DISPLAY", "")
    }

    /// Ends what still runs in the prefix.
    pub(super) fn end(&self) {
        // That nothing runs any more is as good.
        self.around(Shell::program(SERVER).arg("-k")).succeeds();
    }
}
