//! Start at login, without administrator rights. tauri-plugin-autostart writes the entry and removes it; `platform` corrects
//! what the plugin writes wrong, and reads the true state from the place where the system looks. Nothing is remembered here,
//! so a switch in the system's own settings is seen.

use crate::{commands::Refusal, state::Wants};
use entry::{Entry, HIDDEN};
use leeward::config::environment;
use serde::Serialize;
use std::{
    io,
    path::{Path, PathBuf},
};
use tauri::{AppHandle, State, Wry, plugin::TauriPlugin};
use tauri_plugin_autostart::{AutoLaunchManager, ManagerExt};

mod entry;
#[cfg(target_os = "macos")]
#[path = "autostart/macos.rs"]
mod platform;
#[cfg(all(unix, not(target_os = "macos")))]
#[path = "autostart/linux.rs"]
mod platform;
#[cfg(windows)]
#[path = "autostart/windows.rs"]
mod platform;

/// Whether Leeward starts at login, as the system has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Autostart {
    /// It does.
    pub(crate) enabled: bool,
    /// The file or registry value that says so.
    #[serde(rename = "where")]
    pub(crate) place: String,
    /// What the user should know about it.
    pub(crate) note: Option<String>,
}

/// What writes the entry, wrong as it may be.
trait Launcher {
    fn enable(&self) -> io::Result<()>;
    fn disable(&self) -> io::Result<()>;
    fn is_enabled(&self) -> io::Result<bool>;
}

impl Launcher for AutoLaunchManager {
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

/// The plugin, with the entry's name and the program's argument.
pub(crate) fn plugin() -> TauriPlugin<Wry> {
    tauri_plugin_autostart::Builder::new().app_name(platform::NAME).arg(HIDDEN).build()
}

/// How it is now.
pub(crate) fn get(app: &AppHandle) -> Result<Autostart, Refusal> {
    let read = || {
        let (ours, place) = (program()?, platform::place()?);
        Ok((state(&*app.autolaunch(), &place)?, ours, place))
    };
    let (entry, ours, place) = read().map_err(|why: io::Error| {
        Refusal::new("autostart-unknown", format!("Whether Leeward starts at login cannot be read: {why}."))
    })?;
    Ok(told(entry, &ours, place.display().to_string()))
}

/// Switches it; how it is then. Switching on also undoes a switch-off in the system's settings.
pub(crate) fn set(app: &AppHandle, on: bool) -> Result<Autostart, Refusal> {
    let change = || {
        let (launcher, place) = (app.autolaunch(), platform::place()?);
        if on { switch_on(&*launcher, &place, &program()?) } else { switch_off(&*launcher, &place) }
    };
    change().map_err(|why: io::Error| {
        let what = if on { "start at login" } else { "be kept from starting at login" };
        Refusal::new("autostart-failed", format!("Leeward cannot {what}: {why}; check the permissions."))
    })?;
    let now = get(app)?;
    tracing::info!("start at login is {}: {}", if now.enabled { "on" } else { "off" }, now.place);
    Ok(now)
}

fn state(launcher: &impl Launcher, place: &Path) -> io::Result<Entry> {
    platform::read(place, launcher.is_enabled()?)
}

fn switch_on(launcher: &impl Launcher, place: &Path, program: &Path) -> io::Result<()> {
    // What cannot be spelled is refused before anything is written.
    let program = platform::spelled(program)?;
    let done = launcher.enable().and_then(|()| platform::mend(place, &program));
    // An entry that is not mended could start another program.
    done.inspect_err(|_| drop(launcher.disable()))
}

fn switch_off(launcher: &impl Launcher, place: &Path) -> io::Result<()> {
    launcher.disable()?;
    platform::remove(place)
}

fn told(entry: Entry, ours: &Path, place: String) -> Autostart {
    match entry {
        Entry::Absent => Autostart { enabled: false, place, note: None },
        Entry::SwitchedOff => {
            let note = "The system's own settings have switched it off; switch it on here to undo that.";
            Autostart { enabled: false, place, note: Some(note.into()) }
        }
        Entry::Starts(other) if Path::new(&other) != ours => {
            let note = format!("It starts {other}, which is not this program; switch it off and on again to start this one.");
            Autostart { enabled: true, place, note: Some(note) }
        }
        Entry::Starts(_) => Autostart { enabled: true, place, note: None },
    }
}

/// What is to be started: an AppImage mounts itself elsewhere each time, and says where it is.
fn program() -> io::Result<PathBuf> {
    match environment("APPIMAGE").filter(|path| !path.is_empty()) {
        Some(image) => Ok(image.into()),
        None => std::env::current_exe(),
    }
}

/// See `get`.
#[tauri::command(async)]
pub(crate) fn autostart_get(app: AppHandle, wanted: State<'_, Wants>) -> Result<Autostart, Refusal> {
    let now = get(&app)?;
    wanted.autostart(now.enabled);
    Ok(now)
}

/// See `set`.
#[tauri::command(async)]
pub(crate) fn autostart_set(app: AppHandle, on: bool, wanted: State<'_, Wants>) -> Result<Autostart, Refusal> {
    let now = set(&app, on)?;
    wanted.autostart(now.enabled);
    Ok(now)
}

#[cfg(test)]
#[path = "autostart/tests/real.rs"]
mod real;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// What writes something and then fails, as the plugin does where it may write to the one place and not to the other.
    struct Fails(Cell<bool>);

    impl Launcher for Fails {
        fn enable(&self) -> io::Result<()> {
            self.0.set(true);
            Err(io::Error::other("no second place"))
        }

        fn disable(&self) -> io::Result<()> {
            self.0.set(false);
            Ok(())
        }

        fn is_enabled(&self) -> io::Result<bool> {
            Ok(self.0.get())
        }
    }

    #[test]
    fn what_fails_is_taken_back() {
        let launcher = Fails(Cell::new(false));
        let why = switch_on(&launcher, Path::new("place"), Path::new("program")).unwrap_err();
        assert_eq!((why.to_string().as_str(), launcher.0.get()), ("no second place", false));
    }

    #[test]
    fn the_real_state_is_told() {
        let ours = Path::new("/opt/a dir/leeward-tray");
        let told = |entry| told(entry, ours, "place".into());
        assert_eq!(told(Entry::Absent), Autostart { enabled: false, place: "place".into(), note: None });
        assert_eq!(told(Entry::Starts("/opt/a dir/leeward-tray".into())).note, None);
        let off = told(Entry::SwitchedOff);
        assert!(!off.enabled && off.note.is_some_and(|note| note.contains("switched it off")));
        let other = told(Entry::Starts("/tmp/leeward-tray".into()));
        assert!(other.enabled && other.note.is_some_and(|note| note.contains("/tmp/leeward-tray")));
        let json = serde_json::to_value(told(Entry::Absent)).unwrap();
        assert_eq!(json, serde_json::json!({ "enabled": false, "where": "place", "note": null }));
    }
}
