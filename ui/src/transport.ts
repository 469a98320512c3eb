// How the panel reaches the engine: Tauri's commands and events in the tray, `/_leeward/v1` in a browser.
// The only file that knows; tests/house.rs holds the others to it.
import type {
  Activity, Agent, Autostart, ConfigChange, ConfigView, ConnectionTest, Coverage, History, KeyError, Launch, Launched, Listing, Logs, Restarted,
  SavedBundle, Stats, Step, Surroundings,
} from "./api";
import { texts } from "./texts";
import type { Status } from "./status";
import { save } from "./save";
import { lines, pause, reader } from "./stream";
import { Trouble } from "./trouble";

/** What comes by itself. */
export interface Watcher {
  status(status: Status): void;
  stats(stats: Stats): void;
  /** `whole`: these are all there are; otherwise those that changed. */
  activity(requests: Activity[], whole: boolean): void;
  failed(trouble: Trouble): void;
}

/** What only the tray can do, because it needs the desktop. */
export interface Desktop {
  agents(): Promise<Agent[]>;
  /** Opens the page that says how an agent is installed. */
  howTo(agent: string): Promise<void>;
  launch(what: Launch): Promise<Launched>;
  folders(): Promise<string[]>;
  /** The desktop's own dialog, beginning at a folder; null when it was cancelled. */
  pickFolder(from: string): Promise<string | null>;
  environment(shell: string): Promise<string>;
  autostart(): Promise<Autostart>;
  setAutostart(on: boolean): Promise<Autostart>;
  /** `tray_icon` is false where the desktop shows none, so that the panel is all there is. */
  surroundings(): Promise<Surroundings>;
  quit(): Promise<void>;
  /** The page has drawn itself, for the first time or in other colours; the window takes them. */
  drawn(dark: boolean): Promise<void>;
}

/** Everything rejects with a `Trouble`. */
export interface Transport {
  readonly desktop: Desktop | null;
  watch(watcher: Watcher): () => void;
  restart(): Promise<Restarted>;
  /** Which agents there are, and which come through Leeward; looked at anew. */
  coverage(): Promise<Coverage>;
  /** Times in milliseconds since 1970, `step` as in "30m". */
  history(since: number, until: number, step: string, limit: number): Promise<History>;
  config(): Promise<ConfigView>;
  checkConfig(set: ConfigChange): Promise<KeyError[]>;
  setConfig(set: ConfigChange): Promise<ConfigView>;
  logs(lines: number, level: string): Promise<Logs>;
  /** The way to the default upstream, step by step; takes ten seconds at most. */
  testConnection(): Promise<ConnectionTest>;
  /** Examines this machine; resolves at the end, and when `stop` ends it before. */
  examine(long: boolean, step: (step: Step) => void, stop: AbortSignal): Promise<void>;
  /** What the bundle of the last examination will hold. */
  bundle(): Promise<Listing>;
  /** Writes what was listed; gives the file's path, or nothing where a browser takes it by this name. */
  saveBundle(name: string): Promise<string>;
}

/** Pause between two questions where nothing comes by itself, in milliseconds. */
const POLL = 1000;
/** The engine says something every 15 s; a stream that is silent for longer than this is dead. */
const SILENCE = 40_000;
/** A question that is not answered within this is given up. A restart may drain. */
const LIMIT = 30_000;
const TOKEN = "leeward-token";

export function connect(): Promise<Transport> {
  return "__TAURI_INTERNALS__" in window ? tray() : Promise.resolve(browser(window.location.origin, readToken()));
}

async function tray(): Promise<Transport> {
  const { invoke } = await import("@tauri-apps/api/core");
  const { listen } = await import("@tauri-apps/api/event");
  const told = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch((thrown: unknown) => {
      throw Trouble.of(thrown, texts.trouble.tray);
    });
  return {
    desktop: {
      agents: () => told(invoke<Agent[]>("agents")),
      howTo: (agent) => told(invoke<void>("how_to", { agent })),
      launch: (what) => told(invoke<Launched>("launch", { ...what })),
      folders: () => told(invoke<string[]>("folders")),
      autostart: () => told(invoke<Autostart>("autostart_get")),
      setAutostart: (on) => told(invoke<Autostart>("autostart_set", { on })),
      surroundings: () => told(invoke<Surroundings>("surroundings")),
      quit: () => told(invoke<void>("quit_leeward")),
      drawn: (dark) => told(invoke<void>("panel_drawn", { dark })),
      pickFolder: (from) => told(invoke<string | null>("pick_folder", { from })),
      environment: (shell) => told(invoke<string>("copy_environment", { shell })),
    },
    watch(watcher) {
      let stopped = false;
      const stops = [
        listen<Status>("status", (event) => stopped || watcher.status(event.payload)),
        listen<Stats>("stats", (event) => stopped || watcher.stats(event.payload)),
        listen<{ requests: Activity[] }>("activity", (event) => stopped || watcher.activity(event.payload.requests, false)),
      ];
      // Asked for after the events flow, so that nothing falls between.
      const first = async (): Promise<void> => {
        await Promise.all(stops);
        const status = await told(invoke<Status>("status"));
        if (!stopped) watcher.status(status);
        const [stats, activity] = await Promise.all([
          told(invoke<Stats>("stats")),
          told(invoke<{ requests: Activity[] }>("activity")),
        ]);
        if (stopped) return;
        watcher.stats(stats);
        watcher.activity(activity.requests, true);
      };
      first().catch((thrown: unknown) => stopped || watcher.failed(Trouble.of(thrown, texts.trouble.tray)));
      return () => {
        stopped = true;
        for (const stop of stops) void stop.then((end) => end());
      };
    },
    restart: () => told(invoke<Restarted>("restart")),
    coverage: () => told(invoke<Coverage>("coverage")),
    history: (since, until, step, limit) =>
      told(invoke<History>("history", { since: `${since}`, until: `${until}`, step, limit: `${limit}` })),
    config: () => told(invoke<ConfigView>("config_get")),
    checkConfig: async (set) => (await told(invoke<{ errors: KeyError[] }>("config_check", { set }))).errors,
    setConfig: (set) => told(invoke<ConfigView>("config_set", { set })),
    logs: (lines, level) => told(invoke<Logs>("logs", { lines, level })),
    testConnection: () => told(invoke<ConnectionTest>("test_connection", {})),
    async examine(long, tell, stop) {
      const end = (): void => void invoke("doctor_stop").catch(() => undefined);
      stop.addEventListener("abort", end);
      try {
        await told(invoke<void>("doctor_begin", { long }));
        for (;;) {
          if (stop.aborted) return end();
          const step = await told(invoke<Step | null>("doctor_next"));
          if (step === null) return;
          tell(step);
        }
      } finally {
        stop.removeEventListener("abort", end);
      }
    },
    bundle: () => told(invoke<Listing>("doctor_bundle")),
    saveBundle: async () => (await told(invoke<SavedBundle>("doctor_save"))).path,
  };
}

/**
 * The token comes in the fragment (`#token=…`), which no browser sends and no log shows. It leaves the address bar at
 * once, so that it is in no history, bookmark or screenshot, and stays with this tab alone.
 */
function readToken(): string {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return sessionStorage.getItem(TOKEN) ?? "";
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname + location.search);
  return given;
}

/** Takes the token that a person has typed; the page starts anew with it. */
export function giveToken(token: string): void {
  sessionStorage.setItem(TOKEN, token.trim());
  location.reload();
}

function browser(origin: string, token: string): Transport {
  async function open(method: string, path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    let response: Response;
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      response = await fetch(`${origin}/_leeward/v1/${path}`, {
        method, headers, signal, body: body === undefined ? null : JSON.stringify(body), cache: "no-store",
      });
    } catch {
      throw new Trouble("unreachable", texts.trouble.unreachable);
    }
    if (response.ok) return response;
    const trouble = Trouble.of(await response.json().catch(() => null), texts.trouble.answered(response.status));
    const code = { 401: "unauthorized", 403: "unauthorized", 404: "missing" }[response.status];
    throw code ? new Trouble(code, trouble.message) : trouble;
  }
  async function ask<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
    return (await (await open(method, path, body, AbortSignal.timeout(LIMIT))).json()) as T;
  }
  const get = <T>(path: string): Promise<T> => ask<T>("GET", path);

  return {
    desktop: null,
    watch: (watcher) => follow(open, get, watcher),
    restart: () => ask<Restarted>("POST", "restart"),
    coverage: () => get<Coverage>("agents"),
    history: (since, until, step, limit) =>
      get<History>(`history?${new URLSearchParams({ since: `${since}`, until: `${until}`, step, limit: `${limit}` })}`),
    config: () => get<ConfigView>("config"),
    checkConfig: async (set) => (await ask<{ errors: KeyError[] }>("POST", "config/check", { set })).errors,
    setConfig: (set) => ask<ConfigView>("POST", "config", { set }),
    testConnection: () => ask<ConnectionTest>("POST", "test", {}),
    logs: (lines, level) => get<Logs>(`logs?${new URLSearchParams({ lines: `${lines}`, level })}`),
    async examine(long, tell, stop) {
      const response = await open("POST", "doctor", { long }, stop);
      const pieces = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      const read = lines<Step>();
      for (;;) {
        const piece = await pieces?.read().catch(() => {
          throw new Trouble("broke", texts.trouble.broke);
        });
        if (!piece || piece.done) return;
        for (const step of read(piece.value)) tell(step);
      }
    },
    bundle: () => get<Listing>("doctor/bundle"),
    async saveBundle(name) {
      const response = await open("GET", "doctor/bundle.zip", undefined, AbortSignal.timeout(LIMIT));
      save(await response.blob(), name);
      return "";
    },
  };
}

type Open = (method: string, path: string, body: unknown, signal: AbortSignal) => Promise<Response>;

/** Keeps one event stream open, again and again; asks instead where there is none. */
function follow(open: Open, get: <T>(path: string) => Promise<T>, watcher: Watcher): () => void {
  const stop = new AbortController();
  const ended = (): boolean => stop.signal.aborted;
  const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  let streams = true;

  /** What this Leeward does not report is left out. */
  async function optional<T>(path: string): Promise<T | null> {
    try {
      return await get<T>(path);
    } catch (thrown) {
      if (thrown instanceof Trouble && thrown.code === "missing") return null;
      throw thrown;
    }
  }
  async function snapshot(): Promise<void> {
    const [status, stats, activity] = await Promise.all([
      get<Status>("status"), optional<Stats>("stats"), optional<{ requests: Activity[] }>("activity"),
    ]);
    if (ended()) return;
    if (stats) watcher.stats(stats);
    if (activity) watcher.activity(activity.requests, true);
    watcher.status(status);
  }
  function tell(event: string, data: string): void {
    if (event === "status") watcher.status(JSON.parse(data) as Status);
    else if (event === "stats") watcher.stats(JSON.parse(data) as Stats);
    else if (event === "activity") watcher.activity((JSON.parse(data) as { requests: Activity[] }).requests, false);
  }
  /** Ends when the stream does; throws when there was none. */
  async function listen(): Promise<void> {
    const here = new AbortController();
    let silence = setTimeout(() => here.abort(), SILENCE);
    const both = AbortSignal.any([stop.signal, here.signal]);
    try {
      const response = await open("GET", "events", undefined, both);
      const pieces = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      // Read from now on and shown after the snapshot: nothing falls between the two.
      await snapshot();
      const read = reader();
      while (pieces && !ended()) {
        const { value, done } = await pieces.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => here.abort(), SILENCE);
        for (const { event, data } of read(value)) tell(event, data);
      }
    } finally {
      clearTimeout(silence);
      here.abort();
    }
  }
  async function run(): Promise<void> {
    let failures = 0;
    while (!ended()) {
      try {
        if (streams) await listen();
        else await snapshot();
        failures = 0;
      } catch (thrown) {
        if (ended()) return;
        const trouble = Trouble.of(thrown, texts.trouble.broke);
        if (trouble.code === "missing" && streams) {
          streams = false;
          continue;
        }
        // A stream that broke in the middle is opened again before anybody is notified.
        if (failures > 0 || thrown instanceof Trouble) watcher.failed(trouble);
        failures += 1;
      }
      await wait(failures > 0 ? pause(failures) : streams ? pause(0) : POLL);
    }
  }
  void run();
  return () => stop.abort();
}
