import { describe, expect, it } from "vitest";
import type { ConfigKey } from "./api";
import { change, label, locked, range, read, sections, write, written } from "./keys";

const key = (name: string, more: Partial<ConfigKey> = {}): ConfigKey => ({
  key: name, section: name.includes(".") ? name.split(".")[0]! : "", kind: "duration", help: "", default: "45s", value: "45s", from: "default",
  secret: false, set: false, ...more,
});

it("groups keys by section, those at the top first, and finds words of help and title", () => {
  const keys = [key("retry.total", { help: "All retrying of one request." }), key("listen"), key("retry.base"), key("pool.idle")];
  expect(sections(keys, "").map(({ name, keys }) => [name, keys.length])).toEqual([["", 1], ["retry", 2], ["pool", 1]]);
  expect(sections(keys, "RETRYING request").flatMap(({ keys }) => keys.map((k) => k.key))).toEqual(["retry.total"]);
  expect(sections(keys, "connection pool").map(({ name }) => name)).toEqual(["pool"]);
});

describe("values", () => {
  it.each([
    ["integer", "12", 12], ["integer", "a lot", "a lot"], ["number", "0.25", 0.25], ["duration", " 30s ", "30s"], ["text", "", null],
    ["list", "a\n\n b ", ["a", "b"]], ["table", "x = https://a/?b=c", { x: "https://a/?b=c" }], ["boolean", "true", true],
  ] as const)("%s from %j", (kind, text, value) => expect(read({ kind }, text)).toEqual(value));
  it("are written as they are read", () => {
    for (const [kind, value] of [["list", ["a", "b"]], ["table", { x: "y" }], ["table", { x: { url: "https://a", replay: ["/b=c"] } }], ["text", { url: "https://a", replay: ["/b"] }], ["integer", 3]] as const) {
      expect(read({ kind }, write({ kind }, value))).toEqual(value);
    }
  });
  it("stand behind the field in words", () => {
    expect([written({ kind: "boolean" }, true), written({ kind: "list" }, []), written({ kind: "table" }, {}), written({ kind: "text" }, null)]).toEqual(["on", "none", "none", "none"]);
  });
});

describe("change", () => {
  it("forgets what is in force anyway", () => {
    const total = key("retry.total");
    const changed = change({}, total, "30s");
    expect(changed).toEqual({ "retry.total": "30s" });
    expect(change(changed, total, "45s")).toEqual({});
    expect(change(changed, total, null)).toEqual({});
  });
  it("takes a key out of the file", () => expect(change({}, key("a", { from: "file", set: true }), null)).toEqual({ a: null }));
  it("never compares a secret, whose value is not known", () => {
    expect(change({}, key("client_token", { secret: true, value: null, set: true, kind: "text" }), "new")).toEqual({ client_token: "new" });
  });
});

it("names what outranks the file", () => {
  expect(locked(key("a", { from: "environment", variable: "LEEWARD_A" }))).toContain("LEEWARD_A");
  expect(locked(key("a", { from: "flag", variable: "--a" }))).toContain("command line");
  expect(locked(key("a", { from: "file" }))).toBeNull();
});

it("tells what a key may be", () => {
  expect(range(key("retry.total", { min: "0s", max: "1h" }))).toBe("From 0s to 1h");
  expect(range(key("workers", { min: "1", max: "256", unit: "threads" }))).toBe("From 1 to 256 threads");
  expect(range(key("connect.write_stall", { min: "1s", max: "1h", off: "0s" }))).toBe("From 1s to 1h, or 0s to switch it off");
  expect(range(key("log"))).toBe("");
});

it("names a key in words", () => expect(label("retry.unknown_fate")).toBe("Unknown fate"));
