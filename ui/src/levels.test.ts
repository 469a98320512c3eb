import { expect, it } from "vitest";
import reference from "../../docs/configuration.md?raw";
import { level, LISTED } from "./levels";

it("puts every key of the config into exactly one group", () => {
  // A Rust test holds this page to the definition.
  const [, keys = ""] = reference.split(/^## (?:Keys|Renamed keys)$/m);
  // What is set for single agents has a key for each of them: advanced as a whole.
  const defined = [...keys.matchAll(/^\| `([a-z_.]+)` \|/gm)].map(([, key]) => key).filter((key) => !key?.startsWith("modes."));
  expect(defined.length).toBeGreaterThan(50);
  expect([...LISTED].sort()).toEqual(defined.sort());
});

it("takes a key that it does not know for an advanced one", () => {
  expect(["listen", "retry.total", "new.key"].map(level)).toEqual(["basic", "advanced", "advanced"]);
});
