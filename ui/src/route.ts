// The page that an address names. Pure.
import { texts } from "./texts";

export type Page = keyof typeof texts.pages;

/** Those of the navigation; `start` is shown once, and from the status page. */
export type Listed = Exclude<Page, "start">;
export const PAGES = Object.keys(texts.pages).filter((name): name is Listed => name !== "start");

const segments = (hash: string): string[] => hash.replace(/^#\/?/, "").split("/");

/** `#/activity` is the page `activity`; anything unknown is `status`. */
export function page(hash: string): Page {
  const [name] = segments(hash);
  return name === "start" ? name : (PAGES.find((known) => known === name) ?? "status");
}

/** What of the page is meant: `Claude Code` of `#/activity/Claude%20Code`; empty where nothing is named. */
export function part(hash: string): string {
  const text = segments(hash)[1] ?? "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
