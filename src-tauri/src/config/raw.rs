//! The config file as it is written: every key optional, unknown keys refused. No defaults and no checks here.

use super::{
    KeyShare, StreamMode, UnknownFate,
    units::{Size, Span},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The file `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// Address and port to accept on. Loopback, unless `client_token` is set. Default "127.0.0.1:8787".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listen: Option<String>,
    /// URL of the API that requests go to when their path names no upstream. Default "https://api.anthropic.com".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<String>,
    /// Host names besides loopback that clients may use to reach Leeward (containers, WSL). Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allowed_hosts: Option<Vec<String>>,
    /// Secret that clients must send in `x-leeward-token`; needed to listen on anything but loopback. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_token: Option<String>,
    /// Log filter: "info", "debug", or directives such as "leeward::proxy=debug". Default "info".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<String>,
    /// Worker threads of the engine. Default: the number of cores, at most 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workers: Option<usize>,
    /// Whether the tray notifies when agents cannot work for a while, and when they can again. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notifications: Option<bool>,
    /// Additional root certificates, a PEM file. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_ca: Option<PathBuf>,
    /// How long a request may wait for the response's headers when its client names no deadline. Default "600s".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_timeout: Option<Span>,
    /// How long running streams may finish after a restart. Default "10m".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drain: Option<Span>,
    /// Named upstreams, reached as `/@NAME/…`. Adds to the built-in ones and overrides them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) upstreams: BTreeMap<String, String>,
    /// Sizes and counts that a client cannot exceed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) limits: RawLimits,
    /// Waits on the client's side.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) client: RawClient,
    /// How connections to the upstream are made.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) connect: RawConnect,
    /// The pool of upstream connections.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) pool: RawPool,
    /// What is tried again, how often and for how long.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) retry: RawRetry,
    /// How streamed answers reach the agent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) stream: RawStream,
    /// What happens while no connection to an upstream can be made.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) circuit: RawCircuit,
    /// TLS towards the upstream.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) tls: RawTls,
    /// The company proxy between Leeward and the upstream.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) proxy: RawProxy,
    /// The history of faults on disk.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) ledger: RawLedger,
    /// The self-probe.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) watch: RawWatch,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub(super) $field: Option<$type>,)*
        }
    };
}

section! {
    /// `[limits]`
    RawLimits {
        /// Request line and headers of one request. Default "64KiB".
        header_bytes: Size,
        /// Header fields of one request. Default 200.
        header_count: usize,
        /// One request body; the API itself takes 500 MB for files. Default "512MiB".
        body_bytes: Size,
        /// Client connections at once; further ones are answered 503. Default 10000.
        connections: usize,
        /// A body up to this size is read whole before it is sent, so that it can be sent again. Default "32MiB".
        replay_body_bytes: Size,
        /// All bodies held for that together; beyond it they are streamed and sent once. Default "256MiB".
        replay_total_bytes: Size,
    }
}

section! {
    /// `[client]`
    RawClient {
        /// An idle connection of an agent stays open this long; agents keep theirs for 300 s. Default "330s".
        idle: Span,
        /// A connection that has not asked for this long, twice as long at most, gives its buffers back, unseen. Default "5s".
        rest: Span,
        /// When Leeward ends, a new connection that has yet to ask is waited for this long. Default "1s".
        greeting: Span,
        /// A request whose headers have begun must complete them within this. Default "30s".
        head: Span,
        /// A request body may pause this long. Default "120s".
        body_idle: Span,
        /// A connection that Leeward closes waits this long for the agent to read what was sent. Default "2s".
        linger: Span,
    }
}

section! {
    /// `[connect]`
    RawConnect {
        /// TCP connect, per address. Default "4s".
        timeout: Span,
        /// TLS handshake, per address. Default "5s".
        tls_timeout: Span,
        /// Name resolution. Default "5s".
        dns_timeout: Span,
        /// Head start of one address over the next (RFC 8305). Default "250ms".
        stagger: Span,
        /// Dials at once per upstream. Default 4.
        parallel: usize,
        /// An address or address family that failed is tried last for this long; "0s" switches it off. Default "60s".
        quarantine: Span,
        /// A request of which the network takes no byte for this long is sent again on a new connection; "0s" switches it
        /// off. Default "20s".
        write_stall: Span,
    }
}

section! {
    /// `[pool]`
    RawPool {
        /// Connections per upstream at once, streams included; at most 64 of them are kept idle. Default 256.
        size: usize,
        /// An idle upstream connection is dropped after this. Default "60s".
        idle: Span,
        /// Interval of TCP keep-alive probes. Default "15s".
        keepalive: Span,
    }
}

section! {
    /// `[retry]`
    RawRetry {
        /// Replays of one request whose connection died before any answer that the agent saw. Default 2.
        replays: u32,
        /// All retrying of one request together; at most half of the client's own deadline. Default "45s".
        total: Span,
        /// First pause between two attempts. Default "50ms".
        base: Span,
        /// Longest pause between two attempts. Default "2s".
        cap: Span,
        /// Replays as a share of all requests. Default 0.2.
        budget: f32,
        /// Replays a second that are allowed whatever the share. Default 10.
        budget_floor: u32,
        /// "replay" or "pass": a request that a new connection lost after it was sent, so that its fate is unknown. An
        /// inference that ran twice costs its tokens twice. Default "replay".
        unknown_fate: UnknownFate,
        /// Try again after 502, 503, 504 and 529 whose retry-after is short, instead of passing them on. Default false.
        absorb: bool,
        /// Longest retry-after of an answer that is absorbed. Default "5s".
        absorb_within: Span,
    }
}

section! {
    /// `[stream]`
    RawStream {
        /// "pass": events go to the agent as they come, once the first content is there. "hold": the whole answer is
        /// gathered first, so that a cut can be repaired. "adaptive": hold while cuts are frequent. Default "pass".
        mode: StreamMode,
        /// Bytes of an answer that may be held back while it has no content yet. Default "64KiB".
        commit_bytes: Size,
        /// An answer held back for this long begins towards the agent with a ping. Default "10s".
        commit_wait: Span,
        /// Interval of the pings that keep the agent waiting while an answer is gathered. Default "10s".
        hold_ping: Span,
        /// Memory for one gathered answer; beyond it a temporary file is used. Default "64MiB".
        hold_memory: Size,
        /// Cut answers within `adaptive_within` from which on "adaptive" gathers. Default 2.
        adaptive_cuts: u32,
        /// How long a cut answer counts for "adaptive". Default "10m".
        adaptive_within: Span,
        /// Send a ping when the upstream is silent in the middle of a stream. Default false.
        ping: bool,
        /// Silence before such a ping. Default "20s".
        ping_after: Span,
        /// Silence in a stream after which a condition is raised; agents give up at 300 s. Default "290s".
        stall_alarm: Span,
    }
}

section! {
    /// `[circuit]`
    RawCircuit {
        /// Dials that fail in a row until requests are parked instead of tried one by one. Default 5.
        failures: u32,
        /// How long a request is parked at most. Default "20s".
        park: Span,
        /// Pause between two probes of an upstream that cannot be reached. Default "1s".
        probe: Span,
    }
}

section! {
    /// `[tls]`
    RawTls {
        /// Certificate that Leeward shows the upstream (mTLS), a PEM file with its chain. Default none.
        client_cert: PathBuf,
        /// The certificate's private key, a PEM file. Default none.
        client_key: PathBuf,
        /// "auto": post-quantum key shares, and classical ones where a network breaks them; or "classical". Default "auto".
        key_share: KeyShare,
    }
}

section! {
    /// `[proxy]`
    RawProxy {
        /// "auto" (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, else the system's settings), "none", or a URL that begins with
        /// http://, https://, socks5:// or socks5h:// and may carry user and password. Default "auto".
        url: String,
        /// Hosts that are reached directly, as in NO_PROXY; adds to the variable. Default none.
        no_proxy: Vec<String>,
    }
}

section! {
    /// `[ledger]`
    RawLedger {
        /// Keep a history of faults in the state folder. Default true.
        enabled: bool,
        /// How long entries are kept, from 1h to a year. Default "90d".
        keep: Span,
        /// Size of the file, at least 1MiB; the oldest entries go first. Default "64MiB".
        size: Size,
    }
}

section! {
    /// `[watch]`
    RawWatch {
        /// Pause between two self-probes over the real port. Default "5s".
        probe: Span,
        /// Limit of one self-probe. Default "2s".
        probe_timeout: Span,
        /// An engine whose accept loop gives no sign of life for this long is replaced. Default "1800ms".
        stall: Span,
    }
}
