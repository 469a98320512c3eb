//! What the user asked for, checked once: `Raw` (file, environment, flags) becomes `Config` (typed, with units).
//!
//! The only room that reads the environment. A `Config` never changes: a reload makes a new one, and
//! running streams finish on the one they started with. Order: defaults < file < `LEEWARD_*` < flags.

mod load;
mod paths;
mod ranges;
mod raw;
mod schema;
mod units;

pub use load::{Error, Flags, Sources, environment, load};
pub(crate) use load::{check_upstream, is_upstream_name};
pub use paths::Paths;
pub use raw::Raw;
pub use schema::{default_file, schema};
pub use units::{format_size, parse_size};

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use url::Url;

/// The port agents are pointed at unless the user says otherwise.
pub const DEFAULT_PORT: u16 = 8787;
/// The last port that is tried when the default one is taken (8787..=8806).
pub const LAST_FALLBACK_PORT: u16 = 8806;

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
    /// How long a request may wait for response headers when the client names no deadline.
    pub response_timeout: Duration,
    /// How long an old generation may finish its streams after a restart.
    pub drain: Duration,
    /// The self-probe and the watch on a generation's heartbeat.
    pub watch: Watch,
    /// Which certificates are trusted upstream.
    pub trust: Trust,
    /// Log filter in the syntax of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// Worker threads of one engine generation.
    pub workers: usize,
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

    /// Compares without an early exit, so that timing does not tell how much matched.
    pub fn matches(&self, other: &str) -> bool {
        let (a, b) = (self.0.as_bytes(), other.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
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
}

impl Eq for Retry {}

/// The self-probe and the heartbeat.
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

impl Config {
    /// The defaults with every file below `home`; a `config.toml` there is read, the environment is not.
    ///
    /// # Errors
    /// As `load`.
    pub fn under(home: &std::path::Path) -> Result<Self, Error> {
        let env = |name: &str| (name == "LEEWARD_HOME").then(|| home.display().to_string());
        load(&Sources { env: &env, flags: Flags::default() })
    }
}
