// The engine's status as the panel reads it, and what it says about it. Pure; reaches for nothing.

import { duration } from "./format";
import type { Status } from "./generated";
import { texts } from "./texts";

export type { Condition, Status } from "./generated";

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
