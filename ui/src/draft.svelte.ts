// Changes to the config before they are saved. It outlives the settings page, so that who looks something up elsewhere loses nothing.
import type { ConfigChange, ConfigKey, ConfigView, KeyError } from "./api";
import { change } from "./keys";
import type { Level } from "./levels";
import { texts } from "./texts";
import type { Transport } from "./transport";
import { Trouble } from "./trouble";

/** Pause in typing after which the engine is asked, in milliseconds. */
const PAUSE = 250;

export class Draft {
  view = $state.raw<ConfigView>();
  changes = $state.raw<ConfigChange>({});
  errors = $state.raw<KeyError[]>([]);
  busy = $state<"" | "checking" | "saving">("");
  said = $state("");
  trouble = $state("");
  /** This Leeward has no such page. */
  missing = $state(false);
  /** Which keys the page shows. */
  level = $state<Level>("basic");
  readonly pending = $derived(Object.keys(this.changes).length);
  /** Counts what was typed, so that an old response is known as old. */
  private edits = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** What the engine has now; changes stay, but for those that are in force by now. */
  async load(transport: Transport): Promise<void> {
    if (this.pending === 0) this.said = this.trouble = "";
    try {
      this.view = await transport.config();
      this.missing = false;
      for (const key of this.view.keys) if (key.key in this.changes) this.changes = change(this.changes, key, this.changes[key.key]);
    } catch (thrown) {
      const why = Trouble.of(thrown, String(thrown));
      [this.missing, this.trouble] = [why.code === "missing", why.message];
    }
  }

  edit(transport: Transport, key: ConfigKey, value: unknown): void {
    this.changes = change(this.changes, key, value);
    this.said = this.trouble = "";
    this.edits += 1;
    clearTimeout(this.timer);
    if (this.pending === 0) {
      this.errors = [];
      this.busy = "";
      return;
    }
    this.busy = "checking";
    this.timer = setTimeout(() => void this.check(transport, this.edits), PAUSE);
  }

  private async check(transport: Transport, edit: number): Promise<void> {
    try {
      const found = await transport.checkConfig(this.changes);
      if (edit === this.edits) this.errors = found;
    } catch (thrown) {
      if (edit === this.edits) this.trouble = Trouble.of(thrown, String(thrown)).message;
    }
    if (edit === this.edits) this.busy = "";
  }

  async save(transport: Transport): Promise<void> {
    clearTimeout(this.timer);
    this.edits += 1;
    this.busy = "saving";
    this.said = this.trouble = "";
    try {
      this.view = await transport.setConfig(this.changes);
      this.changes = {};
      this.errors = [];
      this.said = texts.settings.saved;
    } catch (thrown) {
      const why = Trouble.of(thrown, String(thrown));
      this.errors = why.errors;
      this.trouble = why.errors.length > 0 ? texts.settings.refused : why.message;
    } finally {
      this.busy = "";
    }
  }

  discard(): void {
    clearTimeout(this.timer);
    this.edits += 1;
    this.changes = {};
    this.errors = [];
    this.busy = "";
    this.trouble = "";
  }
}
