// The page that an address names. Pure.
import { texts } from "./texts";

export type Page = keyof typeof texts.pages;

export const PAGES = Object.keys(texts.pages) as Page[];

/** `#/activity` is the page `activity`; anything unknown is `status`. */
export function page(hash: string): Page {
  const name = hash.replace(/^#\/?/, "");
  return PAGES.find((known) => known === name) ?? "status";
}
