// An examination as it goes on: what each step adds, what stands first, and what it says. Pure.
import type { DoctorReport, DoctorRow, Planned, Step } from "./api";

export type Verdict = DoctorRow["verdict"];

export interface Picture {
  /** In the order of the report. */
  planned: Planned[];
  /** By the check's name; a check that still runs has none. */
  found: Record<string, DoctorRow[]>;
  report: DoctorReport | null;
  markdown: string;
}

export const nothing: Picture = { planned: [], found: {}, report: null, markdown: "" };

export function after(picture: Picture, step: Step): Picture {
  switch (step.event) {
    case "begun":
      return { ...nothing, planned: step.checks };
    case "found":
      return { ...picture, found: { ...picture.found, [step.check]: step.rows } };
    case "ended":
      return { ...picture, report: step.report, markdown: step.markdown };
  }
}

/** The worst first, as the report itself has it. */
const RANKS: Verdict[] = ["broken", "warning", "not-known", "not-run", "ok"];
const rank = ({ verdict }: DoctorRow): number => RANKS.indexOf(verdict);

export const rows = (picture: Picture): DoctorRow[] => picture.planned.flatMap(({ id }) => picture.found[id] ?? []);

/** What is wrong or could not be found out, the worst first. */
export function problems(picture: Picture): DoctorRow[] {
  return rows(picture).filter((row) => rank(row) < RANKS.indexOf("not-run")).sort((a, b) => rank(a) - rank(b));
}

/** How many checks have ended, and how many there are. */
export function progress(picture: Picture): [number, number] {
  return [picture.planned.filter(({ id }) => id in picture.found).length, picture.planned.length];
}

/** What is said of a row: what was measured, or why nothing was. */
export const said = (row: DoctorRow): string => row.reason ?? row.measured;

export const tone: Record<Verdict, string> = { ok: "ok", warning: "warn", broken: "bad", "not-run": "", "not-known": "run" };

/** One fact a line, for whoever wants to see the numbers. */
export const facts = (row: DoctorRow): string =>
  Object.entries(row.facts).map(([name, value]) => `${name} = ${typeof value === "string" ? value : JSON.stringify(value)}`).join("\n");
