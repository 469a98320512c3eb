//! Which files set-up writes for whom, and what outranks them. Facts and paths; reads what it needs through the context.

use super::key::{Form, Key};
use crate::wrap::AgentContext;
use std::path::{Path, PathBuf};

/// The name that stands for the profiles of the user's shells.
pub const SHELL: &str = "shell";

/// Whom set-up knows: the agents of `leeward wrap` that keep their endpoint in files of the user's own, and the shells.
pub const TARGETS: [&str; 6] = ["claude", "codex", "gemini", "opencode", "qwen", SHELL];

/// The list in which VS Code keeps variables for Claude Code.
pub(super) const LISTED: &str = "claudeCode.environmentVariables";

/// A file and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) form: Form,
}

impl Place {
    fn new(path: PathBuf, form: Form) -> Self {
        Self { path, form }
    }
}

/// A folder that a variable names, else one below the home folder.
fn home_of(context: &AgentContext<'_>, variable: &str, below: &str) -> Option<PathBuf> {
    let named = context.var(variable).map(|folder| context.cwd.join(folder));
    named.or_else(|| Some(context.home.as_ref()?.join(below)))
}

fn is_file(context: &AgentContext<'_>, path: &Path) -> bool {
    match (context.read)(path) {
        Ok(_) => true,
        // What is there and no text is a file all the same.
        Err(e) => !matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory),
    }
}

/// The folder of an agent's own files, which says that it is, or was, in use.
pub(super) fn folder(agent: &str, context: &AgentContext<'_>) -> Option<PathBuf> {
    match agent {
        "claude" => home_of(context, "CLAUDE_CONFIG_DIR", ".claude"),
        "codex" => home_of(context, "CODEX_HOME", ".codex"),
        "gemini" => Some(home_of(context, "GEMINI_CLI_HOME", "")?.join(".gemini")),
        "opencode" => Some(home_of(context, "XDG_CONFIG_HOME", ".config")?.join("opencode")),
        "qwen" => home_of(context, "QWEN_HOME", ".qwen"),
        _ => None,
    }
}

/// The file that holds an agent's endpoint.
pub(super) fn main(agent: &str, context: &AgentContext<'_>) -> Option<Place> {
    let folder = folder(agent, context)?;
    Some(match agent {
        "claude" | "qwen" => Place::new(folder.join("settings.json"), Form::Json),
        "codex" => Place::new(folder.join("config.toml"), Form::Toml),
        "gemini" => Place::new(env_file(context, &folder), Form::Env),
        _ => {
            let commented = folder.join("opencode.jsonc");
            let path = if is_file(context, &commented) { commented } else { folder.join("opencode.json") };
            Place::new(path, Form::Json)
        }
    })
}

/// Gemini CLI reads one `.env` file alone: a new one in its folder would hide the one in the home folder.
fn env_file(context: &AgentContext<'_>, folder: &Path) -> PathBuf {
    let own = folder.join(".env");
    let beside = folder.parent().map(|home| home.join(".env"));
    beside.filter(|beside| !is_file(context, &own) && is_file(context, beside)).unwrap_or(own)
}

/// The `.env` files that outrank Qwen Code's settings, the strongest first.
pub(super) fn qwens_env_files(context: &AgentContext<'_>) -> Vec<PathBuf> {
    let own = folder("qwen", context).map(|folder| folder.join(".env"));
    own.into_iter().chain(context.path("~/.env")).collect()
}

/// The settings of VS Code and its like, where they are in use.
pub(super) fn editors(context: &AgentContext<'_>) -> Vec<Place> {
    let base = if cfg!(target_os = "macos") {
        context.path("~/Library/Application Support")
    } else if cfg!(windows) {
        context.var("APPDATA").map(PathBuf::from)
    } else {
        home_of(context, "XDG_CONFIG_HOME", ".config")
    };
    let folders = ["Code", "Code - Insiders", "VSCodium", "Cursor"];
    let users = base.into_iter().flat_map(|base| folders.map(|folder| base.join(folder).join("User")));
    let in_use = users.filter(|user| !(context.list)(user).is_empty());
    in_use.map(|user| Place::new(user.join("settings.json"), Form::Json)).collect()
}

/// A shell whose profile gets a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Sh,
    Fish,
    PowerShell,
}

/// The profiles of the shells in use: those that are there, and the one of the user's own shell.
pub(super) fn profiles(context: &AgentContext<'_>) -> Vec<(Profile, Place)> {
    let own = context.var("SHELL").and_then(|path| path.rsplit(['/', '\\']).next().map(str::to_owned)).unwrap_or_default();
    let config = home_of(context, "XDG_CONFIG_HOME", ".config");
    let zsh = home_of(context, "ZDOTDIR", "").map(|folder| folder.join(".zshrc"));
    let fish = config.as_ref().map(|config| config.join("fish"));
    let mut found = Vec::new();
    for (name, path) in [("bash", context.path("~/.bashrc")), ("zsh", zsh)] {
        found.extend(path.filter(|path| own == name || is_file(context, path)).map(|path| (Profile::Sh, path)));
    }
    // Login shells of bash read one of these alone, and `.bashrc` only where it says so.
    if let Some(login) =
        ["~/.bash_profile", "~/.bash_login"].iter().find_map(|file| context.path(file).filter(|p| is_file(context, p)))
    {
        found.push((Profile::Sh, login));
    }
    if let Some(fish) = fish.filter(|fish| own == "fish" || !(context.list)(fish).is_empty()) {
        found.push((Profile::Fish, fish.join("conf.d").join("leeward.fish")));
    }
    let documents: Vec<PathBuf> = if cfg!(windows) {
        ["~/Documents/PowerShell", "~/Documents/WindowsPowerShell"].iter().filter_map(|folder| context.path(folder)).collect()
    } else {
        config.iter().map(|config| config.join("powershell")).collect()
    };
    let profile = |folder: PathBuf| (!(context.list)(&folder).is_empty() || own == "pwsh").then(|| folder.join("profile.ps1"));
    found.extend(documents.into_iter().filter_map(profile).map(|path| (Profile::PowerShell, path)));
    if cfg!(windows) && found.is_empty() {
        let folder = context.path("~/Documents/WindowsPowerShell");
        found.extend(folder.map(|folder| (Profile::PowerShell, folder.join("profile.ps1"))));
    }
    found.into_iter().map(|(profile, path)| (profile, Place::new(path, Form::Shell))).collect()
}

/// A file of the organisation's, or the system's, that outranks the user's own.
#[derive(Clone, Debug)]
pub(super) struct Managed {
    pub(super) place: Place,
    pub(super) keys: Vec<Key>,
}

/// What outranks the user's files of an agent. Claude Code's are looked at by its plan.
pub(super) fn managed(agent: &str, context: &AgentContext<'_>, ours: &[Key]) -> Vec<Managed> {
    let system = |linux: &str, macos: &str, windows: &str| {
        PathBuf::from(if cfg!(target_os = "macos") {
            macos
        } else if cfg!(windows) {
            windows
        } else {
            linux
        })
    };
    let codex = || vec![Key::of(&["openai_base_url"]), Key::of(&["model_provider"])];
    match agent {
        "codex" => {
            let own = folder(agent, context).map(|folder| folder.join("managed_config.toml")).filter(|_| cfg!(windows));
            let path = own.unwrap_or_else(|| "/etc/codex/managed_config.toml".into());
            vec![Managed { place: Place::new(path, Form::Toml), keys: codex() }]
        }
        "opencode" => {
            let folder = system("/etc/opencode", "/Library/Application Support/opencode", r"C:\ProgramData\opencode");
            let files = ["opencode.jsonc", "opencode.json"].map(|name| Place::new(folder.join(name), Form::Json));
            files.into_iter().map(|place| Managed { place, keys: ours.to_vec() }).collect()
        }
        "qwen" => {
            let named = context.var("QWEN_CODE_SYSTEM_SETTINGS_PATH").map(PathBuf::from);
            let path = named.unwrap_or_else(|| {
                system(
                    "/etc/qwen-code/settings.json",
                    "/Library/Application Support/QwenCode/settings.json",
                    r"C:\ProgramData\qwen-code\settings.json",
                )
            });
            let keys = ours.iter().cloned().chain([Key::of(&["security", "auth", "baseUrl"])]).collect();
            vec![Managed { place: Place::new(path, Form::Json), keys }]
        }
        _ => Vec::new(),
    }
}
