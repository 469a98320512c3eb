import { expect, it } from "vitest";
import { covered } from "./covers";

it.each([
  [{ mode: "auto", inference: "base-url", rest: "tunnel" }, "auto: requests to models by base URL, the rest by tunnel"],
  [{ mode: "auto", inference: "tunnel", rest: "tunnel" }, "auto: everything by tunnel"],
  [{ mode: "base-url", inference: "base-url", rest: "direct" }, "base-url: requests to models by base URL, the rest past Leeward"],
  [{ mode: "intercept", inference: "intercept", rest: "intercept" }, "intercept: its own APIs decrypted, the rest by tunnel"],
] as const)("%j", (covers, words) => expect(covered(covers)).toBe(words));
