// The list of requests: how news is merged into it, what a filter leaves, and which rows are on the screen. Pure.
import type { Activity } from "./api";
import { product } from "./products";
import { texts } from "./texts";

/** Older requests leave the list. */
export const KEPT = 5000;

/** News into the list, newest first. `whole`: the news is all there is. Requests that did not change stay the same objects. */
export function merge(list: Activity[], news: Activity[], whole = false): Activity[] {
  if (!whole && news.length === 0) return list;
  const fresh = new Map(news.map((request) => [request.id, request]));
  const kept = whole ? [] : list.map((request) => {
    const next = fresh.get(request.id);
    fresh.delete(request.id);
    return next ?? request;
  });
  const added = [...fresh.values()].sort((a, b) => b.id - a.id);
  const ordered = kept.length === 0 || added.length === 0 || added[added.length - 1]!.id > kept[0]!.id;
  const all = [...added, ...kept];
  if (!ordered) all.sort((a, b) => b.id - a.id);
  return all.slice(0, KEPT);
}

export type Show = "all" | "flight" | "rescued" | "bad";

const BAD = new Set(["failed", "cut", "refused"]);

export function isBad({ outcome }: Activity): boolean {
  return outcome !== null && BAD.has(outcome);
}

const WELL = new Set(["answered", "declined"]);

/** Faults that a request met and of which its agent saw none; those of a request that failed are its attempts. */
export function rescuedFrom({ attempts, outcome }: Activity): number {
  if (outcome === null || !WELL.has(outcome)) return 0;
  return attempts.filter((attempt) => attempt.cause !== null).length;
}

/** How many attempts a failed request took. */
export function failedAfter(request: Activity): number {
  return isBad(request) ? request.attempts.length : 0;
}

/** What stands before the `id` of a session where a product's name can stand. */
const SESSION = "session:";

/** What `filter` takes for the requests of one session. */
export function ofSession(id: string): string {
  return `${SESSION}${id}`;
}

/** The `id` in it; null where it is a product's name. */
export function sessionOf(who: string): string | null {
  return who.startsWith(SESSION) ? who.slice(SESSION.length) : null;
}

/** An open session as the status lists it; older engines give it no `id`. */
interface Listed {
  id?: string;
  agent: string;
  folder?: string | null;
}

/** The open sessions, and then those that requests in the list belonged to, each with its words; the newest first. */
export function sessionsOf(list: Activity[], open: Listed[]): [string, string][] {
  const known = new Map<string, string>();
  for (const { id, agent, folder } of [...open].reverse()) {
    if (id) known.set(id, texts.activity.session(product(agent), id, true, folder?.split(/[\\/]/).filter(Boolean).at(-1)));
  }
  for (const { session, agent } of list) {
    if (session !== undefined && !known.has(session)) known.set(session, texts.activity.session(agent === null ? texts.activity.unknownAgent : product(agent), session, false));
  }
  return [...known].map(([id, words]) => [ofSession(id), words]);
}

/** `who` is a product's name or a session; empty for all of them. */
export function filter(list: Activity[], text: string, show: Show, who = ""): Activity[] {
  const session = sessionOf(who);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0 && show === "all" && who === "") return list;
  return list.filter((request) => {
    if (session !== null ? request.session !== session : who !== "" && agentOf(request) !== who) return false;
    if (show === "flight" && request.phase === "done") return false;
    if (show === "rescued" && rescuedFrom(request) === 0) return false;
    if (show === "bad" && !isBad(request)) return false;
    if (words.length === 0) return true;
    const causes = request.attempts.map(({ cause }) => (cause ? `${cause} ${texts.causes[cause] ?? ""}` : "")).join(" ");
    const said = request.outcome ? `${request.outcome} ${texts.activity.outcomes[request.outcome] ?? ""}` : texts.activity.phases[request.phase];
    const hay = `${request.agent ?? ""} ${agentOf(request)} ${request.model ?? ""} ${request.method} ${request.path} ${request.upstream} ${request.status ?? ""} ${said} ${causes}`;
    const low = hay.toLowerCase();
    return words.every((word) => low.includes(word));
  });
}

/** Which rows of `count` are drawn: those in sight and a few more on both sides. */
export function rows(count: number, rowHeight: number, top: number, height: number, spare = 8): { from: number; to: number } {
  const first = Math.floor(Math.max(0, top) / rowHeight);
  const from = Math.min(Math.max(0, first - spare), Math.max(0, count - 1));
  return { from, to: Math.min(count, first + Math.ceil(height / rowHeight) + spare) };
}

/** The word in the list's state column, and how it is coloured. */
export function state(request: Activity): { word: string; hint: string; tone: "run" | "ok" | "warn" | "bad" | "quiet" } {
  const { phase, outcome } = request;
  if (outcome === null || phase !== "done") {
    return { word: texts.activity.phases[phase], hint: texts.activity.phaseHints[phase], tone: "run" };
  }
  const tone = isBad(request) ? "bad" : outcome === "declined" ? "warn" : outcome === "client-gone" ? "quiet" : "ok";
  return { word: texts.activity.outcomes[outcome] ?? outcome, hint: texts.activity.outcomeHints[outcome] ?? "", tone };
}

/** How the last attempt reached the API. */
export function connection({ attempts }: Activity): "reused" | "fresh" | "" {
  return attempts.at(-1)?.connection ?? "";
}

/** The product that asked. */
export function agentOf({ agent }: Activity): string {
  return agent === null ? texts.activity.unknownAgent : product(agent);
}

/** The products in the list, in the order of the alphabet. */
export function agentsOf(list: Activity[]): string[] {
  return [...new Set(list.map(agentOf))].sort((a, b) => a.localeCompare(b));
}

/** What the last fault was; null where none struck. */
export function lastCause({ attempts }: Activity): string | null {
  return [...attempts].reverse().find(({ cause }) => cause !== null)?.cause ?? null;
}

/** `reused connection reset`, as it stands in a row; empty where no fault struck. */
export function causeOf(request: Activity): string {
  const cause = lastCause(request);
  return cause === null ? "" : (texts.causes[cause] ?? cause);
}
