import { describe, expect, it } from "vitest";
import { curl } from "./curl";
import { request } from "./request.sample";

const at = "127.0.0.1:8787";

describe("curl", () => {
  it("asks the default upstream as its API wants it, the key a variable", () => {
    expect(curl(request(1, { upstream: "default" }), at)).toBe(
      "curl -sS -i -X POST http://127.0.0.1:8787/v1/messages \\\n" +
        '  -H "x-api-key: $ANTHROPIC_API_KEY" \\\n  -H "anthropic-version: 2023-06-01" \\\n  -H "content-type: application/json" \\\n' +
        `  -d '{"model":"opus","max_tokens":16,"messages":[{"role":"user","content":"Hello"}]}'`,
    );
  });
  it.each([
    ["openai", "/v1/responses", "http://127.0.0.1:8787/@openai/v1/responses", 'authorization: Bearer $OPENAI_API_KEY'],
    ["corp-eu", "/v1/chat/completions", "http://127.0.0.1:8787/@corp-eu/v1/chat/completions", "authorization: Bearer $CORP_EU_API_KEY"],
    ["gemini", "/v1beta/models/g:streamGenerateContent", "http://127.0.0.1:8787/@gemini/v1beta/models/g:streamGenerateContent", "x-goog-api-key: $GEMINI_API_KEY"],
    ["chatgpt", "/backend-api/codex/responses", "http://127.0.0.1:8787/@chatgpt/responses", "authorization: Bearer $CHATGPT_API_KEY"],
    ["anthropic", "/v1/messages/count_tokens", "http://127.0.0.1:8787/@anthropic/v1/messages/count_tokens", "x-api-key: $ANTHROPIC_API_KEY"],
    ["default", "/v1/models", "http://127.0.0.1:8787/v1/models", "authorization: Bearer $API_KEY"],
  ])("%s %s", (upstream, path, url, header) => {
    const text = curl(request(1, { upstream, path }), at);
    expect(text.replaceAll("'", "")).toContain(` ${url} `);
    expect(text).toContain(`-H "${header}"`);
  });
  it("lets no name or path of a request run in a shell", () => {
    const text = curl(request(1, { path: "/v1/messages;$(touch x)", model: "it's $HOME" }), at);
    expect(text).toContain("'http://127.0.0.1:8787/@anthropic/v1/messages;$(touch x)'");
    expect(curl(request(1, { model: "it's $HOME" }), at)).toContain(`-d '{"model":"it'\\''s $HOME"`);
    expect(curl(request(1, { method: "GET", path: "/v1/models" }), at)).not.toContain("-d");
  });
});
