import { describe, expect, it } from "vitest";
import type { AgentCoverage, Coverage, Protection } from "./api";
import { apart, lastRequest, setUpCommand, summary } from "./coverage";

const session = (verdict: Protection): AgentCoverage["running"][number] => ({ pid: 1, folder: null, since_unix_ms: null, verdict, by: null, why: "." });
const agent = (name: string, verdict: Protection, running: Protection[] = []): AgentCoverage => ({
  name, title: name, about: "https://x", has_setup: false, is_set_up: false, verdict, by: [], why: ".", installs: [], running: running.map(session), last_request: { state: "not-known", why: "x" },
});
const coverage = (running: Protection[], unlisted?: string): Coverage => ({
  at_unix_ms: 0, address: null, serving: true, agents: [agent("a", "protected", running.slice(0, 1)), agent("b", "protected", running.slice(1))], ...(unlisted ? { unlisted } : {}),
});

describe("summary", () => {
  it.each([
    [["protected", "not-known", "not-protected"], "warn", "1 running session bypasses Leeward"],
    [["not-protected", "not-protected"], "warn", "2 running sessions bypass Leeward"],
    [["protected", "not-known"], "", "Of 1 running session it is not known whether requests go through Leeward"],
    [["protected", "protected"], "ok", "2 running sessions go through Leeward, none past it"],
    [[], "", "No agent is running"],
  ] as [Protection[], string, string][])("%j", (running, tone, text) => expect(summary(coverage(running))).toEqual({ tone, text }));
  it("claims nothing where nobody could look", () => expect(summary(coverage([], "no /proc")).text).toBe("Which agents run is not known"));
});

it("lists what is not installed for itself", () => {
  const all = [agent("a", "not-installed"), agent("b", "not-protected"), agent("c", "protected")];
  expect(apart(all).map((list) => list.map(({ name }) => name))).toEqual([["b", "c"], ["a"]]);
});

it.each([
  [{ state: "seen", at_unix_ms: 4000 }, "last request 3 s ago"],
  [{ state: "not-seen", since_unix_ms: 0 }, "no request since Leeward started, 7 s ago"],
  [{ state: "not-known", why: "it hangs" }, "last request not known: it hangs"],
] as const)("%j", (last, words) => expect(lastRequest(last, 7000)).toBe(words));

it("writes what is typed", () => {
  expect([setUpCommand("claude", false), setUpCommand("claude", true)]).toEqual(["leeward setup claude", "leeward setup --undo claude"]);
});
