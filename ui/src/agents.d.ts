// The agents that `leeward wrap` knows, written by vite.config.ts from src-tauri/src/wrap/agents.toml.
declare module "virtual:agents" {
  export const agents: { name: string; title: string; about: string; modes: string[]; user_agents: string[] }[];
}
