//! Unix half of `lasting`: systemd's units, launchd's agents, the desktop's autostart.

use super::entry::Lasting;
use crate::wrap::AgentContext;
use std::path::{Path, PathBuf};

pub(super) fn lasting_port(context: &AgentContext<'_>) -> Option<Lasting> {
    if cfg!(target_os = "macos") {
        let agents = ours(context, &context.path("~/Library/LaunchAgents")?, &["plist"]);
        let is_tray = |path: &&PathBuf| path.file_name().is_some_and(|name| name == "app.leeward.plist");
        let tray = agents.iter().find(is_tray).map(|path| Lasting::Tray(path.display().to_string()));
        let service = agents.iter().find(|path| !is_tray(path)).map(|path| Lasting::Service(path.display().to_string()));
        return service.or(tray);
    }
    let config = context.var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| context.path("~/.config"))?;
    let units = ours(context, &config.join("systemd/user"), &["socket", "service"]);
    if let Some(unit) = units.first() {
        return Some(Lasting::Service(unit.display().to_string()));
    }
    let entry = config.join("autostart/leeward-tray.desktop");
    let text = (context.read)(&entry).ok()?;
    let is = |key: &str, value: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.into_iter().any(|(k, v)| k.trim() == key && v.trim().eq_ignore_ascii_case(value))
    };
    let is_off = is("Hidden", "true") || is("X-GNOME-Autostart-enabled", "false");
    (!is_off).then(|| Lasting::Tray(entry.display().to_string()))
}

/// The files of a folder that carry our name.
fn ours(context: &AgentContext<'_>, folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let extension = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        (name.starts_with("leeward") || name.starts_with("app.leeward")) && extensions.contains(&extension)
    };
    (context.list)(folder).into_iter().filter(is_ours).collect()
}
