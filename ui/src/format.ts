// Numbers as people read them. Pure; one unit, as many digits as matter.

/** `3 s`, `5 min`, `2 h`, `4 d`: an age. A clock that runs backwards gives `0 s`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `0.4 ms`, `38 ms`, `1.24 s`, `2 min 5 s`: how long something took. */
export function took(ms: number): string {
  if (ms < 10) return `${Math.max(0, ms).toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** `812 B`, `4.2 KiB`, `1.5 MiB`. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function count(value: number): string {
  return value.toLocaleString("en");
}

/** `99.3 %`; never `100 %` of something that is less than all. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  const share = (100 * part) / whole;
  if (part === whole) return "100 %";
  return `${Math.min(99.9, share).toFixed(1)} %`;
}

/** `14:03:07`, by this machine's clock. */
export function clock(unixMs: number): string {
  return new Date(unixMs).toLocaleTimeString("en-GB");
}

/** `21 Nov 14:03`. */
export function moment(unixMs: number): string {
  return new Date(unixMs).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).replace(",", "");
}
