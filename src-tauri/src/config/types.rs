//! The config as the engine sees it: complete and valid. Data only; the plain sections are in `definition.rs`.

use super::{
    company_proxy::Proxying,
    definition::{
        Circuit, ClientTimes, Connect, Connectors, KeyShare, Ledger, Limits, Mode, Modes, Pool, Retry, Stream, Watch, WebSocket,
        Wrap,
    },
    egress::Egress,
    names::{AllowedHost, AllowedOrigin},
    paths::Paths,
    secret::Secret,
    tunnel_allow::TunnelAllow,
    upstream_entry::ReplayPath,
};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use url::Url;

/// The header in which clients send `client_token`; in lower case, as the crate `http` wants its constants.
pub const CLIENT_TOKEN_HEADER: &str = "x-leeward-token";

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
    /// By upstream's name, `None` for the default one: paths that are inferences there, beside those that Leeward knows.
    pub replay: BTreeMap<Option<String>, Vec<ReplayPath>>,
    /// By upstream's name, `None` for the default one: what becomes of WebSockets there, where the config says so.
    pub websocket: BTreeMap<Option<String>, WebSocket>,
    /// How agents reach Leeward.
    pub mode: Mode,
    /// The same for single agents.
    pub modes: Modes,
    /// Whether Claude Code asks for claude.ai connectors.
    pub connectors: Connectors,
    /// Names besides loopback that a `Host` header may carry.
    pub allowed_hosts: Vec<AllowedHost>,
    /// Origins of web pages that may send requests to upstreams.
    pub allowed_origins: Vec<AllowedOrigin>,
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
    /// How streamed responses reach the agent.
    pub stream: Stream,
    /// What happens while no connection can be made.
    pub circuit: Circuit,
    /// TLS towards the upstream.
    pub tls: Tls,
    /// The company proxy between Leeward and the upstream.
    pub proxy: Proxying,
    /// What the environment says about the way out; `proxy` is made from it where the config leaves it to the variables.
    pub egress: Egress,
    /// What tunnels reach where other machines reach the listener.
    pub tunnel_allow: TunnelAllow,
    /// The history of faults on disk.
    pub ledger: Ledger,
    /// How programs are started.
    pub wrap: Wrap,
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
    /// Why what the user wrote is not in force, and what is instead; a sentence without a full stop.
    pub problem: Option<String>,
}

/// Whom to believe upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The platform's trust store, and the certificates of a PEM file if one is named.
    Platform {
        /// Additional roots, PEM.
        extra: Option<PathBuf>,
    },
    /// As another one, and the certificates of these PEM files, where they can be read: what an agent trusts by its variables.
    Also {
        /// The engine's own.
        base: Box<Trust>,
        /// Additional roots, PEM.
        roots: Vec<PathBuf>,
    },
    /// Only these DER certificates: for the demo and for tests, which own their certificate authority.
    Only(Vec<Vec<u8>>),
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
