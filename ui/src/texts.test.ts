import { parse } from "svelte/compiler";
import { expect, it } from "vitest";

const files = import.meta.glob<string>("./**/*.svelte", { query: "?raw", import: "default", eager: true });

/** Attributes that a person sees or hears. */
const SAID = new Set(["aria-label", "aria-description", "title", "placeholder", "alt", "label"]);

interface Node {
  type?: string;
  name?: string;
  data?: string;
  value?: unknown;
  fragment?: unknown;
}

/** Words that stand in the markup of `source` and not in texts.ts. */
function words(source: string): string[] {
  const found: string[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (typeof node !== "object" || node === null) return;
    const { type, name, data, value } = node as Node;
    if (type === "Attribute") {
      const texts = Array.isArray(value) ? (value as Node[]).filter((part) => part.type === "Text").map((part) => part.data ?? "") : [];
      if (SAID.has(name ?? "")) found.push(...texts.filter((text) => /\p{L}/u.test(text)));
      return;
    }
    if (type === "Comment" || type === "StyleDirective") return;
    if (type === "Text" && /\p{L}/u.test(data ?? "")) found.push(data!.trim());
    for (const child of Object.values(node)) visit(child);
  };
  visit(parse(source, { modern: true }).fragment);
  return found;
}

it("has every word that the panel says", () => {
  expect(Object.keys(files).length).toBeGreaterThan(20);
  expect(Object.entries(files).flatMap(([path, source]) => words(source).map((word) => `${path}: ${word}`))).toEqual([]);
});

it("finds a word that stands elsewhere", () => {
  expect(words('{#if yes}<p title="Hint {a}">Hello {name} · 7</p><!-- why -->{/if}<svg class="wide"><path d="M0 0z" /></svg>')).toEqual(["Hint ", "Hello"]);
});
