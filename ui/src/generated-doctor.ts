// Generated from the Rust structs; do not edit. Renew it with `LEEWARD_RENEW=1 cargo test --lib typescript`.

/** What was found on this machine. */
export type DoctorReport = {
  /** The form of this JSON. */
  schema: number;
  /** Of the program that examined. */
  version: string;
  /** The system, as Rust calls it. */
  system: string;
  /** The processor, as Rust calls it. */
  processor: string;
  /** `ok`, `warning` or `broken`: the worst that was measured. */
  verdict: "ok" | "warning" | "broken";
  /** When it ended, in milliseconds since 1970. */
  at_unix_ms: number;
  /** How long all of it took. */
  took_ms: number;
  /** One row a check and subject. */
  checks: Array<DoctorRow>;
  /** What may be suspected, and what this machine says to it. */
  hypotheses: Array<Hypothesis>;
};

/** What one check found of one subject. */
export type DoctorRow = {
  /** The check; public and stable. */
  id: string;
  /** What it concerns, where there are several. */
  subject?: string;
  /** What is looked at. */
  title: string;
  /** Why it matters. */
  why: string;
  /** What is said of it. */
  verdict: "ok" | "warning" | "broken" | "not-run" | "not-known";
  /** Why it was not run, or is not known. */
  reason?: string;
  /** What was measured, as a sentence. */
  measured: string;
  /** The same as data. */
  facts: Record<string, unknown>;
  /** What to do, where it follows. */
  advice?: string;
  /** How long the check took. */
  took_ms: number;
};

/** One suspicion. */
export type Hypothesis = {
  /** What may be the cause. */
  hypothesis: string;
  /** How it was tested. */
  test: string;
  /** `ruled-out`, `suspect`, `cause` or `not-known`. */
  result: "ruled-out" | "suspect" | "cause" | "not-known";
  /** What was seen. */
  seen: string;
  /** The checks behind it. */
  checks: Array<string>;
};

/** One file of a bundle. */
export type Listed = {
  /** Its name in the zip. */
  name: string;
  /** What is in it. */
  what: string;
  /** Its length. */
  bytes: number;
  /** All of it, without secrets. */
  text: string;
};

/** What a bundle will hold, before anything is written. */
export type Listing = {
  /** A name for the file. */
  name: string;
  /** The files in it. */
  entries: Array<Listed>;
  /** What is left out, and why. */
  left_out: Array<string>;
};

/** A check as it is announced. */
export type Planned = {
  /** Its name; public and stable. */
  id: string;
  /** What is looked at. */
  title: string;
  /** Why it matters. */
  why: string;
  /** It takes a minute, and runs only when it is asked for. */
  long: boolean;
};

/** One line of an examination. */
export type Step = { "event": "begun";
  /** Each of them. */
  checks: Array<Planned>;
} | { "event": "found";
  /** Its name. */
  check: string;
  /** What it found, one row a subject. */
  rows: Array<DoctorRow>;
} | { "event": "ended";
  /** What `leeward doctor --json` prints. */
  report: DoctorReport;
  /** What `leeward doctor --markdown` prints. */
  markdown: string;
};
