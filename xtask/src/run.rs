//! `cargo xtask run`: from a fresh clone to a running Leeward.

use crate::{
    link,
    packages::{self, HEADLESS},
    shell::{Shell, available, built},
    tray, ui,
};
use anyhow::{Result, bail};
use std::{env, process::ExitCode};

/// What the command line says.
#[derive(Debug, Default)]
pub(crate) struct Options {
    demo: bool,
    release: bool,
    tray: bool,
    rest: Vec<String>,
}

impl Options {
    /// Flags, then `--`, then what is handed on.
    pub(crate) fn parse(words: Vec<String>) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--demo" => options.demo = true,
                "--release" => options.release = true,
                "--tray" => options.tray = true,
                "--" => options.rest.extend(words.by_ref()),
                _ => bail!("`cargo xtask run` does not know `{word}`; it knows --demo, --release, --tray and `-- ARGS…`"),
            }
        }
        Ok(options)
    }
}

/// Sets up, builds, and becomes the program.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    compiler()?;
    if options.demo {
        build(&options, "--bin leeward")?;
        return Shell::program(built("leeward", options.release)).arg("demo").args(options.rest).become_it();
    }
    let no_desktop = if options.tray { None } else { why_no_desktop() };
    if let Some(why) = no_desktop {
        println!("{why}, so the engine runs in this terminal, without the tray. (`--tray` builds and starts it all the same.)");
        ui::install()?;
        ui::build()?;
        build(&options, "--bin leeward")?;
        return Shell::program(built("leeward", options.release)).arg("serve").args(options.rest).become_it();
    }
    tray_libraries()?;
    tray::prepare()?;
    build(&options, "--features tray --bin leeward --bin leeward-tray")?;
    Shell::program(built("leeward-tray", options.release)).args(options.rest).become_it()
}

fn build(options: &Options, what: &str) -> Result<()> {
    let cargo = Shell::cargo(&format!("build --locked {what}"));
    if options.release { link::for_others(cargo.arg("--release")).run() } else { cargo.run() }
}

fn compiler() -> Result<()> {
    packages::ensure(&HEADLESS)?;
    if cfg!(unix) && !available("cc") {
        bail!("there is no C compiler. Needed {}: {}", HEADLESS.purpose, HEADLESS.elsewhere);
    }
    Ok(())
}

/// Where the system's package manager is not ours to call, the names of what is missing.
fn tray_libraries() -> Result<()> {
    let other_linux = cfg!(target_os = "linux") && !packages::on_debian();
    if other_linux && !Shell::new("pkg-config --exists webkit2gtk-4.1").succeeds() {
        bail!("WebKitGTK 4.1 is missing. Needed {}: {}", packages::TRAY.purpose, packages::TRAY.elsewhere);
    }
    Ok(())
}

/// Only Linux machines are commonly without a desktop; there the session says so.
fn why_no_desktop() -> Option<&'static str> {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !cfg!(target_os = "linux") {
        None
    } else if !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        Some("There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)")
    } else if !set("DBUS_SESSION_BUS_ADDRESS") && !session_bus_at_its_usual_place() {
        Some("There is no session bus for this user, and a tray icon lives on it")
    } else {
        None
    }
}

fn session_bus_at_its_usual_place() -> bool {
    env::var_os("XDG_RUNTIME_DIR").is_some_and(|folder| std::path::Path::new(&folder).join("bus").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn flags_come_first_and_the_rest_is_handed_on() {
        let options = parsed("--demo --release -- --json --demo").unwrap();
        assert!(options.demo && options.release && !options.tray);
        assert_eq!(options.rest, ["--json", "--demo"]);
    }

    #[test]
    fn an_unknown_flag_is_named() {
        let error = parsed("--relase").unwrap_err().to_string();
        assert!(error.contains("`--relase`") && error.contains("--release"), "{error}");
    }
}
