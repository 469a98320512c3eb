//! Claude Code: its settings files outrank its environment, so they are read and, where need be, overruled by
//! `--settings`. Never writes one of them.

use super::{
    bypass::{NO_PROXY, PROXIES, bypass},
    context::AgentContext,
    draft::{Draft, Heeded, PlanError},
    mode::{self, Tunnel},
    options::option_value,
    plain_http,
    private_argument::PrivateArgument,
    route::FirstParty,
};
use crate::config::{CLIENT_TOKEN_HEADER, PROXY_VARIABLES, is_tunnel_proxy};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

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
pub(super) fn draft(draft: &mut Draft<'_>, tunnel: Option<Tunnel<'_>>) -> Result<(), PlanError> {
    let own = option_value(&draft.args, &["--settings"]).map(str::to_owned);
    let sources = Sources(sources(draft.context, &draft.args, &mut draft.warnings));
    let mut overrides = Map::new();
    if draft.mode.has_base_url() {
        base_url(draft, &sources, &mut overrides)?;
        headers(draft, &sources, &mut overrides);
    } else {
        own_base_url(draft, &sources, &mut overrides);
    }
    proxies(draft, &sources, tunnel, &mut overrides);
    if let Some(name) = &draft.profile.connectors
        && draft.set.contains_key(name)
    {
        overrule_stated(&sources, name, "false", &mut overrides);
    }
    if !overrides.is_empty() {
        overrule(draft, own.as_deref(), overrides);
    }
    Ok(())
}

/// All places, the strongest first.
struct Sources(Vec<Source>);

impl Sources {
    fn stated(&self, name: &str) -> Option<(&Source, String)> {
        self.0.iter().find_map(|s| s.get(name).map(|value| (s, value)))
    }

    /// What Claude Code sees of a variable. With `of_user`, what a project's file says does not count.
    fn effective(&self, name: &str, of_user: bool, context: &AgentContext<'_>) -> Option<String> {
        let stated = self.0.iter().filter(|s| !of_user || s.scope != Scope::Project).find_map(|s| s.get(name));
        stated.or_else(|| context.var(name)).filter(|v| !v.is_empty())
    }
}

/// The file of certificates that the user's own settings name, which outranks the environment's.
pub(super) fn stated_certificates(context: &AgentContext<'_>, args: &[OsString]) -> Option<String> {
    let sources = sources(context, args, &mut Vec::new());
    sources.iter().filter(|s| s.scope != Scope::Project).find_map(|s| s.get("NODE_EXTRA_CA_CERTS"))
}

/// The proxies that the user's own settings name, which outrank the environment.
pub(super) fn stated_proxies(context: &AgentContext<'_>, args: &[OsString]) -> BTreeMap<String, String> {
    let sources = sources(context, args, &mut Vec::new());
    let own = || sources.iter().filter(|s| s.scope != Scope::Project);
    let stated = |name: &&str| own().find_map(|s| Some(((*name).to_owned(), s.get(name)?)));
    let mut stated: BTreeMap<_, _> = PROXIES.iter().chain(&NO_PROXY).filter_map(stated).collect();
    // Whoever states one spelling means both.
    for (name, value) in stated.clone() {
        stated.entry(name.to_ascii_uppercase()).or_insert_with(|| value.clone());
        stated.entry(name.to_ascii_lowercase()).or_insert(value);
    }
    stated
}

/// The base URL, what it costs, and what keeps requests from it.
fn base_url(draft: &mut Draft<'_>, sources: &Sources, overrides: &mut Map<String, Value>) -> Result<(), PlanError> {
    let context = draft.context;
    let (of_project, own_sources): (Vec<_>, Vec<_>) = sources.0.iter().partition(|s| s.scope == Scope::Project);
    let stated_base = own_sources.iter().find_map(|s| Some((*s, s.get(BASE)?)));
    let inherited = stated_base.as_ref().map(|(_, v)| v.clone()).or_else(|| context.var(BASE)).filter(|v| !v.is_empty());
    let place = stated_base.map_or(BASE.to_owned(), |(source, _)| format!("{}: {BASE}", source.place));
    let url = draft.route(&place, inherited.as_deref(), FirstParty { upstream: None, path: "" })?;
    if let Some(source) = own_sources.iter().find(|s| s.scope == Scope::Managed && s.get(BASE).is_some_and(|v| v != url)) {
        draft.is_past_base_url = true;
        let why = format!("{} is managed by your organisation and sets {BASE}, and nothing can overrule it", source.place);
        let cure =
            format!(". Set `upstream` in Leeward's config to that gateway and ask for the managed value to be changed to {url}");
        draft.past_base_url(&why, "requests", &cure);
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
        if sources.effective(name, false, context).is_none() {
            draft.set.insert(name.clone(), value.clone());
            // An empty value in a settings file unsets the variable again.
            overrule_stated(sources, name, value, overrides);
        }
    }
    for (name, provider) in OTHER_PROVIDERS {
        let is_off = |v: String| matches!(v.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off");
        if sources.effective(name, false, context).is_some_and(|v| !is_off(v)) {
            draft.is_past_base_url = true;
            let why = format!("{name} is set, and Claude Code talks to {provider} without a base URL");
            draft.past_base_url(&why, "its requests", "; unset it to use Leeward");
        }
    }
    if sources.effective("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", false, context).is_some() {
        draft.notes.push("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS is set, so MCP tool search stays off".into());
    }
    Ok(())
}

/// A base URL of Leeward's that stands in the settings, or in the environment of an outer session, is taken away.
fn own_base_url(draft: &mut Draft<'_>, sources: &Sources, overrides: &mut Map<String, Value>) {
    mode::without_base_urls(draft);
    let is_own = |value: &String| url::Url::parse(value).is_ok_and(|url| draft.router.is_own(&url));
    if let Some((source, _)) = sources.stated(BASE).filter(|(_, value)| is_own(value))
        && source.scope != Scope::Managed
    {
        overrides.insert(BASE.into(), "".into());
    }
}

/// The session's proxy, and what goes past it. Settings that say anything of it are overruled as a whole.
fn proxies(draft: &mut Draft<'_>, sources: &Sources, tunnel: Option<Tunnel<'_>>, overrides: &mut Map<String, Value>) {
    let context = draft.context;
    let effective = |name: &str| sources.effective(name, tunnel.is_some(), context);
    let Some(Tunnel { token, bundle }) = tunnel else {
        let stated = PROXIES.iter().chain(&NO_PROXY).any(|name| sources.stated(name).is_some());
        for (name, value) in bypass(&effective, draft.router.base(), None) {
            if stated {
                overrides.insert(name.clone(), value.clone().into());
            }
            draft.set.insert(name, value);
        }
        return;
    };
    let past = plain_http::hosts(context, &draft.args, &effective, &managed_folders(), &draft.profile.intercept);
    if !past.is_empty() {
        draft.notes.push(format!("reached without TLS, and so past the tunnel: {}", past.join(", ")));
    }
    mode::enter(draft, token, bundle, &past, &effective);
    let ca = draft.profile.ca.iter().map(String::as_str).filter(|_| bundle.is_some());
    let names: Vec<&str> = PROXY_VARIABLES.into_iter().chain(NO_PROXY).chain(ca).collect();
    let stating: Vec<&Source> = sources.0.iter().filter(|s| names.iter().any(|name| s.get(name).is_some())).collect();
    if let Some(source) = stating.iter().find(|s| s.scope == Scope::Managed) {
        draft.warnings.push(format!(
            "{} is managed by your organisation and names a proxy, and nothing can overrule it, so requests that use no base \
             URL bypass Leeward",
            source.place
        ));
    } else if !stating.is_empty() {
        for name in names {
            let given = draft.secret.get(name).map(|secret| secret.reveal().to_owned());
            // What the environment has already is said again, as the settings may say something else.
            if let Some(value) = given.or_else(|| draft.set.get(name).cloned()).or_else(|| effective(name)) {
                overrides.insert(name.into(), value.into());
            }
        }
    }
}

/// The client token that Leeward's config asks for.
fn headers(draft: &mut Draft<'_>, sources: &Sources, overrides: &mut Map<String, Value>) {
    let Some(token) = draft.client_token else { return };
    let header = format!("{}: {}", CLIENT_TOKEN_HEADER, token.reveal());
    let own = sources.effective(HEADERS, false, draft.context).filter(|own| !own.lines().any(|line| line == header));
    let value = own.map_or(header.clone(), |own| format!("{own}\n{header}"));
    if sources.stated(HEADERS).is_some() {
        overrides.insert(HEADERS.into(), value.clone().into());
    }
    draft.set.insert(HEADERS.into(), value);
}

/// Overrules a settings file that says something of a variable, if it can be.
fn overrule_stated(sources: &Sources, name: &str, value: &str, overrides: &mut Map<String, Value>) {
    if sources.stated(name).is_some_and(|(source, stated)| source.scope != Scope::Managed && stated != value) {
        overrides.insert(name.to_owned(), value.to_owned().into());
    }
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

/// Additional headers may be credentials, and with a client token they are. So is the proxy of a session.
fn is_secret(overrides: &Map<String, Value>) -> bool {
    let has_token = |value: &Value| value.as_str().is_some_and(is_tunnel_proxy);
    overrides.contains_key(HEADERS) || overrides.values().any(has_token)
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
fn sources(context: &AgentContext<'_>, args: &[OsString], warnings: &mut Vec<String>) -> Vec<Source> {
    let own = option_value(args, &["--settings"]);
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
    let mut sources: Vec<Source> = files.into_iter().filter_map(|(path, scope)| read(context, path, scope, warnings)).collect();
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
