import { describe, expect, it } from "vitest";
import { attempt, request } from "./request.sample";
import { picture, ticks } from "./timeline";

describe("picture", () => {
  it("shows a reset and the attempt that followed", () => {
    const shown = picture(request(1, {
      took_ms: 1000,
      attempts: [
        attempt({ sent_ms: 100, head_ms: null, ended_ms: 200, connection: "reused", cause: "reused-reset" }),
        attempt({ number: 2, began_ms: 250, sent_ms: 400, head_ms: 600, ended_ms: 1000, replay: true }),
      ],
    }), 0);
    expect(shown.rows.map(({ bars }) => bars.map(({ part, from, width }) => [part, from, Number(width.toFixed(3))]))).toEqual([
      [["connect", 0, 0.1], ["wait", 0.1, 0.1]],
      [["connect", 0.25, 0.15], ["wait", 0.4, 0.2], ["response", 0.6, 0.4]],
    ]);
    expect(shown.rows.map(({ fault }) => fault)).toEqual([0.2, null]);
    expect(shown.text).toBe(
      "Timeline of 2 attempts: Attempt 1: reused, reused connection reset after 200 ms; Attempt 2: fresh, sent again, response after 350 ms.",
    );
  });

  it("grows while the request runs", () => {
    const running = request(1, { phase: "sent", took_ms: null, outcome: null, attempts: [attempt({ head_ms: null, ended_ms: null })] });
    const shown = picture(running, running.started_unix_ms + 4000);
    expect(shown.rows[0]!.bars.at(-1)).toEqual({ part: "wait", from: 10 / 4000, width: 3990 / 4000 });
    expect(shown.rows[0]!.text).toBe("fresh, still running");
  });

  it("has nothing to divide by before the first millisecond", () => {
    const fresh = request(1, { phase: "reading", took_ms: null, attempts: [] });
    expect(picture(fresh, fresh.started_unix_ms).rows).toEqual([]);
  });
});

it("marks round times only, at most five", () => {
  expect(ticks(1000).map(({ label }) => label)).toEqual(["0", "500 ms", "1000 ms"]);
  for (const length of [1, 7, 999, 12_345, 600_000]) expect(ticks(length).length).toBeLessThanOrEqual(5);
});
