import { expect, it } from "vitest";
import { bytes, duration, percent, took } from "./format";

it("writes ages in one unit", () => {
  expect([-5, 59_999, 60_000, 7_200_000, 172_800_000].map(duration)).toEqual(["0 s", "59 s", "1 min", "2 h", "2 d"]);
});

it("writes times with as many digits as matter", () => {
  expect([-1, 0.44, 38.4, 999.4, 1240, 12_340, 125_000, 3_720_000].map(took)).toEqual([
    "0.0 ms", "0.4 ms", "38 ms", "999 ms", "1.24 s", "12.3 s", "2 min 5 s", "1 h 2 min",
  ]);
});

it("writes sizes in binary units", () => {
  expect([0, 812, 4300, 150 * 1024, 1.5 * 1024 ** 2].map(bytes)).toEqual(["0 B", "812 B", "4.2 KiB", "150 KiB", "1.5 MiB"]);
});

it("never says that all was retried when one was not", () => {
  expect([percent(0, 0), percent(5, 5), percent(99_999, 100_000), percent(1, 3)]).toEqual(["–", "100 %", "99.9 %", "33.3 %"]);
});
