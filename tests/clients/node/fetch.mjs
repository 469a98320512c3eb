// The runtime's own fetch: run by Node and by Bun, which is what Claude Code brings.

import { messages } from "./messages.mjs";

const base = process.env.ANTHROPIC_BASE_URL;

await messages(async (method, path, headers, body) => {
  const response = await fetch(base + path, { method, headers, body });
  return { status: response.status, text: await response.text() };
});
