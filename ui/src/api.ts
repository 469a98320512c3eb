// What the engine answers, in the shapes of docs/json.md. Types only: `status.ts` has the status, this file the rest.

/** The answer to a restart. */
export interface Restarted {
  generation: number;
  took_ms: number;
  config_error: string | null;
}

/** Milliseconds. */
export interface Percentiles {
  p50: number;
  p90: number;
  p99: number;
  max: number;
  count: number;
}

export interface FaultCount {
  absorbed: number;
  passed_on: number;
}

export interface Origin {
  idle: number;
  open: number;
  dialing: number;
  waiting: number;
  circuit: "closed" | "open";
  last_failure?: string;
}

export type Counts = Record<string, number>;

export interface Stats {
  since_unix_ms: number;
  requests: number;
  in_flight: number;
  outcomes: Counts;
  absorbed: Counts;
  absorbed_total: number;
  passed_on: Counts;
  today: FaultCount;
  whose: Counts;
  rescued: number;
  replays: number;
  pool: { reused: number; fresh: number; dials: number; dial_failures: number };
  latency_ms: { total: Percentiles; first_byte: Percentiles; own: Percentiles };
  upstreams: Record<string, FaultCount & { requests: number }>;
  origins: Record<string, Origin>;
  agents: Counts;
}

export type RequestPhase = "reading" | "connecting" | "sent" | "held" | "streaming" | "done";

/** Times in milliseconds since the request began. */
export interface Attempt {
  number: number;
  began_ms: number;
  sent_ms: number | null;
  head_ms: number | null;
  ended_ms: number | null;
  connection: "reused" | "fresh" | null;
  cause: string | null;
  replay: boolean;
}

export interface Activity {
  id: number;
  agent: string | null;
  model: string | null;
  method: string;
  path: string;
  upstream: string;
  started_unix_ms: number;
  phase: RequestPhase;
  attempts: Attempt[];
  first_byte_ms: number | null;
  took_ms: number | null;
  bytes_up: number;
  bytes_down: number;
  status: number | null;
  outcome: string | null;
}

export interface Bucket {
  at_unix_ms: number;
  requests: number;
  absorbed_total: number;
  passed_on_total: number;
  rescued: number;
  latency_ms: { total: Percentiles; first_byte: Percentiles };
}

export interface Fault {
  at_unix_ms: number;
  agent: string | null;
  upstream: string;
  phase: string;
  cause: string;
  whose: string;
  absorbed: boolean;
  attempt: number;
  took_ms: number;
}

export interface History {
  since_unix_ms: number;
  until_unix_ms: number;
  step_ms: number;
  requests: number;
  absorbed_total: number;
  passed_on_total: number;
  rescued: number;
  replays: number;
  latency_ms: { total: Percentiles; first_byte: Percentiles };
  absorbed: Counts;
  passed_on: Counts;
  whose: Counts;
  lost: number;
  buckets: Bucket[];
  faults: Fault[];
}

export type KeyKind = "duration" | "size" | "integer" | "number" | "boolean" | "choice" | "text" | "list" | "table";

/** One key of the config file. */
export interface ConfigKey {
  key: string;
  section: string;
  kind: KeyKind;
  choices?: string[];
  help: string;
  default: unknown;
  value: unknown;
  from: "default" | "file" | "environment" | "flag";
  /** The variable or flag that decides it. */
  variable?: string;
  secret: boolean;
  set: boolean;
  restart: boolean;
}

export interface ConfigView {
  path: string;
  exists: boolean;
  /** Why the file as it is now is not in force. */
  problem?: string;
  keys: ConfigKey[];
}

/** What is to be written; null takes a key out of the file. */
export type ConfigChange = Record<string, unknown>;

export interface KeyError {
  key: string;
  message: string;
}

export interface LogLine {
  at?: string;
  level?: string;
  target?: string;
  text: string;
}

export interface Logs {
  path: string;
  lines: LogLine[];
}

export interface Agent {
  name: string;
  title: string;
  found: boolean;
  path?: string;
  version?: string;
  hint?: string;
}

export interface Launch {
  agent: string;
  folder: string;
  mode: string;
  args: string[];
}

export interface Autostart {
  enabled: boolean;
  /** The file or registry value that says so. */
  where: string;
  /** What the user should know about it. */
  note: string | null;
}
