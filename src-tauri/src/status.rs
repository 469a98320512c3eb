//! The one picture of the engine that others see. Data only: whoever paints it decides nothing here.

pub mod activity;
pub mod coverage;
pub mod doors;
pub mod faults;
pub mod history;
pub mod recent;
pub mod stats;
pub mod tunnels;
pub mod websockets;

use crate::{
    control::Session,
    health::{Code, Condition, Severity},
    network::NetworkWhy,
};
use doors::Doors;
use recent::{Headline, HeadlineLevel, Reach, Recent};
use serde::{Deserialize, Serialize};
use stats::Today;
use tunnels::TunnelCounts;
use websockets::WebSocketCounts;

/// What the engine is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// Not accepting yet.
    Starting,
    /// Accepting.
    Serving,
    /// A new generation is being started; the old one still accepts.
    Restarting,
    /// No longer accepting; requests in flight finish.
    Draining,
    /// Ended.
    Stopped,
}

/// The listening socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Listener {
    /// `127.0.0.1:8787`; empty before the first bind.
    pub address: String,
    /// Addresses from before, which are served for as long as somebody uses them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub also: Vec<String>,
    /// True while a generation accepts on it.
    pub accepting: bool,
    /// Connections accepted.
    pub accepted: u64,
    /// Accepts that failed and cost one connection at most.
    pub accept_errors: u64,
    /// Times the socket had to be bound again.
    pub rebinds: u64,
    /// The last accept error.
    pub last_accept_error: Option<String>,
    /// Client connections open now.
    pub connections: u64,
    /// Connections that were answered 503 because too many were open.
    pub over_cap: u64,
}

/// The last self-probe that could be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Probe {
    /// When it ended, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// Whether it was answered with 200.
    pub ok: bool,
    /// How long it took.
    pub took_us: u64,
    /// Misses in a row.
    pub misses: u32,
    /// Self-probes since then that could not be made, for lack of file descriptors, memory or ports.
    #[serde(default)]
    pub unasked: u32,
}

/// Changes of this machine's network, sleep included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Network {
    /// How many there were since the start.
    pub changes: u64,
    /// When the last one was noticed, in milliseconds since 1970.
    pub last_unix_ms: Option<u64>,
    /// What the last one was.
    pub last_why: Option<NetworkWhy>,
}

/// Everything about the engine but its traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Status {
    /// Leeward's version.
    pub version: String,
    /// The process that serves.
    pub pid: u32,
    /// When it started, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// What it is doing.
    #[serde(flatten)]
    pub phase: Phase,
    /// Number of the current generation, from 1.
    pub generation: u64,
    /// The listening socket.
    pub listener: Listener,
    /// What is wrong; empty when all is well.
    pub conditions: Vec<Condition>,
    /// The last self-probe, if there was one.
    pub probe: Option<Probe>,
    /// The default upstream's URL.
    pub upstream: String,
    /// Open `wrap` sessions.
    pub sessions: Vec<Session>,
    /// Changes of this machine's network.
    #[serde(default)]
    pub network: Network,
    /// What became of the requests of the last minutes.
    #[serde(default)]
    pub recent: Recent,
    /// What became of the requests of the present day.
    #[serde(default)]
    pub today: Today,
    /// Whether the default upstream can be reached.
    #[serde(default)]
    pub reach: Reach,
    /// The first line that people read.
    #[serde(default)]
    pub headline: Headline,
    /// Tunnels (CONNECT).
    #[serde(default)]
    pub tunnels: TunnelCounts,
    /// WebSockets.
    #[serde(default)]
    pub websockets: WebSocketCounts,
    /// What came through each door.
    #[serde(default)]
    pub doors: Doors,
}

impl Status {
    /// The status of an engine that has not started.
    pub fn starting() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_unix_ms: crate::health::unix_ms(),
            phase: Phase::Starting,
            generation: 0,
            listener: Listener::default(),
            conditions: Vec::new(),
            probe: None,
            upstream: String::new(),
            sessions: Vec::new(),
            network: Network::default(),
            recent: Recent::default(),
            today: Today::default(),
            reach: Reach::default(),
            headline: Headline::default(),
            tunnels: TunnelCounts::default(),
            websockets: WebSocketCounts::default(),
            doors: Doors::default(),
        }
    }

    /// Why it ended, where nobody had asked it to.
    pub fn failure(&self) -> Option<&str> {
        self.conditions.iter().find(|c| c.code == Code::EngineFailed).map(|c| c.sentence.as_str())
    }

    /// `ok`, `degraded` or `broken`, from the worst condition, the first line and whether it accepts.
    pub fn verdict(&self) -> &'static str {
        let worst = self.conditions.iter().map(|c| c.severity).max();
        match (worst, self.headline.level) {
            (Some(Severity::Broken), _) | (_, HeadlineLevel::Broken) => "broken",
            _ if !self.listener.accepting => "broken",
            (Some(Severity::Degraded), _) | (_, HeadlineLevel::Degraded) => "degraded",
            (None, HeadlineLevel::Ok) => "ok",
        }
    }
}
