import { expect, it } from "vitest";
import type { Bucket, History, Percentiles } from "./api";
import { causes, columns, lonely } from "./series";

const none: Percentiles = { p50: 0, p90: 0, p99: 0, max: 0, count: 0 };
const bucket = (at: number, change: Partial<Bucket> = {}): Bucket => ({
  at_unix_ms: at, requests: 1, retried_total: 0, failed_total: 0, rescued: 0, outcomes: {}, replays: 0, replays_unknown: 0, latency_ms: { total: none, first_byte: none }, ...change,
});

it("fills the steps in which nothing happened", () => {
  const history = {
    since_unix_ms: 300_000, until_unix_ms: 1_500_000, step_ms: 300_000,
    buckets: [
      bucket(300_000, { rescued: 3, failed_total: 1, latency_ms: { total: none, first_byte: { p50: 1, p90: 2, p99: 3, max: 4, count: 9 } } }),
      bucket(900_000),
    ],
  } as History;
  const data = columns(history);
  expect(data.at).toEqual([300, 600, 900, 1200]);
  expect(data.end).toBe(1500);
  expect(data.stacked).toEqual([4, 0, 0, 0]);
  expect(data.failed).toEqual([1, 0, 0, 0]);
  expect(data.p99).toEqual([3, null, null, null]);
});

it("ends after its newest step, even one that has only begun", () => {
  const data = columns({ since_unix_ms: 0, until_unix_ms: 310_000, step_ms: 300_000, buckets: [bucket(300_000, { failed_total: 2 })] } as unknown as History);
  expect([data.at, data.failed, data.end]).toEqual([[0, 300], [0, 2], 600]);
});

it("finds the points that no line leads to", () => {
  expect([[1, null, 2, 3, null, 4], [5], [null, 6, null], [], [0, 1]].map(lonely)).toEqual([[0, 5], [0], [1], [], []]);
});

it("orders causes by how often they struck, retried or not", () => {
  expect(causes({ dns: 2, tls: 0, connect: 2 }, { declined: 5 })).toEqual([
    { cause: "declined", retried: 0, failed: 5 }, { cause: "connect", retried: 2, failed: 0 }, { cause: "dns", retried: 2, failed: 0 },
  ]);
});
