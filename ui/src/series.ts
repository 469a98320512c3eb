// The history as columns for a chart, and by cause. Pure.
import type { Counts, History } from "./api";

/** Lengths in milliseconds, and steps as the engine reads them: as many bars as the eye can tell apart. */
export const RANGES = {
  "1h": { length: 3_600_000, step: "5m" },
  "24h": { length: 86_400_000, step: "30m" },
  "7d": { length: 604_800_000, step: "3h" },
  "90d": { length: 7_776_000_000, step: "1d" },
} as const;
export type Range = keyof typeof RANGES;

export interface Columns {
  /** End of the last step, in seconds since 1970: the chart ends there, so that the newest bar is whole. */
  end: number;
  /** Beginnings of the steps, in seconds since 1970: what the chart wants. */
  at: number[];
  rescued: number[];
  failed: number[];
  /** Rescued on top of failed. */
  stacked: number[];
  /** First byte in milliseconds; null where nothing was measured, so that the line has a gap. */
  p50: (number | null)[];
  p90: (number | null)[];
  p99: (number | null)[];
}

/** Every step of the span, those in which nothing happened included. */
export function columns(history: History): Columns {
  const { since_unix_ms: since, until_unix_ms: until, step_ms: step } = history;
  const buckets = new Map(history.buckets.map((bucket) => [Math.floor((bucket.at_unix_ms - since) / step), bucket]));
  const out: Columns = { end: until / 1000, at: [], rescued: [], failed: [], stacked: [], p50: [], p90: [], p99: [] };
  for (let index = 0; since + index * step < until; index += 1) {
    const bucket = buckets.get(index);
    const first = bucket?.latency_ms.first_byte;
    const measured = first && first.count > 0 ? first : null;
    out.at.push((since + index * step) / 1000);
    out.end = (since + (index + 1) * step) / 1000;
    out.rescued.push(bucket?.rescued ?? 0);
    out.failed.push(bucket?.failed_total ?? 0);
    out.stacked.push((bucket?.rescued ?? 0) + (bucket?.failed_total ?? 0));
    out.p50.push(measured?.p50 ?? null);
    out.p90.push(measured?.p90 ?? null);
    out.p99.push(measured?.p99 ?? null);
  }
  return out;
}

/** Where a value has none beside it: a line alone would not draw it. */
export function lonely(values: (number | null)[]): number[] {
  return values.flatMap((value, index) => (value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null ? [index] : []));
}

export interface CauseRow {
  cause: string;
  retried: number;
  failed: number;
}

/** Causes that occurred, the most frequent first. */
export function causes(retried: Counts, failed: Counts): CauseRow[] {
  const names = new Set([...Object.keys(retried), ...Object.keys(failed)]);
  const list = [...names].map((cause) => ({ cause, retried: retried[cause] ?? 0, failed: failed[cause] ?? 0 }));
  return list
    .filter((row) => row.retried + row.failed > 0)
    .sort((a, b) => b.retried + b.failed - a.retried - a.failed || a.cause.localeCompare(b.cause));
}
