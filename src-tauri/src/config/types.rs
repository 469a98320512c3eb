//! The config as the engine sees it: typed, with units, complete. Data only.

use super::{Paths, Proxying};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use url::Url;

/// Everything the engine needs to know, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address to accept on.
    pub listen: SocketAddr,
    /// True when a flag named the address: then no other port is tried.
    pub listen_pinned: bool,
    /// Where requests go that name no upstream.
    pub upstream: Url,
    /// Named upstreams, reached as `/@NAME/…`; the built-in ones included.
    pub upstreams: BTreeMap<String, Url>,
    /// Names besides loopback that a `Host` header may carry.
    pub allowed_hosts: Vec<String>,
    /// Token that clients must send as `x-leeward-token` when the listener is not on loopback.
    pub client_token: Option<Secret>,
    /// Sizes and counts that a client cannot exceed.
    pub limits: Limits,
    /// Waits on the client's side.
    pub client: ClientTimes,
    /// Waits and counts while a connection to the upstream is made.
    pub connect: Connect,
    /// The pool of upstream connections.
    pub pool: Pool,
    /// What is tried again, how often and for how long.
    pub retry: Retry,
    /// How streamed answers reach the agent.
    pub stream: Stream,
    /// What happens while no connection can be made.
    pub circuit: Circuit,
    /// TLS towards the upstream.
    pub tls: Tls,
    /// The company proxy between Leeward and the upstream.
    pub proxy: Proxying,
    /// The history of faults on disk.
    pub ledger: Ledger,
    /// How long a request may wait for response headers when the client names no deadline.
    pub response_timeout: Duration,
    /// How long an old generation may finish its streams after a restart.
    pub drain: Duration,
    /// The self-probe and the watch on a generation's pulse.
    pub watch: Watch,
    /// Which certificates are trusted upstream.
    pub trust: Trust,
    /// Log filter in the syntax of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// Worker threads of one engine generation.
    pub workers: usize,
    /// Whether the tray notifies when agents cannot work for a while, and when they can again.
    pub notifications: bool,
    /// Config, state and log locations.
    pub paths: Paths,
}

/// A value that never shows itself in a log, an error or `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// Compares in a time that does not tell how much matched; it may tell the length.
    pub fn matches(&self, other: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.as_bytes()).is_ok()
    }

    /// The value itself; for sending it, never for showing it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Sizes in bytes and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Request line and headers of one request.
    pub header_bytes: usize,
    /// Header fields of one request.
    pub header_count: usize,
    /// One request body.
    pub body_bytes: u64,
    /// Client connections at once; over it new ones are answered 503.
    pub connections: usize,
    /// A body up to this size is read whole and can be replayed.
    pub replay_body_bytes: u64,
    /// All bodies held for replay together; over it they are streamed and not replayable.
    pub replay_total_bytes: u64,
}

/// Waits on the client's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTimes {
    /// An idle keep-alive connection stays open this long; agents pool for 300 s.
    pub idle: Duration,
    /// A connection that has not asked for this long gives its buffers back; its client sees nothing of it.
    pub rest: Duration,
    /// A connection that has yet to say its first word is waited for this long when the engine ends.
    pub greeting: Duration,
    /// A request head that has begun must be complete within this.
    pub head: Duration,
    /// A request body may pause this long.
    pub body_idle: Duration,
    /// How long a closed connection lingers for the client to read what was sent.
    pub linger: Duration,
}

/// How connections to the upstream are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// TCP connect, per address.
    pub timeout: Duration,
    /// TLS handshake, per address.
    pub tls_timeout: Duration,
    /// Name resolution.
    pub dns_timeout: Duration,
    /// Head start of one address over the next (RFC 8305 section 5 recommends 250 ms).
    pub stagger: Duration,
    /// Dials at once per upstream.
    pub parallel: usize,
    /// How long an address or family that failed is tried last; zero: never.
    pub quarantine: Duration,
    /// A request of which the network takes no byte for this long has failed; zero: never.
    pub write_stall: Duration,
}

/// The pool of idle upstream connections, per upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Connections at once.
    pub size: usize,
    /// An idle connection is dropped after this; the API's edge cuts at 400 s, NATs far earlier.
    pub idle: Duration,
    /// Interval of TCP keep-alive probes.
    pub keepalive: Duration,
}

/// What is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Replays of one request that reached the upstream on a reused connection.
    pub replays: u32,
    /// All retrying of one request together; never more than half of the client's own deadline.
    pub total: Duration,
    /// First pause.
    pub base: Duration,
    /// Longest pause.
    pub cap: Duration,
    /// Replays as a share of requests.
    pub budget: f32,
    /// Replays a second that are always allowed.
    pub budget_floor: u32,
    /// What becomes of a request whose fate is unknown.
    pub unknown_fate: UnknownFate,
    /// Whether short refusals (502, 503, 504, 529) are tried again.
    pub absorb: bool,
    /// Longest `retry-after` that is waited for.
    pub absorb_within: Duration,
}

impl Eq for Retry {}

/// The self-probe and the accept loop's pulse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Pause between two probes over the real port.
    pub probe: Duration,
    /// Limit of one probe.
    pub probe_timeout: Duration,
    /// A generation whose accept loop is silent for this long is replaced.
    pub stall: Duration,
}

/// Whom to believe upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The platform's trust store, and the certificates of a PEM file if one is named.
    Platform {
        /// Additional roots, PEM.
        extra: Option<PathBuf>,
    },
    /// Only these DER certificates: for the demo and for tests, which own their certificate authority.
    Only(Vec<Vec<u8>>),
}

/// What becomes of an inference request that a fresh connection lost after it was sent (U7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownFate {
    /// It is sent again; should the first one have run, its tokens are paid twice.
    #[default]
    Replay,
    /// The client is told.
    Pass,
}

/// How streamed answers reach the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// When events are passed on.
    pub mode: StreamMode,
    /// Bytes held back while an answer has no content yet.
    pub commit_bytes: u64,
    /// An answer held back this long begins with a ping.
    pub commit_wait: Duration,
    /// Interval of pings while an answer is gathered.
    pub hold_ping: Duration,
    /// Memory for one gathered answer; a temporary file holds the rest.
    pub hold_memory: u64,
    /// Cut answers within `adaptive_within` from which on answers are gathered.
    pub adaptive_cuts: u32,
    /// How long a cut counts.
    pub adaptive_within: Duration,
    /// Whether a silent stream is kept alive with pings.
    pub ping: bool,
    /// Silence before such a ping.
    pub ping_after: Duration,
    /// Silence in a stream after which a condition is raised.
    pub stall_alarm: Duration,
}

/// When the events of an answer are passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StreamMode {
    /// As they come, from the first content on.
    #[default]
    Pass,
    /// When the answer is complete.
    Hold,
    /// As `Hold` while cuts are frequent, else as `Pass`.
    Adaptive,
}

/// What happens while no connection to an upstream can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Failed dials in a row that open it.
    pub failures: u32,
    /// How long a request is parked at most.
    pub park: Duration,
    /// Pause between two probes.
    pub probe: Duration,
}

/// TLS towards the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate and key that Leeward shows, PEM files; read again when they change.
    pub client: Option<ClientIdentity>,
    /// Which key shares are offered.
    pub key_share: KeyShare,
}

/// The files of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate and its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Which key shares the `ClientHello` carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyShare {
    /// Post-quantum, and classical ones on networks that break it.
    #[default]
    Auto,
    /// Only classical ones.
    Classical,
}

/// The history of faults on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Whether it is kept at all.
    pub enabled: bool,
    /// How long entries are kept.
    pub keep: Duration,
    /// Size of the file in bytes.
    pub size: u64,
}
