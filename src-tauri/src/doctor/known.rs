//! Facts about agents, bad builds and TLS inspectors, as data: `known.toml`. Decides nothing.

use super::version::Version;
use serde::Deserialize;

/// All facts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    pub(super) agent: Vec<Agent>,
    pub(super) inspector: Vec<Inspector>,
    pub(super) ide: Vec<Ide>,
    pub(super) protection: Vec<Protection>,
}

/// An IDE and where its settings are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ide {
    /// As its makers call it.
    pub(super) title: String,
    pub(super) kind: Kind,
    /// Below the folder in which programs keep what belongs to a user.
    pub(super) folder: String,
}

/// How an IDE keeps its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// `User/settings.json`.
    VsCode,
    /// `PRODUCT/options/proxy.settings.xml`.
    JetBrains,
}

/// Who looks at connections on Windows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protection {
    pub(super) name: String,
    /// Any of them.
    pub(super) services: Vec<String>,
}

/// An agent and where its facts are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Agent {
    /// As `leeward wrap` calls it.
    pub(super) name: String,
    /// As its makers call it.
    pub(super) title: String,
    pub(super) programs: Vec<String>,
    #[serde(default)]
    pub(super) also_in: Vec<String>,
    /// Name of its npm package.
    #[serde(default)]
    pub(super) package: Option<String>,
    /// Variables that carry its endpoint.
    #[serde(default)]
    pub(super) variables: Vec<String>,
    /// Files that carry its endpoint, the strongest first.
    #[serde(default)]
    pub(super) setting: Vec<Setting>,
    #[serde(default)]
    pub(super) bad: Vec<BadBuild>,
}

/// A place of an endpoint in a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setting {
    pub(super) scope: Scope,
    /// `~/` is the home folder, `./` the folder that `doctor` runs in.
    pub(super) file: String,
    pub(super) form: Form,
    /// Path of keys.
    pub(super) keys: Vec<String>,
    /// Only on this system, as Rust calls it.
    #[serde(default)]
    pub(super) system: Option<String>,
}

/// Whose word a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scope {
    Managed,
    User,
    Project,
}

impl Scope {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::User => "user",
            Self::Project => "project",
        }
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    Json,
    Toml,
    /// `NAME=value` lines.
    Env,
}

/// Builds that lose connections by themselves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BadBuild {
    pub(super) from: Version,
    /// The last one that is known to be bad.
    pub(super) until: Version,
    #[serde(default)]
    pub(super) system: Option<String>,
    pub(super) what: String,
    pub(super) cure: String,
    /// Who says so.
    pub(super) source: String,
}

impl BadBuild {
    pub(super) fn is(&self, version: &Version, system: &str) -> bool {
        self.from <= *version && *version <= self.until && self.system.as_deref().is_none_or(|only| only == system)
    }
}

/// Who replaces certificates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inspector {
    pub(super) name: String,
    /// Words of its issuer, in lower case.
    words: Vec<String>,
}

/// # Errors
/// Only when the embedded table is not valid, which a test rules out.
pub(super) fn known() -> Result<Known, toml::de::Error> {
    toml::from_str(include_str!("known.toml"))
}

/// The inspector whose name is in an issuer's.
pub(super) fn inspector(issuer: &str) -> Option<Inspector> {
    let issuer = issuer.to_ascii_lowercase();
    known().ok()?.inspector.into_iter().find(|i| i.words.iter().any(|word| issuer.contains(word.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_valid_and_each_bad_build_has_source_and_cure() {
        let known = known().unwrap();
        for agent in &known.agent {
            assert!(!agent.programs.is_empty(), "{}", agent.name);
            for bad in &agent.bad {
                assert!(bad.from <= bad.until && bad.source.contains('#') && !bad.cure.is_empty(), "{}: {bad:?}", agent.name);
                assert!(!bad.what.ends_with('.') && !bad.cure.ends_with('.'), "{}: {bad:?}", agent.name);
            }
        }
        for inspector in &known.inspector {
            assert!(inspector.words.iter().all(|w| *w == w.to_ascii_lowercase() && w.len() > 3), "{}", inspector.name);
        }
    }

    #[test]
    fn a_build_is_bad_within_its_bounds_and_on_its_system() {
        let claude = known().unwrap().agent.into_iter().find(|agent| agent.name == "claude").unwrap();
        let bad = |version: &str, system: &str| claude.bad.iter().any(|b| b.is(&Version::parse(version).unwrap(), system));
        for (version, system, want) in [
            ("2.1.221", "windows", true),
            ("2.1.228", "windows", true),
            ("2.1.229", "windows", false),
            ("2.1.220", "windows", false),
            ("2.1.221", "linux", false),
            ("2.1.139", "linux", true),
            ("2.1.329", "linux", false),
        ] {
            assert_eq!(bad(version, system), want, "{version} {system}");
        }
    }

    #[test]
    fn inspectors_are_known_by_their_issuers() {
        for (issuer, want) in [
            ("C=US, O=Zscaler Inc., CN=Zscaler Intermediate Root CA", Some("Zscaler")),
            ("C=US, O=Google Trust Services, CN=WE1", None),
            ("CN=Leeward demo, throw-away authority", None),
            ("O=Netskope, CN=ca.example.goskope.com", Some("Netskope")),
        ] {
            assert_eq!(inspector(issuer).map(|i| i.name).as_deref(), want, "{issuer}");
        }
    }
}
