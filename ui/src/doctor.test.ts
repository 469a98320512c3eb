import { describe, expect, it } from "vitest";
import type { DoctorReport, DoctorRow, Planned } from "./api";
import { after, facts, nothing, problems, progress, rows, said, type Verdict } from "./doctor";

const plan = (id: string): Planned => ({ id, title: id, why: "Because.", long: false });
const row = (id: string, verdict: Verdict, change: Partial<DoctorRow> = {}): DoctorRow => ({ id, title: id, why: "Because.", verdict, measured: "It was measured.", facts: {}, took_ms: 1, ...change });
const begun = after(nothing, { event: "begun", checks: ["dns", "reach", "disk", "idle"].map(plan) });

describe("an examination", () => {
  it("begins anew whatever was there", () => {
    const old = after(begun, { event: "found", check: "dns", rows: [row("dns", "ok")] });
    expect(progress(old)).toEqual([1, 4]);
    expect(progress(after(old, { event: "begun", checks: [plan("disk")] }))).toEqual([0, 1]);
  });
  it("keeps the report's order, whichever check ends first, and puts the worst first", () => {
    let picture = begun;
    for (const [check, verdicts] of [["idle", ["not-run"]], ["disk", ["warning"]], ["reach", ["ok", "broken"]], ["dns", ["not-known"]]] as [string, Verdict[]][]) {
      picture = after(picture, { event: "found", check, rows: verdicts.map((verdict) => row(check, verdict)) });
    }
    expect(rows(picture).map(({ id }) => id)).toEqual(["dns", "reach", "reach", "disk", "idle"]);
    expect(problems(picture).map(({ id, verdict }) => [id, verdict])).toEqual([["reach", "broken"], ["disk", "warning"], ["dns", "not-known"]]);
  });
  it("ends with the report", () => {
    const report = { verdict: "ok" } as DoctorReport;
    expect(after(begun, { event: "ended", report, markdown: "# x" })).toMatchObject({ report, markdown: "# x" });
  });
});

it("says why nothing was measured", () => {
  expect([said(row("a", "ok")), said(row("a", "not-run", { measured: "", reason: "only on Windows" }))]).toEqual(["It was measured.", "only on Windows"]);
  expect(facts(row("a", "ok", { facts: { host: "x", ms: 3, list: [1] } }))).toBe("host = x\nms = 3\nlist = [1]");
});
