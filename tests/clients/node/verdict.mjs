// What every client script reports: one line of JSON that tests/clients.rs reads. It retries nothing itself.

import { createHash } from "node:crypto";

/**
 * Runs each call `rounds` times, four rounds at once, and prints the verdict.
 * @param {Record<string, () => Promise<string>>} calls by name; each answers with the content it got
 */
export async function judge(calls) {
  const rounds = Number(process.argv[2] ?? 1);
  const verdict = { calls: 0, ok: 0, errors: [], contents: {} };
  let next = 0;
  const worker = async () => {
    while (next < rounds) {
      next += 1;
      await Promise.all(Object.entries(calls).map(([name, call]) => attempt(verdict, name, call)));
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  console.log(JSON.stringify(verdict));
}

async function attempt(verdict, name, call) {
  verdict.calls += 1;
  try {
    const content = await call();
    if (content.length === 0) throw new Error("the content is empty");
    const digest = createHash("sha256").update(content).digest("hex");
    verdict.contents[name] ??= digest;
    if (verdict.contents[name] !== digest) throw new Error("the content differs from the first time");
    verdict.ok += 1;
  } catch (error) {
    verdict.errors.push(`${name}: ${error}${error.cause ? ` (${error.cause})` : ""}`);
  }
}
