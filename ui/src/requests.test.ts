import { describe, expect, it } from "vitest";
import type { Activity } from "./api";
import { attempt, request } from "./request.sample";
import { agentsOf, causeOf, failedAfter, filter, KEPT, merge, ofSession, rescuedFrom, rows, sessionOf, sessionsOf, state } from "./requests";

const ids = (list: Activity[]): number[] => list.map(({ id }) => id);

describe("merge", () => {
  const list = [request(3), request(2), request(1)];
  it("puts new ones first and replaces those that changed", () => {
    const next = merge(list, [request(4), request(2, { phase: "streaming" }), request(5)]);
    expect(ids(next)).toEqual([5, 4, 3, 2, 1]);
    expect(next[3]!.phase).toBe("streaming");
    expect(next[2]).toBe(list[0]);
  });
  it("takes late ones in their place", () => expect(ids(merge([request(5), request(1)], [request(3)]))).toEqual([5, 3, 1]));
  it("knows that a whole list replaces", () => expect(ids(merge(list, [request(1), request(9)], true))).toEqual([9, 1]));
  it("leaves the list alone without news", () => expect(merge(list, [])).toBe(list));
  it("keeps a bound", () => {
    const many = Array.from({ length: KEPT }, (_, i) => request(KEPT - i));
    const next = merge(many, [request(KEPT + 1)]);
    expect([next.length, next[0]!.id, next.at(-1)!.id]).toEqual([KEPT, KEPT + 1, 2]);
  });
});

describe("sessions", () => {
  const list = [request(4, { session: 7 }), request(3, { agent: "codex_exec", session: 2 }), request(2), request(1, { agent: null, session: 1 })];
  it("are those of the requests and the open ones, newest first", () => {
    expect(sessionsOf(list, [{ id: 9, agent: "gemini", pid: 90 }, { id: 7, agent: "claude", pid: 70 }, { agent: "kimi", pid: 60 }])).toEqual([
      ["session:9", "Gemini CLI, session 9 (pid 90)"], ["session:7", "Claude Code, session 7 (pid 70)"], ["session:2", "Codex CLI, session 2 (ended)"],
      ["session:1", "unknown, session 1 (ended)"],
    ]);
    expect(sessionsOf([request(1)], [{ agent: "claude", pid: 1 }])).toEqual([]);
  });
  it("are told from products", () => {
    expect([ofSession(7), sessionOf("session:7"), sessionOf("Claude Code"), sessionOf("session:x"), sessionOf("")]).toEqual(["session:7", 7, null, null, null]);
    expect(ids(filter(list, "", "all", "session:7"))).toEqual([4]);
    expect(ids(filter(list, "opus", "all", "session:1"))).toEqual([1]);
    expect(ids(filter(list, "", "all", "session:3"))).toEqual([]);
  });
});

describe("filter", () => {
  const list = [
    request(4, { agent: "codex", phase: "streaming", outcome: null }),
    request(3, { attempts: [attempt({ cause: "reused-reset" }), attempt({ number: 2 })] }),
    request(2, { outcome: "failed", status: 502, attempts: [attempt({ cause: "dns" })] }),
    request(1),
  ];
  it.each([
    ["", "all", [4, 3, 2, 1]], ["", "flight", [4]], ["", "rescued", [3]], ["", "bad", [2]],
    ["CODEX stream", "all", [4]], ["reused connection reset", "all", [3]], ["502", "all", [2]], ["nothing", "all", []],
  ] as const)("%s, %s", (text, show, expected) => expect(ids(filter(list, text, show))).toEqual(expected));
  it("by the product's name", () => {
    expect(agentsOf(list)).toEqual(["Claude Code", "Codex CLI"]);
    expect(ids(filter(list, "", "all", "Codex CLI"))).toEqual([4]);
    expect(ids(filter(list, "claude code 502", "bad", "Claude Code"))).toEqual([2]);
  });
  it("says the last cause in words", () => expect(list.map(causeOf)).toEqual(["", "reused connection reset", "name not found", ""]));
});

it("counts a request as rescued only when it ended well, and a failed one by its attempts", () => {
  const faults = [attempt({ cause: "dns" }), attempt({ number: 2, cause: "connect" })];
  for (const outcome of ["failed", "cut"]) {
    expect(rescuedFrom(request(1, { attempts: faults, outcome }))).toBe(0);
    expect(failedAfter(request(1, { attempts: faults, outcome }))).toBe(2);
  }
  expect(rescuedFrom(request(1, { attempts: faults, phase: "connecting", outcome: null }))).toBe(0);
  const well = [...faults, attempt({ number: 3 })];
  expect(rescuedFrom(request(1, { attempts: well }))).toBe(2);
  expect(rescuedFrom(request(1, { attempts: well, outcome: "declined" }))).toBe(2);
  expect(failedAfter(request(1, { attempts: well }))).toBe(0);
  expect(rescuedFrom(request(1))).toBe(0);
});

describe("rows", () => {
  it("draws what is in sight and a few more", () => expect(rows(5000, 36, 3600, 360)).toEqual({ from: 92, to: 118 }));
  it("stays within the list", () => {
    expect(rows(5, 36, 0, 360)).toEqual({ from: 0, to: 5 });
    expect(rows(0, 36, 0, 360)).toEqual({ from: 0, to: 0 });
    expect(rows(5, 36, 99_999, 360)).toEqual({ from: 4, to: 5 });
  });
});

it("says the phase while it runs and the outcome after", () => {
  expect(state(request(1, { phase: "buffering", outcome: null }))).toMatchObject({ word: "buffering", tone: "run" });
  expect(state(request(1, { outcome: "cut" }))).toMatchObject({ word: "cut", tone: "bad" });
  expect(state(request(1, { outcome: "something-new" })).word).toBe("something-new");
});
