// How the panel reaches the engine: Tauri's commands and events in the tray, `/_leeward/v1` in a browser.
// The only file that knows; tests/house.rs holds the others to it.
import type { Status } from "./status";

export interface Transport {
  readonly kind: "tray" | "browser";
  /** Calls `seen` with every new status until the returned function is called. */
  watch(seen: (status: Status) => void, failed: (why: string) => void): Promise<() => void>;
  /** A new engine generation on the same socket; rejects with a sentence. */
  restart(): Promise<void>;
}

/** Pause between two questions over HTTP, in milliseconds. */
const POLL = 1000;

export function connect(): Promise<Transport> {
  return "__TAURI_INTERNALS__" in window ? tray() : Promise.resolve(browser(window.location));
}

async function tray(): Promise<Transport> {
  const { invoke } = await import("@tauri-apps/api/core");
  const { listen } = await import("@tauri-apps/api/event");
  return {
    kind: "tray",
    async watch(seen) {
      const stop = await listen<Status>("status", (event) => seen(event.payload));
      seen(await invoke<Status>("status"));
      return stop;
    },
    restart: () => invoke("restart"),
  };
}

/** The token comes in the fragment (`#token=…`), which no browser sends and no log shows. */
function browser({ origin, hash }: Location): Transport {
  const token = new URLSearchParams(hash.slice(1)).get("token") ?? "";

  async function ask<T>(method: "GET" | "POST", path: string): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`${origin}/_leeward/v1/${path}`, { method, headers: { authorization: `Bearer ${token}` } });
    } catch {
      throw new Error("Leeward does not answer; start it with `leeward serve`.");
    }
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok) throw new Error(refusal(body) ?? `Leeward answered ${response.status}.`);
    return body as T;
  }

  return {
    kind: "browser",
    async watch(seen, failed) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      let stopped = false;
      const poll = async (): Promise<void> => {
        try {
          const status = await ask<Status>("GET", "status");
          if (!stopped) seen(status);
        } catch (error) {
          if (!stopped) failed(error instanceof Error ? error.message : String(error));
        }
        if (!stopped) timer = setTimeout(poll, POLL);
      };
      await poll();
      return () => {
        stopped = true;
        clearTimeout(timer);
      };
    },
    async restart() {
      await ask("POST", "restart");
    },
  };
}

function refusal(body: unknown): string | undefined {
  const message = (body as { error?: { message?: unknown } } | null)?.error?.message;
  return typeof message === "string" ? message : undefined;
}
