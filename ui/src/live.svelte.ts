// What the panel knows of the engine right now: the newest status, stats and requests, and whether they are still true.
import type { Activity, Stats } from "./api";
import { Draft } from "./draft.svelte";
import { Examination } from "./examination.svelte";
import { merge } from "./requests";
import type { Status } from "./status";
import { connect, type Transport } from "./transport";
import { Trouble } from "./trouble";

export class Live {
  status = $state.raw<Status>();
  stats = $state.raw<Stats>();
  requests = $state.raw<Activity[]>([]);
  /** False until the engine has sent its requests, and where it does not send them. */
  tellsRequests = $state(false);
  trouble = $state.raw<Trouble>();
  transport = $state.raw<Transport>();
  /** The present in milliseconds since 1970, once a second. */
  now = $state(Date.now());
  /** When the last news came. */
  heard = $state(0);
  /** The last restart that was asked for here; the status page shows it. */
  readonly restart = $state<{ running: boolean; good: string; bad: string }>({ running: false, good: "", bad: "" });

  /** Whether the status page shows the engine's figures. */
  unfolded = $state(false);
  /** Changes to the config that are not saved: they outlive their page. */
  readonly draft = new Draft();
  /** What the Doctor page shows: it outlives the page, too. */
  readonly examination = new Examination();

  /** Runs until the returned function is called. */
  start(): () => void {
    let stop: (() => void) | undefined;
    let gone = false;
    const clock = setInterval(() => (this.now = Date.now()), 1000);
    const begin = async (): Promise<void> => {
      this.transport = await connect();
      if (gone) return;
      stop = this.transport.watch({
        status: (status) => {
          this.heardNow();
          this.status = status;
        },
        stats: (stats) => {
          this.heardNow();
          this.stats = stats;
        },
        activity: (requests, whole) => {
          this.heardNow();
          this.tellsRequests = true;
          this.requests = merge(this.requests, requests, whole);
        },
        failed: (trouble) => (this.trouble = trouble),
      });
    };
    begin().catch((thrown: unknown) => (this.trouble = Trouble.of(thrown, String(thrown))));
    return () => {
      gone = true;
      this.examination.end();
      clearInterval(clock);
      stop?.();
    };
  }

  private heardNow(): void {
    this.now = this.heard = Date.now();
    this.trouble = undefined;
  }
}
