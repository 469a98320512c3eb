//! opencode: takes providers as JSON in `OPENCODE_CONFIG_CONTENT`, which is joined with an inherited one. Only
//! providers that the user has a key or an entry for are named, as a named one appears in opencode's model list.

use super::{
    draft::{Draft, Heeded, PlanError},
    route::FirstParty,
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

const CONTENT: &str = "OPENCODE_CONFIG_CONTENT";

/// Fills in the plan for opencode.
pub(super) fn draft(draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let inherited = draft.context.var(CONTENT);
    let mut content = match inherited.as_deref().map(parse) {
        None => Map::new(),
        Some(Some(content)) => content,
        Some(None) => {
            draft.past_base_url(&format!("{CONTENT} is not valid JSON and is left as it is"), "requests", "");
            return Ok(());
        }
    };
    let logins = logins(draft);
    let mut entries: BTreeMap<String, Option<(String, String)>> = BTreeMap::new();
    let mut of_project = Vec::new();
    collect(&content, CONTENT, &mut entries);
    for (path, is_of_project) in config_files(draft) {
        if let Some(text) = draft.context.text(&path, &mut draft.warnings) {
            match parse(&text) {
                Some(config) if is_of_project => {
                    let mut found = BTreeMap::new();
                    collect(&config, &path.display().to_string(), &mut found);
                    of_project.extend(found.into_iter().filter_map(|(id, stated)| Some((id, stated?))));
                }
                Some(config) => collect(&config, &path.display().to_string(), &mut entries),
                None => draft.warnings.push(format!("{} is not valid JSON, so its providers are not known", path.display())),
            }
        }
    }
    let context = draft.context;
    let profile = draft.profile;
    let mut urls: BTreeMap<String, String> = BTreeMap::new();
    for provider in &profile.provider {
        let known = logins.contains_key(&provider.id) || provider.keys.iter().any(|key| context.var(key).is_some());
        let stated = entries.remove(&provider.id);
        if !known && stated.is_none() {
            continue;
        }
        let first = FirstParty { upstream: provider.upstream.as_deref(), path: &provider.path };
        let (place, value) = stated.flatten().unzip();
        // `{env:…}` and `{file:…}` are filled in by opencode alone.
        if value.as_deref().is_some_and(|v| v.contains('{')) {
            let why = format!("the base URL of opencode's provider `{}` is computed", provider.id);
            draft.past_base_url(&why, "its requests", "");
            continue;
        }
        let url = draft.route(place.as_deref().unwrap_or(&provider.id), value.as_deref(), first)?;
        urls.insert(provider.id.clone(), url);
        if logins.get(&provider.id).is_some_and(|kind| kind == "oauth") {
            draft.notes.push(format!("opencode's login for `{}` may name its own endpoint; an API key does not", provider.id));
        }
    }
    let nowhere = FirstParty { upstream: None, path: "" };
    for (id, stated) in entries {
        let Some((place, value)) = stated.filter(|(_, value)| !value.contains('{') && !names_this_machine(value)) else {
            continue;
        };
        urls.insert(id, draft.route(&place, Some(&value), nowhere)?);
    }
    for (id, (place, value)) in of_project {
        if !names_this_machine(&value) {
            let heeded = if urls.contains_key(&id) { Heeded::BelowOurs } else { Heeded::Always };
            draft.leave_to_agent(&place, &value, heeded);
        }
    }
    if urls.is_empty() {
        let why = "opencode has no provider with a key or an entry in its config yet";
        draft.past_base_url(why, "requests", "; log in and start it again");
        return Ok(());
    }
    let providers = content.entry("provider").or_insert_with(|| json!({}));
    for (id, url) in urls {
        set_base_url(providers, &id, url);
    }
    draft.set.insert(CONTENT.into(), Value::Object(content).to_string());
    Ok(())
}

/// Sets `ID.options.baseURL` and leaves everything beside it.
fn set_base_url(providers: &mut Value, id: &str, url: String) {
    let mut at = providers;
    for key in [id, "options"] {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    if !at.is_object() {
        *at = json!({});
    }
    at["baseURL"] = url.into();
}

fn parse(text: &str) -> Option<Map<String, Value>> {
    match jsonc_parser::parse_to_serde_value::<Value>(text, &Default::default()) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// The providers of a config with the place and value of their base URL; what is known already outranks it.
fn collect(config: &Map<String, Value>, place: &str, entries: &mut BTreeMap<String, Option<(String, String)>>) {
    for (id, provider) in config.get("provider").and_then(Value::as_object).into_iter().flatten() {
        let url = provider.pointer("/options/baseURL").and_then(Value::as_str);
        let entry = entries.entry(id.clone()).or_default();
        if entry.is_none() {
            *entry = url.map(|url| (format!("{place}: provider.{id}.options.baseURL"), url.to_owned()));
        }
    }
}

/// The config files opencode reads, the strongest first, and whether they are the project's: from the folder upwards, the
/// one a variable names, the user's.
fn config_files(draft: &Draft<'_>) -> Vec<(PathBuf, bool)> {
    let context = draft.context;
    let user = context.home_of("XDG_CONFIG_HOME", ".config").map(|f| f.join("opencode"));
    let named = context.var("OPENCODE_CONFIG").map(|file| context.cwd.join(file));
    let both = |folder: PathBuf| [folder.join("opencode.jsonc"), folder.join("opencode.json")];
    let is_users = |folder: &PathBuf| context.is_home(folder) || user.as_ref() == Some(folder);
    let with_scope = |folder: &Path| both(folder.into()).map(|file| (file, !is_users(&folder.into())));
    let mut files: Vec<(PathBuf, bool)> = context.cwd.ancestors().flat_map(with_scope).collect();
    // Who names a file in a variable has chosen it.
    files.retain(|(file, _)| named.as_ref() != Some(file));
    files.extend(named.map(|file| (file, false)));
    files.extend(user.clone().into_iter().flat_map(both).map(|file| (file, false)));
    let mut seen = BTreeSet::new();
    files.retain(|(file, _)| seen.insert(file.clone()));
    files
}

/// The providers the user has logged in to, and how (`api` or `oauth`).
fn logins(draft: &mut Draft<'_>) -> BTreeMap<String, String> {
    let folder = draft.context.home_of("XDG_DATA_HOME", ".local/share");
    let text = folder.and_then(|f| draft.context.text(&f.join("opencode/auth.json"), &mut draft.warnings));
    let auth = text.and_then(|t| parse(&t)).unwrap_or_default();
    let kind = |v: &Value| v.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    auth.iter().map(|(id, login)| (id.clone(), kind(login))).collect()
}

/// Models on this machine need no Leeward.
fn names_this_machine(text: &str) -> bool {
    url::Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned)).is_some_and(|host| {
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    })
}

#[cfg(test)]
#[path = "opencode_tests.rs"]
mod tests;
