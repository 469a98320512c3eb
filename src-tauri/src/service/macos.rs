//! macOS half of `service`: a launch agent of the user, loaded by `launchctl`.

use super::{
    command,
    error::Error,
    launch_agent::{self, LABEL},
    report::{File, FileState, Seen, difference},
    saved::{self, Found, Planned},
    wanted::Wanted,
};
use std::{net::SocketAddr, path::PathBuf};

pub(super) const MANAGER: &str = "launchd";

const INSTEAD: &str = "log in on the desktop once, or start `leeward serve` with your shell's profile; `leeward wrap` starts one by \
                       itself and needs no service";

fn domain() -> String {
    format!("gui/{}", rustix::process::geteuid().as_raw())
}

fn target() -> String {
    format!("{}/{LABEL}", domain())
}

async fn launchctl(args: &[&str]) -> Result<String, Error> {
    command::tell("/bin/launchctl", args, &[]).await
}

/// Launch agents belong to a login on the desktop.
pub(super) async fn available() -> Result<(), Error> {
    let none = |why: String| Error::NoManager { manager: MANAGER, why, instead: INSTEAD };
    match launchctl(&["print", &domain()]).await {
        Ok(_) => Ok(()),
        Err(Error::Refused { said, .. }) => Err(none(said)),
        Err(why) => Err(why),
    }
}

fn path() -> Option<PathBuf> {
    let home = directories::BaseDirs::new()?.home_dir().to_owned();
    Some(home.join("Library").join("LaunchAgents").join(format!("{LABEL}.plist")))
}

pub(super) async fn install(wanted: &Wanted) -> Result<Vec<String>, Error> {
    let path = path().ok_or_else(|| Error::Unspellable("there is no home folder for the launch agent".into()))?;
    let planned = [Planned { path: path.clone(), text: launch_agent::agent(wanted)? }];
    let replaced = saved::replace(&planned)?;
    let is_loaded = launchctl(&["print", &target()]).await.is_ok();
    if is_loaded && !replaced.has_changed(&path) {
        return Ok(Vec::new());
    }
    if is_loaded {
        launchctl(&["bootout", &target()]).await.ok();
    }
    let file = path.display().to_string();
    // One that was switched off in the system's settings would not be loaded.
    let loaded = match launchctl(&["enable", &target()]).await {
        Ok(_) => launchctl(&["bootstrap", &domain(), &file]).await,
        refused => refused,
    };
    if let Err(why) = loaded {
        replaced.undo();
        return Err(why);
    }
    Ok(vec!["launchd holds the port and starts Leeward at the first connection".into()])
}

pub(super) async fn uninstall() -> Result<Vec<String>, Error> {
    let Some(path) = path() else { return Ok(Vec::new()) };
    // What is loaded of a file of another kind is not ours to end.
    if !matches!(saved::look(&path), Found::Foreign) && launchctl(&["print", &target()]).await.is_ok() {
        launchctl(&["bootout", &target()]).await?;
    }
    Ok(saved::remove(&[path])?.iter().map(|path| path.display().to_string()).collect())
}

pub(super) async fn look(wanted: Option<&Wanted>) -> Seen {
    let Some(path) = path() else { return Seen::default() };
    let found = saved::look(&path);
    let mut seen = Seen { files: vec![File { path, state: FileState::from(&found) }], ..Seen::default() };
    let Found::Ours(text) = found else { return seen };
    if let Some(Ok(planned)) = wanted.map(launch_agent::agent) {
        seen.drift.extend(difference(&format!("{LABEL}.plist"), &text, &planned));
    }
    let disabled = launchctl(&["print-disabled", &domain()]).await;
    seen.enabled = disabled.ok().map(|said| !said.contains(&format!("\"{LABEL}\" => disabled")));
    if let Ok(said) = launchctl(&["print", &target()]).await {
        seen.is_running = said.lines().any(|line| line.trim() == "state = running");
        seen.holds = launch_agent::listens_at(&text);
    }
    seen
}

/// The address in the agent, where it is ours.
pub(super) fn planned_address() -> Option<SocketAddr> {
    match saved::look(&path()?) {
        Found::Ours(text) => launch_agent::listens_at(&text),
        Found::Nothing | Found::Foreign => None,
    }
}

/// The address that launchd holds while the agent is loaded.
pub(super) async fn holds() -> Option<SocketAddr> {
    let planned = planned_address()?;
    launchctl(&["print", &target()]).await.is_ok().then_some(planned)
}
