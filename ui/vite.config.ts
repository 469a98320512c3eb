import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

/** The whole page, compressed, in bytes: what a slow machine has to load. */
const MOST = 150 * 1024;

/** Names, titles, modes, places of the installation and the programs' own names of the agents, from the table that `leeward wrap` reads; no second list. */
function agents(): Plugin {
  const id = "virtual:agents";
  const table = new URL("../src-tauri/src/wrap/agents.toml", import.meta.url);
  return {
    name: "agents",
    resolveId: (source) => (source === id ? `\0${id}` : undefined),
    load(module) {
      if (module !== `\0${id}`) return undefined;
      const found = readFileSync(table, "utf8").split(/^\[\[agent\]\]$/m).slice(1).map((block) => {
        const text = (key: string): string => new RegExp(`^${key} = "(.*)"$`, "m").exec(block)?.[1] ?? this.error(`agents.toml: an agent without ${key}`);
        const modes = [...(/^modes = \[(.*)\]$/m.exec(block)?.[1] ?? "").matchAll(/"([^"]+)"/g)].map(([, mode]) => mode);
        if (modes.length === 0) this.error("agents.toml: an agent without modes");
        const user_agents = JSON.parse(/^user_agents = (\[.*\])$/m.exec(block)?.[1] ?? "[]") as string[];
        return { name: text("name"), title: text("title"), about: text("about"), modes, user_agents };
      });
      // `anything` is `leeward run`.
      const list = found.filter(({ name }) => name !== "anything");
      if (list.length === 0) this.error("agents.toml: no agent was found");
      return `export const agents = ${JSON.stringify(list)};`;
    },
  };
}

/** Prints the page's size and refuses one that is too large. */
function size(): Plugin {
  return {
    name: "size",
    apply: "build",
    generateBundle(_, bundle) {
      let sum = 0;
      for (const file of Object.values(bundle)) sum += gzipSync(file.type === "chunk" ? file.code : file.source).length;
      const text = `panel: ${(sum / 1024).toFixed(1)} KiB compressed, at most ${MOST / 1024} KiB`;
      if (sum > MOST) this.error(text);
      console.log(text);
    },
  };
}

export default defineConfig({
  // Relative: the same files are served at / in the tray and below /_leeward/ui/ by the engine.
  base: "./",
  plugins: [svelte(), agents(), size()],
  clearScreen: false,
  server: { host: "127.0.0.1", port: 5173, strictPort: true },
  // Nothing inline: the policy allows no `data:` beyond images, and none is needed.
  build: { target: "es2022", outDir: "dist", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
