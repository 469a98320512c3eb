import { describe, expect, it } from "vitest";
import { after, matching, plain, stamp, tone } from "./log";
import { page } from "./route";
import { envCommand, quoted, shells, split, wrapCommand } from "./shell";
import { lines, pause, reader } from "./stream";
import { Trouble } from "./trouble";

describe("split", () => {
  it.each([
    ["", []], ["  -p  x ", ["-p", "x"]], ["-p 'two words'", ["-p", "two words"]], ['a"b c"d', ["ab cd"]], ["''", [""]],
    ["two\\ words", ["two words"]], ["C:\\work", ["C:\\work"]], ['"a\\"b"', ['a"b']], ["'open", null],
  ])("%j", (text, words) => expect(split(text)).toEqual(words));
  it("reads back what is quoted", () => {
    for (const word of ["plain", "two words", "it's", "$HOME", ""]) expect(split(`x ${quoted(word)}`)).toEqual(word.includes("'") ? ["x", "it's"] : ["x", word]);
  });
});

it("writes a command that a shell understands", () => {
  expect(wrapCommand("claude", "", [])).toBe("leeward wrap claude");
  expect(wrapCommand("codex", "tunnel", ["-p", "a b"], "/my work")).toBe("cd '/my work' && leeward wrap --mode tunnel codex -- -p 'a b'");
});

it("knows what each shell is told", () => {
  expect(shells.map(envCommand)).toEqual([
    'eval "$(leeward env)"', "leeward env --shell fish | source", "leeward env --shell powershell | Out-String | Invoke-Expression",
  ]);
});

describe("server-sent events", () => {
  it("come out whole whatever the pieces", () => {
    const text = ': alive\n\nevent: status\ndata: {"a":\ndata: 1}\n\ndata: é\r\n\r\nevent: cut\nda';
    const whole = reader()(text);
    expect(whole).toEqual([{ event: "status", data: '{"a":\n1}' }, { event: "message", data: "é" }]);
    const read = reader();
    expect([...text].flatMap((piece) => read(piece))).toEqual(whole);
  });
  it("are told from lines of JSON", () => {
    const read = lines<{ a: number }>();
    expect(['{"a"', ":1}\n\n", '{"a":2}\n{"a":', "3}\n"].flatMap(read)).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
  });
  it("are asked for again soon, then seldom", () => expect([0, 1, 3, 99].map(pause)).toEqual([250, 500, 2000, 5000]));
});

describe("Trouble", () => {
  it.each([
    ["a sentence", "refused", "a sentence"],
    [{ error: { code: "invalid", message: "no" }, errors: [{ key: "a", message: "b" }] }, "invalid", "no"],
    [{ code: "no-terminal", message: "none" }, "no-terminal", "none"],
    [null, "refused", "otherwise"],
  ])("%j", (thrown, code, message) => expect(Trouble.of(thrown, "otherwise")).toMatchObject({ code, message }));
  it("keeps the keys wherever they stand", () => {
    const errors = [{ key: "a", message: "b" }];
    expect(Trouble.of({ error: { code: "c", message: "m", errors } }, "").errors).toEqual(errors);
    expect(Trouble.of({ error: { code: "c", message: "m" }, errors }, "").errors).toEqual(errors);
  });
});

it("finds the page of an address", () => expect(["", "#/logs", "#activity", "#/nothing"].map(page)).toEqual(["status", "logs", "activity", "status"]));

it("knows log lines that say something new", () => {
  const logs = { path: "p", lines: [{ text: "a" }] };
  expect([after(undefined, logs), after(logs, structuredClone(logs)), after(logs, { path: "p", lines: [{ text: "b" }] })]).toEqual([true, false, true]);
  expect([tone("ERROR"), tone("info"), tone("trace"), tone(undefined)]).toEqual(["bad", "run", "dim", ""]);
  expect(stamp("no time")).toBe("no time");
});

it("searches log lines by every word, wherever it stands", () => {
  const lines = [{ at: "2026-11-21T14:03:07Z", level: "warn", target: "leeward::pool", text: "Connection refused" }, { text: "a panic's second line" }];
  expect([matching(lines, ""), matching(lines, " POOL refused "), matching(lines, "warn panic"), matching(lines, "second")].map((list) => list.length)).toEqual([2, 1, 0, 1]);
  expect(lines.map(plain)).toEqual(["2026-11-21T14:03:07Z warn leeward::pool Connection refused", "a panic's second line"]);
});
