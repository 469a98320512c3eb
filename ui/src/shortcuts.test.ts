import { describe, expect, it } from "vitest";
import { page, PAGES, part } from "./route";
import { shortcut } from "./shortcuts";

const press = (key: string, change: Partial<KeyboardEvent> = {}): Parameters<typeof shortcut>[0] => ({ key, ctrlKey: false, altKey: false, metaKey: false, ...change });

describe("shortcut", () => {
  it("has a digit for every page of the navigation", () => {
    expect(PAGES.map((_, index) => shortcut(press(String(index + 1)), false))).toEqual(PAGES.map((name) => ({ do: "page", page: name })));
    expect([shortcut(press("0"), false), shortcut(press(String(PAGES.length + 1)), false)]).toEqual([null, null]);
  });
  it.each([["/", "search"], ["?", "list"]])("%s", (key, does) => expect(shortcut(press(key), false)).toEqual({ do: does }));
  it("leaves keys to fields, to the browser and to the system", () => {
    for (const key of ["1", "/", "?"]) {
      expect(shortcut(press(key), true)).toBe(null);
      for (const held of ["ctrlKey", "altKey", "metaKey"]) expect(shortcut(press(key, { [held]: true }), false)).toBe(null);
    }
  });
});

it("finds the page and its part", () => {
  expect(["#/start", "#/activity/Claude%20Code", "#/launch/codex", "#/logs"].map((hash) => [page(hash), part(hash)])).toEqual([
    ["start", ""], ["activity", "Claude Code"], ["launch", "codex"], ["logs", ""],
  ]);
  expect(part("#/activity/%zz")).toBe("%zz");
});
