//! The table of agents, `agents.toml`, as types. Holds facts; decides nothing.

use crate::config::Mode;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The profile that stands for any program.
pub const ANYTHING: &str = "anything";

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What `leeward wrap` calls it.
    pub name: String,
    /// What its makers call it.
    pub title: String,
    /// Names of its executable, the usual one first.
    pub programs: Vec<String>,
    /// Folders beside PATH in which its installer puts it; `~` is the home folder.
    #[serde(default)]
    pub also_in: Vec<String>,
    /// Where its installation is described.
    pub about: String,
    /// How its programs name themselves to an API, in lower case.
    #[serde(default)]
    pub user_agents: Vec<String>,
    /// Code that knows more about it than the table.
    #[serde(default)]
    pub special: Option<Special>,
    /// The modes it can take, the default one first.
    pub modes: Vec<Mode>,
    /// Why it cannot take the others, by mode; sentences without a full stop.
    #[serde(default)]
    pub without: BTreeMap<String, String>,
    /// Variables that add a certificate authority to those it trusts.
    #[serde(default)]
    pub ca: Vec<String>,
    /// Hosts that Leeward may decrypt for it.
    #[serde(default)]
    pub intercept: Vec<String>,
    /// Hosts of its own that are never decrypted.
    #[serde(default)]
    pub blind: Vec<String>,
    /// The variable that keeps it from asking for claude.ai connectors.
    #[serde(default)]
    pub connectors: Option<String>,
    /// The base URLs it takes.
    #[serde(default)]
    pub base: Vec<Base>,
    /// The providers it takes as JSON.
    #[serde(default)]
    pub provider: Vec<Provider>,
    /// Variables that give back what a base URL costs, unless the user has set them.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Files in which it looks for the same variables, the strongest first.
    #[serde(default)]
    pub files: Vec<String>,
    /// What does not work behind a base URL, as sentences without a full stop.
    #[serde(default)]
    pub lost: Vec<String>,
}

/// A base URL that an agent takes from a variable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The variable.
    pub variable: String,
    /// Other names under which the user may have set it, and which outrank it.
    #[serde(default)]
    pub over: Vec<String>,
    /// Other names under which the user may have set it, and which it outranks.
    #[serde(default)]
    pub also: Vec<String>,
    /// Name of the upstream; `None` is the default upstream.
    #[serde(default)]
    pub upstream: Option<String>,
    /// What the agent's own default has after the host.
    #[serde(default)]
    pub path: String,
    /// When to set it; `None` is always.
    #[serde(default)]
    pub only: Option<Only>,
}

/// A provider of an agent that takes several as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The agent's name for it.
    pub id: String,
    /// Name of the upstream; `None` is the default upstream.
    #[serde(default)]
    pub upstream: Option<String>,
    /// What the agent's own default has after the host.
    #[serde(default)]
    pub path: String,
    /// Variables that hold its key; one of them set means that the user uses this provider.
    pub keys: Vec<String>,
}

/// A reason not to set a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// The user has set none.
    Inherited,
}

/// The agents whose settings need code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Special {
    /// Its `.env` files outrank its environment.
    Aider,
    /// Settings files outrank its environment.
    Claude,
    /// Takes a provider as options.
    Codex,
    /// Takes a base URL under a condition.
    Gemini,
    /// Keeps its endpoint in a file that its environment outranks.
    Kimi,
    /// Takes providers as JSON.
    Opencode,
    /// Its settings name endpoints below and above its environment.
    Qwen,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    agent: Vec<Profile>,
}

/// All profiles, `anything` last.
///
/// # Errors
/// Only when the embedded table is not valid, which a test rules out.
pub fn profiles() -> Result<Vec<Profile>, toml::de::Error> {
    toml::from_str::<Table>(include_str!("agents.toml")).map(|table| table.agent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_table_is_valid_and_names_only_upstreams_that_exist() {
        let home = tempfile::tempdir().unwrap();
        let config = Config::under(home.path()).unwrap();
        let profiles = profiles().unwrap();
        let names: Vec<&str> = profiles.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["claude", "codex", "gemini", "opencode", "aider", "goose", "qwen", "kimi", ANYTHING]);
        for profile in &profiles {
            let bases = profile.base.iter().map(|b| (&b.upstream, &b.path));
            for (upstream, path) in bases.chain(profile.provider.iter().map(|p| (&p.upstream, &p.path))) {
                if let Some(name) = upstream {
                    assert!(config.upstreams.contains_key(name), "{}: no upstream {name}", profile.name);
                }
                assert!(path.is_empty() || (path.starts_with('/') && !path.ends_with('/')), "{}: {path}", profile.name);
            }
            assert!(profile.name == ANYTHING || (!profile.programs.is_empty() && profile.about.starts_with("https://")));
            assert!(profile.lost.iter().all(|l| !l.ends_with('.')), "{}", profile.name);
        }
    }

    #[test]
    fn every_agent_takes_a_mode_or_the_table_says_why_not() {
        for profile in profiles().unwrap() {
            let name = &profile.name;
            assert_eq!(profile.modes.first(), Some(&Mode::Auto), "{name}: auto is the default where it can be taken");
            for (mode, text, _) in Mode::CHOICES {
                let why = profile.without.get(*text);
                assert_eq!(profile.modes.contains(mode), why.is_none(), "{name}: {text}");
                assert!(why.is_none_or(|why| !why.ends_with('.') && why.len() > 20), "{name}: {text}");
            }
            assert_eq!(profile.modes.contains(&Mode::Intercept), !profile.ca.is_empty(), "{name}: decrypting needs trust");
            assert!(profile.intercept.is_empty() || profile.modes.contains(&Mode::Intercept), "{name}");
            for host in profile.intercept.iter().chain(&profile.blind) {
                let is_exact = host.contains('.')
                    && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
                assert!(is_exact, "{name}: {host}");
            }
            assert!(!profile.blind.iter().any(|host| profile.intercept.contains(host)), "{name}");
            let asked = Mode::CHOICES.iter().map(|(_, text, _)| *text);
            assert!(profile.without.keys().all(|mode| asked.clone().any(|known| known == mode)), "{name}");
        }
    }

    #[test]
    fn every_agent_has_a_key_for_its_mode() {
        for profile in profiles().unwrap() {
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join("config.toml"), format!("[modes]\n{} = 'tunnel'", profile.name)).unwrap();
            assert_eq!(Config::under(home.path()).unwrap().mode_of(&profile.name), Mode::Tunnel, "{}", profile.name);
        }
    }

    #[test]
    fn no_profile_sets_a_credential() {
        for profile in profiles().unwrap() {
            let names = profile.set.keys().chain(profile.base.iter().map(|b| &b.variable));
            for name in names {
                assert!(!["KEY", "TOKEN", "SECRET"].iter().any(|word| name.contains(word)), "{}: {name}", profile.name);
            }
        }
    }
}
