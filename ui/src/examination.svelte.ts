// The examination that this panel has asked for, and its bundle. They outlive the page that shows them.
import type { Listing } from "./api";
import { after, nothing, type Picture } from "./doctor";
import type { Transport } from "./transport";
import { Trouble } from "./trouble";

export class Examination {
  picture = $state.raw<Picture>(nothing);
  running = $state(false);
  trouble = $state.raw<Trouble>();
  /** It was ended before its end. */
  stopped = $state(false);
  listing = $state.raw<Listing>();
  /** The bundle is being listed or written. */
  busy = $state(false);
  bundleTrouble = $state("");
  /** Where the bundle was written; empty where a browser has taken it. */
  saved = $state<string>();
  private stop = new AbortController();

  async run(transport: Transport, long: boolean): Promise<void> {
    if (this.running) return;
    Object.assign(this, { running: true, stopped: false, trouble: undefined, listing: undefined, saved: undefined, bundleTrouble: "", picture: nothing });
    this.stop = new AbortController();
    try {
      await transport.examine(long, (step) => (this.picture = after(this.picture, step)), this.stop.signal);
      this.stopped = this.picture.report === null;
    } catch (thrown) {
      if (this.stop.signal.aborted) this.stopped = true;
      else this.trouble = Trouble.of(thrown, String(thrown));
    }
    this.running = false;
  }

  end(): void {
    this.stop.abort();
  }

  list(transport: Transport): Promise<void> {
    return this.bundle(async () => {
      this.saved = undefined;
      this.listing = await transport.bundle();
    });
  }

  save(transport: Transport): Promise<void> {
    return this.bundle(async () => {
      this.saved = await transport.saveBundle(this.listing?.name ?? "");
    });
  }

  private async bundle(work: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.bundleTrouble = "";
    try {
      await work();
    } catch (thrown) {
      this.bundleTrouble = Trouble.of(thrown, String(thrown)).message;
    }
    this.busy = false;
  }
}
