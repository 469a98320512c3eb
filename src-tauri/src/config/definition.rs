//! Every config key, defined once: type, default, range, help. Nothing is computed here, and no key is known elsewhere.
//!
//! Structs, checks, `config show`, the default file, JSON Schema, Settings and `docs/configuration.md` follow from it. A row reads
//!
//! ```text
//! /// What it means.
//! key: Type = default, from least ("why not less") to most ("why not more") in "unit", …;
//! ```
//!
//! Default and limits are written as in the file. `none` means that a key may be left out; a sentence after it says what
//! happens then. `or "0s"` is a value below the range that switches the feature off. `secret` values are never shown.
//! A change takes effect with the next generation (at a reload). What one
//! key demands of another stands in `relations.rs`. A new section is one more block, named at the end of the first one.

use super::{
    key::Key,
    section::Section,
    units::{Bytes, Share, Time},
    upstream_entry::UpstreamEntry,
};
use std::{collections::BTreeMap, path::PathBuf};

section! {
    /// What stands at the top of the file, before any section.
    pub(super) struct File: "" {
        /// Address and port to accept connections on. Anything but loopback needs `client_token`.
        listen: String = "127.0.0.1:8787";
        /// The API that requests go to when their path names no upstream: its URL, or a table as in `upstreams`.
        upstream: UpstreamEntry = "https://api.anthropic.com";
        /// How agents and programs reach Leeward, unless `[modes]` or `--mode` says otherwise; `docs/modes.md` says what each mode
        /// sees and cannot do.
        mode: Mode = "auto";
        /// Whether Claude Code asks for your claude.ai connectors when it starts.
        connectors: Connectors = "on";
        /// Host names besides loopback by which clients reach Leeward (containers, WSL, a reverse proxy); without a port: any.
        allowed_hosts: Vec<String> = [];
        /// Web pages and IDE extensions that may send requests to upstreams, each by its exact origin
        /// (`http://localhost:3000`).
        allowed_origins: Vec<String> = [];
        /// Secret that clients must send in `x-leeward-token`, of 16 characters at least. Needed to listen on anything but
        /// loopback, and to let other users of this machine in where `tls.client_cert` or a proxy's login names you.
        client_token: String = none, secret Always;
        /// Log filter: `info`, `debug`, or directives such as `leeward::proxy=debug`.
        log: String = "info";
        /// Worker threads of the engine.
        workers: usize = none ("the number of cores, at most 4"), from 1 to 256 ("more threads only cost memory") in "threads";
        /// Whether the tray notifies when agents cannot work for a while, and when they can again.
        notifications: bool = true;
        /// PEM file of additional root certificates.
        extra_ca: PathBuf = none;
        /// How long a request waits for the response's headers when its client names no deadline.
        response_timeout: Time = "600s", from "1ms" to "1d" ("by then every client has given up");
        /// How long running streams may finish after a restart.
        drain: Time = "10m", from "0s" to "7d";
        /// Named upstreams, reached as `/@NAME/…`, beside the built-in ones or in their place: each a URL, or a table with `url`,
        /// `replay` (paths that only ask a model, as `["/v2/complete/*"]`; they are repaired like the inference APIs that Leeward
        /// knows) and `websocket` (`"carry"` or `"refuse"`; without it those get 426 whose inference can stream over HTTP).
        upstreams: BTreeMap<String, UpstreamEntry> = {};
    }
    sections {
        limits: Limits,
        client: ClientTimes,
        connect: Connect,
        pool: Pool,
        retry: Retry,
        stream: Stream,
        circuit: Circuit,
        tls: TlsKeys,
        proxy: ProxyKeys,
        tunnel: TunnelKeys,
        ledger: Ledger,
        watch: Watch,
        wrap: Wrap,
        modes: Modes,
    }
}

section! {
    /// Sizes and counts that a client cannot exceed.
    pub struct Limits: "limits" {
        /// Size of one request's line and headers.
        header_bytes: Bytes<usize> = "64KiB",
            from "8KiB" ("hyper takes no smaller buffer") to "16MiB" ("each connection may hold as much in memory");
        /// Header fields of one request.
        header_count: usize = 200, from 1 to 10000 ("no client sends a tenth of that") in "fields";
        /// Size of one request's body. The API itself takes 500 MB for files.
        body_bytes: Bytes<u64> = "512MiB", from "1KiB" ("no request to a model is smaller") to "1024GiB";
        /// Client connections at once. Requests on further ones are refused with 503.
        connections: usize = 10000, from 1 to 1000000 ("no system has more descriptors for one process") in "connections";
        /// A body up to this size is read whole before it is sent, so that it can be sent again.
        replay_body_bytes: Bytes<u64> = "32MiB", from "0B" to "1GiB" ("it is held in memory");
        /// Size of all such bodies together, as far as they have come. Beyond it bodies are streamed, and sent only once.
        replay_total_bytes: Bytes<u64> = "256MiB", from "0B" to "64GiB" ("they are held in memory");
    }
}

section! {
    /// Timeouts on the client's side.
    pub struct ClientTimes: "client" {
        /// How long an idle connection of an agent stays open. Agents keep theirs for 300 s.
        idle: Time = "330s", from "1s" ("an agent could not use a connection twice") to "7d";
        /// After this time without a request, twice as long at most, a connection's buffers are freed. Its client sees nothing
        /// of it.
        buffer_idle: Time = "5s", from "10ms" ("buffers would be freed between any two requests") to "1d";
        /// How long an ending engine waits for the first request of a new connection.
        first_request_timeout: Time = "1s", from "0s" to "1m" ("every end and every handover may take as long");
        /// How long a request's headers may take once they have begun.
        head: Time = "30s", from "10ms" to "1h";
        /// How long a request's body may pause.
        body_idle: Time = "120s", from "10ms" to "1d";
        /// What a request's body must bring per second of waiting for it. A slower one uses up the time that it may pause.
        min_body_rate: Bytes<u64> = "1KiB",
            from "16B" ("so little is no pace") to "16MiB" ("a busy machine may be slower for a moment") or "0B";
        /// How long an upload that is sent while it comes may pause when others wait for its connection. A body that is read
        /// whole first is none.
        upload_stall: Time = "5s", from "10ms" to "1d";
        /// How long a connection that Leeward closes waits for its client to read what was sent.
        linger: Time = "2s", from "0s" to "5m" ("it holds up every end by as much");
    }
}

section! {
    /// How connections to an upstream are made.
    pub struct Connect: "connect" {
        /// TCP connect, per address.
        timeout: Time = "4s", from "10ms" ("a distant server could never be reached") to "10m" ("systems give up before");
        /// TLS handshake, per address.
        tls_timeout: Time = "5s", from "10ms" to "10m" ("by then every agent has given up");
        /// Name resolution.
        dns_timeout: Time = "5s", from "10ms" to "10m" ("by then every agent has given up");
        /// Head start of one address over the next (RFC 8305).
        stagger: Time = "250ms", from "0s" to "1m";
        /// Connections that are being made at once, per upstream.
        parallel: usize = 4, from 1 to 256 ("servers take more for an attack") in "dials";
        /// How long an address or address family that failed is tried last.
        quarantine: Time = "60s", from "1s" to "1d" ("networks change") or "0s";
        /// A request of which the network takes no byte for this long is sent again on a new connection.
        write_stall: Time = "20s",
            from "1s" ("a lost packet is repeated after a second, RFC 6298, and is no stall") to "1h" or "0s";
    }
}

section! {
    /// The pool of connections, per upstream.
    pub struct Pool: "pool" {
        /// Connections at once, streams included; 50 agents need 200 or so. At most 64 of them are kept idle.
        size: usize = 1024, from 1 to 10000 ("a machine has some 28,000 ports towards one address") in "connections";
        /// How long a request waits for one while all of them are in use.
        wait: Time = "1s", from "0s" to "10m" ("by then every agent has given up");
        /// How long an idle connection is kept. The API's edge cuts at 400 s, NATs far earlier.
        idle: Time = "60s", from "0s" to "1d" ("nobody's edge keeps it longer");
        /// Interval of TCP keep-alive probes.
        keepalive: Time = "15s", from "1s" ("systems count whole seconds") to "9h" ("Linux takes no more");
    }
}

section! {
    /// What is tried again, how often and for how long.
    pub struct Retry: "retry" {
        /// Replays of one request whose connection broke before its agent saw anything of the response.
        replays: u32 = 2, from 0 to 100 ("each one may cost the request's tokens again") in "replays";
        /// Time that all retrying of one request may take, and at most half of the client's own deadline.
        total: Time = "45s", from "0s" to "1h" ("by then every agent has given up");
        /// First pause between two attempts.
        base: Time = "50ms", from "1ms" ("without a pause a failing upstream gets a storm") to "1m";
        /// Longest pause between two attempts.
        cap: Time = "2s", from "1ms" to "10m";
        /// Replays as a share of all requests.
        budget: Share = 0.2, from 0 to 1 ("it is a share of all requests");
        /// Replays that are allowed whatever the share.
        budget_floor: u32 = 10, from 0 to 1000000 ("no machine makes more") in "replays per second";
        /// What becomes of a request that a new connection lost after it was sent, so that it may have run.
        unknown_fate: UnknownFate = "replay";
        /// Try again after 502, 503, 504 and 529 whose `retry-after` is short, instead of forwarding them.
        server_errors: bool = false;
        /// Longest `retry-after` of a response that is tried again.
        max_retry_after: Time = "5s", from "0s" to "10m" ("by then every agent has given up");
    }
}

section! {
    /// How streamed responses reach the agent.
    pub struct Stream: "stream" {
        /// When the events of a response are sent to the agent.
        mode: StreamMode = "pass";
        /// How much of a response is buffered while it has no content yet.
        commit_bytes: Bytes<u64> = "64KiB", from "0B" to "16MiB" ("it is held in memory for each response");
        /// A response that is buffered for this long begins towards the agent with a ping.
        commit_wait: Time = "10s", from "0s" to "1h" ("by then every agent has given up");
        /// Interval of the pings that keep the agent waiting while a whole response is buffered.
        hold_ping: Time = "10s", from "10ms" to "1h" ("by then every agent has given up");
        /// Memory for one response that is buffered whole. Beyond it a temporary file is used (`hold_disk`).
        hold_memory: Bytes<u64> = "64MiB", from "0B" to "4GiB" ("more belongs on a disk");
        /// Size of all temporary files together. Beyond it a response is forwarded before it is whole.
        hold_disk: Bytes<u64> = "256MiB", from "0B" to "1024GiB";
        /// How long a response is buffered. Then it is forwarded before it is whole.
        hold_time: Time = "30m", from "10ms" to "1d";
        /// From this many cut responses within `adaptive_within`, `adaptive` buffers whole responses.
        adaptive_cuts: u32 = 2, from 1 ("`hold` buffers every response") to 256 ("no more are remembered") in "responses";
        /// How long a cut response counts for `adaptive`.
        adaptive_within: Time = "10m", from "0s" to "7d";
        /// Send a ping when the upstream is silent in the middle of a stream.
        ping: bool = false;
        /// Silence before such a ping.
        ping_after: Time = "20s", from "10ms" to "1h" ("by then every agent has given up");
        /// Silence in a stream after which a condition is raised. Agents give up at 300 s.
        stall_alarm: Time = "290s", from "10ms" to "1d";
    }
}

section! {
    /// What happens while no connection to an upstream can be made.
    pub struct Circuit: "circuit" {
        /// Failed connection attempts in a row that open the circuit. Then requests wait, and one attempt at a time probes.
        failures: u32 = 5, from 1 to 1000 ("an upstream that fails so often cannot be reached") in "failures";
        /// How long a request waits at most while the circuit is open.
        max_wait: Time = "20s", from "0s" to "10m" ("by then every agent has given up");
        /// Pause between two probes while the circuit is open.
        probe: Time = "1s", from "10ms" ("an upstream that is down gets a storm") to "10m";
    }
}

section! {
    /// TLS towards the upstream.
    pub(super) struct TlsKeys: "tls" {
        /// PEM file of the certificate that Leeward shows the upstream (mTLS), with its chain. Needs `client_key`.
        /// Only your own user's programs are served under it, unless `client_token` is set.
        client_cert: PathBuf = none;
        /// PEM file of that certificate's private key.
        client_key: PathBuf = none;
        /// Key shares that are offered.
        key_share: KeyShare = "auto";
    }
}

section! {
    /// The company proxy between Leeward and the upstream.
    pub(super) struct ProxyKeys: "proxy" {
        /// `auto` (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, else the system's settings), `none`, or a URL that begins with http://,
        /// https://, socks5:// or socks5h:// and may carry user and password. Only your own user's programs are served by
        /// that login, unless `client_token` is set.
        url: String = "auto", secret WithLogin;
        /// Hosts that are reached directly, as in NO_PROXY. Adds to the variable.
        no_proxy: Vec<String> = [];
    }
}

section! {
    /// Tunnels (CONNECT), which sessions of `leeward wrap` may open.
    pub(super) struct TunnelKeys: "tunnel" {
        /// What tunnels reach besides port 443 of public addresses, where `listen` is an address that other machines reach:
        /// names, addresses and networks, each with a port or without (`git.corp:8443`, `10.0.0.0/8`, `*.corp`). On loopback
        /// they reach everything: whoever holds a session's token is a program of yours, which could go there itself.
        allow: Vec<String> = [];
    }
}

section! {
    /// The history of faults on disk.
    pub struct Ledger: "ledger" {
        /// Keep a history of faults in the state folder.
        enabled: bool = true;
        /// How long entries are kept.
        keep: Time = "90d", from "1h" ("`ledger.enabled = false` keeps no history at all") to "365d";
        /// Size of the file. The oldest entries go first.
        size: Bytes<u64> = "64MiB", from "1MiB" ("`ledger.enabled = false` keeps no history at all") to "64GiB";
    }
}

section! {
    /// The self-probe, and the watch on the accept loop.
    pub struct Watch: "watch" {
        /// Pause between two self-probes over the real port.
        probe: Time = "5s", from "10ms" to "1h" ("a hang would not be noticed for as long");
        /// How long one self-probe may take.
        probe_timeout: Time = "2s", from "10ms" to "1m" ("a hang would not be noticed for as long");
        /// An engine whose accept loop gives no sign of life for this long is replaced.
        stall: Time = "1800ms",
            from "1s" ("the accept loop gives a sign of life every half second")
            to "10m" ("a hang would not be noticed for as long");
    }
}

section! {
    /// How `leeward wrap` and `leeward run` start a program.
    pub struct Wrap: "wrap" {
        /// Whether a program that cannot run behind Leeward is refused. Otherwise it is started without Leeward, and a line on
        /// standard error says why.
        require: bool = false;
        /// Whether a line at an agent's end says how many of its requests were rescued, where there were any. Only in a terminal.
        summary: bool = true;
    }
}

section! {
    /// The mode of single agents, for those that need another one than `mode`.
    pub struct Modes: "modes" {
        /// Claude Code.
        claude: Mode = none ("as `mode`");
        /// Codex CLI.
        codex: Mode = none ("as `mode`");
        /// Gemini CLI.
        gemini: Mode = none ("as `mode`");
        /// opencode.
        opencode: Mode = none ("as `mode`");
        /// aider.
        aider: Mode = none ("as `mode`");
        /// goose.
        goose: Mode = none ("as `mode`");
        /// Qwen Code.
        qwen: Mode = none ("as `mode`");
        /// Kimi CLI.
        kimi: Mode = none ("as `mode`");
        /// Programs that `leeward run` starts.
        anything: Mode = none ("as `mode`");
    }
}

choice! {
    /// How an agent's requests reach Leeward.
    Mode {
        /// Base URL for requests to models, tunnel for all other requests.
        Auto = "auto",
        /// The agent talks to Leeward as if it were the API. Requests that ignore a base URL bypass Leeward.
        BaseUrl = "base-url",
        /// Leeward is the agent's HTTPS proxy and sees no content. It repairs connections, no requests.
        Tunnel = "tunnel",
        /// As `tunnel`, but Leeward decrypts the agent's own APIs with a certificate authority of this installation.
        Intercept = "intercept",
    }
}

choice! {
    /// Whether Claude Code asks for claude.ai connectors.
    Connectors {
        /// Claude Code decides.
        On = "on",
        /// It does not ask: each connector that is not linked costs a 401, a token refresh and time at every start.
        Off = "off",
    }
}

choice! {
    /// What becomes of an inference that a new connection lost after it was sent (U7).
    UnknownFate {
        /// It is sent again. If the first one ran, its tokens are paid twice.
        Replay = "replay",
        /// The error is reported to the agent.
        Pass = "pass",
    }
}

choice! {
    /// When the events of a response are sent to the agent.
    StreamMode {
        /// As they come, from the first content on.
        Pass = "pass",
        /// When the response is complete, so that a cut can be repaired.
        Hold = "hold",
        /// As `hold` while cuts are frequent, else as `pass`.
        Adaptive = "adaptive",
    }
}

choice! {
    /// What becomes of all WebSockets to an upstream.
    WebSocket {
        /// They are carried.
        Carry = "carry",
        /// They are answered with 426.
        Refuse = "refuse",
    }
}

choice! {
    /// Which key shares the `ClientHello` carries.
    KeyShare {
        /// Post-quantum ones, and classical ones on networks that break those.
        Auto = "auto",
        /// Only classical ones.
        Classical = "classical",
    }
}

/// The config file as it is written: every key may be missing.
pub(super) type Raw = <File as Section>::Raw;

/// Every key of the file, in this order.
pub(super) fn keys() -> impl Iterator<Item = &'static Key> {
    File::groups().into_iter().flat_map(|group| group.keys)
}

/// Keys that had another name: old, new. The old one is refused with the new one in the message. Both are in one section.
pub(super) const RENAMED: [(&str, &str); 5] = [
    ("client.greeting", "client.first_request_timeout"),
    ("client.rest", "client.buffer_idle"),
    ("circuit.park", "circuit.max_wait"),
    ("retry.absorb", "retry.server_errors"),
    ("retry.absorb_within", "retry.max_retry_after"),
];
