//! The tray's build and its tests, on a display and a session bus of their own.

use crate::{
    bundle,
    packages::{self, TRAY, TRAY_TESTS},
    shell::{Shell, target},
    ui,
};
use anyhow::Result;
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// A session bus without folders of services: it starts no program. Else a desktop's own notification daemon would be started
/// and take the name that the tests' host needs.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <keep_umask/>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;
/// What a desktop with such a daemon has. Each run has it, so that the tests see that nothing is started.
const DAEMON: &str = "[D-BUS Service]\nName=org.freedesktop.Notifications\nExec=/bin/false\n";

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

/// Built as `tauri build` does it: what the tests try is what the package holds, and the step `bundle` finds it built.
fn test() -> Shell {
    let features = format!("tray,{}", bundle::FEATURE);
    let test = Shell::cargo("test --locked --bin leeward-tray --test tray --features").arg(features);
    test.env("TAURI_CONFIG", bundle::CONFIG)
}

/// The real program on a virtual display. Its unit tests run with it.
pub(crate) fn tests() -> Result<()> {
    packages::ensure(&TRAY)?;
    if !cfg!(target_os = "linux") {
        return test().run();
    }
    packages::ensure(&TRAY_TESTS)?;
    // Built first: a compiler's output is not for the virtual display's log.
    test().arg("--no-run").run()?;
    let bus = Bus::write(&target().join("tray-bus"))?;
    let cargo = test();
    // Software rendering and no accessibility bus: neither exists on a bare machine.
    let cargo = cargo.under(bus.session()).env("NO_AT_BRIDGE", "1").env("LIBGL_ALWAYS_SOFTWARE", "1");
    cargo.env("XDG_DATA_DIRS", bus.data_dirs(env::var_os("XDG_DATA_DIRS"))).run()
}

/// The files of the tests' session bus.
struct Bus {
    config: PathBuf,
    data: PathBuf,
}

impl Bus {
    fn write(folder: &Path) -> Result<Self> {
        let bus = Self { config: folder.join("bus.conf"), data: folder.join("share") };
        let services = bus.data.join("dbus-1").join("services");
        fs::create_dir_all(&services)?;
        fs::write(&bus.config, BUS)?;
        fs::write(services.join("org.freedesktop.Notifications.service"), DAEMON)?;
        Ok(bus)
    }

    /// A display and the bus, for what is run under them. With the desktop's own Wayland the windows would appear there.
    fn session(&self) -> Shell {
        let bus = "env --unset=WAYLAND_DISPLAY --unset=GDK_BACKEND xvfb-run --auto-servernum dbus-run-session --config-file";
        Shell::new(bus).arg(&self.config).arg("--")
    }

    /// The folder with the daemon before all others.
    fn data_dirs(&self, given: Option<OsString>) -> OsString {
        let given = given.filter(|dirs| !dirs.is_empty()).unwrap_or_else(|| "/usr/local/share:/usr/share".into());
        let mut dirs = self.data.clone().into_os_string();
        dirs.push(":");
        dirs.push(given);
        dirs
    }
}
