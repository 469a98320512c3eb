// Which keys of the config most people may want to change, and which only who tunes the engine. A test holds it to the definition. Pure.

export type Level = "basic" | "advanced";

const KEYS: Record<Level, string[]> = {
  basic: [
    "listen", "upstream", "upstreams", "client_token", "extra_ca", "log", "notifications", "proxy.url", "proxy.no_proxy", "mode", "connectors",
    "retry.unknown_fate", "retry.server_errors", "stream.mode", "ledger.enabled", "ledger.keep", "wrap.require", "wrap.summary",
  ],
  advanced: [
    "allowed_hosts", "allowed_origins", "workers", "response_timeout", "drain",
    "limits.header_bytes", "limits.header_count", "limits.body_bytes", "limits.connections", "limits.replay_body_bytes", "limits.replay_total_bytes",
    "client.idle", "client.buffer_idle", "client.first_request_timeout", "client.head", "client.body_idle", "client.min_body_rate", "client.upload_stall", "client.linger",
    "connect.timeout", "connect.tls_timeout", "connect.dns_timeout", "connect.stagger", "connect.parallel", "connect.quarantine", "connect.write_stall",
    "pool.size", "pool.wait", "pool.idle", "pool.keepalive",
    "retry.replays", "retry.total", "retry.base", "retry.cap", "retry.budget", "retry.budget_floor", "retry.max_retry_after",
    "stream.commit_bytes", "stream.commit_wait", "stream.hold_ping", "stream.hold_memory", "stream.hold_disk", "stream.hold_time", "stream.adaptive_cuts",
    "stream.adaptive_within", "stream.ping", "stream.ping_after", "stream.stall_alarm",
    "circuit.failures", "circuit.max_wait", "circuit.probe",
    "tls.client_cert", "tls.client_key", "tls.key_share",
    "ledger.size", "tunnel.allow",
    "watch.probe", "watch.probe_timeout", "watch.stall",
  ],
};

const basic = new Set(KEYS.basic);

/** A key of a newer engine, which stands in no list, is an advanced one. */
export function level(key: string): Level {
  return basic.has(key) ? "basic" : "advanced";
}

/** Every key of both lists, for the test. */
export const LISTED = [...KEYS.basic, ...KEYS.advanced];
