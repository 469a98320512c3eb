// A request's attempts as bars on a time axis, and the same in words. Pure geometry; nothing is drawn here.
import type { Activity, Attempt } from "./api";
import { took } from "./format";
import { texts } from "./texts";

export type Part = "connect" | "wait" | "response";

export interface Bar {
  part: Part;
  /** Of the whole width, 0 to 1. */
  from: number;
  width: number;
}

export interface Row {
  attempt: Attempt;
  bars: Bar[];
  /** Where a fault struck, 0 to 1. */
  fault: number | null;
  text: string;
}

export interface Picture {
  rows: Row[];
  ticks: { at: number; label: string }[];
  text: string;
}

/** The picture at `now` (milliseconds since 1970), which matters only while the request runs. */
export function picture(request: Activity, now: number): Picture {
  const running = request.phase !== "done";
  const ends = request.attempts.map((a) => a.ended_ms ?? a.head_ms ?? a.sent_ms ?? a.began_ms);
  const length = Math.max(1, running ? now - request.started_unix_ms : 0, request.took_ms ?? 0, ...ends);
  const rows = request.attempts.map((attempt, index) => {
    const next = request.attempts[index + 1];
    const end = attempt.ended_ms ?? next?.began_ms ?? request.took_ms ?? length;
    return row(attempt, Math.max(attempt.began_ms, end), length, running && !next && attempt.ended_ms === null);
  });
  const text = texts.activity.timelineText(rows.map((r) => `${texts.activity.attempt(r.attempt.number)}: ${r.text}`));
  return { rows, ticks: ticks(length), text };
}

function row(attempt: Attempt, end: number, length: number, running: boolean): Row {
  const { began_ms: began, sent_ms: sent, head_ms: head } = attempt;
  const edges: [Part, number, number][] = [
    ["connect", began, sent ?? head ?? end],
    ["wait", sent ?? end, head ?? end],
    ["response", head ?? end, end],
  ];
  const bars = edges.filter(([, from, to]) => to > from).map(([part, from, to]) => ({ part, from: from / length, width: (to - from) / length }));
  return { attempt, bars, fault: attempt.cause ? end / length : null, text: words(attempt, end, running) };
}

function words(attempt: Attempt, end: number, running: boolean): string {
  const said: string[] = [];
  if (attempt.connection) said.push(texts.activity.connection[attempt.connection]);
  if (attempt.replay) said.push(texts.activity.replay);
  if (attempt.cause) said.push(texts.activity.attemptEnded(texts.causes[attempt.cause] ?? attempt.cause, took(end - attempt.began_ms)));
  else if (attempt.head_ms !== null) said.push(texts.activity.attemptAnswered(took(attempt.head_ms - attempt.began_ms)));
  else said.push(running ? texts.activity.attemptRuns : texts.activity.attemptGiven(took(end - attempt.began_ms)));
  return said.join(", ");
}

/** At most five marks at round times. */
export function ticks(length: number): { at: number; label: string }[] {
  const rough = length / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const marks = [];
  for (let ms = 0; ms <= length; ms += step) {
    marks.push({ at: ms / length, label: ms === 0 ? "0" : step >= 1000 ? `${Number((ms / 1000).toFixed(1))} s` : `${Number(ms.toFixed(1))} ms` });
  }
  return marks;
}
