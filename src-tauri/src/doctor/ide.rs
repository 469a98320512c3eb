//! The check of IDEs: what VS Code and its relatives give to the Claude Code extension, and the proxies that they and JetBrains
//! IDEs use. Reads their settings; starts none.

use super::{
    context::{Context, Serving},
    finding::{Finding, Verdict},
    known::{Ide, Kind, known},
    settings_of_agents::{Endpoint, Target, endpoint},
};
use crate::{
    config::NoProxy,
    socket_owner::{self, Owner},
};
use serde_json::{Value, json};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Where the extension's variables stand; one IDE writes the name in another way.
const LISTS: [&str; 2] = ["claudeCode.environmentVariables", "claude-code.environmentVariables"];
const BASE_URL: &str = "ANTHROPIC_BASE_URL";

/// What an IDE's settings say, as far as it matters here.
#[derive(Debug, Default, PartialEq)]
struct IdeSettings {
    /// Endpoints that its extension gives to the agent.
    base_urls: Vec<(String, String)>,
    /// A proxy of its own: where it is written, and what it is.
    proxy: Option<(String, String)>,
    /// The hosts that it does not ask the proxy for.
    spares: Vec<String>,
    /// It asks a script which proxy to use.
    script: bool,
}

pub(super) fn ides(context: &Context) -> Vec<Finding> {
    let known = match known() {
        Ok(known) => known,
        Err(e) => return vec![Finding::not_known(format!("the table of IDEs cannot be read: {e}"))],
    };
    let found = known.ide.iter().flat_map(|ide| files(ide, context).into_iter().map(move |file| (ide, file)));
    let findings: Vec<Finding> = found.filter_map(|(ide, file)| look(ide, &file, context)).collect();
    if findings.is_empty() {
        return vec![Finding::not_run("there are no settings of VS Code, its relatives or a JetBrains IDE that matter here")];
    }
    findings
}

/// Where programs keep what belongs to a user.
fn base(context: &Context) -> Option<PathBuf> {
    let home = context.home.as_ref();
    match std::env::consts::OS {
        "windows" => context.var("APPDATA").map(PathBuf::from),
        "macos" => home.map(|home| home.join("Library/Application Support")),
        _ => context.var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| home.map(|home| home.join(".config"))),
    }
}

/// Its settings; of JetBrains those of each product and version.
fn files(ide: &Ide, context: &Context) -> Vec<PathBuf> {
    let Some(folder) = base(context).map(|base| base.join(&ide.folder)) else { return Vec::new() };
    match ide.kind {
        Kind::VsCode => vec![folder.join("User").join("settings.json")],
        Kind::JetBrains => {
            let products = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = products.map(|p| p.path().join("options").join("proxy.settings.xml")).collect();
            files.sort();
            files
        }
    }
}

/// `None`: it is not there, or says nothing that matters.
fn look(ide: &Ide, file: &Path, context: &Context) -> Option<Finding> {
    let subject = match ide.kind {
        Kind::VsCode => ide.title.clone(),
        Kind::JetBrains => product(file).unwrap_or(&ide.title).to_owned(),
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return None,
        Err(e) => return Some(Finding::not_known(format!("{} cannot be read ({e})", file.display())).of(&subject)),
    };
    let said = match ide.kind {
        Kind::VsCode => vs_code(&text),
        Kind::JetBrains => Some(jet_brains(&text)),
    };
    let Some(said) = said else {
        return Some(Finding::not_known(format!("{} is not understood (it is not JSON)", file.display())).of(&subject));
    };
    (said != IdeSettings::default()).then(|| {
        let own = context.address();
        let held = |address: SocketAddr| match &context.serving {
            Serving::Ours { client, .. } if client.address() == address => true,
            _ => socket_owner::of_listener(address) != Owner::Nobody,
        };
        judge(file, &said, own, held).of(&subject)
    })
}

fn product(file: &Path) -> Option<&str> {
    file.ancestors().nth(2)?.file_name()?.to_str()
}

fn vs_code(text: &str) -> Option<IdeSettings> {
    let root: Value = jsonc_parser::parse_to_serde_value(text, &Default::default()).ok()?;
    let mut said = IdeSettings::default();
    for name in LISTS {
        let entries = root.get(name).and_then(Value::as_array).into_iter().flatten();
        let of = |entry: &Value| {
            let is_base = entry.get("name").and_then(Value::as_str) == Some(BASE_URL);
            is_base.then(|| entry.get("value").and_then(Value::as_str).map(str::to_owned)).flatten()
        };
        said.base_urls.extend(entries.filter_map(of).map(|url| (format!("{name}, {BASE_URL}"), url)));
    }
    let is_off = root.get("http.proxySupport").and_then(Value::as_str) == Some("off");
    let proxy = root.get("http.proxy").and_then(Value::as_str).filter(|url| !url.is_empty() && !is_off);
    said.proxy = proxy.map(|url| ("http.proxy".to_owned(), url.to_owned()));
    let spared = root.get("http.noProxy").and_then(Value::as_array).into_iter().flatten();
    said.spares = spared.filter_map(Value::as_str).map(str::to_owned).collect();
    Some(said)
}

/// One `<option name="…" value="…" />` a line, whatever stands around it.
fn jet_brains(text: &str) -> IdeSettings {
    let value = |name: &str| {
        let at = text.find(&format!("name=\"{name}\""))?;
        let tag = text[at..].split('>').next()?;
        Some(tag.split("value=\"").nth(1)?.split('"').next()?.to_owned())
    };
    let is_on = |name: &str| value(name).as_deref() == Some("true");
    let address = || {
        let scheme = if is_on("PROXY_TYPE_IS_SOCKS") { "socks5" } else { "http" };
        Some(format!("{scheme}://{}:{}", value("PROXY_HOST")?, value("PROXY_PORT").unwrap_or_else(|| "80".into())))
    };
    let spares = value("PROXY_EXCEPTIONS").unwrap_or_default();
    IdeSettings {
        proxy: if is_on("USE_HTTP_PROXY") { address().map(|url| ("HTTP proxy".to_owned(), url)) } else { None },
        spares: spares.split([',', '|']).map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect(),
        script: is_on("USE_PROXY_PAC"),
        base_urls: Vec::new(),
    }
}

fn judge(file: &Path, said: &IdeSettings, own: Option<SocketAddr>, is_held: impl Fn(SocketAddr) -> bool) -> Finding {
    let of = |(name, url): &(String, String)| endpoint("ide", Some(file.to_owned()), name.clone(), url, own);
    let urls: Vec<Endpoint> = said.base_urls.iter().map(of).collect();
    let proxy = said.proxy.as_ref().map(of);
    let dead = |endpoint: &&Endpoint| match endpoint.at {
        Target::Local(address) => !is_held(address),
        Target::Leeward => own.is_some_and(|own| !is_held(own)),
        Target::Elsewhere | Target::Unreadable => false,
    };
    let spared = own.is_some_and(|a| NoProxy::parse(&said.spares).contains(&a.ip().to_string(), a.port()));
    let row = |endpoint: &Endpoint| json!({ "name": endpoint.name, "url": endpoint.url, "leads_to": endpoint.at.as_str(), "is_dead": dead(&endpoint) });
    let facts = json!({
        "file": file, "base_urls": urls.iter().map(row).collect::<Vec<_>>(), "proxy": proxy.as_ref().map(row),
        "loopback_is_spared": spared, "asks_a_script": said.script,
    });
    let mut words: Vec<String> = urls.iter().chain(&proxy).map(sentence).collect();
    if said.script {
        words.push("It asks a script (PAC) which proxy to use.".into());
    }
    let place = |endpoint: &Endpoint| format!("{} in {}", endpoint.name, file.display());
    if let Some(first) = urls.iter().chain(&proxy).find(dead) {
        words.push("Nobody listens there, so each request of the IDE is refused.".into());
        let start = if first.at == Target::Leeward { "start Leeward, or take it out of" } else { "take it out of" };
        return Finding::new(Verdict::Broken, words.join(" "), facts).advise(format!("{start} {}", place(first)));
    }
    if let Some(unusable) = urls.iter().chain(&proxy).find(|endpoint| endpoint.at == Target::Unreadable) {
        return Finding::new(Verdict::Warning, words.join(" "), facts)
            .advise(format!("write a URL into {}, or take it out", place(unusable)));
    }
    let hides = proxy.as_ref().filter(|proxy| proxy.at != Target::Leeward && !spared);
    if let (Some(proxy), true) = (hides, urls.iter().any(|url| url.at == Target::Leeward)) {
        words.push("Extensions that use the IDE's proxy ask it for Leeward as well.".into());
        return Finding::new(Verdict::Warning, words.join(" "), facts)
            .advise(format!("add 127.0.0.1 and localhost to the exceptions beside {}", place(proxy)));
    }
    Finding::new(Verdict::Ok, words.join(" "), facts)
}

fn sentence(endpoint: &Endpoint) -> String {
    match (endpoint.at, &endpoint.url) {
        (Target::Leeward, _) => format!("{} points at Leeward.", endpoint.name),
        (_, Some(url)) => format!("{} points at {url}.", endpoint.name),
        (_, None) => format!("{} is no URL.", endpoint.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "127.0.0.1:8787";

    fn judged(said: &IdeSettings, held: &[&str]) -> Finding {
        let held: Vec<SocketAddr> = held.iter().map(|address| address.parse().unwrap()).collect();
        judge(Path::new("/x/settings.json"), said, Some(OWN.parse().unwrap()), |address| held.contains(&address))
    }

    #[test]
    fn settings_of_vs_code_are_read_and_judged() {
        let variable = |url: &str| {
            format!(
                r#"{{ // mine
                "claudeCode.environmentVariables": [{{ "name": "OTHER", "value": "x" }}, {{ "name": "ANTHROPIC_BASE_URL", "value": "{url}" }}],
                "http.proxy": "http://me:planted@gate.corp:3128", "http.noProxy": ["127.0.0.1"], }}"#
            )
        };
        for (text, held, verdict, word) in [
            (variable("http://127.0.0.1:8787"), &[OWN][..], Verdict::Ok, "points at Leeward"),
            (variable("http://127.0.0.1:8787"), &[], Verdict::Broken, "Nobody listens there"),
            (variable("http://127.0.0.1:9"), &[OWN], Verdict::Broken, "http://127.0.0.1:9"),
            (variable("https://gate.corp/x"), &[OWN], Verdict::Ok, "https://gate.corp/x"),
            (variable("nonsense"), &[OWN], Verdict::Warning, "is no URL"),
            (variable("http://127.0.0.1:8787").replace("127.0.0.1\"]", "x\"]"), &[OWN], Verdict::Warning, "ask it for Leeward"),
            (r#"{"http.proxy":"http://127.0.0.1:9"}"#.into(), &[OWN], Verdict::Broken, "http.proxy points at"),
        ] {
            let finding = judged(&vs_code(&text).unwrap(), held);
            assert!(finding.verdict == verdict && finding.measured.contains(word), "{text}: {finding:?}");
            assert_eq!(finding.advice.is_some(), verdict != Verdict::Ok, "{finding:?}");
            assert!(!format!("{finding:?}").contains("planted"), "{finding:?}");
        }
        for nothing in ["{}", r#"{"editor.fontSize":12}"#, r#"{"http.proxy":"http://127.0.0.1:9","http.proxySupport":"off"}"#] {
            assert_eq!(vs_code(nothing), Some(IdeSettings::default()), "{nothing}");
        }
        assert_eq!(vs_code("{ planted"), None);
    }

    #[test]
    fn proxies_of_jetbrains_are_read_and_judged() {
        let file = |on: &str, host: &str| {
            format!(
                "<application>\n  <component name=\"HttpConfigurable\">\n    <option name=\"USE_HTTP_PROXY\" value=\"{on}\" />\n    <option name=\"PROXY_HOST\" value=\"{host}\" />\n    <option name=\"PROXY_PORT\" value=\"3128\" />\n    <option name=\"PROXY_EXCEPTIONS\" value=\"localhost, 127.0.0.1\" />\n  </component>\n</application>\n"
            )
        };
        let corp = jet_brains(&file("true", "gate.corp"));
        assert_eq!((corp.proxy.clone().unwrap().1.as_str(), corp.spares.len()), ("http://gate.corp:3128", 2));
        assert_eq!(judged(&corp, &[OWN]).verdict, Verdict::Ok);
        let dead = judged(&jet_brains(&file("true", "127.0.0.1")), &[OWN]);
        assert!(dead.verdict == Verdict::Broken && dead.measured.contains("Nobody listens there"), "{dead:?}");
        assert_eq!(jet_brains(&file("false", "127.0.0.1")).proxy, None);
        let script = jet_brains("<option name=\"USE_PROXY_PAC\" value=\"true\"/>");
        assert!(script.script && judged(&script, &[OWN]).measured.contains("PAC"));
    }
}
