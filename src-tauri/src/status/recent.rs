//! What became of requests lately, and whether the default upstream can be reached. Data only; `view` puts it into words.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The requests of the last minutes, and those that wait now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Recent {
    /// Length of the window in seconds.
    pub window_s: u64,
    /// Requests that ended in it, without those that were refused or whose client left.
    pub requests: u64,
    /// Those that met a fault and still ended well.
    pub rescued: u64,
    /// Those whose agents saw an error of Leeward's or a broken response.
    pub failed: u64,
    /// Those of them that came after the last request that ended well.
    pub failed_in_a_row: u64,
    /// What they failed with, by the names of `faults::Cause`.
    pub causes: BTreeMap<String, u64>,
    /// Requests that have no connection to their upstream right now.
    pub waiting: u64,
}

/// Whether an upstream can be reached, by what was met last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Reach {
    /// The upstream as people call it: its host, and its port where that is not the scheme's own.
    pub name: String,
    /// Whether anybody has tried, and how that went.
    pub state: ReachState,
    /// When it was last reached, in milliseconds since 1970.
    pub reached_unix_ms: Option<u64>,
    /// Since when it has not been, in milliseconds since 1970.
    pub failing_since_unix_ms: Option<u64>,
    /// What was met last, by the names of `faults::Cause`.
    pub cause: Option<String>,
    /// Why there is no way to it, where that is the matter: `connection refused`.
    pub reason: Option<String>,
    /// What is the matter, as a clause without a full stop.
    pub says: Option<String>,
    /// What to do, without a full stop.
    pub next: Option<String>,
}

/// What is known of the way to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ReachState {
    /// Nobody has tried since the start, or since the network changed.
    #[default]
    NotTried,
    /// The last try succeeded.
    Reached,
    /// The last try failed.
    Failing,
}

/// The first line that people read: how well it is, what is the matter, what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Headline {
    /// How well it is.
    pub level: HeadlineLevel,
    /// A sentence without a full stop.
    pub sentence: String,
    /// The next step, without a full stop; empty where there is none.
    pub next: String,
}

/// How well it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum HeadlineLevel {
    /// All is well, as far as is known.
    #[default]
    Ok,
    /// It works, and the user should know something.
    Degraded,
    /// Agents cannot work.
    Broken,
}

/// Puts a status into its first line; the program that shows it lends the words. The number is the present, in milliseconds
/// since 1970.
pub type Words = fn(&super::Status, u64) -> Headline;
