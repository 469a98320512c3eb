// What the engine and the tray answer, in the shapes of docs/json.md and docs/http.md: generated from the Rust structs.
// Types only; written by hand are those of what the panel sends.
import type { ConfigView, Stats } from "./generated";

export type {
  Activity, AgentCoverage, Attempt, Bucket, ConfigKey, ConfigView, ConnectionTest, Coverage, Fault, FaultCount, History, KeyError, LastRequest, LogLine, Logs,
  Origin, Percentiles, Protection, RequestPhase, Restarted, RunningAgent, Stats, TestStep,
} from "./generated";
export type { DoctorReport, DoctorRow, Hypothesis, Listing, Planned, Step } from "./generated-doctor";
export type { Agent, Autostart, Launched, SavedBundle, Surroundings } from "./generated-tray";

export type Counts = Stats["agents"];
export type KeyKind = ConfigView["keys"][number]["kind"];

/** What is to be written; null takes a key out of the file. */
export type ConfigChange = Record<string, unknown>;

/** What is to be launched. */
export interface Launch {
  agent: string;
  folder: string;
  mode: string;
  args: string[];
}
