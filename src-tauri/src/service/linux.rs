//! Linux half of `service`: systemd's user manager, asked through `systemctl --user`.

use super::{
    command::{self, Reply},
    error::Error,
    report::{File, FileState, Seen, difference},
    saved::{self, Found, Planned, Replaced},
    units::{self, SERVICE, SOCKET},
    wanted::Wanted,
};
use crate::config::environment;
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub(super) const MANAGER: &str = "systemd user manager";

const INSTEAD: &str = "start `leeward serve` with your session or container (a line in ~/.profile, cron's @reboot, the \
                       container's entry point); `leeward wrap` starts one by itself and needs no service";

/// Properties that are asked of both units.
const ASKED: &str = "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result,Listen,FragmentPath,NeedDaemonReload";

/// Nothing is written where the manager does not answer.
pub(super) async fn available() -> Result<(), Error> {
    systemd().await.map(drop)
}

/// Its version.
async fn systemd() -> Result<u32, Error> {
    let none = |why: String| Error::NoManager { manager: MANAGER, why, instead: INSTEAD };
    match command::ask("systemctl", &["--user", "show", "--property=Version"], &variables()).await {
        Ok(Reply { success: true, stdout, .. }) => {
            units::version(&stdout).ok_or_else(|| none(format!("it does not say its version: {stdout}")))
        }
        Ok(Reply { stderr, .. }) => Err(none(stderr)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Err(none("there is no program `systemctl`".into())),
        Err(why) => Err(none(format!("systemctl: {why}"))),
    }
}

/// A session by `su` or `sudo` lacks the one that leads to the manager.
fn variables() -> Vec<(&'static str, String)> {
    if environment("XDG_RUNTIME_DIR").is_some_and(|folder| !folder.is_empty()) {
        return Vec::new();
    }
    let folder = format!("/run/user/{}", rustix::process::geteuid().as_raw());
    if Path::new(&folder).is_dir() { vec![("XDG_RUNTIME_DIR", folder)] } else { Vec::new() }
}

async fn systemctl(args: &[&str]) -> Result<String, Error> {
    command::tell("systemctl", &[&["--user", "--no-ask-password"], args].concat(), &variables()).await
}

fn paths() -> Option<[PathBuf; 2]> {
    let folder = directories::BaseDirs::new()?.config_dir().join("systemd").join("user");
    Some([SOCKET, SERVICE].map(|unit| folder.join(unit)))
}

/// Both units, as they are to be.
fn planned(wanted: &Wanted, systemd: u32) -> Result<[Planned; 2], Error> {
    let [socket, service] = paths().ok_or_else(|| Error::Unspellable("there is no home folder for the units".into()))?;
    Ok([
        Planned { path: socket, text: units::socket(wanted)? },
        Planned { path: service, text: units::service(wanted, systemd)? },
    ])
}

pub(super) async fn install(wanted: &Wanted) -> Result<Vec<String>, Error> {
    let planned = planned(wanted, systemd().await?)?;
    let is_new = planned.iter().all(|file| saved::look(&file.path) == Found::Nothing);
    let replaced = saved::replace(&planned)?;
    let mut notes = Vec::new();
    let begun = match enable(&planned).await {
        Ok(()) => start(&planned, &replaced, &mut notes).await,
        refused => refused,
    };
    if let Err(why) = begun {
        take_back(replaced, is_new).await;
        return Err(why);
    }
    if !lingers() {
        notes.push(
            "it ends when you log out; to have it serve without a login, run `loginctl enable-linger` (not done for you)".into(),
        );
    }
    Ok(notes)
}

async fn enable(planned: &[Planned; 2]) -> Result<(), Error> {
    systemctl(&["daemon-reload"]).await?;
    let units = show().await?;
    if let Some(file) = planned.iter().find(|file| is_of(&units, &file.path).is_none()) {
        let said = format!("it does not read {}; another XDG_CONFIG_HOME is set for it", file.path.display());
        return Err(Error::Refused { command: "systemctl --user daemon-reload".into(), said });
    }
    systemctl(&["enable", SOCKET, SERVICE]).await.map(drop)
}

/// The socket first: while the service runs, systemd does not take the port.
async fn start(planned: &[Planned; 2], replaced: &Replaced, notes: &mut Vec<String>) -> Result<(), Error> {
    let [socket, service] = planned;
    let before = show().await?;
    let is_active = |unit: &str| before.get(unit).is_some_and(|unit| unit.is("ActiveState", "active"));
    let port_changed = replaced.has_changed(&socket.path);
    if is_active(SERVICE) && (port_changed || !is_active(SOCKET)) {
        systemctl(&["stop", SOCKET, SERVICE]).await?;
    } else if port_changed && is_active(SOCKET) {
        systemctl(&["stop", SOCKET]).await?;
    } else if is_active(SERVICE) && replaced.has_changed(&service.path) {
        // The socket stays, so that nobody is refused.
        systemctl(&["restart", SERVICE]).await?;
    }
    systemctl(&["reset-failed", SOCKET, SERVICE]).await.ok();
    if systemctl(&["start", SOCKET]).await.is_err() {
        notes.push("systemd does not hold the port yet: somebody else has it; from the next login on it does".into());
    }
    systemctl(&["start", SERVICE]).await.map(drop)
}

/// As if nothing had been tried.
async fn take_back(replaced: Replaced, is_new: bool) {
    if is_new {
        systemctl(&["disable", "--now", SOCKET, SERVICE]).await.ok();
    }
    replaced.undo();
    systemctl(&["daemon-reload"]).await.ok();
    systemctl(&["reset-failed", SOCKET, SERVICE]).await.ok();
}

pub(super) async fn uninstall() -> Result<Vec<String>, Error> {
    let Some(paths) = paths() else { return Ok(Vec::new()) };
    let ours: Vec<_> = paths.iter().filter(|path| matches!(saved::look(path), Found::Ours(_))).collect();
    let names: Vec<_> = ours.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let manager = available().await.is_ok();
    if manager && !names.is_empty() {
        systemctl(&[&["disable", "--now"], names.as_slice()].concat()).await?;
    }
    let mut removed = unlink(&paths);
    let files = saved::remove(&paths);
    if manager && !names.is_empty() {
        systemctl(&["daemon-reload"]).await?;
        systemctl(&[&["reset-failed"], names.as_slice()].concat()).await.ok();
    }
    removed.extend(files?.iter().map(|path| path.display().to_string()));
    Ok(removed)
}

/// The links that `enable` made, where no manager could be asked or a unit's file is gone: they lead to our units or nowhere.
fn unlink(paths: &[PathBuf; 2]) -> Vec<String> {
    let links = paths.iter().zip(["sockets.target.wants", "default.target.wants"]).filter_map(|(path, folder)| {
        let leads = matches!(saved::look(path), Found::Ours(_) | Found::Nothing);
        let link = path.parent()?.join(folder).join(path.file_name()?);
        (leads && std::fs::read_link(&link).is_ok_and(|to| to == *path)).then_some(link)
    });
    links.filter(|link| std::fs::remove_file(link).is_ok()).map(|link| link.display().to_string()).collect()
}

pub(super) async fn look(wanted: Option<&Wanted>) -> Seen {
    let Some(paths) = paths() else { return Seen::default() };
    let found = paths.clone().map(|path| saved::look(&path));
    let files = paths.iter().zip(&found).map(|(path, found)| File { path: path.clone(), state: FileState::from(found) });
    let mut seen = Seen { files: files.collect(), ..Seen::default() };
    if !found.iter().any(|found| matches!(found, Found::Ours(_))) {
        return seen;
    }
    let version = systemd().await.ok();
    if let (Some(wanted), Some(version)) = (wanted, version)
        && let Ok(planned) = planned(wanted, version)
    {
        for (planned, found) in planned.iter().zip(&found) {
            let name = planned.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Found::Ours(text) = found {
                seen.drift.extend(difference(&name, text, &planned.text));
            }
        }
    }
    let Ok(units) = show().await else { return seen };
    let [socket, service] = [SOCKET, SERVICE].map(|unit| units.get(unit).cloned().unwrap_or_default());
    seen.enabled = Some([&socket, &service].iter().all(|unit| unit.is("UnitFileState", "enabled")));
    seen.is_running = service.is("ActiveState", "active");
    seen.holds = socket.holds();
    for (name, unit) in [(SOCKET, &socket), (SERVICE, &service)] {
        if unit.is("ActiveState", "failed") {
            let why = unit.0.get("Result").map_or("", String::as_str);
            seen.notes.push(format!("{name} has failed ({why}); `journalctl --user -u {name}` says more"));
        }
        if unit.is("NeedDaemonReload", "yes") {
            seen.notes.push(format!("{name} has changed since systemd read it; run `leeward service install`"));
        }
    }
    if seen.is_running && seen.holds.is_none() {
        seen.notes.push("it serves, and systemd does not hold its port until the next login".into());
    }
    seen
}

/// The address in the socket unit, where it is ours.
pub(super) fn planned_address() -> Option<SocketAddr> {
    match saved::look(&paths()?[0]) {
        Found::Ours(text) => units::listens_at(&text),
        Found::Nothing | Found::Foreign => None,
    }
}

/// The address that systemd holds for our socket unit.
pub(super) async fn holds() -> Option<SocketAddr> {
    let [path, _] = paths()?;
    matches!(saved::look(&path), Found::Ours(_)).then_some(())?;
    is_of(&show().await.ok()?, &path)?.holds()
}

/// What `systemctl show` says of a unit.
#[derive(Clone, Debug, Default)]
struct Unit(HashMap<String, String>);

impl Unit {
    fn is(&self, property: &str, value: &str) -> bool {
        self.0.get(property).is_some_and(|is| is == value)
    }

    /// Such as `127.0.0.1:8787 (Stream)`.
    fn holds(&self) -> Option<SocketAddr> {
        self.is("ActiveState", "active").then_some(())?;
        self.0.get("Listen")?.strip_suffix(" (Stream)")?.parse().ok()
    }
}

/// The unit that systemd has read from this file.
fn is_of<'u>(units: &'u HashMap<String, Unit>, path: &Path) -> Option<&'u Unit> {
    let unit = units.get(path.file_name()?.to_str()?)?;
    let read = unit.0.get("FragmentPath").map(Path::new)?;
    let same = read == path || matches!((read.canonicalize(), path.canonicalize()), (Ok(read), Ok(path)) if read == path);
    (unit.is("LoadState", "loaded") && same).then_some(unit)
}

async fn show() -> Result<HashMap<String, Unit>, Error> {
    systemctl(&["show", ASKED, SOCKET, SERVICE]).await.map(|said| parsed(&said))
}

/// A paragraph for each unit.
fn parsed(said: &str) -> HashMap<String, Unit> {
    let units = said.split("\n\n").map(|unit| {
        let lines = unit.lines().filter_map(|line| line.split_once('='));
        Unit(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    });
    units.filter_map(|unit| Some((unit.0.get("Id")?.clone(), unit))).collect()
}

/// Whether the user's manager stays without a session.
fn lingers() -> bool {
    let name = environment("USER").or_else(|| environment("LOGNAME")).unwrap_or_default();
    !name.is_empty() && !name.contains('/') && Path::new("/var/lib/systemd/linger").join(name).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_says_is_read() {
        let said = "Id=leeward.socket\nActiveState=active\nListen=127.0.0.1:8787 (Stream)\nLoadState=loaded\n\
                    FragmentPath=/home/me/.config/systemd/user/leeward.socket\n\n\
                    Id=leeward.service\nActiveState=inactive\nListen=\n";
        let units = parsed(said);
        let socket = &units[SOCKET];
        assert_eq!(socket.holds(), Some("127.0.0.1:8787".parse().unwrap()));
        assert!(units[SERVICE].holds().is_none() && units[SERVICE].is("ActiveState", "inactive"));
        assert!(is_of(&units, Path::new("/home/me/.config/systemd/user/leeward.socket")).is_some());
        assert!(is_of(&units, Path::new("/home/you/.config/systemd/user/leeward.socket")).is_none());
        for (listen, state) in [("127.0.0.1:8787 (Stream)", "failed"), ("/run/x (Stream)", "active"), ("", "active")] {
            let unit = parsed(&format!("Id=a\nActiveState={state}\nListen={listen}\n"));
            assert_eq!(unit["a"].holds(), None, "{listen} {state}");
        }
    }
}
