import { expect, it } from "vitest";
import { language, settle } from "./locale";

it("takes only what names a language", () => {
  expect(["en", "de-CH", "C", "", "POSIX.UTF-8"].map(language)).toEqual(["en", "de-CH", "en", "en", "en"]);
});

it("leaves a page that can format its numbers", () => {
  const told = { language: "C" };
  settle(told);
  expect(new Intl.NumberFormat(told.language).format(1234.5)).toBe("1,234.5");
});
