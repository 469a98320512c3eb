// Log lines as the page shows them. Pure.
import type { LogLine, Logs } from "./api";

/** How a level is coloured. */
export function tone(level: string | undefined): "bad" | "warn" | "run" | "dim" | "" {
  switch (level?.toLowerCase()) {
    case "error":
      return "bad";
    case "warn":
      return "warn";
    case "info":
      return "run";
    case undefined:
      return "";
    default:
      return "dim";
  }
}

/** `14:03:07.123` of `2026-11-21T14:03:07.123456Z`, by this machine's clock; what is no time stays as it is. */
export function stamp(at: string): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return at;
  return `${time.toLocaleTimeString("en-GB")}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

/** Whether `next` says anything that `before` did not. */
export function after(before: Logs | undefined, next: Logs): boolean {
  if (!before || before.path !== next.path || before.lines.length !== next.lines.length) return true;
  return JSON.stringify(before.lines) !== JSON.stringify(next.lines);
}

/** A line as text, as it stands in the file. */
export function plain({ at, level, target, text }: LogLine): string {
  return [at, level, target, text].filter(Boolean).join(" ");
}

/** The lines that have every word of `search`. */
export function matching(lines: LogLine[], search: string): LogLine[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 ? lines : lines.filter((line) => {
    const text = plain(line).toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
