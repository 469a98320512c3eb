// The engine's status as the panel reads it, and what it says about it. Pure; reaches for nothing.
// The shape is `leeward::status::Status`; status.sample.json is compared with it by tests/house.rs.

import { duration } from "./format";
import { texts } from "./texts";

export interface Condition {
  code: string;
  subject?: string;
  severity: "degraded" | "broken";
  sentence: string;
  since_unix_ms: number;
}

export interface Status {
  version: string;
  pid: number;
  started_unix_ms: number;
  phase: "starting" | "serving" | "restarting" | "draining" | "stopped";
  generation: number;
  listener: {
    address: string;
    accepting: boolean;
    accepted: number;
    accept_errors: number;
    rebinds: number;
    last_accept_error: string | null;
    connections: number;
    over_cap: number;
  };
  conditions: Condition[];
  probe: { at_unix_ms: number; ok: boolean; took_us: number; misses: number } | null;
  upstream: string;
  sessions: { agent: string; pid: number; since_unix_ms: number }[];
  network: {
    changes: number;
    last_unix_ms: number | null;
    last_why: "addresses" | "routes" | "woke" | "clock-jumped" | "told" | null;
  };
}

export type Verdict = "ok" | "degraded" | "broken";

export interface Summary {
  verdict: Verdict;
  headline: string;
  checked: string;
}

/** What the first lines of the panel say at `now` (milliseconds since 1970). */
export function summarize(status: Status, now: number): Summary {
  return { verdict: verdict(status), headline: headline(status), checked: checked(status, now) };
}

function verdict({ listener, conditions }: Status): Verdict {
  if (!listener.accepting || conditions.some((c) => c.severity === "broken")) return "broken";
  return conditions.length > 0 ? "degraded" : "ok";
}

function headline({ phase, listener }: Status): string {
  if (listener.accepting) return texts.status.accepting(listener.address);
  if (phase === "starting" || phase === "draining" || phase === "stopped") return texts.status[phase];
  return texts.status.notAccepting(listener.address);
}

function checked({ probe }: Status, now: number): string {
  if (!probe) return texts.status.unchecked;
  const age = duration(now - probe.at_unix_ms);
  return probe.ok ? texts.status.checked(age) : texts.status.checkFailed(age);
}
