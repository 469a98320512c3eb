import { describe, expect, it } from "vitest";
import { others, restartHelps, summarize, type Condition, type Status } from "./status";
import sample from "./status.sample.json";

const serving = sample as Status;
const now = 1_700_000_063_500;

it("offers a restart for what a new engine mends", () => {
  const condition = (code: Condition["code"], severity: Condition["severity"]): Condition => ({ code, severity, since_unix_ms: 1, sentence: "It is so." });
  const conditions = (...list: Condition[]): Status => ({ ...serving, conditions: list });
  expect([
    restartHelps(conditions()), restartHelps(conditions(condition("upstream-unreachable", "degraded"))), restartHelps(conditions(condition("probe-failing", "broken"))),
    restartHelps({ ...conditions(), listener: { ...serving.listener, accepting: false } }),
  ]).toEqual([false, false, true, true]);
});

it("says no fact twice, and keeps what offers something to do", () => {
  const condition = (code: Condition["code"], sentence: string): Condition => ({ code, severity: "degraded", since_unix_ms: 1, sentence });
  const shown = (headline: string, ...list: Condition[]): string[] =>
    others({ ...serving, headline: { level: "broken", sentence: headline, next: "" }, conditions: list }).map(({ code }) => code);
  const unreachable = condition("upstream-unreachable", "Can't reach api.anthropic.com (no network). Check network or VPN.");
  const full = condition("state-unwritable", "The disk is full. Free space.");
  const taken = condition("port-taken", "127.0.0.1:8787 is taken by nginx. Stop it.");
  expect(shown("Can't reach api.anthropic.com (no network), 3 requests waiting, for 41 s", unreachable, full)).toEqual(["state-unwritable"]);
  expect(shown("Can't reach api.openai.com (no network)", unreachable)).toEqual(["upstream-unreachable"]);
  expect(shown("127.0.0.1:8787 is taken by nginx", taken)).toEqual(["port-taken"]);
  const invalid = condition("config-invalid", "line 3: unknown key `lisen`; did you mean `listen`? The previous config stays in force.");
  expect(shown("line 3: unknown key `lisen`; did you mean `listen`?", invalid)).toEqual([]);
});

describe("summarize", () => {
  it.each<[string, Partial<Status>, Partial<ReturnType<typeof summarize>>]>([
    ["the engine's own first line and next step", {}, {
      verdict: "broken", headline: "Can't reach api.anthropic.com (connection refused), 3 requests waiting, for 41 s",
      next: "Check network or VPN; Leeward retries by itself.", checked: "checked 3 s ago",
    }],
    ["no step where there is none", { headline: { level: "ok", sentence: "Ready on 127.0.0.1:8787", next: "" } }, { verdict: "ok", headline: "Ready on 127.0.0.1:8787", next: "" }],
    ["an engine that was not checked", { probe: null }, { checked: "not checked yet" }],
    ["a failing probe", { probe: { at_unix_ms: now - 61_000, ok: false, took_us: 0, misses: 2, unasked: 0 } }, { checked: "last check failed 1 min ago" }],
  ])("%s", (_, change, expected) => {
    expect(summarize({ ...serving, ...change }, now)).toMatchObject(expected);
  });
});
