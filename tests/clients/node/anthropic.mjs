// The Anthropic SDK for Node, streamed and whole. Its own retries are off: what is retried, Leeward retried.

import Anthropic from "@anthropic-ai/sdk";
import { judge } from "./verdict.mjs";

const client = new Anthropic({ apiKey: "none", maxRetries: 0 });
const question = { model: "claude-demo", max_tokens: 120, messages: [{ role: "user", content: "The ten longest rivers?" }] };

await judge({
  whole: async () => (await client.messages.create(question)).content[0].text,
  stream: async () => {
    let text = "";
    for await (const event of await client.messages.create({ ...question, stream: true })) {
      if (event.type === "content_block_delta") text += event.delta.text;
      if (event.type === "message_stop") return text;
    }
    throw new Error("the stream ended before message_stop");
  },
  helper: async () => await client.messages.stream(question).finalText(),
  count: async () => {
    const { max_tokens, ...rest } = question;
    return String((await client.messages.countTokens(rest)).input_tokens);
  },
  models: async () => (await client.models.list()).data.map((model) => model.id).join(),
});
