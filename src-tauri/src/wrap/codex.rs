//! Codex CLI: takes its endpoint in `-c` options. Its sessions belong to a provider, so the built-in one is kept: with an API
//! key it takes a base URL, with a ChatGPT login it is left to the tunnel. Reads its config and login, writes neither.

use super::{
    draft::{Draft, PlanError},
    options::option_value,
    route::FirstParty,
};
use crate::config::CLIENT_TOKEN_HEADER;
use serde_json::Value;

/// Also the variable by which Leeward itself may be given its `client_token`, so it cannot contradict that.
const TOKEN_VARIABLE: &str = "LEEWARD_CLIENT_TOKEN";

/// Whose login Codex uses, which decides the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    ChatGpt,
    ApiKey,
}

/// Fills in the plan for Codex.
pub(super) fn draft(draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let context = draft.context;
    let folder = context.home_of("CODEX_HOME", ".codex");
    let config_file = folder.as_ref().map(|f| f.join("config.toml"));
    let text = config_file.as_ref().and_then(|f| context.text(f, &mut draft.warnings));
    let config: toml::Table = match text.as_deref().map(toml::from_str) {
        Some(Ok(table)) => table,
        Some(Err(_)) => {
            let file = config_file.map(|f| f.display().to_string()).unwrap_or_default();
            draft.warnings.push(format!("{file} is not valid TOML, so it is not known which provider it chooses"));
            toml::Table::new()
        }
        None => toml::Table::new(),
    };
    if draft.args.iter().take_while(|a| *a != "--").any(|a| a == "--oss") {
        draft.warnings.push("--oss runs a model on this machine, so there is nothing for Leeward to carry".into());
        return Ok(());
    }
    let text_at = |table: &toml::Table, key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let profile = option_value(&draft.args, &["--profile", "-p"]).map(str::to_owned).or_else(|| text_at(&config, "profile"));
    let profile_table = profile.and_then(|name| config.get("profiles")?.get(&name)?.as_table().cloned()).unwrap_or_default();
    let provider = config_option(draft, "model_provider")
        .or_else(|| text_at(&profile_table, "model_provider"))
        .or_else(|| text_at(&config, "model_provider"))
        .unwrap_or_else(|| "openai".into());
    if provider == "openai" {
        let stated = config_option(draft, OPENAI_BASE_URL)
            .map(|url| ("-c openai_base_url".to_owned(), url))
            .or_else(|| text_at(&config, OPENAI_BASE_URL).map(|url| ("openai_base_url in Codex's config.toml".to_owned(), url)))
            .or_else(|| context.var("OPENAI_BASE_URL").map(|url| ("OPENAI_BASE_URL".to_owned(), url)));
        let login = login(draft, folder.as_deref());
        return built_in(draft, login, stated);
    }
    let stated = config
        .get("model_providers")
        .and_then(|all| all.get(&provider)?.get("base_url")?.as_str())
        .map(str::to_owned)
        .or_else(|| config_option(draft, &format!("model_providers.{provider}.base_url")));
    let Some(stated) = stated else {
        let why = format!("Codex is set to the provider `{provider}`, whose base URL is not in its config");
        draft.past_base_url(&why, "requests", "");
        return Ok(());
    };
    let url = draft.route(&format!("model_providers.{provider}.base_url"), Some(&stated), OPENAI)?;
    let prefix = format!("model_providers.{provider}");
    let mut settings =
        vec![(format!("{prefix}.base_url"), quoted(&url)), (format!("{prefix}.supports_websockets"), "false".into())];
    settings.extend(token_header(draft, &prefix));
    options(draft, &settings);
    Ok(())
}

/// Codex's own key for the endpoint of its built-in provider.
const OPENAI_BASE_URL: &str = "openai_base_url";
const OPENAI: FirstParty<'_> = FirstParty { upstream: Some("openai"), path: "/v1" };
const CHATGPT: FirstParty<'_> = FirstParty { upstream: Some("chatgpt"), path: "" };

/// The built-in provider keeps its name wherever that is possible: sessions, headers and compaction depend on it.
fn built_in(draft: &mut Draft<'_>, login: Login, stated: Option<(String, String)>) -> Result<(), PlanError> {
    draft.notes.push(match login {
        Login::ChatGpt => "Codex's ChatGPT login is used".into(),
        Login::ApiKey => "Codex's API key is used".into(),
    });
    match login {
        Login::ApiKey if draft.client_token.is_none() => {
            let (place, value) = stated.unzip();
            let url = draft.route(place.as_deref().unwrap_or(OPENAI_BASE_URL), value.as_deref(), OPENAI)?;
            // The user's own options come last and would win; what they say is the upstream now.
            replace_option(draft, OPENAI_BASE_URL, &quoted(&url));
            options(draft, &[(OPENAI_BASE_URL.to_owned(), quoted(&url))]);
            Ok(())
        }
        Login::ChatGpt if draft.mode.has_tunnel() => {
            let why = "with a ChatGPT login Codex takes no base URL for its own provider";
            draft.past_base_url(why, "requests", "");
            Ok(())
        }
        Login::ApiKey | Login::ChatGpt => own_provider(draft, login, stated),
    }
}

/// Defines the provider `leeward` and chooses it. Its name, and the headers that the built-in provider sends, keep compaction,
/// organisation and project as they are.
fn own_provider(draft: &mut Draft<'_>, login: Login, stated: Option<(String, String)>) -> Result<(), PlanError> {
    let first = if login == Login::ApiKey { OPENAI } else { CHATGPT };
    let stated = stated.filter(|_| login == Login::ApiKey);
    let (place, value) = stated.unzip();
    let url = draft.route(place.as_deref().unwrap_or(OPENAI_BASE_URL), value.as_deref(), first)?;
    let cure = match login {
        Login::ChatGpt => "the mode auto keeps Codex's own provider",
        Login::ApiKey => "a Leeward on 127.0.0.1 without client_token keeps Codex's own provider",
    };
    draft.warnings.push(format!(
        "Codex records this session under the provider `leeward`, so `codex resume` finds it only in this mode; {cure}"
    ));
    let mut settings = vec![
        ("model_provider".to_owned(), quoted("leeward")),
        (of_ours("name"), quoted("OpenAI")),
        (of_ours("base_url"), quoted(&url)),
        (of_ours("wire_api"), quoted("responses")),
        (of_ours("requires_openai_auth"), "true".to_owned()),
        (of_ours("supports_websockets"), "false".to_owned()),
        (of_ours("env_http_headers.OpenAI-Organization"), quoted("OPENAI_ORGANIZATION")),
        (of_ours("env_http_headers.OpenAI-Project"), quoted("OPENAI_PROJECT")),
    ];
    settings.extend(draft.version.map(|version| (of_ours("http_headers.version"), quoted(version))));
    settings.extend(token_header(draft, "model_providers.leeward"));
    options(draft, &settings);
    Ok(())
}

fn of_ours(key: &str) -> String {
    format!("model_providers.leeward.{key}")
}

/// Codex takes the value of a header from a variable, so that it stands in no command line.
fn token_header(draft: &mut Draft<'_>, provider: &str) -> Option<(String, String)> {
    let token = draft.client_token?;
    draft.set.insert(TOKEN_VARIABLE.into(), token.reveal().to_owned());
    Some((format!("{provider}.env_http_headers.{CLIENT_TOKEN_HEADER}"), quoted(TOKEN_VARIABLE)))
}

/// Puts `-c key=value` before the user's own arguments, so that the user has the last word.
fn options(draft: &mut Draft<'_>, settings: &[(String, String)]) {
    let args = settings.iter().flat_map(|(key, value)| ["-c".into(), format!("{key}={value}").into()]);
    draft.args.splice(0..0, args);
}

/// A TOML string; the values here hold nothing that TOML and JSON write differently.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The value of the user's own `-c key=value`.
fn config_option(draft: &Draft<'_>, key: &str) -> Option<String> {
    found_option(draft, key).map(|(.., value)| value)
}

/// Gives the user's own `-c key=value`, if there is one, another value.
fn replace_option(draft: &mut Draft<'_>, key: &str, value: &str) {
    if let Some((at, prefix, _)) = found_option(draft, key) {
        draft.args[at] = format!("{prefix}{key}={value}").into();
    }
}

/// The last `-c key=value` among the user's arguments: the argument, what stands before the key in it, and the value.
fn found_option(draft: &Draft<'_>, key: &str) -> Option<(usize, &'static str, String)> {
    let end = draft.args.iter().position(|a| a == "--").unwrap_or(draft.args.len());
    let args = &draft.args[..end];
    args.iter().enumerate().rev().find_map(|(at, arg)| {
        let arg = arg.to_str()?;
        let prefixed = |prefix: &'static str| Some((at, prefix, arg.strip_prefix(prefix)?));
        let (at, prefix, setting) = match arg {
            "-c" | "--config" => (at + 1, "", args.get(at + 1)?.to_str()?),
            _ => prefixed("--config=").or_else(|| prefixed("-c"))?,
        };
        let (name, value) = setting.split_once('=')?;
        (name.trim() == key).then(|| (at, prefix, value.trim().trim_matches(['"', '\'']).to_owned()))
    })
}

/// Codex prefers a ChatGPT login over a key; without either it asks for a login at its start.
fn login(draft: &mut Draft<'_>, folder: Option<&std::path::Path>) -> Login {
    let text = folder.and_then(|f| draft.context.text(&f.join("auth.json"), &mut draft.warnings));
    let auth: Value = text.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default();
    let given = |key: &str| auth.get(key).is_some_and(|v| !v.is_null() && v.as_str() != Some(""));
    match auth.get("auth_mode").and_then(Value::as_str) {
        Some("apikey") => return Login::ApiKey,
        Some(_) => return Login::ChatGpt,
        None => {}
    }
    let key_in_environment = ["CODEX_API_KEY", "OPENAI_API_KEY"].iter().any(|name| draft.context.var(name).is_some());
    if given("OPENAI_API_KEY") || (!given("tokens") && key_in_environment) { Login::ApiKey } else { Login::ChatGpt }
}

#[cfg(test)]
#[path = "codex_tests.rs"]
mod tests;
