//! Claude Code: its settings files outrank its environment, so they are read and, where need be, overruled by
//! `--settings`. Never writes one of them.

use super::{
    bypass::{PROXIES, bypass},
    context::AgentContext,
    draft::{Draft, Heeded, PlanError},
    options::option_value,
    private_argument::PrivateArgument,
    route::FirstParty,
};
use crate::config::CLIENT_TOKEN_HEADER;
use serde_json::{Map, Value};
use std::path::PathBuf;

const BASE: &str = "ANTHROPIC_BASE_URL";
/// Additional headers, a line each.
const HEADERS: &str = "ANTHROPIC_CUSTOM_HEADERS";

/// Providers under which Claude Code does not use its base URL.
const OTHER_PROVIDERS: [(&str, &str); 3] = [
    ("CLAUDE_CODE_USE_BEDROCK", "Amazon Bedrock"),
    ("CLAUDE_CODE_USE_VERTEX", "Google Vertex AI"),
    ("CLAUDE_CODE_USE_FOUNDRY", "Microsoft Foundry"),
];

/// One place with an `env` block; those that come first outrank the others.
struct Source {
    place: String,
    env: Map<String, Value>,
    scope: Scope,
}

/// Whose word a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The organisation's; nothing can overrule it.
    Managed,
    /// The user's own.
    User,
    /// The project's, which Claude Code heeds once its user trusts the folder.
    Project,
}

impl Source {
    /// Settings write numbers and booleans too; the environment knows only text.
    fn get(&self, name: &str) -> Option<String> {
        Some(match self.env.get(name)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// Fills in the plan for Claude Code.
pub(super) fn draft(draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let own = option_value(&draft.args, &["--settings"]).map(str::to_owned);
    let sources = sources(draft, own.as_deref());
    let context = draft.context;
    let stated = |name: &str| sources.iter().find_map(|s| s.get(name).map(|value| (s, value)));
    let effective = |name: &str| stated(name).map(|(_, v)| v).or_else(|| context.var(name)).filter(|v| !v.is_empty());

    let (of_project, own_sources): (Vec<_>, Vec<_>) = sources.iter().partition(|s| s.scope == Scope::Project);
    let stated_base = own_sources.iter().find_map(|s| Some((*s, s.get(BASE)?)));
    let inherited = stated_base.as_ref().map(|(_, v)| v.clone()).or_else(|| context.var(BASE)).filter(|v| !v.is_empty());
    let place = stated_base.map_or(BASE.to_owned(), |(source, _)| format!("{}: {BASE}", source.place));
    let url = draft.route(&place, inherited.as_deref(), FirstParty { upstream: None, path: "" })?;

    let mut overrides = Map::new();
    if let Some(source) = own_sources.iter().find(|s| s.scope == Scope::Managed && s.get(BASE).is_some_and(|v| v != url)) {
        draft.warnings.push(format!(
            "{} is managed by your organisation and sets {BASE}; nothing can overrule it, so requests bypass Leeward. \
             Set `upstream` in Leeward's config to that gateway and ask for the managed value to be changed to {url}",
            source.place
        ));
    } else if own_sources.iter().any(|s| s.get(BASE).is_some_and(|v| v != url)) {
        overrides.insert(BASE.into(), url.clone().into());
    }
    // Both outrank a project's file, trusted or not.
    let ours_outranks =
        overrides.contains_key(BASE) || own_sources.iter().any(|s| s.scope == Scope::Managed && s.get(BASE).is_some());
    for source in of_project {
        if let Some(value) = source.get(BASE) {
            let heeded = if ours_outranks { Heeded::BelowOurs } else { Heeded::OnceTrusted };
            draft.leave_to_agent(&format!("{}: {BASE}", source.place), &value, heeded);
        }
    }
    draft.set.insert(BASE.into(), url);

    for (name, value) in &draft.profile.set {
        if effective(name).is_none() {
            draft.set.insert(name.clone(), value.clone());
            // An empty value in a settings file unsets the variable again.
            if stated(name).is_some_and(|(source, _)| source.scope != Scope::Managed) {
                overrides.insert(name.clone(), value.clone().into());
            }
        }
    }
    let proxied_by_settings = PROXIES.iter().chain(&["NO_PROXY", "no_proxy"]).any(|name| stated(name).is_some());
    for (name, value) in bypass(&effective, draft.router.base()) {
        if proxied_by_settings {
            overrides.insert(name.clone(), value.clone().into());
        }
        draft.set.insert(name, value);
    }
    if let Some(token) = draft.client_token {
        let header = format!("{}: {}", CLIENT_TOKEN_HEADER, token.reveal());
        let own = effective(HEADERS).filter(|own| !own.lines().any(|line| line == header));
        let value = own.map_or(header.clone(), |own| format!("{own}\n{header}"));
        if stated(HEADERS).is_some() {
            overrides.insert(HEADERS.into(), value.clone().into());
        }
        draft.set.insert(HEADERS.into(), value);
    }
    for (name, provider) in OTHER_PROVIDERS {
        if effective(name).is_some_and(|v| !matches!(v.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off")) {
            draft.warnings.push(format!(
                "{name} is set, so Claude Code talks to {provider} directly and its requests bypass Leeward; unset it to use Leeward"
            ));
        }
    }
    if effective("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS").is_some() {
        draft.notes.push("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS is set, so MCP tool search stays off".into());
    }
    if !overrides.is_empty() {
        overrule(draft, own.as_deref(), overrides);
    }
    Ok(())
}

/// Hands the overrides to Claude Code as `--settings`, joined with the user's own where that is possible.
fn overrule(draft: &mut Draft<'_>, own: Option<&str>, overrides: Map<String, Value>) {
    let names = overrides.keys().cloned().collect::<Vec<_>>().join(", ");
    let Some(own) = own else {
        let is_secret = is_secret(&overrides);
        let settings = serde_json::json!({ "env": overrides }).to_string();
        draft.args.splice(0..0, ["--settings".into(), "".into()]);
        give(draft, 1, "", settings, is_secret);
        draft
            .notes
            .push(format!("a settings file sets {names}; this session overrules it with --settings and the file stays as it is"));
        return;
    };
    let Some(mut settings) = inline(own) else {
        draft.warnings.push(format!(
            "a settings file sets {names}, and your own --settings {own} leaves no room to overrule it, so requests bypass \
             Leeward; give --settings as JSON, or drop it"
        ));
        return;
    };
    let is_secret = is_secret(&overrides);
    let env = settings.entry("env").or_insert_with(|| Map::new().into());
    match env.as_object_mut() {
        Some(env) => env.extend(overrides),
        None => *env = overrides.into(),
    }
    let merged = Value::Object(settings).to_string();
    for at in 0..draft.args.len() {
        if draft.args[at] == "--settings" && draft.args.get(at + 1).is_some_and(|v| v.to_str() == Some(own)) {
            give(draft, at + 1, "", merged.clone(), is_secret);
        } else if draft.args[at].to_str().and_then(|a| a.strip_prefix("--settings=")) == Some(own) {
            give(draft, at, "--settings=", merged.clone(), is_secret);
        }
    }
    draft.notes.push(format!("the agent gets your --settings with {names} added"));
}

/// Additional headers may be credentials, and with a client token they are.
fn is_secret(overrides: &Map<String, Value>) -> bool {
    overrides.contains_key(HEADERS)
}

/// The agent's settings as an argument, which everybody can read, or in a file.
fn give(draft: &mut Draft<'_>, at: usize, option: &'static str, settings: String, is_secret: bool) {
    if is_secret {
        draft.private.push(PrivateArgument::put(&mut draft.args, at, option, settings));
        let note =
            "the settings hold a credential, so the agent gets them in a file that only you can read; it ends with the session";
        if !draft.notes.iter().any(|said| said == note) {
            draft.notes.push(note.to_owned());
        }
    } else {
        draft.args[at] = format!("{option}{settings}").into();
    }
}

/// The value of `--settings` when it is JSON and not the name of a file.
fn inline(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Every place that can set a variable, the strongest first.
fn sources(draft: &mut Draft<'_>, own: Option<&str>) -> Vec<Source> {
    let context = draft.context;
    let mut files: Vec<(PathBuf, Scope)> = Vec::new();
    for folder in managed_folders() {
        let mut parts = (context.list)(&folder.join("managed-settings.d"));
        parts.retain(|p| p.extension().is_some_and(|e| e == "json"));
        // Later parts outrank earlier ones, and all of them the file they add to.
        files.extend(parts.into_iter().rev().map(|p| (p, Scope::Managed)));
        files.push((folder.join("managed-settings.json"), Scope::Managed));
    }
    let strongest_of_the_user = files.len();
    let users = context.home_of("CLAUDE_CONFIG_DIR", ".claude").map(|folder| folder.join("settings.json"));
    for file in ["./.claude/settings.local.json", "./.claude/settings.json"] {
        let scope = if context.is_of_project(file) { Scope::Project } else { Scope::User };
        files.extend(context.path(file).filter(|path| users.as_ref() != Some(path)).map(|path| (path, scope)));
    }
    files.extend(users.map(|path| (path, Scope::User)));
    let own_file = own.filter(|text| inline(text).is_none());
    if let Some(file) = own_file {
        files.insert(strongest_of_the_user, (context.cwd.join(file), Scope::User));
    }
    let mut sources: Vec<Source> =
        files.into_iter().filter_map(|(path, scope)| read(context, path, scope, &mut draft.warnings)).collect();
    if let Some(settings) = own.and_then(inline) {
        let at = sources.iter().position(|s| s.scope != Scope::Managed).unwrap_or(sources.len());
        sources.insert(at, Source { place: "--settings".into(), env: env_of(&settings), scope: Scope::User });
    }
    sources
}

fn read(context: &AgentContext<'_>, path: PathBuf, scope: Scope, warnings: &mut Vec<String>) -> Option<Source> {
    let text = context.text(&path, warnings)?;
    match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(settings)) => Some(Source { place: path.display().to_string(), env: env_of(&settings), scope }),
        Ok(_) => None,
        Err(e) => {
            warnings.push(format!("{} is not valid JSON ({e}), so it is not known whether it sets a base URL", path.display()));
            None
        }
    }
}

fn env_of(settings: &Map<String, Value>) -> Map<String, Value> {
    settings.get("env").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Where an organisation puts its settings, by platform.
fn managed_folders() -> Vec<PathBuf> {
    if cfg!(target_os = "macos") {
        vec!["/Library/Application Support/ClaudeCode".into()]
    } else if cfg!(windows) {
        vec![r"C:\Program Files\ClaudeCode".into(), r"C:\ProgramData\ClaudeCode".into()]
    } else {
        vec!["/etc/claude-code".into()]
    }
}

#[cfg(test)]
#[path = "claude_tests.rs"]
mod tests;
