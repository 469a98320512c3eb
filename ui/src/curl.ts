// A request of the list as a curl command that goes through Leeward again. Credentials are variables: nothing here knows one. Pure.
import type { Activity } from "./api";
import { quoted } from "./shell";

/** An upstream's own path, which `/@NAME` stands for. */
const OWN_PATHS: Record<string, string> = { chatgpt: "/backend-api/codex" };

/** By the path's API: the header that carries the key, what else it needs, and a body that asks for little. */
function dialect(path: string, model: string): { headers: (key: string) => string[]; body?: unknown } {
  const ask = [{ role: "user", content: "Hello" }];
  if (path.endsWith("/messages")) {
    return { headers: (key) => [`x-api-key: $${key}`, "anthropic-version: 2023-06-01"], body: { model, max_tokens: 16, messages: ask } };
  }
  if (/\/messages\//.test(path)) return { headers: (key) => [`x-api-key: $${key}`, "anthropic-version: 2023-06-01"] };
  if (/\/models\/[^/]+:\w*[gG]enerateContent$/.test(path)) {
    return { headers: (key) => [`x-goog-api-key: $${key}`], body: { contents: [{ role: "user", parts: [{ text: "Hello" }] }] } };
  }
  const bearer = (key: string): string[] => [`authorization: Bearer $${key}`];
  if (path.endsWith("/chat/completions")) return { headers: bearer, body: { model, messages: ask } };
  if (path.endsWith("/responses")) return { headers: bearer, body: { model, input: "Hello" } };
  return { headers: bearer };
}

/** `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`, `CORP_API_KEY`. */
function variable(upstream: string, path: string): string {
  const name = upstream === "default" || upstream === "" ? (/\/messages(\/|$)/.test(path) ? "anthropic" : "") : upstream;
  return `${name && `${name.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}_`}API_KEY`;
}

/** For sh. A header is in double quotes, so that the shell puts the variable in. What the request said is not kept: the body is a short one, or a file of yours. */
export function curl(request: Pick<Activity, "method" | "path" | "upstream" | "model">, address: string): string {
  const { method, path, upstream, model } = request;
  const own = OWN_PATHS[upstream] ?? "";
  const rest = own && path.startsWith(own) ? path.slice(own.length) : path;
  const to = upstream === "default" || upstream === "" ? rest : `/@${upstream}${rest}`;
  const { headers, body } = dialect(path, model ?? "MODEL");
  const lines = [`curl -sS -i -X ${quoted(method)} ${quoted(`http://${address}${to}`)}`];
  for (const header of headers(variable(upstream, path))) lines.push(`-H "${header}"`);
  if (method !== "GET" && method !== "HEAD") {
    lines.push(`-H "content-type: application/json"`, body ? `-d ${quoted(JSON.stringify(body))}` : "-d @body.json");
  }
  return lines.join(" \\\n  ");
}
