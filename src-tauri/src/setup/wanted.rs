//! What must stand in whose files for requests to go through Leeward: what `leeward wrap` sets in base-URL mode, at the port of
//! the config. Reads through the context and writes nothing.

use super::{
    key::{Form, Key},
    places::{self, LISTED, Place, Profile, SHELL},
    text, tools,
};
use crate::{
    config::{Config, Door, Mode},
    escape,
    wrap::{self, AgentContext, MARKER, Plan, Request, Shell},
};
use serde_json::Value;
use std::path::Path;

/// Where plain HTTP to Leeward would go astray.
const HTTP_PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
const BASE: &str = "ANTHROPIC_BASE_URL";

/// What an agent's files must hold.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The files, the one that counts first.
    pub(super) files: Vec<(Place, Vec<(Key, String)>)>,
    /// What is good to know.
    pub(super) notes: Vec<String>,
    /// What keeps requests from Leeward.
    pub(super) warnings: Vec<String>,
}

/// What is wanted for an agent.
///
/// # Errors
/// Why it is left as it is, as a sentence.
pub(super) fn wanted(agent: &str, config: &Config, replace: bool, context: &AgentContext<'_>) -> Result<Wanted, String> {
    let name = if agent == SHELL { wrap::ANYTHING } else { agent };
    let profiles = wrap::profiles().map_err(|e| format!("the table of agents is damaged: {e}"))?;
    let profile = profiles.into_iter().find(|p| p.name == name).ok_or_else(|| format!("there is no agent called `{name}`"))?;
    let request = Request {
        profile: &profile,
        program: "".into(),
        args: Vec::new(),
        address: config.listen,
        egress: None,
        mode: Mode::BaseUrl,
        version: None,
        trust: None,
        connectors: config.connectors,
    };
    let plan = wrap::plan(request, config, context).map_err(|e| e.to_string())?;
    if let Some(url) = plan.upstreams.values().next() {
        return Err(foreign(agent, url, context));
    }
    let mut wanted = Wanted { warnings: plan.warnings.clone(), ..Wanted::default() };
    // Set-up is what background sessions heed.
    wanted.notes.extend(profile.lost.iter().filter(|lost| !lost.starts_with("background sessions") && agent != SHELL).cloned());
    if agent == SHELL {
        wanted.files = blocks(&plan, context);
        return if wanted.files.is_empty() { Err("no profile of a shell was found".into()) } else { Ok(wanted) };
    }
    if agent == "codex" {
        check_login(&plan)?;
    }
    if plan.covers.inference != Door::BaseUrl {
        let why = plan.warnings.join("; ");
        return Err(if why.is_empty() { format!("{} has nothing that a base URL could be set for", profile.title) } else { why });
    }
    let main = places::main(agent, context).ok_or("there is no home folder")?;
    if agent != "claude" {
        beside_proxies(&plan, &profile.title, context)?;
    }
    match agent {
        "claude" => claude(&plan, main, replace, context, &mut wanted),
        "codex" => wanted.files.push((main, vec![codex(&plan)?])),
        "gemini" => {
            let base = profile.base.iter().filter_map(|base| Some((base.variable.as_str(), plan.set.get(&base.variable)?)));
            wanted.files.push((main, base.map(|(name, url)| (Key::of(&[name]), url.clone())).collect()));
            wanted.notes.push("Gemini CLI reads one .env file alone: where a project has one, this one does not count".into());
        }
        "opencode" => wanted.files.push((main, opencode(&plan))),
        _ => qwen(&plan, profile.base.iter().map(|base| base.variable.as_str()), main, context, &mut wanted),
    }
    let ours: Vec<(Key, String)> = wanted.files.iter().flat_map(|(_, values)| values.clone()).collect();
    outranked(agent, &ours, context)?;
    Ok(wanted)
}

/// The keys of a file that hold endpoints.
pub(super) fn endpoints(agent: &str, form: Form, text: &str) -> Vec<Key> {
    let variables = |names: &[&str]| -> Vec<Key> {
        names.iter().map(|name| if form == Form::Json { Key::of(&["env", name]) } else { Key::of(&[name]) }).collect()
    };
    match agent {
        "claude" => variables(&[BASE]),
        "codex" => vec![Key::of(&["openai_base_url"])],
        "gemini" => variables(&["GOOGLE_GEMINI_BASE_URL", "CODE_ASSIST_ENDPOINT", "GOOGLE_VERTEX_BASE_URL"]),
        "qwen" => {
            let own = [Key::of(&["security", "auth", "baseUrl"])].into_iter().filter(|_| form == Form::Json);
            variables(&["OPENAI_BASE_URL", BASE, "GOOGLE_GEMINI_BASE_URL"]).into_iter().chain(own).collect()
        }
        "opencode" => {
            let config: Value = jsonc_parser::parse_to_serde_value(text, &Default::default()).unwrap_or_default();
            let ids = config.get("provider").and_then(Value::as_object).into_iter().flatten();
            ids.map(|(id, _)| Key::of(&["provider", id, "options", "baseURL"])).collect()
        }
        _ => Vec::new(),
    }
}

/// An endpoint that Leeward's config does not know is nobody's to replace.
fn foreign(agent: &str, url: &str, context: &AgentContext<'_>) -> String {
    let place = places::main(agent, context).and_then(|place| {
        let text = (context.read)(&place.path).ok()?;
        let is = |key: &Key| {
            let value = text::value(place.form, &text, key).ok().flatten();
            value.is_some_and(|value| value.trim().trim_end_matches('/') == url)
        };
        let key = endpoints(agent, place.form, &text).into_iter().find(is)?;
        Some(format!("{}: {key} is", place.path.display()))
    });
    let elsewhere = if agent == SHELL { "this terminal's environment names" } else { "its endpoint is" };
    let place = place.unwrap_or_else(|| elsewhere.into());
    let whose = tools::of_url(url).map_or_else(String::new, |tool| format!(", where {tool} usually is"));
    format!(
        "{place} {}{whose}, which Leeward does not know; add it to [upstreams] in Leeward's config, so that requests go through \
         Leeward to it, or let --replace put Leeward in its place until --undo",
        escape::foreign(url)
    )
}

/// A ChatGPT login takes a base URL for a provider of one's own alone, and sessions belong to a provider.
fn check_login(plan: &Plan) -> Result<(), String> {
    let own_provider = options(plan).any(|(key, _)| key == "model_provider");
    if own_provider {
        return Err(
            "with a ChatGPT login Codex takes a base URL only for another provider, to which your sessions would belong, \
                    so that --undo would lose them; `leeward wrap codex` uses a tunnel instead"
                .into(),
        );
    }
    Ok(())
}

fn options(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    plan.args.iter().filter_map(|arg| arg.to_str()?.split_once('='))
}

/// The option that carries the endpoint, as a key of the config file.
fn codex(plan: &Plan) -> Result<(Key, String), String> {
    let found = options(plan).find(|(key, _)| *key == "openai_base_url" || key.ends_with(".base_url"));
    let (key, value) = found.ok_or("Codex's endpoint is not known")?;
    let members: Vec<&str> = key.split('.').collect();
    if ![1, 3].contains(&members.len()) {
        return Err(format!("the name of the provider in `{key}` has a dot in it, which set-up does not write"));
    }
    Ok((Key::of(&members), serde_json::from_str(value).map_err(|e| e.to_string())?))
}

/// The shared settings, which the extension reads too, and the lists that VS Code and its like keep for it.
fn claude(plan: &Plan, main: Place, replace: bool, context: &AgentContext<'_>, wanted: &mut Wanted) {
    let set: Vec<(&String, &String)> = plan.set.iter().filter(|(name, _)| *name != MARKER).collect();
    let values = set.iter().map(|(name, value)| (Key::of(&["env", name]), (*value).clone())).collect();
    wanted.files.push((main, values));
    for place in places::editors(context) {
        let text = (context.read)(&place.path).unwrap_or_default();
        let own = |name: &str| text::value(place.form, &text, &Key::listed(LISTED, name)).ok().flatten();
        let url = plan.set.get(BASE);
        if let Some(stated) = own(BASE).filter(|stated| !replace && Some(stated) != url) {
            wanted.warnings.push(format!(
                "{}: {LISTED} has {BASE} {}; it is left as it is (--replace replaces it)",
                place.path.display(),
                escape::foreign(&stated)
            ));
            continue;
        }
        let open = set.iter().filter(|(name, value)| *name == BASE || own(name).is_none_or(|own| own == **value));
        let values = open.map(|(name, value)| (Key::listed(LISTED, name), (*value).clone())).collect();
        wanted.files.push((place, values));
    }
}

fn opencode(plan: &Plan) -> Vec<(Key, String)> {
    let content = plan.set.get("OPENCODE_CONFIG_CONTENT").and_then(|text| serde_json::from_str::<Value>(text).ok());
    let content = content.unwrap_or_default();
    let providers = content.get("provider").and_then(Value::as_object).into_iter().flatten();
    let urls = providers.filter_map(|(id, provider)| {
        let url = provider.pointer("/options/baseURL")?.as_str()?;
        Some((Key::of(&["provider", id, "options", "baseURL"]), url.to_owned()))
    });
    urls.collect()
}

/// Qwen Code's settings, or the `.env` file that outranks them.
fn qwen<'a>(plan: &Plan, variables: impl Iterator<Item = &'a str>, main: Place, context: &AgentContext<'_>, wanted: &mut Wanted) {
    let files = places::qwens_env_files(context);
    for name in variables {
        let Some(url) = plan.set.get(name) else { continue };
        let says = |path: &Path| {
            let text = (context.read)(path).unwrap_or_default();
            text::value(Form::Env, &text, &Key::of(&[name])).is_ok_and(|value| value.is_some())
        };
        let (place, key) = match files.iter().find(|path| says(path)) {
            Some(path) => (Place { path: path.clone(), form: Form::Env }, Key::of(&[name])),
            None => (main.clone(), Key::of(&["env", name])),
        };
        match wanted.files.iter_mut().find(|(known, _)| *known == place) {
            Some((_, values)) => values.push((key, url.clone())),
            None => wanted.files.push((place, vec![(key, url.clone())])),
        }
    }
}

/// Only Claude Code takes `NO_PROXY` from its settings, too.
fn beside_proxies(plan: &Plan, title: &str, context: &AgentContext<'_>) -> Result<(), String> {
    let proxy = HTTP_PROXIES.iter().find(|name| context.var(name).is_some());
    match (proxy, NO_PROXY.iter().any(|name| plan.set.contains_key(*name))) {
        (Some(proxy), true) => Err(format!(
            "{proxy} is set, and NO_PROXY does not name this machine (localhost,127.0.0.1,::1), so {title} would ask that proxy \
             for Leeward; add these to NO_PROXY first"
        )),
        _ => Ok(()),
    }
}

/// What an organisation has set cannot be overruled, so nothing is written.
fn outranked(agent: &str, ours: &[(Key, String)], context: &AgentContext<'_>) -> Result<(), String> {
    let keys: Vec<Key> = ours.iter().map(|(key, _)| key.clone()).collect();
    for managed in places::managed(agent, context, &keys) {
        let Ok(text) = (context.read)(&managed.place.path) else { continue };
        for key in &managed.keys {
            let Some(stated) = text::value(managed.place.form, &text, key).ok().flatten() else { continue };
            let is_ours = ours.iter().any(|(own, value)| own == key && *value == stated);
            if !is_ours && stated != "openai" {
                let path = managed.place.path.display();
                return Err(format!("{path} is managed by your organisation and sets {key}, and nothing of yours overrules it"));
            }
        }
    }
    Ok(())
}

/// The blocks for the profiles of the shells in use.
fn blocks(plan: &Plan, context: &AgentContext<'_>) -> Vec<(Place, Vec<(Key, String)>)> {
    let block = |(profile, place): (Profile, Place)| {
        let shell = match profile {
            Profile::Sh => Shell::Sh,
            Profile::Fish => Shell::Fish,
            Profile::PowerShell => Shell::PowerShell,
        };
        let mut lines = vec!["# Written by `leeward setup shell`; `leeward setup shell --undo` takes it out.".to_owned()];
        let set = plan.set.iter().filter(|(name, _)| !NO_PROXY.contains(&name.as_str()));
        lines.extend(set.map(|(name, value)| shell.export(name, value)));
        // What the user's list says later counts as well, so the list is not frozen here.
        if NO_PROXY.iter().any(|name| plan.set.contains_key(*name)) {
            lines.extend(past_proxy(profile));
        }
        (place, vec![(Key::block(), lines.join("\n"))])
    };
    places::profiles(context).into_iter().map(block).collect()
}

/// The lines that add this machine to the list of hosts that no proxy is asked for, once. Programs read one spelling or the
/// other, so what one of them lists counts for both.
fn past_proxy(profile: Profile) -> Vec<String> {
    const HOSTS: &str = "localhost,127.0.0.1,::1";
    let both = match profile {
        Profile::Sh => vec![r#"export NO_PROXY="${NO_PROXY:-${no_proxy-}}" no_proxy="${no_proxy:-${NO_PROXY-}}""#.to_owned()],
        Profile::Fish => vec![
            "set -q NO_PROXY; or set -gx NO_PROXY $no_proxy".to_owned(),
            "set -q no_proxy; or set -gx no_proxy $NO_PROXY".to_owned(),
        ],
        Profile::PowerShell => vec![
            "if (-not $env:NO_PROXY) { $env:NO_PROXY = $env:no_proxy }".to_owned(),
            "if (-not $env:no_proxy) { $env:no_proxy = $env:NO_PROXY }".to_owned(),
        ],
    };
    let add = |name: &&str| match profile {
        Profile::Sh => format!("case \"${name}\" in *127.0.0.1*) ;; *) {name}=\"${{{name}:+${name},}}{HOSTS}\" ;; esac"),
        Profile::Fish => {
            format!("string match -q '*127.0.0.1*' -- \"${name}\"; or set -gx {name} (string join , -- ${name} {HOSTS})")
        }
        Profile::PowerShell => format!(
            "if (\"$env:{name}\" -notlike '*127.0.0.1*') {{ $env:{name} = (@($env:{name}, '{HOSTS}') | Where-Object {{ $_ }}) -join ',' }}"
        ),
    };
    both.into_iter().chain(NO_PROXY.iter().map(add)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The real `sh` is the judge, where there is one.
    #[test]
    fn a_shell_adds_this_machine_to_both_lists_once() {
        if cfg!(windows) {
            return;
        }
        let all = "localhost,127.0.0.1,::1";
        let lines = past_proxy(Profile::Sh).join("\n");
        for (vars, want) in [
            (vec![], [all.to_owned(), all.into()]),
            (vec![("NO_PROXY", "a")], [format!("a,{all}"), format!("a,{all}")]),
            (vec![("no_proxy", "a"), ("NO_PROXY", "b")], [format!("b,{all}"), format!("a,{all}")]),
            (vec![("no_proxy", "127.0.0.1")], ["127.0.0.1".into(), "127.0.0.1".into()]),
        ] {
            // Twice, as nested shells read it.
            let script = format!("set -u\n{lines}\n{lines}\nprintenv NO_PROXY; printenv no_proxy");
            let output = std::process::Command::new("sh").args(["-c", &script]).env_clear().envs(vars.clone()).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said.lines().collect::<Vec<_>>(), want, "{vars:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
