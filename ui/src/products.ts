// What a program's own name for itself (its `user-agent`, its profile) means to a person: one table. Pure.
import { agents } from "virtual:agents";

/** Programs as they name themselves in `user-agent`, in lower case, and the agent that each is. */
export const PRODUCTS: Record<string, string> = Object.fromEntries(agents.flatMap(({ name, user_agents }) => user_agents.map((program) => [program, name])));

const titles = new Map(agents.map(({ name, title }) => [name, title]));

/** `Claude Code` for `claude-cli` and for `claude`; what is in no table keeps its own name. */
export function product(name: string): string {
  const low = name.toLowerCase();
  return titles.get(PRODUCTS[low] ?? low) ?? name;
}
