// Keys that work on every page, and when they do. Pure but for the one remembered choice.
import { PAGES, type Page } from "./route";

export type Shortcut = { do: "page"; page: Page } | { do: "search" } | { do: "list" };

const KEPT = "leeward-shortcuts";

/** Single keys hinder who speaks to the computer or types by accident: they can be switched off, and `?` stays. */
export function enabled(): boolean {
  try {
    return localStorage.getItem(KEPT) !== "off";
  } catch {
    return true;
  }
}

export function enable(on: boolean): void {
  try {
    if (on) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, "off");
  } catch {
    // A browser that keeps nothing forgets this, too.
  }
}

/** What a key means; null where it is somebody else's: with a modifier, and wherever one types. */
export function shortcut(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "altKey" | "metaKey">, typing: boolean): Shortcut | null {
  if (typing || event.ctrlKey || event.altKey || event.metaKey) return null;
  if (event.key === "?") return { do: "list" };
  if (event.key === "/") return { do: "search" };
  const page = /^[1-9]$/.test(event.key) ? PAGES[Number(event.key) - 1] : undefined;
  return page ? { do: "page", page } : null;
}

/** Whether keys go into `target`. */
export function types(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
}
