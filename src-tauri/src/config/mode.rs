//! What a mode means for an agent's requests, and which one an agent gets. Pure; decides nothing about any agent.

use super::{
    definition::{Mode, Modes},
    types::Config,
};
use serde::{Deserialize, Serialize};

/// The way on which an agent's requests reach Leeward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Door {
    /// Leeward is the API to it: whole requests are repaired.
    BaseUrl,
    /// Leeward carries its bytes: connections are repaired.
    Tunnel,
    /// Leeward decrypts: whole requests are repaired.
    Intercept,
    /// They bypass Leeward.
    #[default]
    Direct,
}

/// What a session's mode covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Covers {
    /// The mode.
    #[cfg_attr(test, ts(type = "string"))]
    pub mode: Mode,
    /// How requests to models come.
    pub inference: Door,
    /// How all others come.
    pub rest: Door,
}

/// What a session has that an older `wrap` has opened.
impl Default for Covers {
    fn default() -> Self {
        Self { mode: Mode::BaseUrl, inference: Door::BaseUrl, rest: Door::Direct }
    }
}

impl Covers {
    /// In words: `auto: inference by base URL, the rest by tunnel`.
    pub fn sentence(&self) -> String {
        let Self { mode, inference, rest } = self;
        let (inference, rest) = (inference.words(), rest.words());
        let covered = match mode {
            // Only the hosts that the certificate authority can sign for.
            Mode::Intercept => "the agent's own APIs decrypted, the rest by tunnel".to_owned(),
            _ if inference == rest => format!("everything {rest}"),
            _ => format!("inference {inference}, the rest {rest}"),
        };
        format!("{}: {covered}", mode.name())
    }
}

impl Door {
    fn words(self) -> &'static str {
        match self {
            Self::BaseUrl => "by base URL",
            Self::Tunnel => "by tunnel",
            Self::Intercept => "decrypted",
            Self::Direct => "past Leeward",
        }
    }
}

impl Mode {
    /// Whether agents are given base URLs.
    pub fn has_base_url(self) -> bool {
        matches!(self, Self::Auto | Self::BaseUrl)
    }

    /// Whether agents are given a proxy.
    pub fn has_tunnel(self) -> bool {
        self != Self::BaseUrl
    }
}

impl Config {
    /// The mode that the config chooses for an agent.
    pub fn mode_of(&self, agent: &str) -> Mode {
        self.modes.of(agent).unwrap_or(self.mode)
    }
}

impl Modes {
    fn of(&self, agent: &str) -> Option<Mode> {
        let Self { claude, codex, gemini, opencode, aider, goose, qwen, kimi, anything } = self;
        let named = [
            ("claude", claude),
            ("codex", codex),
            ("gemini", gemini),
            ("opencode", opencode),
            ("aider", aider),
            ("goose", goose),
            ("qwen", qwen),
            ("kimi", kimi),
            ("anything", anything),
        ];
        named.into_iter().find(|(name, _)| *name == agent).and_then(|(_, mode)| *mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Sources, load};

    #[test]
    fn an_agents_own_mode_outranks_the_one_for_all() {
        for (file, vars, agent, mode) in [
            ("", &[][..], "claude", Mode::Auto),
            ("mode = 'tunnel'", &[], "claude", Mode::Tunnel),
            ("mode = 'tunnel'\n[modes]\nclaude = 'base-url'", &[], "claude", Mode::BaseUrl),
            ("mode = 'tunnel'\n[modes]\nclaude = 'base-url'", &[], "codex", Mode::Tunnel),
            ("", &[("LEEWARD_MODE", "base-url")], "kimi", Mode::BaseUrl),
            ("mode = 'tunnel'", &[("LEEWARD_MODES_KIMI", "base-url")], "kimi", Mode::BaseUrl),
            ("[modes]\nanything = 'intercept'", &[], "anything", Mode::Intercept),
        ] {
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join("config.toml"), file).unwrap();
            let env = |name: &str| match name {
                "LEEWARD_HOME" => Some(home.path().display().to_string()),
                _ => vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
            };
            let config = load(&Sources { env: &env, flags: Flags::default() }).unwrap();
            assert_eq!(config.mode_of(agent), mode, "{file} {vars:?} {agent}");
        }
    }

    #[test]
    fn what_is_covered_is_said_in_words() {
        let auto = Covers { mode: Mode::Auto, inference: Door::BaseUrl, rest: Door::Tunnel };
        assert_eq!(auto.sentence(), "auto: inference by base URL, the rest by tunnel");
        let tunnel = Covers { mode: Mode::Tunnel, inference: Door::Tunnel, rest: Door::Tunnel };
        assert_eq!(tunnel.sentence(), "tunnel: everything by tunnel");
        let intercept = Covers { mode: Mode::Intercept, inference: Door::Intercept, rest: Door::Intercept };
        assert_eq!(intercept.sentence(), "intercept: the agent's own APIs decrypted, the rest by tunnel");
        assert_eq!(Covers::default().sentence(), "base-url: inference by base URL, the rest past Leeward");
    }
}
