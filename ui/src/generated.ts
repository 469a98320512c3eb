// Generated from the Rust structs; do not edit. Renew it with `LEEWARD_RENEW=1 cargo test --lib typescript`.

/** One request. */
export type Activity = {
  /** Counts from 1 in each process. */
  id: number;
  /** The program that asks, as it names itself. */
  agent: string | null;
  /** Its session, by its `id`: of a tunnel and what was decrypted in it always; of what came by a base URL where one session of its agent is open. */
  session?: string;
  /** The model that it asks for. */
  model: string | null;
  /** The request's method. */
  method: string;
  /** The path at the upstream, without its query; of a tunnel (CONNECT) host and port. */
  path: string;
  /** The upstream's name; empty when the request never got that far. */
  upstream: string;
  /** When its head had been read, in milliseconds since 1970. */
  started_unix_ms: number;
  /** How far it is. */
  phase: RequestPhase;
  /** What was tried, in order. */
  attempts: Array<Attempt>;
  /** Until the response's head went to the client, in milliseconds. */
  first_byte_ms: number | null;
  /** Until its end, in milliseconds. */
  took_ms: number | null;
  /** Bytes of the request's body that came from the client. */
  bytes_up: number;
  /** Bytes of responses' bodies that came from the upstream, those of responses that broke off included. */
  bytes_down: number;
  /** The status that the client got. */
  status: number | null;
  /** How it ended, by the names of `faults::Outcome`; of a tunnel by those of `tunnels::TunnelEnd`, of a WebSocket by those of `websockets::WebSocketEnd`. */
  outcome: string | null;
};

/** One agent. */
export type AgentCoverage = {
  /** As `leeward wrap` calls it. */
  name: string;
  /** As its makers call it. */
  title: string;
  /** Where its installation is described. */
  about: string;
  /** Whether `leeward setup` knows its settings. */
  has_setup: boolean;
  /** Whether its settings files point at Leeward now. */
  is_set_up: boolean;
  /** What is said of it. */
  verdict: Protection;
  /** How it is protected; empty unless it is. */
  by: Array<By>;
  /** Why that is said, as a sentence. */
  why: string;
  /** What to do, where there is something; without a full stop. */
  advice?: string;
  /** Where it is. */
  installs: Array<Install>;
  /** Its sessions that run now; what they start themselves is not listed. */
  running: Array<RunningAgent>;
  /** When a request of it last came. */
  last_request: LastRequest;
};

/** One attempt; times in milliseconds since the request's start. */
export type Attempt = {
  /** From 1. */
  number: number;
  /** A connection was asked for. */
  began_ms: number;
  /** The request was given to a connection. */
  sent_ms: number | null;
  /** The response's head was there. */
  head_ms: number | null;
  /** It was over. */
  ended_ms: number | null;
  /** `reused` or `fresh`. */
  connection: "reused" | "fresh" | null;
  /** What it failed with, by the names of `faults::Cause`. */
  cause: string | null;
  /** True when the request had reached the upstream before. */
  replay: boolean;
};

/** One step of the span. */
export type Bucket = {
  /** Its beginning, in milliseconds since 1970. */
  at_unix_ms: number;
  /** Requests that arrived. */
  requests: number;
  /** Requests by how they ended. */
  outcomes: { [key in string]: number };
  /** Faults after which Leeward tried again. */
  retried_total: number;
  /** Requests that failed: their agents saw an error of Leeward's or a broken response. */
  failed_total: number;
  /** Requests that met a fault and still ended well. */
  rescued: number;
  /** Requests that were sent again. */
  replays: number;
  /** Those of them whose first sending may have been processed. */
  replays_unknown: number;
  /** Latencies in milliseconds. */
  latency_ms: Latency;
};

/** How requests come through Leeward. */
export type By = "wrap" | "intercept" | "settings" | "environment";

/** Every condition there is. Codes are public and never change. */
export type Code = "port-taken" | "other-loopback-taken" | "listener-lost" | "probe-failing" | "resources-exhausted" | "upstream-unreachable" | "certificate-untrusted" | "config-invalid" | "config-exposed" | "state-unwritable" | "state-not-kept" | "company-proxy" | "stream-silent" | "responses-buffered" | "pool-full" | "connections-full" | "retry-budget-spent" | "ledger-unusable" | "log-unwritable" | "not-decrypted" | "engine-failed";

/** One thing that is wrong. */
export type Condition = {
  /** Stable code. */
  code: Code;
  /** What it concerns, where there can be several (an upstream's name). */
  subject?: string;
  /** How bad it is. */
  severity: Severity;
  /** What is wrong and what to do, for the user. */
  sentence: string;
  /** Since when, in milliseconds since 1970. */
  since_unix_ms: number;
};

/** One key. */
export type ConfigKey = {
  /** Dotted: `retry.total`. */
  key: string;
  /** `retry`; empty at the top. */
  section: string;
  /** `duration`, `size`, `integer`, `number`, `boolean`, `choice`, `text`, `list` or `table`. */
  kind: "duration" | "size" | "integer" | "number" | "boolean" | "choice" | "text" | "list" | "table";
  /** Of a choice. */
  choices?: Array<string>;
  /** What it means, in a sentence or two; of a choice, what each one means. */
  help: string;
  /** The least value, as it would be written in the file without quotes. */
  min?: string;
  /** The greatest value, written likewise. */
  max?: string;
  /** A value below `min` that switches the feature off. */
  off?: string;
  /** What an integer counts: `threads`. */
  unit?: string;
  /** As it would be written in the file; null where there is none. */
  default: unknown;
  /** The value in force, as it is or would be written in the file; of `upstreams`, what the file adds. */
  value: unknown;
  /** `default`, `file`, `environment` or `flag`. */
  from: "default" | "file" | "environment" | "flag";
  /** The variable or flag that decides it. */
  variable?: string;
  /** True when the value is not shown. */
  secret: boolean;
  /** True when it is anything but the default. */
  set: boolean;
};

/** `GET /_leeward/v1/config`. */
export type ConfigView = {
  /** The file. */
  path: string;
  /** False while there is no file: everything is at its default then. */
  exists: boolean;
  /** Why the file as it is now is not in force; the values are those in force then. */
  problem?: string;
  /** In the order of the definition. */
  keys: Array<ConfigKey>;
};

/** The way to an upstream. */
export type ConnectionTest = {
  /** Scheme, host and port. */
  upstream: string;
  /** The company proxy on the way. */
  company_proxy: string | null;
  /** Name, connection, TLS, API. */
  steps: Array<TestStep>;
};

/** All agents that Leeward knows, at one moment. */
export type Coverage = {
  /** When it was looked, in milliseconds since 1970. */
  at_unix_ms: number;
  /** Where Leeward accepts, or would. */
  address: string | null;
  /** Whether a Leeward serves. */
  serving: boolean;
  /** One each, in the order of `leeward wrap`. */
  agents: Array<AgentCoverage>;
  /** Why the processes of this user are not known, where they are not. */
  unlisted?: string;
};

/** What a session's mode covers. */
export type Covers = {
  /** The mode. */
  mode: string;
  /** How requests to models come. */
  inference: Door;
  /** How all others come. */
  rest: Door;
};

/** The way on which an agent's requests reach Leeward. */
export type Door = "base-url" | "tunnel" | "intercept" | "direct";

/** What came through each door since the start. */
export type Doors = {
  /** Requests by a base URL. */
  base_url: number;
  /** Tunnels (CONNECT) that were not decrypted; what they carry is not counted. */
  tunnel: number;
  /** Requests in decrypted tunnels. */
  intercept: number;
  /** Requests in decrypted tunnels that Leeward answered itself: for the list of connectors. */
  local: number;
};

/** One fault. */
export type Fault = {
  /** When, in milliseconds since 1970. */
  at_unix_ms: number;
  /** The program that asked. */
  agent: string | null;
  /** The upstream's name. */
  upstream: string;
  /** How far the request was. */
  phase: string;
  /** What went wrong. */
  cause: string;
  /** Who has to look at it. */
  whose: string;
  /** Whether Leeward tried again; if not, the request failed with it. */
  retried: boolean;
  /** The attempt that failed, from 1. */
  attempt: number;
  /** Milliseconds since the request's head was read. */
  took_ms: number;
};

/** Faults by what became of them. */
export type FaultCount = {
  /** Leeward tried again after them. */
  retried: number;
  /** Requests failed with them. */
  failed: number;
};

/** The first line that people read: how well it is, what is the matter, what to do. */
export type Headline = {
  /** How well it is. */
  level: HeadlineLevel;
  /** A sentence without a full stop. */
  sentence: string;
  /** The next step, without a full stop; empty where there is none. */
  next: string;
};

/** How well it is. */
export type HeadlineLevel = "ok" | "degraded" | "broken";

/** `GET /_leeward/v1/history`: public and stable, see docs/json.md. Counts are of the whole span. */
export type History = {
  /** Beginning of the span, in milliseconds since 1970. */
  since_unix_ms: number;
  /** Its end. */
  until_unix_ms: number;
  /** Length of a bucket in milliseconds. */
  step_ms: number;
  /** Faults after which Leeward tried again, by cause. */
  retried: { [key in string]: number };
  /** Faults with which a request failed, by cause. */
  failed: { [key in string]: number };
  /** Both by how far the request was. */
  by_phase: { [key in string]: FaultCount };
  /** Faults with which a request failed, by who has to look at them. */
  whose: { [key in string]: number };
  /** Faults that are counted and could not be written down one by one. */
  lost: number;
  /** The span in steps, oldest first; steps in which nothing happened are absent. */
  buckets: Array<Bucket>;
  /** Single faults, newest first. */
  faults: Array<Fault>;
  /** Requests that arrived. */
  requests: number;
  /** Requests by how they ended. */
  outcomes: { [key in string]: number };
  /** Faults after which Leeward tried again. */
  retried_total: number;
  /** Requests that failed: their agents saw an error of Leeward's or a broken response. */
  failed_total: number;
  /** Requests that met a fault and still ended well. */
  rescued: number;
  /** Requests that were sent again. */
  replays: number;
  /** Those of them whose first sending may have been processed. */
  replays_unknown: number;
  /** Latencies in milliseconds. */
  latency_ms: Latency;
};

/** One place in which an agent is. */
export type Install = {
  /** What put it there. */
  kind: InstallKind;
  /** In words: `npm`, `VS Code`, `Homebrew`. */
  of: string;
  /** The program or folder. */
  path: string;
  /** Its version, where it is known. */
  version: string | null;
};

/** What puts an agent on a machine. */
export type InstallKind = "program" | "npm" | "package" | "python" | "extension" | "app";

/** What is wrong with a key. */
export type KeyError = {
  /** Dotted; empty when it is about the whole file. */
  key: string;
  /** What is wrong and what to write. */
  message: string;
};

/** When a request of an agent last came. */
export type LastRequest = { "state": "seen";
  /** In milliseconds since 1970. */
  at_unix_ms: number;
} | { "state": "not-seen";
  /** In milliseconds since 1970. */
  since_unix_ms: number;
} | { "state": "not-known";
  /** Why. */
  why: string;
};

/** Latencies of requests to upstreams. */
export type Latency = {
  /** From the request's head to the response's last byte. */
  total: Percentiles;
  /** From the request's head to the response's head. */
  first_byte: Percentiles;
};

/** Latencies of requests to upstreams. */
export type LatencyMs = {
  /** From the request's head to the response's last byte. */
  total: Percentiles;
  /** From the request's head to the response's head. */
  first_byte: Percentiles;
  /** The part of it that Leeward itself took. */
  own: Percentiles;
};

/** The listening socket. */
export type Listener = {
  /** `127.0.0.1:8787`; empty before the first bind. */
  address: string;
  /** Addresses from before, which are served for as long as somebody uses them. */
  also?: Array<string>;
  /** True while a generation accepts on it. */
  accepting: boolean;
  /** Connections accepted. */
  accepted: number;
  /** Accepts that failed and cost one connection at most. */
  accept_errors: number;
  /** Times the socket had to be bound again. */
  rebinds: number;
  /** The last accept error. */
  last_accept_error: string | null;
  /** Client connections open now. */
  connections: number;
  /** Connections that were answered 503 because too many were open. */
  over_cap: number;
};

/** One line. What is not of the log's form (a panic's second line) has only its text. */
export type LogLine = {
  /** When, as RFC 3339 in UTC. */
  at?: string;
  /** `trace`, `debug`, `info`, `warn` or `error`. */
  level?: string;
  /** The part of the program that says it. */
  target?: string;
  /** What it says. */
  text: string;
};

/** The end of the log. */
export type Logs = {
  /** The current file. */
  path: string;
  /** Oldest first. */
  lines: Array<LogLine>;
};

/** Changes of this machine's network, sleep included. */
export type Network = {
  /** How many there were since the start. */
  changes: number;
  /** When the last one was noticed, in milliseconds since 1970. */
  last_unix_ms: number | null;
  /** What the last one was. */
  last_why: NetworkWhy | null;
};

/** Why the network counts as another one from now on. */
export type NetworkWhy = "addresses" | "routes" | "woke" | "clock-jumped" | "reported";

/** The connections to one host and port. */
export type Origin = {
  /** Open and unused. */
  idle: number;
  /** Open, those in use included. */
  open: number;
  /** Being made. */
  dialing: number;
  /** Requests that wait for one; parked, while the circuit is open. */
  waiting: number;
  /** `closed`; `open` while none can be made. */
  circuit: "closed" | "open";
  /** Why the last attempt to make one failed; absent once one has succeeded. */
  last_failure?: string;
};

/** Percentiles in milliseconds. */
export type Percentiles = {
  /** Median. */
  p50: number;
  /** 90th percentile. */
  p90: number;
  /** 99th percentile. */
  p99: number;
  /** Longest. */
  max: number;
  /** How many were measured. */
  count: number;
};

/** Upstream connections. */
export type PoolStats = {
  /** Requests on a connection that had served before. */
  reused: number;
  /** Requests on a new connection. */
  fresh: number;
  /** Connection attempts. */
  dials: number;
  /** Those that failed. */
  dial_failures: number;
};

/** The last self-probe that could be made. */
export type Probe = {
  /** When it ended, in milliseconds since 1970. */
  at_unix_ms: number;
  /** Whether it was answered with 200. */
  ok: boolean;
  /** How long it took. */
  took_us: number;
  /** Misses in a row. */
  misses: number;
  /** Self-probes since then that could not be made, for lack of file descriptors, memory or ports. */
  unasked: number;
};

/** What is said of an agent. What could not be asked is never called unprotected. */
export type Protection = "protected" | "not-protected" | "not-known" | "not-installed";

/** Whether an upstream can be reached, by what was met last. */
export type Reach = {
  /** The upstream as people call it: its host, and its port where that is not the scheme's own. */
  name: string;
  /** Whether anybody has tried, and how that went. */
  state: ReachState;
  /** When it was last reached, in milliseconds since 1970. */
  reached_unix_ms: number | null;
  /** Since when it has not been, in milliseconds since 1970. */
  failing_since_unix_ms: number | null;
  /** What was met last, by the names of `faults::Cause`. */
  cause: string | null;
  /** Why there is no way to it, where that is the matter: `connection refused`. */
  reason: string | null;
  /** What is the matter, as a clause without a full stop. */
  says: string | null;
  /** What to do, without a full stop. */
  next: string | null;
};

/** What is known of the way to an upstream. */
export type ReachState = "not-tried" | "reached" | "failing";

/** The requests of the last minutes, and those that wait now. */
export type Recent = {
  /** Length of the window in seconds. */
  window_s: number;
  /** Requests that ended in it, without those that were refused or whose client left. */
  requests: number;
  /** Those that met a fault and still ended well. */
  rescued: number;
  /** Those whose agents saw an error of Leeward's or a broken response. */
  failed: number;
  /** Those of them that came after the last request that ended well. */
  failed_in_a_row: number;
  /** What they failed with, by the names of `faults::Cause`. */
  causes: { [key in string]: number };
  /** Requests that have no connection to their upstream right now. */
  waiting: number;
};

/** How far a request is. */
export type RequestPhase = "reading" | "connecting" | "sent" | "buffering" | "streaming" | "done";

/** The response to a restart. */
export type Restarted = {
  /** Number of the generation that accepts now. */
  generation: number;
  /** Milliseconds from the command until it accepted. */
  took_ms: number;
  /** Set when the config file was refused and the previous config stays in force. */
  config_error: string | null;
};

/** A session of an agent that runs now. */
export type RunningAgent = {
  /** Its process. */
  pid: number;
  /** The folder that it works in, where the system says it. */
  folder: string | null;
  /** When it started, in milliseconds since 1970. */
  since_unix_ms: number | null;
  /** What is said of it. */
  verdict: Protection;
  /** How it is protected, where it is. */
  by: By | null;
  /** Why that is said, as a sentence; without credentials. */
  why: string;
};

/** A `wrap` session as others see it. */
export type Session = {
  /** Stays the same while the agent runs: `claude-4242`. Requests name their session by it. */
  id: string;
  /** The agent's profile name. */
  agent: string;
  /** The wrap's process. */
  pid: number;
  /** Since when, in milliseconds since 1970. */
  since_unix_ms: number;
  /** How the agent's requests reach Leeward. */
  covers: Covers;
  /** The folder in which the agent was started, where its wrap tells it. */
  folder?: string;
};

/** How bad a condition is. */
export type Severity = "degraded" | "broken";

/** `GET /stats`. */
export type Stats = {
  /** Since when, in milliseconds since 1970. */
  since_unix_ms: number;
  /** Requests that arrived. */
  requests: number;
  /** Requests being answered now. */
  in_flight: number;
  /** Requests by how they ended. */
  outcomes: { [key in string]: number };
  /** Faults after which Leeward tried again, by cause. */
  retried: { [key in string]: number };
  /** Their sum. */
  retried_total: number;
  /** Faults with which a request failed, by cause. */
  failed: { [key in string]: number };
  /** Requests that failed: their agents saw an error of Leeward's or a broken response. */
  failed_total: number;
  /** The present day by this machine's clock; what earlier processes counted is in it where a history is kept. */
  today: Today;
  /** Both by how far the request was. */
  by_phase: { [key in string]: FaultCount };
  /** Faults with which a request failed, by who has to look at them. */
  whose: { [key in string]: number };
  /** Requests that met a fault and still ended well. */
  rescued: number;
  /** Requests that were sent again after they had reached the upstream. */
  replays: number;
  /** Those of them whose first sending may have been processed (U7). */
  replays_unknown: number;
  /** Requests that name a model and whose path is in no row of the inference APIs: they are not sent again after they have reached the upstream, unless `replay` in the config names the path. */
  unknown_inference: number;
  /** Upstream connections. */
  pool: PoolStats;
  /** Latencies in milliseconds. */
  latency_ms: LatencyMs;
  /** By upstream. */
  upstreams: { [key in string]: UpstreamStats };
  /** Upstream connections by `HOST:PORT`, as they are now. */
  origins: { [key in string]: Origin };
  /** Requests by the client's program, from its `user-agent`. */
  agents: { [key in string]: number };
  /** When the last request or tunnel of each program, or session of `wrap`, came; in milliseconds since 1970. */
  last_seen_unix_ms: { [key in string]: number };
  /** Tunnels (CONNECT); none of them is a request. */
  tunnels: Tunnels;
  /** WebSockets, from the 101 on. */
  websockets: WebSockets;
  /** What came through each door. */
  doors: Doors;
};

/** Everything about the engine but its traffic. */
export type Status = {
  /** Leeward's version. */
  version: string;
  /** The process that serves. */
  pid: number;
  /** When it started, in milliseconds since 1970. */
  started_unix_ms: number;
  /** Number of the current generation, from 1. */
  generation: number;
  /** The listening socket. */
  listener: Listener;
  /** What is wrong; empty when all is well. */
  conditions: Array<Condition>;
  /** The last self-probe, if there was one. */
  probe: Probe | null;
  /** The default upstream's URL. */
  upstream: string;
  /** Open `wrap` sessions. */
  sessions: Array<Session>;
  /** Changes of this machine's network. */
  network: Network;
  /** What became of the requests of the last minutes. */
  recent: Recent;
  /** What became of the requests of the present day. */
  today: Today;
  /** Whether the default upstream can be reached. */
  reach: Reach;
  /** The first line that people read. */
  headline: Headline;
  /** Tunnels (CONNECT). */
  tunnels: TunnelCounts;
  /** WebSockets. */
  websockets: WebSocketCounts;
  /** What came through each door. */
  doors: Doors;
} & ({ "phase": "starting" } | { "phase": "serving" } | { "phase": "restarting" } | { "phase": "draining" } | { "phase": "stopped" });

/** One step of it. */
export type TestStep = {
  /** Which one. */
  step: "dns" | "tcp" | "tls" | "api";
  /** What came of it. `not-known`: it could not be asked. */
  verdict: "ok" | "warning" | "failed" | "not-known" | "not-needed";
  /** How long it took, where it was done. */
  took_ms: number | null;
  /** What was seen. */
  sentence: string;
  /** What to do. */
  next: string | null;
};

/** What became of requests on the present day. */
export type Today = {
  /** Requests that arrived. */
  requests: number;
  /** Those that met a fault and still ended well. */
  rescued: number;
  /** Those whose agents saw an error of Leeward's or a broken response. */
  failed: number;
  /** Faults after which Leeward tried again. */
  retried: number;
};

/** Tunnels in the status. */
export type TunnelCounts = {
  /** Open now. */
  open: number;
  /** CONNECTs that became a tunnel. */
  opened: number;
  /** Tunnels that ended well although a connection had broken before the server's first byte. */
  rescued: number;
  /** CONNECTs whose host was not reached, or lost before its first byte. */
  failed: number;
};

/** Tunnels in `GET /stats`. */
export type Tunnels = {
  /** CONNECTs that became a tunnel. */
  opened: number;
  /** Tunnels open now. */
  open: number;
  /** CONNECTs by how they ended; those that run are not among them. */
  ended: { [key in string]: number };
  /** Faults with which a tunnel failed, by cause. */
  failed: { [key in string]: number };
  /** Connections that were made anew before a server's first byte. */
  reconnects: number;
  /** Those of them on which a TLS hello was sent again. */
  replayed_hellos: number;
  /** CONNECTs that waited for their session to register again. */
  waited: number;
  /** Bytes from clients to servers. */
  bytes_up: number;
  /** Bytes from servers to clients. */
  bytes_down: number;
};

/** One upstream. */
export type UpstreamStats = {
  /** Requests to it. */
  requests: number;
  /** Those that met a fault and still ended well. */
  rescued: number;
  /** Those that failed. */
  failed: number;
  /** Faults after which Leeward tried again. */
  retried: number;
};

/** WebSockets in the status. */
export type WebSocketCounts = {
  /** Open now. */
  open: number;
  /** Handshakes that were answered with 101. */
  opened: number;
};

/** WebSockets in `GET /stats`. */
export type WebSockets = {
  /** Handshakes that were answered with 101. */
  opened: number;
  /** Open now. */
  open: number;
  /** By how they ended; those that run are not among them. */
  ended: { [key in string]: number };
  /** Bytes from clients to upstreams. */
  bytes_up: number;
  /** Bytes from upstreams to clients. */
  bytes_down: number;
};
