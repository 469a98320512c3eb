//! Launch: which agents are here, and one of them in a terminal behind Leeward. What the panel sends is checked here; no
//! word of it passes through a shell.

use crate::{commands::Refusal, state::PANEL};
use leeward::{
    config::{Mode, Paths, environment},
    coverage, files,
    instance::{CoreLimit, write_atomically},
    tasks::Tasks,
    wrap::{self, Profile, Shell},
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tauri::{AppHandle, Manager, State};
use tauri_plugin_dialog::DialogExt;
use tokio::{process::Command, sync::oneshot, task::JoinSet, time::timeout};

/// An agent says its version in a second or two; Node starts slowly.
const VERSION_WITHIN: Duration = Duration::from_secs(5);
/// A terminal that cannot show itself says so at once.
const FAILS_WITHIN: Duration = Duration::from_millis(700);
/// As many recent folders as a list shows at a glance.
const FOLDERS: usize = 8;
/// More words, or longer ones, are a mistake.
const MOST_WORDS: usize = 200;

/// An agent of the table, as the panel shows it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Agent {
    /// Its profile's name.
    name: String,
    /// As it calls itself.
    title: String,
    /// Whether it can be launched.
    found: bool,
    /// Its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    path: Option<PathBuf>,
    /// As it reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    version: Option<String>,
    /// What to do when it was not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    hint: Option<String>,
}

/// Where agents were launched last, the newest first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Recent {
    folders: Vec<PathBuf>,
}

/// In which terminal it opened.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Launched {
    /// Its name.
    terminal: String,
}

/// The agents that Leeward knows, found ones first, with the versions they report.
#[tauri::command]
pub(crate) async fn agents() -> Result<Vec<Agent>, Refusal> {
    let mut asked = JoinSet::new();
    for (place, (profile, found)) in located()?.into_iter().enumerate() {
        asked.spawn(async move {
            let (path, hint) = match found {
                Ok(path) => (Some(path), None),
                Err(why) => (None, Some(why)),
            };
            let version = match &path {
                Some(path) => version(path).await,
                None => None,
            };
            (place, Agent { name: profile.name, title: profile.title, found: path.is_some(), path, version, hint })
        });
    }
    let mut agents = asked.join_all().await;
    agents.sort_by_key(|(place, agent)| (!agent.found, *place));
    Ok(agents.into_iter().map(|(_, agent)| agent).collect())
}

/// Names and titles of the agents that are installed, in the table's order.
pub(crate) fn installed() -> Vec<(String, String)> {
    let found = located().unwrap_or_default().into_iter().filter(|(_, found)| found.is_ok());
    found.map(|(profile, _)| (profile.name, profile.title)).collect()
}

/// Where `again` launches, as people write it.
pub(crate) fn folder_in_words(paths: &Paths) -> Option<String> {
    let home = wrap::with_own(|around| around.home.clone());
    let folder = recent(paths).into_iter().next().or_else(|| home.clone())?;
    Some(match home.as_ref().and_then(|home| folder.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".into(),
        Some(rest) => Path::new("~").join(rest).display().to_string(),
        None => folder.display().to_string(),
    })
}

/// Folders in which agents were launched; those that are gone are left out.
#[tauri::command]
pub(crate) fn folders(paths: State<'_, Paths>) -> Vec<PathBuf> {
    recent(&paths)
}

/// The desktop's dialog for a folder, beginning at `from` where that is one; `None` when it was cancelled.
#[tauri::command]
pub(crate) async fn pick_folder(app: AppHandle, from: PathBuf) -> Result<Option<PathBuf>, Refusal> {
    let (tell, told) = oneshot::channel();
    let dialog = app.dialog().file().set_title("Folder to launch in");
    let dialog = match from.is_dir() {
        true => dialog.set_directory(from),
        false => dialog,
    };
    let dialog = match app.get_webview_window(PANEL) {
        Some(panel) => dialog.set_parent(&panel),
        None => dialog,
    };
    dialog.pick_folder(move |chosen| {
        tell.send(chosen).ok(); // the panel may be gone
    });
    let failed = |why: &dyn std::fmt::Display| Refusal::new("no-dialog", format!("The dialog failed: {why}; type the folder."));
    match told.await.map_err(|why| failed(&why))? {
        Some(chosen) => chosen.into_path().map(Some).map_err(|why| failed(&why)),
        None => Ok(None),
    }
}

/// Opens a terminal in a folder and runs `leeward wrap` there.
#[tauri::command]
pub(crate) async fn launch(
    agent: String,
    folder: PathBuf,
    mode: String,
    args: Vec<String>,
    paths: State<'_, Paths>,
    tasks: State<'_, Tasks>,
    core_limit: State<'_, CoreLimit>,
) -> Result<Launched, Refusal> {
    open(&agent, &folder, &mode, &args, &paths, &tasks, &core_limit).await
}

/// From the menu: in the folder of the last time, else at home.
pub(crate) async fn again(agent: &str, paths: &Paths, tasks: &Tasks, core_limit: &CoreLimit) -> Result<Launched, Refusal> {
    let home = || wrap::with_own(|around| around.home.clone());
    let folder = recent(paths).into_iter().next().or_else(home);
    let folder = folder.ok_or_else(|| Refusal::new("no-folder", "Choose a folder on the panel's Launch page first."))?;
    // As the config says.
    open(agent, &folder, "", &[], paths, tasks, core_limit).await
}

async fn open(
    agent: &str,
    folder: &Path,
    mode: &str,
    args: &[String],
    paths: &Paths,
    tasks: &Tasks,
    core_limit: &CoreLimit,
) -> Result<Launched, Refusal> {
    let words = checked(agent, folder, mode, args)?;
    let leeward = leeward()?;
    let found = wrap::with_own(|around| wrap::terminal(&leeward, &words, folder, around));
    let terminal = found.map_err(|why| Refusal::new("no-terminal", sentence(&why)))?;
    let name = terminal.name;
    let mut command = Command::from(terminal.command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = |why: &dyn std::fmt::Display| Refusal::new("terminal-failed", format!("{name} could not be opened: {why}."));
    let mut child = core_limit.starting(|| command.spawn()).map_err(|why| failed(&why))?;
    match timeout(FAILS_WITHIN, child.wait()).await {
        Ok(Ok(status)) if !status.success() => return Err(failed(&format!("it ended at once with {status}"))),
        Ok(_) => {}
        // It stays open as long as its user likes; its end is waited for so that no zombie stays.
        Err(_) => tasks.spawn(async move {
            child.wait().await.ok();
        }),
    }
    remember(paths, folder);
    tracing::info!("launched {agent} in {name}, {}", folder.display());
    Ok(Launched { terminal: name })
}

/// The words after `leeward wrap`, once everything about them is known to be good.
fn checked(agent: &str, folder: &Path, mode: &str, args: &[String]) -> Result<Vec<OsString>, Refusal> {
    let known = located()?.into_iter().find(|(profile, _)| profile.name == agent);
    let (profile, found) = known.ok_or_else(|| Refusal::new("no-agent", format!("There is no agent called `{agent}`.")))?;
    found.map_err(|why| Refusal::new("no-agent", why))?;
    let known = Mode::CHOICES.iter().find(|(_, name, _)| *name == mode).map(|(known, ..)| *known);
    if known.is_none() && !mode.is_empty() {
        return Err(Refusal::new("no-mode", format!("There is no mode `{mode}`.")));
    }
    if let Some(why) = known.and_then(|known| wrap::mode_refusal(&profile, known)) {
        return Err(Refusal::new("no-mode", sentence(&why)));
    }
    if !folder.is_absolute() || !folder.is_dir() {
        let sentence = format!("There is no folder {}; write its whole path, or choose it.", folder.display());
        return Err(Refusal::new("no-folder", sentence));
    }
    if args.len() > MOST_WORDS || args.iter().any(|word| word.contains('\0') || word.len() > 32_000) {
        return Err(Refusal::new("bad-arguments", "These arguments are too many, too long, or hold a NUL character."));
    }
    let mut words = vec![agent.into()];
    if known.is_some() {
        words.extend(["--mode".into(), mode.into()]);
    }
    if !args.is_empty() {
        words.push("--".into());
        words.extend(args.iter().map(OsString::from));
    }
    Ok(words)
}

/// The command-line program, which is installed beside this one.
fn leeward() -> Result<PathBuf, Refusal> {
    let name = format!("leeward{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|tray| Some(tray.parent()?.join(&name))).filter(|path| path.is_file());
    let on_path = || wrap::with_own(|around| wrap::find_program(name.as_ref(), around).ok());
    beside.or_else(on_path).ok_or_else(|| {
        Refusal::new(
            "no-leeward",
            format!("The program `{name}` is neither beside leeward-tray nor on PATH; install Leeward again."),
        )
    })
}

/// The line that gives an open terminal the variables: it asks `leeward env`, which names whoever serves by then.
#[tauri::command]
pub(crate) fn copy_environment(shell: String) -> Result<String, Refusal> {
    let shell = match shell.as_str() {
        "sh" => Shell::Sh,
        "fish" => Shell::Fish,
        "powershell" => Shell::PowerShell,
        _ => return Err(Refusal::new("no-shell", format!("`{shell}` is not known; there are sh, fish and powershell."))),
    };
    let mut leeward = shell.quote(&leeward()?.display().to_string());
    // PowerShell takes a quoted word as a text unless it is called.
    if shell == Shell::PowerShell {
        leeward.insert_str(0, "& ");
    }
    Ok(match shell {
        Shell::Sh => format!("eval \"$({leeward} env --shell sh)\""),
        Shell::Fish => format!("{leeward} env --shell fish | source"),
        Shell::PowerShell => format!("{leeward} env --shell powershell | Out-String | Invoke-Expression"),
    })
}

/// The shell that the user's terminals run, as far as one can tell.
pub(crate) fn users_shell() -> &'static str {
    let login = environment("SHELL").unwrap_or_default();
    match Path::new(&login).file_name().and_then(|name| name.to_str()) {
        _ if cfg!(windows) => "powershell",
        Some("fish") => "fish",
        Some("pwsh") => "powershell",
        _ => "sh",
    }
}

type Located = (Profile, Result<PathBuf, String>);

/// Every agent, and where it is or why not.
fn located() -> Result<Vec<Located>, Refusal> {
    let profiles =
        wrap::profiles().map_err(|why| Refusal::new("no-agents", format!("The table of agents is damaged: {why}.")))?;
    let agents = profiles.into_iter().filter(|profile| profile.name != wrap::ANYTHING);
    Ok(wrap::with_own(|around| {
        agents.map(|p| (wrap::find_agent(&p, around).map_err(|why| sentence(&why)), p)).map(|(found, p)| (p, found)).collect()
    }))
}

async fn version(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    #[cfg(windows)]
    command.creation_flags(0x0800_0000); // CREATE_NO_WINDOW: no console flashes up
    let output = timeout(VERSION_WITHIN, command.output()).await.ok()?.ok()?;
    coverage::read_version(&String::from_utf8_lossy(&output.stdout))
}

fn file(paths: &Paths) -> PathBuf {
    paths.state_dir.join("launch.json")
}

fn recent(paths: &Paths) -> Vec<PathBuf> {
    let read = files::read(&file(paths)).ok().and_then(|bytes| serde_json::from_slice::<Recent>(&bytes).ok());
    read.unwrap_or_default().folders.into_iter().filter(|folder| folder.is_dir()).collect()
}

fn remember(paths: &Paths, folder: &Path) {
    let mut folders = recent(paths);
    folders.retain(|known| known != folder);
    folders.insert(0, folder.to_owned());
    folders.truncate(FOLDERS);
    let written = serde_json::to_vec_pretty(&Recent { folders })
        .map_err(std::io::Error::other)
        .and_then(|json| write_atomically(&file(paths), &json));
    if let Err(why) = written {
        tracing::warn!("{} cannot be written: {why}; the folder is not remembered", file(paths).display());
    }
}

/// An error of the library as a sentence of its own.
fn sentence(why: &dyn std::fmt::Display) -> String {
    let text = why.to_string();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>() + ".").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_good_is_refused_before_anything_starts() {
        let code = |agent: &str, folder: &str, mode: &str, args: &[String]| {
            checked(agent, Path::new(folder), mode, args).err().map(|why| why.code)
        };
        assert_eq!(code("no-such", "/", "base-url", &[]).as_deref(), Some("no-agent"));
        assert_eq!(code("anything", "/", "base-url", &[]).as_deref(), Some("no-agent"), "it is not one of the agents");
    }

    #[test]
    fn folders_are_remembered_once_newest_first_and_only_while_they_exist() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        std::fs::create_dir_all(&paths.state_dir).unwrap();
        assert!(recent(&paths).is_empty());
        let folders: Vec<_> = (0..FOLDERS + 2).map(|n| home.path().join(format!("project {n}"))).collect();
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
            remember(&paths, folder);
        }
        remember(&paths, &folders[5]);
        let known = recent(&paths);
        assert_eq!((known.len(), &known[0], &known[1]), (FOLDERS, &folders[5], folders.last().unwrap()));
        std::fs::remove_dir(&folders[5]).unwrap();
        assert!(!recent(&paths).contains(&folders[5]));
        std::fs::write(file(&paths), "{").unwrap();
        assert!(recent(&paths).is_empty(), "a damaged file costs the list, nothing else");
    }
}
