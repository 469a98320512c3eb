//! For tests: what the plugin writes with, as the plugin sets it up. So the tests see what there is to correct, and tell when
//! there is nothing left.

use super::{Launcher, entry::HIDDEN};
use auto_launch::{AutoLaunch, AutoLaunchBuilder};
use std::{io, path::Path};

impl Launcher for AutoLaunch {
    fn enable(&self) -> io::Result<()> {
        self.enable().map_err(io::Error::other)
    }

    fn disable(&self) -> io::Result<()> {
        self.disable().map_err(io::Error::other)
    }

    fn is_enabled(&self) -> io::Result<bool> {
        self.is_enabled().map_err(io::Error::other)
    }
}

/// For a program of any path.
pub(super) fn launcher(name: &str, program: &Path) -> AutoLaunch {
    let mut builder = AutoLaunchBuilder::new();
    builder.set_app_name(name).set_app_path(&program.display().to_string()).set_args(&[HIDDEN]).build().unwrap()
}

/// Runs a test once more, in a process whose home is an empty folder: there the plugin writes, and a test changes no variable
/// of its own process. `config` is XDG_CONFIG_HOME, below that home.
#[cfg(unix)]
pub(super) fn at_home(test: &str, config: &str, work: impl FnOnce(&Path)) {
    const HOME: &str = "LEEWARD_TEST_HOME";
    if let Some(home) = leeward::config::environment(HOME) {
        return work(Path::new(&home));
    }
    let home = tempfile::tempdir().unwrap();
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", test]).env(HOME, home.path()).env("HOME", home.path());
    let output = again.env("XDG_CONFIG_HOME", home.path().join(config)).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{test}: {said}");
}

/// Else the tests would look at another release than the one that writes.
#[test]
fn the_plugin_writes_with_the_release_that_is_tested() {
    let locked = include_str!("../../../../../../Cargo.lock");
    assert_eq!(
        locked.matches("name = \"auto-launch\"\n").count(),
        1,
        "set auto-launch in Cargo.toml to what the plugin asks for"
    );
}
