//! Start at login, without administrator rights: an entry of the user's own in the place the system looks. What stands
//! there is the truth; nothing is remembered here, so a switch in the system's own settings is seen.

use crate::commands::Refusal;
use leeward::config::environment;
use serde::Serialize;
use std::{
    io,
    path::{Path, PathBuf},
};

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

/// What stands in the system's place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// Nothing.
    Absent,
    /// This program is started.
    Starts(String),
    /// It is there, and the system's own settings keep it from being started.
    SwitchedOff,
}

/// How it is now.
pub(crate) fn get() -> Result<Autostart, Refusal> {
    let read = || {
        let (ours, place) = (program()?, platform::place()?);
        Ok((platform::read(&place)?, ours, place))
    };
    let (entry, ours, place) = read().map_err(|why: io::Error| {
        Refusal::new("autostart-unknown", format!("Whether Leeward starts at login cannot be read: {why}."))
    })?;
    Ok(told(entry, &ours, place.display().to_string()))
}

/// Switches it; how it is then. Switching on also undoes a switch-off in the system's settings.
pub(crate) fn set(on: bool) -> Result<Autostart, Refusal> {
    let change = || {
        let place = platform::place()?;
        if on { platform::write(&place, &program()?) } else { platform::remove(&place) }
    };
    change().map_err(|why: io::Error| {
        let what = if on { "start at login" } else { "be kept from starting at login" };
        Refusal::new("autostart-failed", format!("Leeward cannot {what}: {why}; check the permissions."))
    })?;
    let now = get()?;
    tracing::info!("start at login is {}: {}", if now.enabled { "on" } else { "off" }, now.place);
    Ok(now)
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

/// What is to be started: an AppImage mounts itself elsewhere each time, and tells where it is.
fn program() -> io::Result<PathBuf> {
    match environment("APPIMAGE").filter(|path| !path.is_empty()) {
        Some(image) => Ok(image.into()),
        None => std::env::current_exe(),
    }
}

/// See `get`.
#[tauri::command(async)]
pub(crate) fn autostart_get(wanted: tauri::State<'_, crate::desktop::Wants>) -> Result<Autostart, Refusal> {
    let now = get()?;
    wanted.autostart(now.enabled);
    Ok(now)
}

/// See `set`.
#[tauri::command(async)]
pub(crate) fn autostart_set(on: bool, wanted: tauri::State<'_, crate::desktop::Wants>) -> Result<Autostart, Refusal> {
    let now = set(on)?;
    wanted.autostart(now.enabled);
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

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
