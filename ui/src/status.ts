// The engine's status as the panel reads it, and what it says about it. Pure; reaches for nothing.

import { duration } from "./format";
import type { Condition, Status } from "./generated";
import { texts } from "./texts";

export type { Condition, Status } from "./generated";

export type Verdict = Status["headline"]["level"];

export interface Summary {
  verdict: Verdict;
  headline: string;
  /** The next step; empty where there is none. */
  next: string;
  checked: string;
}

/** What the first lines of the panel say at `now` (milliseconds since 1970). */
export function summarize(status: Status, now: number): Summary {
  const { level, sentence, next } = status.headline;
  return { verdict: level, headline: sentence, next: next === "" ? "" : `${next}.`, checked: checked(status, now) };
}

/** Whether a new engine is the cure: its own conditions are the broken ones, and no engine mends a network. */
export function restartHelps({ listener, conditions }: Status): boolean {
  return !listener.accepting || conditions.some(({ severity }) => severity === "broken");
}

/**
 * The conditions that the headline does not say already: what it repeats would stand there twice, once with a severity of its own.
 * One that offers something to do (`port-taken`) always stands.
 */
export function others({ headline, conditions }: Status): Condition[] {
  const first = (sentence: string): string => sentence.split(/(?<=[.?!]) /)[0]!.replace(/\.$/, "");
  return conditions.filter(({ code, sentence }) => code === "port-taken" || !headline.sentence.startsWith(first(sentence)));
}

function checked({ probe }: Status, now: number): string {
  if (!probe) return texts.status.unchecked;
  const age = duration(now - probe.at_unix_ms);
  return probe.ok ? texts.status.checked(age) : texts.status.checkFailed(age);
}
