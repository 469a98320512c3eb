// The OpenAI SDK for Node: Chat Completions and Responses, streamed and whole, its own retries off.

import OpenAI from "openai";
import { judge } from "./verdict.mjs";

const client = new OpenAI({ apiKey: "none", maxRetries: 0 });
const chat = { model: "gpt-demo", max_tokens: 120, messages: [{ role: "user", content: "The ten longest rivers?" }] };
const response = { model: "gpt-demo", max_output_tokens: 120, input: "The ten longest rivers?" };

await judge({
  chat: async () => (await client.chat.completions.create(chat)).choices[0].message.content,
  chatStream: async () => {
    let [text, finish] = ["", null];
    for await (const chunk of await client.chat.completions.create({ ...chat, stream: true })) {
      text += chunk.choices[0].delta.content ?? "";
      finish = chunk.choices[0].finish_reason ?? finish;
    }
    if (finish !== "stop") throw new Error("the stream ended before its finish_reason");
    return text;
  },
  response: async () => (await client.responses.create(response)).output_text,
  responseStream: async () => {
    let text = "";
    for await (const event of await client.responses.create({ ...response, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.completed") return text;
    }
    throw new Error("the stream ended before response.completed");
  },
  models: async () => (await client.models.list()).data.map((model) => model.id).join(),
});
