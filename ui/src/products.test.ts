import { agents } from "virtual:agents";
import { expect, it } from "vitest";
import { product, PRODUCTS } from "./products";

it.each([
  ["claude-cli", "Claude Code"], ["claude", "Claude Code"], ["codex_cli_rs", "Codex CLI"], ["GeminiCLI", "Gemini CLI"], ["QwenCode", "Qwen Code"], ["KimiCLI", "Kimi CLI"], ["gemini-cli", "gemini-cli"], ["goose", "goose"], ["curl", "curl"],
])("%s is %s", (name, title) => expect(product(name)).toBe(title));

it("names only agents that `leeward wrap` knows, each by its own title", () => {
  expect(Object.keys(PRODUCTS).length).toBeGreaterThanOrEqual(8);
  const known = new Map(agents.map(({ name, title }) => [name, title]));
  for (const [program, agent] of Object.entries(PRODUCTS)) expect([program, product(program)]).toEqual([program, known.get(agent)]);
  for (const { name, title } of agents) expect(product(name)).toBe(title);
  expect(Object.keys(PRODUCTS).filter((name) => name !== name.toLowerCase())).toEqual([]);
});
