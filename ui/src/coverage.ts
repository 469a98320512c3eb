// What is said of this machine's agents, in words and in order. Pure.
import type { AgentCoverage, Coverage, LastRequest, Protection } from "./api";
import { duration } from "./format";
import { texts } from "./texts";

const t = texts.agents;

/** The colour of a verdict: `theme.css` has one for each. */
export const TONES: Record<Protection, "ok" | "warn" | ""> = { protected: "ok", "not-protected": "warn", "not-known": "", "not-installed": "" };

/** The worst fact about running sessions first. */
export function summary({ agents, unlisted }: Coverage): { tone: "ok" | "warn" | ""; text: string } {
  const count = (verdict: Protection): number => agents.flatMap((agent) => agent.running).filter((one) => one.verdict === verdict).length;
  const [past, unknown, through] = [count("not-protected"), count("not-known"), count("protected")];
  if (past > 0) return { tone: "warn", text: t.summaries.bypassed(past) };
  if (unknown > 0) return { tone: "", text: t.summaries.unknown(unknown) };
  if (through > 0) return { tone: "ok", text: t.summaries.through(through) };
  return { tone: "", text: unlisted ? t.summaries.unlisted : t.summaries.none };
}

/** Those that are here, and those that are not. */
export function apart(agents: AgentCoverage[]): [here: AgentCoverage[], missing: AgentCoverage[]] {
  const missing = (agent: AgentCoverage): boolean => agent.verdict === "not-installed";
  return [agents.filter((agent) => !missing(agent)), agents.filter(missing)];
}

/** When an agent last asked; that none has come is not the same as not knowing. */
export function lastRequest(last: LastRequest, now: number): string {
  switch (last.state) {
    case "seen":
      return t.seen(duration(now - last.at_unix_ms));
    case "not-seen":
      return t.notSeen(duration(now - last.since_unix_ms));
    case "not-known":
      return t.seenUnknown(last.why);
  }
}

/** What a person types to set an agent up for good, and to undo it. */
export function setUpCommand(agent: string, undo: boolean): string {
  return `leeward setup ${undo ? "--undo " : ""}${agent}`;
}
