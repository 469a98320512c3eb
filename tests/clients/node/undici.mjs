// undici's Pool: keep-alive connections that are reused as fast as they become free, and no retry.

import { Pool } from "undici";
import { messages } from "./messages.mjs";

const pool = new Pool(process.env.ANTHROPIC_BASE_URL, { connections: 4 });

await messages(async (method, path, headers, body) => {
  const response = await pool.request({ method, path, headers, body });
  return { status: response.statusCode, text: await response.body.text() };
});
await pool.close();
