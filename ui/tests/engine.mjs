// The panel on the real engine: what it shows, a restart, a wrong token, an engine that ends.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";
import { policy } from "./fixture/server.mjs";

const dist = new URL("../dist/", import.meta.url);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** The page's files under the engine's own origin and with the shipped policy, whether or not this engine serves them itself. */
async function handIn(page, origin) {
  const csp = await policy();
  await page.route(`${origin}/panel/**`, async (route) => {
    const name = new URL(route.request().url()).pathname.slice("/panel/".length);
    await route.fulfill({ body: await readFile(new URL(name, dist)), contentType: TYPES[extname(name)], headers: { "content-security-policy": csp } });
  });
}

export async function onTheEngine(open, screenshots) {
  const home = await mkdtemp(join(tmpdir(), "leeward-panel-"));
  const engine = spawn(process.env.LEEWARD_BIN, ["serve", "--listen", "127.0.0.1:0"], { env: { ...process.env, LEEWARD_HOME: home }, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(engine, "exit");
  try {
    const [line] = await Promise.race([
      once(createInterface({ input: engine.stdout }), "line"),
      ended.then(([code]) => assert.fail(`leeward serve ended with ${code}`)),
    ]);
    const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    assert.ok(origin, `no address in: ${line}`);
    const token = (await readFile(join(home, "state", "control.token"), "utf8")).trim();
    const { page, errors, context } = await open();
    await handIn(page, origin);
    const shown = (id, text) => page.getByTestId(id).filter({ hasText: text }).waitFor();

    await page.goto(`${origin}/panel/index.html#token=${token}`);
    await shown("headline", `Accepting on ${origin.slice("http://".length)}`);
    await shown("generation", /^1$/);
    assert.ok(!page.url().includes(token), "the token leaves the address bar");
    await page.getByRole("button", { name: "Restart" }).click();
    await shown("generation", /^2$/);
    await shown("restart", "Generation 2 has taken over");
    await page.reload();
    await shown("generation", /^2$/);
    console.log("engine: status, restart, and a reload without the token in the address");

    await page.getByRole("link", { name: "History" }).click();
    await page.getByText("No requests in the last 24 hours.").waitFor();
    await page.getByRole("button", { name: "90 days" }).click();
    await page.getByText("No requests in the last 90 days.").waitFor();
    console.log("engine: history");

    await page.screenshot({ path: new URL("engine-history.png", screenshots).pathname });
    // A new fragment alone is no navigation.
    await page.goto("about:blank");
    await page.goto(`${origin}/panel/index.html#token=wrong`);
    await page.getByTestId("trouble").filter({ hasText: /token/i }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Restart" }).count(), 0, "nothing can be asked without the token");
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Open the panel" }).click();
    await shown("generation", /^2$/);
    console.log("engine: a wrong token is told, and the right one can be given");

    engine.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null], "serve ends in order");
    await page.getByTestId("trouble").filter({ hasText: "leeward serve" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Restart" }).isDisabled(), true, "nobody is there to restart");
    console.log("engine: one that is gone is told, and what was known is marked as old");
    assert.deepEqual(errors, []);
    await context.close();
  } finally {
    engine.kill("SIGKILL");
    await ended;
    await rm(home, { recursive: true, force: true });
  }
}
