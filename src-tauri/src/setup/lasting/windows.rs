//! Windows half of `lasting`: the task at logon, and the tray's value of the `Run` key with the task manager's switch.

use super::entry::Lasting;
use crate::wrap::AgentContext;
use std::path::PathBuf;
use windows_registry::CURRENT_USER;

const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
const APPROVED: &str = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run";
const NAME: &str = "Leeward";

pub(super) fn lasting_port(context: &AgentContext<'_>) -> Option<Lasting> {
    let root = context.var("SystemRoot").map_or_else(|| PathBuf::from(r"C:\Windows"), PathBuf::from);
    let tasks = root.join(r"System32\Tasks");
    let is_ours = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.to_ascii_lowercase().starts_with("leeward"))
    };
    let listed = (context.list)(&tasks).into_iter().find(is_ours);
    // A user may open a task of one's own by its name where the folder cannot be listed.
    let task = listed.or_else(|| Some(tasks.join(NAME)).filter(|task| task.exists()));
    if let Some(task) = task {
        return Some(Lasting::Service(task.display().to_string()));
    }
    let key = CURRENT_USER.open(RUN).ok()?;
    key.get_string(NAME).ok()?;
    let switch = CURRENT_USER.open(APPROVED).and_then(|key| key.get_value(NAME)).ok();
    let is_off = switch.is_some_and(|value| value.first().is_some_and(|first| first % 2 == 1));
    (!is_off).then(|| Lasting::Tray(format!(r"HKEY_CURRENT_USER\{RUN}\{NAME}")))
}
