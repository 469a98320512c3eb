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
  const list = [
    request(4, { session: "claude-70" }), request(3, { agent: "codex_exec", session: "codex-20" }), request(2), request(1, { agent: null, session: "kimi-10" }),
  ];
  it("are the open ones and those of the requests, newest first", () => {
    const open = [{ id: "claude-70", agent: "claude", folder: "/home/ada/work" }, { id: "gemini-90", agent: "gemini", folder: "C:\\src\\site\\" }, { agent: "kimi" }];
    expect(sessionsOf(list, open)).toEqual([
      ["session:gemini-90", "Gemini CLI in site, gemini-90"], ["session:claude-70", "Claude Code in work, claude-70"],
      ["session:codex-20", "Codex CLI, codex-20 (ended)"], ["session:kimi-10", "unknown, kimi-10 (ended)"],
    ]);
    expect(sessionsOf([request(1)], [{ agent: "claude" }])).toEqual([]);
  });
  it("are told from products", () => {
    expect([ofSession("claude-70"), sessionOf("session:claude-70"), sessionOf("Claude Code"), sessionOf("")]).toEqual(["session:claude-70", "claude-70", null, null]);
    expect(ids(filter(list, "", "all", "session:claude-70"))).toEqual([4]);
    expect(ids(filter(list, "opus", "all", "session:kimi-10"))).toEqual([1]);
    expect(ids(filter(list, "", "all", "session:claude-3"))).toEqual([]);
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
