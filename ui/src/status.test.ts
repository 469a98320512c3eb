import { describe, expect, it } from "vitest";
import { summarize, type Status } from "./status";
import sample from "./status.sample.json";

const serving = sample as Status;
const now = 1_700_000_063_500;
const listener = (change: Partial<Status["listener"]>): Status["listener"] => ({ ...serving.listener, ...change });

describe("summarize", () => {
  it.each<[string, Partial<Status>, ReturnType<typeof summarize>]>([
    ["a healthy engine", { conditions: [] }, { verdict: "ok", headline: "Accepting on 127.0.0.1:8787", checked: "checked 3 s ago" }],
    ["an unreachable upstream", {}, { verdict: "degraded", headline: "Accepting on 127.0.0.1:8787", checked: "checked 3 s ago" }],
    [
      "a lost listener",
      { conditions: [], listener: listener({ accepting: false }) },
      { verdict: "broken", headline: "Not accepting on 127.0.0.1:8787", checked: "checked 3 s ago" },
    ],
    [
      "a start",
      { phase: "starting", conditions: [], probe: null, listener: listener({ accepting: false, address: "" }) },
      { verdict: "broken", headline: "Starting", checked: "not checked yet" },
    ],
    [
      "a failing probe",
      { conditions: [], probe: { at_unix_ms: now - 61_000, ok: false, took_us: 0, misses: 2, unasked: 0 } },
      { verdict: "ok", headline: "Accepting on 127.0.0.1:8787", checked: "last check failed 1 min ago" },
    ],
  ])("%s", (_, change, expected) => {
    expect(summarize({ ...serving, ...change }, now)).toEqual(expected);
  });
});
