// The built page in a real browser, on the real engine. Needs LEEWARD_BIN (the CLI) and CHROMIUM; `cargo xtask test
// ui-browser` sets both. The page's files are handed in under the engine's own origin; everything else is the engine's.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const LIMIT = 30_000;
const dist = new URL("../dist/", import.meta.url);
const home = await mkdtemp(join(tmpdir(), "leeward-panel-"));
const engine = spawn(process.env.LEEWARD_BIN, ["serve", "--listen", "127.0.0.1:0"], {
  env: { ...process.env, LEEWARD_HOME: home },
  stdio: ["ignore", "pipe", "inherit"],
});
const ended = once(engine, "exit");
let browser;

try {
  const [line] = await Promise.race([
    once(createInterface({ input: engine.stdout }), "line"),
    ended.then(([code]) => assert.fail(`leeward serve ended with ${code}`)),
  ]);
  const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
  assert.ok(origin, `no address in: ${line}`);
  const token = (await readFile(join(home, "state", "control.token"), "utf8")).trim();

  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
  const page = await browser.newPage();
  page.setDefaultTimeout(LIMIT);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error));
  await page.route(`${origin}/panel/**`, async (route) => {
    const file = new URL(`.${new URL(route.request().url()).pathname.slice("/panel".length)}`, dist);
    await route.fulfill({ path: file.pathname });
  });

  await page.goto(`${origin}/panel/index.html#token=${token}`);
  const shown = (id, text) => page.getByTestId(id).filter({ hasText: text }).waitFor();
  await shown("headline", `Accepting on ${origin.slice("http://".length)}`);
  await shown("generation", /^1$/);
  await page.getByRole("button", { name: "Restart" }).click();
  await shown("generation", /^2$/);
  console.log("the page shows the engine and restarts it");

  // A new fragment alone is no navigation.
  await page.goto("about:blank");
  await page.goto(`${origin}/panel/index.html#token=wrong`);
  await page.getByTestId("trouble").filter({ hasText: /token/i }).waitFor();
  assert.equal(await page.getByRole("button").isDisabled(), true, "nothing can be asked without the token");
  console.log("a wrong token is told");

  await page.goto("about:blank");
  await page.goto(`${origin}/panel/index.html#token=${token}`);
  await shown("generation", /^2$/);
  engine.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null], "serve ends in order");
  await page.getByTestId("trouble").filter({ hasText: "leeward serve" }).waitFor();
  console.log("an engine that is gone is told");

  assert.deepEqual(errors, []);
} finally {
  await browser?.close();
  engine.kill("SIGKILL");
  await ended;
  await rm(home, { recursive: true, force: true });
}
