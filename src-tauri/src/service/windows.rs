//! Windows half of `service`: a task at logon, by `schtasks`. It holds no socket: while Leeward is away, the sessions of
//! `leeward wrap` and the tray do.

use super::{
    command::{self, Reply},
    error::Error,
    report::{File, FileState, Seen, difference},
    scheduled_task::{self, NAME},
    wanted::{Wanted, is_ours},
};
use crate::{config::environment, instance::write_atomically};
use std::{net::SocketAddr, path::PathBuf};

pub(super) const MANAGER: &str = "Task Scheduler";

const INSTEAD: &str = "put `leeward serve` into the Startup folder, or use the tray's start at login; `leeward wrap` starts one by \
                       itself and needs no service";

async fn schtasks(args: &[&str]) -> Result<String, Error> {
    command::tell("schtasks.exe", args, &[]).await
}

pub(super) async fn available() -> Result<(), Error> {
    let none = |why: String| Error::NoManager { manager: MANAGER, why, instead: INSTEAD };
    match command::ask("schtasks.exe", &["/?"], &[]).await {
        Ok(Reply { success: true, .. }) => Ok(()),
        Ok(Reply { stderr, .. }) => Err(none(stderr)),
        Err(why) => Err(none(why.to_string())),
    }
}

fn wanted_task(wanted: &Wanted) -> Result<String, Error> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let name = variable("USERNAME").ok_or_else(|| Error::Unspellable("the variable USERNAME is not set".into()))?;
    let user = variable("USERDOMAIN").map_or_else(|| name.clone(), |domain| format!("{domain}\\{name}"));
    scheduled_task::task(wanted, &user, &variable("SystemRoot").unwrap_or_else(|| "C:\\Windows".into()))
}

/// The task of that name, as the system writes it; `None` where there is none.
async fn task() -> Option<String> {
    schtasks(&["/query", "/tn", NAME, "/xml"]).await.ok()
}

pub(super) async fn install(wanted: &Wanted) -> Result<Vec<String>, Error> {
    if task().await.is_some_and(|text| !is_ours(&text)) {
        return Err(Error::Foreign(PathBuf::from(NAME)));
    }
    let text = wanted_task(wanted)?;
    let folder = tempfile::tempdir().map_err(|why| Error::File { path: std::env::temp_dir(), why })?;
    let file = folder.path().join("leeward-task.xml");
    write_atomically(&file, &scheduled_task::encoded(&text)).map_err(|why| Error::File { path: file.clone(), why })?;
    schtasks(&["/create", "/f", "/tn", NAME, "/xml", &file.display().to_string()]).await?;
    schtasks(&["/run", "/tn", NAME]).await?;
    Ok(vec![
        "Windows holds no port for it: after a kill it is back within a minute, with a session of `leeward wrap` at once".into(),
    ])
}

pub(super) async fn uninstall() -> Result<Vec<String>, Error> {
    match task().await {
        None => Ok(Vec::new()),
        Some(text) if !is_ours(&text) => Err(Error::Foreign(PathBuf::from(NAME))),
        Some(_) => {
            // One that does not run cannot be ended.
            schtasks(&["/end", "/tn", NAME]).await.ok();
            schtasks(&["/delete", "/f", "/tn", NAME]).await?;
            Ok(vec![format!("the task {NAME}")])
        }
    }
}

pub(super) async fn look(wanted: Option<&Wanted>) -> Seen {
    let text = task().await;
    let state = match &text {
        None => FileState::Missing,
        Some(text) if is_ours(text) => FileState::Ours,
        Some(_) => FileState::Foreign,
    };
    let mut seen = Seen { files: vec![File { path: PathBuf::from(NAME), state }], ..Seen::default() };
    let (Some(text), FileState::Ours) = (text, state) else { return seen };
    let runs = |text: &str| scheduled_task::runs(text).map(|(command, arguments)| format!("{command} {arguments}"));
    if let Some(Ok(planned)) = wanted.map(wanted_task)
        && let (Some(is), Some(planned)) = (runs(&text), runs(&planned))
    {
        seen.drift.extend(difference("the task", &is, &planned));
    }
    let is_enabled = !text.contains("<Enabled>false</Enabled>");
    seen.enabled = Some(is_enabled);
    // The words of `schtasks` are in the language of the system; the number of a running task is not.
    let script = format!("(Get-ScheduledTask -TaskName '{NAME}').State -eq 'Running'");
    let said = command::ask("powershell.exe", &["-NoProfile", "-NonInteractive", "-Command", &script], &[]).await;
    seen.is_running = said.is_ok_and(|said| said.stdout.eq_ignore_ascii_case("true"));
    seen
}

/// It holds none.
pub(super) fn planned_address() -> Option<SocketAddr> {
    None
}

/// It holds none.
pub(super) async fn holds() -> Option<SocketAddr> {
    std::future::ready(None).await
}
