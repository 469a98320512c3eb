// The Messages API without an SDK, for clients that only bring their own HTTP: undici's pool, Node's and Bun's fetch.

import { judge } from "./verdict.mjs";

const headers = { "content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": "none" };
const question = (stream) =>
  JSON.stringify({ model: "claude-demo", max_tokens: 120, stream, messages: [{ role: "user", content: "The ten longest rivers?" }] });

/**
 * @param {(method: string, path: string, headers: object, body?: string) => Promise<{status: number, text: string}>} ask
 */
export async function messages(ask) {
  const expect = async (...request) => {
    const { status, text } = await ask(...request);
    if (status !== 200) throw new Error(`status ${status}: ${text.slice(0, 200)}`);
    return text;
  };
  await judge({
    whole: () => expect("POST", "/v1/messages", headers, question(false)),
    stream: async () => {
      const text = await expect("POST", "/v1/messages", headers, question(true));
      if (!text.includes("event: message_stop")) throw new Error("the stream ended before message_stop");
      return text;
    },
    models: () => expect("GET", "/v1/models", headers),
    hello: async () => `hello${await expect("HEAD", "/api/hello", {})}`,
  });
}
