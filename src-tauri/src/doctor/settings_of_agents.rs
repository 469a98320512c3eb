//! Where the endpoint of an agent points: this terminal's variables and the agent's own files. Reads only.

use super::known::{Agent, Form, Setting, known};
use serde_json::Value;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};
use url::Url;

/// What an agent's settings are looked up in.
pub struct AgentSurroundings<'a> {
    /// Its environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The user's home folder.
    pub home: Option<&'a Path>,
    /// The folder that it works in; without one there are no project files.
    pub cwd: Option<&'a Path>,
    /// Where Leeward accepts, or would.
    pub own: Option<SocketAddr>,
}

impl std::fmt::Debug for AgentSurroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentSurroundings").field("home", &self.home).field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

/// An endpoint that is set somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `environment`, `managed`, `user` or `project`.
    pub scope: &'static str,
    /// The file, where it is one.
    pub file: Option<PathBuf>,
    /// The variable or key.
    pub name: String,
    /// Without user, password and query; `None` where it is no URL.
    pub url: Option<String>,
    /// Where it leads to.
    pub at: Target,
}

/// What an endpoint leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Leeward.
    Leeward,
    /// Another port of this machine.
    Local(SocketAddr),
    /// Another machine.
    Elsewhere,
    /// No URL.
    Unreadable,
}

impl Target {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Leeward => "leeward",
            Self::Local(_) => "this-machine",
            Self::Elsewhere => "elsewhere",
            Self::Unreadable => "no-url",
        }
    }
}

/// All endpoints that are set for an agent, and the files that could not be read, with the reason.
pub(super) fn endpoints(agent: &Agent, around: &AgentSurroundings<'_>) -> (Vec<Endpoint>, Vec<String>) {
    let own = around.own;
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for name in &agent.variables {
        if let Some(value) = (around.env)(name).filter(|value| !value.is_empty()) {
            found.push(endpoint("environment", None, name.clone(), &value, own));
        }
    }
    for setting in &agent.setting {
        if setting.system.as_deref().is_some_and(|only| only != std::env::consts::OS) {
            continue;
        }
        let Some(path) = path(&setting.file, around.home, around.cwd) else { continue };
        match std::fs::read_to_string(&path).map(|text| value(&text, setting)) {
            Ok(Ok(Some(text))) => found.push(endpoint(setting.scope.as_str(), Some(path), setting.keys.join("."), &text, own)),
            Ok(Ok(None)) => {}
            Ok(Err(why)) => unread.push(format!("{} is not understood ({why})", path.display())),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => unread.push(format!("{} cannot be read ({e})", path.display())),
        }
    }
    unread.dedup();
    (found, unread)
}

/// The variables that carry an agent's endpoint.
pub fn variables_of(agent: &str) -> Vec<String> {
    let agent = known().ok().and_then(|known| known.agent.into_iter().find(|known| known.name == agent));
    agent.map(|agent| agent.variables).unwrap_or_default()
}

/// The same for an agent by its name; nothing for one that has no settings here.
pub fn endpoints_of(agent: &str, around: &AgentSurroundings<'_>) -> (Vec<Endpoint>, Vec<String>) {
    let agent = known().ok().and_then(|known| known.agent.into_iter().find(|known| known.name == agent));
    agent.map(|agent| endpoints(&agent, around)).unwrap_or_default()
}

/// What a variable of a process leads to, without the credentials in it.
pub fn endpoint_of_variable(name: &str, value: &str, own: Option<SocketAddr>) -> Endpoint {
    endpoint("environment", None, name.to_owned(), value, own)
}

/// `~/x` and `./x` as paths.
pub(super) fn path(text: &str, home: Option<&Path>, cwd: Option<&Path>) -> Option<PathBuf> {
    match (text.strip_prefix("~/"), text.strip_prefix("./")) {
        (Some(rest), _) => home.map(|home| home.join(rest)),
        (None, Some(rest)) => cwd.map(|cwd| cwd.join(rest)),
        (None, None) => Some(text.into()),
    }
}

/// The text at the setting's keys; nothing of a file is shown when it is not understood.
fn value(text: &str, setting: &Setting) -> Result<Option<String>, String> {
    let root: Value = match setting.form {
        Form::Json => jsonc_parser::parse_to_serde_value(text, &Default::default()).map_err(|_| "it is not JSON".to_owned())?,
        Form::Toml => {
            let table: toml::Table = text.parse().map_err(|_| "it is not TOML".to_owned())?;
            serde_json::to_value(table).map_err(|_| "it is not TOML".to_owned())?
        }
        Form::Env => return Ok(setting.keys.first().and_then(|key| in_lines(text, key))),
    };
    let found = setting.keys.iter().try_fold(&root, |value, key| value.get(key));
    Ok(found.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned))
}

fn in_lines(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.trim_start();
        let rest = line.strip_prefix("export ").unwrap_or(line).strip_prefix(key)?;
        let value = rest.trim_start().strip_prefix('=')?.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    })
}

pub(super) fn endpoint(
    scope: &'static str,
    file: Option<PathBuf>,
    name: String,
    value: &str,
    own: Option<SocketAddr>,
) -> Endpoint {
    let url = Url::parse(value.trim()).ok().filter(Url::has_host);
    let at = url.as_ref().map_or(Target::Unreadable, |url| target(url, own));
    // A credential in an endpoint is nobody's business.
    let url = url.map(|url| format!("{}://{}{}", url.scheme(), authority(&url), url.path().trim_end_matches('/')));
    Endpoint { scope, file, name, url, at }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn target(url: &Url, own: Option<SocketAddr>) -> Target {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let ip: Option<IpAddr> = if host.eq_ignore_ascii_case("localhost") { Some([127, 0, 0, 1].into()) } else { host.parse().ok() };
    let (Some(ip), Some(port)) = (ip, url.port_or_known_default()) else { return Target::Elsewhere };
    let address = SocketAddr::new(ip, port);
    if !ip.is_loopback() {
        return if own == Some(address) { Target::Leeward } else { Target::Elsewhere };
    }
    let is_own =
        own.is_some_and(|own| own.port() == port && (own.ip() == ip || own.ip().is_loopback() || own.ip().is_unspecified()));
    if is_own { Target::Leeward } else { Target::Local(address) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::known::Scope;

    #[test]
    fn endpoints_are_told_apart_and_show_no_credential() {
        let own = Some("127.0.0.1:8787".parse().unwrap());
        for (value, at, shown) in [
            ("http://127.0.0.1:8787", Target::Leeward, Some("http://127.0.0.1:8787")),
            ("http://localhost:8787/@openai/v1/", Target::Leeward, Some("http://localhost:8787/@openai/v1")),
            ("http://127.0.0.1:9", Target::Local("127.0.0.1:9".parse().unwrap()), Some("http://127.0.0.1:9")),
            ("http://[::1]:9/", Target::Local("[::1]:9".parse().unwrap()), Some("http://[::1]:9")),
            ("https://me:hush@gate.corp/x?key=hush", Target::Elsewhere, Some("https://gate.corp/x")),
            ("hush", Target::Unreadable, None),
        ] {
            let endpoint = endpoint("user", None, "X".into(), value, own);
            assert_eq!((endpoint.at, endpoint.url.as_deref()), (at, shown), "{value}");
        }
    }

    #[test]
    fn values_are_found_in_each_form() {
        let setting = |form, keys: &[&str]| Setting {
            scope: Scope::User,
            file: String::new(),
            form,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            system: None,
        };
        for (form, keys, text, want) in [
            (Form::Json, &["env", "A"][..], "{ // x\n \"env\": { \"A\": \"1\", }, }", Ok(Some("1"))),
            (Form::Json, &["env", "A"], "{}", Ok(None)),
            (Form::Json, &["env", "A"], "{", Err(())),
            (Form::Toml, &["a", "b"], "[a]\nb = '1'", Ok(Some("1"))),
            (Form::Toml, &["a"], "a =", Err(())),
            (Form::Env, &["A"], "AB=2\nexport A='1'", Ok(Some("1"))),
        ] {
            let got = value(text, &setting(form, keys)).map_err(|why| assert!(!why.contains(text)));
            assert_eq!(got, want.map(|w| w.map(str::to_owned)), "{text}");
        }
    }
}
