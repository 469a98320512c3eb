// The list of requests as a file: JSON as the engine gives it, CSV for a table. Never content, headers or credentials, which the engine does not keep. Pure.
import type { Activity } from "./api";
import { product } from "./products";
import { lastCause } from "./requests";

export type Format = "json" | "csv";

const COLUMNS: [string, (request: Activity) => string | number | null][] = [
  ["id", ({ id }) => id], ["began", ({ started_unix_ms: at }) => new Date(at).toISOString()], ["agent", ({ agent }) => (agent === null ? null : product(agent))],
  ["program", ({ agent }) => agent], ["model", ({ model }) => model], ["method", ({ method }) => method], ["path", ({ path }) => path],
  ["upstream", ({ upstream }) => upstream], ["phase", ({ phase }) => phase], ["outcome", ({ outcome }) => outcome], ["status", ({ status }) => status],
  ["attempts", ({ attempts }) => attempts.length], ["cause", (request) => lastCause(request)], ["first_byte_ms", ({ first_byte_ms: ms }) => ms], ["took_ms", ({ took_ms: ms }) => ms],
  ["bytes_up", ({ bytes_up: n }) => n], ["bytes_down", ({ bytes_down: n }) => n],
];

export function exported(list: Activity[], format: Format): string {
  if (format === "json") return `${JSON.stringify({ requests: list }, null, 2)}\n`;
  return [COLUMNS.map(([name]) => name), ...list.map((request) => COLUMNS.map(([, value]) => cell(value(request))))].map((row) => `${row.join(",")}\r\n`).join("");
}

/** Quoted where RFC 4180 wants it. A text that a table program would run as a formula begins with an apostrophe. */
function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
