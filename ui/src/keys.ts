// The config's keys as the settings page edits them: grouping, search, and values to text and back. Pure.
// What a value may be is the engine's business; here it is only written down.
import type { ConfigChange, ConfigKey } from "./api";
import { texts } from "./texts";

export interface Section {
  name: string;
  title: string;
  keys: ConfigKey[];
}

/** In the engine's order; the keys at the top first. */
export function sections(keys: ConfigKey[], search: string): Section[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Section[] = [];
  for (const key of keys) {
    const title = titleOf(key.section);
    const hay = `${key.key} ${key.help} ${title}`.toLowerCase();
    if (!words.every((word) => hay.includes(word))) continue;
    const section = found.find(({ name }) => name === key.section);
    if (section) section.keys.push(key);
    else found.push({ name: key.section, title, keys: [key] });
  }
  return found.sort((a, b) => Number(b.name === "") - Number(a.name === ""));
}

function titleOf(section: string): string {
  return section === "" ? texts.settings.top : (texts.settings.sections[section] ?? section);
}

/** `retry.unknown_fate` as `Unknown fate`. */
export function label(key: string): string {
  const name = (key.split(".").at(-1) ?? key).replaceAll("_", " ");
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** A value as it stands in the field. */
export function write(key: Pick<ConfigKey, "kind">, value: unknown): string {
  if (value === null || value === undefined) return "";
  if (key.kind === "list" && Array.isArray(value)) return value.join("\n");
  if (key.kind === "table" && typeof value === "object") {
    return Object.entries(value).map(([name, text]) => `${name} = ${typeof text === "string" ? text : JSON.stringify(text)}`).join("\n");
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What a field holds as a value for the file. An empty field takes the key out; what makes no sense goes as text, and the engine says why. */
export function read(key: Pick<ConfigKey, "kind">, text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  switch (key.kind) {
    case "boolean":
      return trimmed === "true";
    case "integer":
      return /^\d+$/.test(trimmed) ? Number(trimmed) : trimmed;
    case "number":
      return /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : trimmed;
    case "list":
      return lines(trimmed);
    case "table":
      return Object.fromEntries(lines(trimmed).map((line) => {
        const [name = "", ...rest] = line.split("=");
        return [name.trim(), entry(rest.join("=").trim())];
      }));
    default:
      return entry(trimmed);
  }
}

/** An entry of a table: text, or what says more than a text can. */
function entry(text: string): unknown {
  if (!text.startsWith("{")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function lines(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

/** The default in words, after the field. */
export function written(key: Pick<ConfigKey, "kind">, value: unknown): string {
  if (value === null || value === undefined || (Array.isArray(value) && value.length === 0)) return texts.settings.none;
  if (typeof value === "boolean") return value ? texts.settings.on : texts.settings.off;
  if (typeof value === "object" && Object.keys(value).length === 0) return texts.settings.none;
  return write(key, value).replaceAll("\n", ", ");
}

/** The values that a key may have, in words; empty where all are. */
export function range(key: Pick<ConfigKey, "min" | "max" | "unit" | "off">): string {
  if (key.min === undefined || key.max === undefined) return "";
  return texts.settings.range(key.min, key.max, key.unit, key.off);
}

/** The change with one more value; a value that is in force anyway is no change. */
export function change(changes: ConfigChange, key: ConfigKey, value: unknown): ConfigChange {
  const { [key.key]: _, ...others } = changes;
  const same = value === null ? key.from === "default" && !key.set : !key.secret && equal(value, key.value);
  return same ? others : { ...others, [key.key]: value };
}

export function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Values of the environment and of flags outrank the file. */
export function locked(key: ConfigKey): string | null {
  if (key.from === "environment") return texts.settings.locked.environment(key.variable ?? key.key);
  return key.from === "flag" ? texts.settings.locked.flag(key.variable ?? key.key) : null;
}
