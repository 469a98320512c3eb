// A request and an attempt to change in tests; no part of the page.
import type { Activity, Attempt } from "./api";

export const attempt = (change: Partial<Attempt> = {}): Attempt => ({
  number: 1, began_ms: 0, sent_ms: 10, head_ms: 100, ended_ms: 200, connection: "fresh", cause: null, replay: false, ...change,
});
export const request = (id: number, change: Partial<Activity> = {}): Activity => ({
  id, agent: "claude", model: "opus", method: "POST", path: "/v1/messages", upstream: "anthropic", started_unix_ms: 1000, phase: "done",
  attempts: [attempt()], first_byte_ms: 100, took_ms: 200, bytes_up: 1, bytes_down: 2, status: 200, outcome: "answered", ...change,
});
