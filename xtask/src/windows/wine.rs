//! Wine without a display: a prefix of its own in the target folder, the one library that Debian's Wine 8 lacks, and a
//! program that is started by what is tested.

use super::TARGET;
use crate::shell::{Shell, root, target};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
};

/// Debian's package puts nothing on the PATH.
pub(super) const PROGRAM: &str = "/usr/lib/wine/wine64";
/// The control of the prefix's own server.
const SERVER: &str = "/usr/lib/wine/wineserver64";

/// Written when a prefix is whole: one that was interrupted is begun again.
const WHOLE: &str = ".leeward";

/// A prefix that is being made, or is there already.
pub(super) struct Coming {
    prefix: PathBuf,
    making: Option<Child>,
}

impl Coming {
    /// Waits for it.
    pub(super) fn ready(mut self) -> Result<Wine> {
        if let Some(making) = &mut self.making {
            let status = making.wait()?;
            if !status.success() {
                bail!("wineboot ended with {status}");
            }
        }
        fs::write(self.prefix.join(WHOLE), "")?;
        let wine = Wine { prefix: std::mem::take(&mut self.prefix) };
        let system = system(&wine.prefix);
        // Rust's standard library takes its random numbers from this library, which Wine has from version 9 on.
        compile("bcryptprimitives.c", &["-shared"], &system.join("bcryptprimitives.dll"), &["-ladvapi32"])?;
        compile("console.c", &[], &wine.agent(), &["-lntdll", "-lws2_32"])?;
        Ok(wine)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        // One that has become ready is looked after by itself.
        if !self.prefix.as_os_str().is_empty() {
            end(&self.prefix);
        }
    }
}

/// A prefix that is ready. Nothing runs on in it afterwards.
#[derive(Debug)]
pub(super) struct Wine {
    prefix: PathBuf,
}

impl Wine {
    /// Makes the prefix of that name, or finds it.
    pub(super) fn begin(name: &str) -> Result<Coming> {
        let prefix = target().join("windows").join(name);
        let making = if prefix.join(WHOLE).exists() {
            None
        } else {
            if prefix.exists() {
                fs::remove_dir_all(&prefix)?;
            }
            fs::create_dir_all(&prefix)?;
            Some(around(&prefix, Shell::program(PROGRAM).args(["wineboot", "--init"])).spawn()?)
        };
        Ok(Coming { prefix, making })
    }

    /// A program for `wrap` to start.
    pub(super) fn agent(&self) -> PathBuf {
        self.prefix.with_file_name("console.exe")
    }

    /// An installer of `program` with Leeward's hooks in it.
    pub(super) fn setup(&self, program: &Path) -> Result<PathBuf> {
        let setup = self.prefix.with_file_name("setup.exe");
        let define = |name: &str, path: &Path| format!("-D{name}={}", path.display());
        let makensis = Shell::new("makensis -V2").arg(define("ROOT", &root())).arg(define("OUT", &setup));
        makensis.arg(define("LEEWARD", program)).arg(root().join("ci").join("installer.nsi")).run()?;
        Ok(setup)
    }

    /// A program that finds the prefix, and cargo's way to run what it has built.
    pub(super) fn around(&self, shell: Shell) -> Shell {
        around(&self.prefix, shell)
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        end(&self.prefix);
    }
}

/// Ends what runs in it; that nothing does any more is as good.
fn end(prefix: &Path) {
    around(prefix, Shell::program(SERVER).arg("-k")).succeeds();
}

fn system(prefix: &Path) -> PathBuf {
    prefix.join("drive_c").join("windows").join("system32")
}

fn around(prefix: &Path, shell: Shell) -> Shell {
    let runner = format!("CARGO_TARGET_{}_RUNNER", TARGET.to_uppercase().replace('-', "_"));
    let shell = shell.env("WINEPREFIX", prefix).env(&runner, PROGRAM);
    // No questions about Mono and Gecko, no messages, no window.
    shell.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env("WINEDEBUG", "-all").env("DISPLAY", "")
}

/// A program in C of ours; put in its place when it is whole.
fn compile(source: &str, how: &[&str], to: &Path, libraries: &[&str]) -> Result<()> {
    let made = to.with_extension("new");
    let gcc = Shell::new("x86_64-w64-mingw32-gcc -O2 -s").args(how).arg("-o").arg(&made);
    gcc.arg(root().join("ci").join(source)).args(libraries).run()?;
    fs::rename(&made, to).with_context(|| format!("cannot put {} in its place", to.display()))
}
