// What a program's own name for itself (its `user-agent`, its profile) means to a person: one table. Pure.
import { agents } from "virtual:agents";

/**
 * Programs as they name themselves in `user-agent`, in lower case, and the agent of src-tauri/src/wrap/agents.toml that each is.
 * Each name stands in the program itself: Claude Code 2.1.332 and Codex 0.171.0 as tests/clients pins them, and the sources of
 * Gemini CLI (`GeminiCLI/`), Qwen Code (`QwenCode/`) and Kimi CLI (`KimiCLI/`).
 */
export const PRODUCTS: Record<string, string> = {
  "claude-cli": "claude", "claude-code": "claude", codex_cli_rs: "codex", codex_exec: "codex", "codex-tui": "codex", geminicli: "gemini", qwencode: "qwen",
  kimicli: "kimi",
};

const titles = new Map(agents.map(({ name, title }) => [name, title]));

/** `Claude Code` for `claude-cli` and for `claude`; what is in no table keeps its own name. */
export function product(name: string): string {
  const low = name.toLowerCase();
  return titles.get(PRODUCTS[low] ?? low) ?? name;
}
