//! Which agents there are, and whether their requests come through Leeward. Data only, and how whoever serves asks for it.

use super::stats::Stats;
use crate::control::Session;
use serde::Serialize;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

/// All agents that Leeward knows, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Coverage {
    /// When it was looked, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// Where Leeward accepts, or would.
    pub address: Option<String>,
    /// Whether a Leeward serves.
    pub serving: bool,
    /// One each, in the order of `leeward wrap`.
    pub agents: Vec<Agent>,
    /// Why the processes of this user are not known, where they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub unlisted: Option<String>,
}

impl Coverage {
    /// Whether an agent runs past Leeward.
    pub fn bypassed(&self) -> bool {
        self.agents.iter().any(|agent| agent.running.iter().any(|one| one.verdict == Protection::NotProtected))
    }
}

/// What is said of an agent. What could not be asked is never called unprotected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// Its requests come through Leeward.
    Protected,
    /// They don't, or would not if it were started now.
    NotProtected,
    /// It could not be found out.
    NotKnown,
    /// It is not on this machine.
    NotInstalled,
}

impl Protection {
    /// Its name in JSON; public and stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::NotProtected => "not-protected",
            Self::NotKnown => "not-known",
            Self::NotInstalled => "not-installed",
        }
    }
}

/// How requests come through Leeward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// A session of `leeward wrap` or `leeward run`.
    Wrap,
    /// The same, and its own APIs are decrypted.
    Intercept,
    /// A settings file.
    Settings,
    /// Variables that it was started with.
    Environment,
}

impl By {
    /// Its name in JSON; public and stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Intercept => "intercept",
            Self::Settings => "settings",
            Self::Environment => "environment",
        }
    }
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "AgentCoverage"))]
pub struct Agent {
    /// As `leeward wrap` calls it.
    pub name: String,
    /// As its makers call it.
    pub title: String,
    /// Where its installation is described.
    pub about: String,
    /// Whether `leeward setup` knows its settings.
    pub has_setup: bool,
    /// Whether its settings files point at Leeward now.
    pub is_set_up: bool,
    /// What is said of it.
    pub verdict: Protection,
    /// How it is protected; empty unless it is.
    pub by: Vec<By>,
    /// Why that is said, as a sentence.
    pub why: String,
    /// What to do, where there is something; without a full stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub advice: Option<String>,
    /// Where it is.
    pub installs: Vec<Install>,
    /// Its sessions that run now; what they start themselves is not listed.
    pub running: Vec<Running>,
    /// When a request of it last came.
    pub last_request: LastRequest,
}

/// One place in which an agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Install {
    /// What put it there.
    pub kind: InstallKind,
    /// In words: `npm`, `VS Code`, `Homebrew`.
    pub of: String,
    /// The program or folder.
    #[cfg_attr(test, ts(type = "string"))]
    pub path: PathBuf,
    /// Its version, where it is known.
    pub version: Option<String>,
}

/// What puts an agent on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum InstallKind {
    /// A program, by its own installer or by hand.
    Program,
    /// npm or one of its like.
    Npm,
    /// A package manager of the system: Homebrew, Scoop, winget, Nix, snap.
    Package,
    /// pipx, uv or pip.
    Python,
    /// An extension of an editor.
    Extension,
    /// A desktop application.
    App,
}

/// A session of an agent that runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "RunningAgent"))]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// The folder that it works in, where the system says it.
    #[cfg_attr(test, ts(type = "string | null"))]
    pub folder: Option<PathBuf>,
    /// When it started, in milliseconds since 1970.
    pub since_unix_ms: Option<u64>,
    /// What is said of it.
    pub verdict: Protection,
    /// How it is protected, where it is.
    pub by: Option<By>,
    /// Why that is said, as a sentence; without credentials.
    pub why: String,
}

/// When a request of an agent last came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum LastRequest {
    /// Then.
    Seen {
        /// In milliseconds since 1970.
        at_unix_ms: u64,
    },
    /// None since counting began.
    NotSeen {
        /// In milliseconds since 1970.
        since_unix_ms: u64,
    },
    /// Nobody could be asked.
    NotKnown {
        /// Why.
        why: String,
    },
}

/// What the engine knows of agents.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Where it accepts.
    pub address: SocketAddr,
    /// Open sessions of `wrap`.
    pub sessions: Vec<Session>,
    /// When each program's last request came, by its own name for itself; in milliseconds since 1970.
    pub last_seen_unix_ms: BTreeMap<String, u64>,
    /// When counting began, in milliseconds since 1970.
    pub since_unix_ms: u64,
}

impl Heard {
    /// Of an engine that accepts there.
    pub fn new(address: SocketAddr, sessions: Vec<Session>, stats: &Stats) -> Self {
        let (last_seen_unix_ms, since_unix_ms) = (stats.last_seen_unix_ms.clone(), stats.since_unix_ms);
        Self { address, sessions, last_seen_unix_ms, since_unix_ms }
    }
}

/// Looks at this machine's agents; blocks while it does. The program that an engine runs in brings it along.
#[derive(Clone)]
pub struct Scan(Arc<dyn Fn(Heard) -> Coverage + Send + Sync>);

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scan")
    }
}

impl Scan {
    /// Looks by calling `look`.
    pub fn new(look: impl Fn(Heard) -> Coverage + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    /// Looks now.
    pub fn look(&self, heard: Heard) -> Coverage {
        (self.0)(heard)
    }
}
