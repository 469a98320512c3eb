// The panel on the real engine: what it shows, a request that is rescued, settings, logs, a restart, a wrong token, an
// engine that ends; and what is no page of the panel's stays out of its origin.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { copied } from "./copied.mjs";
import { policy } from "./fixture/server.mjs";
import { HOSTILE, anOriginOfItsOwn } from "./origin.mjs";

const dist = new URL("../dist/", import.meta.url);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** The page's address: as the engine serves it, or else its files under the engine's own origin with the policy that ships. */
async function address(origin) {
  if ((await fetch(`${origin}/_leeward/ui/`)).ok) {
    console.log("engine: serves the page itself");
    return { at: `${origin}/_leeward/ui/`, lend: async () => undefined };
  }
  const csp = await policy();
  const lend = (tab) =>
    tab.route(`${origin}/panel/**`, async (route) => {
      const name = new URL(route.request().url()).pathname.slice("/panel/".length);
      await route.fulfill({ body: await readFile(new URL(name, dist)), contentType: TYPES[extname(name)], headers: { "content-security-policy": csp } });
    });
  return { at: `${origin}/panel/index.html`, lend };
}

/** An API that resets the first message it is asked for and answers everything else. */
async function upstream() {
  let reset = false;
  const seen = [];
  const server = createServer((request, response) => {
    seen.push(request.url);
    const hostile = HOSTILE[request.url.split("?")[0]];
    if (hostile) {
      response.writeHead(200, { "content-type": hostile[0] }).end(hostile[1]);
      return;
    }
    if (request.url === "/v1/messages" && !reset) {
      reset = true;
      request.resume().on("end", () => request.socket.resetAndDestroy());
      return;
    }
    request.resume().on("end", () => response.writeHead(200, { "content-type": "application/json" }).end('{"type":"message"}'));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { server, seen, url: `http://127.0.0.1:${server.address().port}` };
}

export async function onTheEngine(open, screenshots) {
  const home = await mkdtemp(join(tmpdir(), "leeward-panel-"));
  const api = await upstream();
  const engine = spawn(process.env.LEEWARD_BIN, ["serve", "--listen", "127.0.0.1:0", "--upstream", api.url], { env: { ...process.env, LEEWARD_HOME: home }, stdio: ["ignore", "pipe", "inherit"] });
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
    const { at, lend } = await address(origin);
    await lend(page);
    const shown = (id, text) => page.getByTestId(id).filter({ hasText: text }).waitFor();

    await page.goto(`${at}#token=${token}`);
    await shown("headline", `Ready on ${origin.slice("http://".length)}`);
    await shown("generation", /^1$/);
    assert.ok(!page.url().includes(token), "the token leaves the address bar");
    const load = underLoad(origin);
    await load.running;
    await page.getByRole("button", { name: "Restart" }).click();
    await shown("generation", /^2$/);
    load.stop();
    const { asked, answered } = await load.ended;
    assert.equal(answered, asked, "a restart costs no request");
    console.log(`engine: ${asked} requests during the restart, all answered`);
    await shown("restart", "Generation 2 has taken over");
    await page.reload();
    await shown("generation", /^2$/);
    console.log("engine: status, restart, and a reload without the token in the address");

    await anOriginOfItsOwn({ context, at, lend, origin, token, seen: api.seen });
    await connectionTest(page);
    await activity(page, origin);
    await agents(page);
    await history(page);
    await settings(page, home);
    await logs(page);
    await doctor(page);
    await page.getByRole("link", { name: "Status" }).click();
    await shown("headline", "Ready on");
    await page.screenshot({ path: new URL("engine-status.png", screenshots).pathname });

    // A new fragment alone is no navigation.
    await page.goto("about:blank");
    await page.goto(`${at}#token=wrong`);
    await page.getByTestId("trouble").filter({ hasText: /token/i }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Restart" }).count(), 0, "nothing can be asked without the token");
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Open the panel" }).click();
    await shown("headline", "Ready on");
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
    api.server.closeAllConnections();
    api.server.close();
    await rm(home, { recursive: true, force: true });
  }
}

/** Requests, some at once, until asked to stop. */
function underLoad(origin) {
  let [asked, answered, stopped, begun] = [0, 0, false, undefined];
  const running = new Promise((done) => (begun = done));
  const one = async () => {
    while (!stopped) {
      asked += 1;
      const response = await fetch(`${origin}/load`, { method: "POST", body: "{}" }).catch(() => undefined);
      if (response?.status === 200) answered += 1;
      await response?.arrayBuffer();
      if (asked > 40) begun();
    }
  };
  const ended = Promise.all([one(), one(), one(), one()]).then(() => ({ asked, answered }));
  return { running, ended, stop: () => (stopped = true) };
}

/** The way to the upstream, by the engine's own dial: here an address without TLS. */
async function connectionTest(page) {
  await page.evaluate(() => (location.hash = "#/start"));
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByTestId("step-api").filter({ hasText: "answers (200)" }).waitFor();
  assert.deepEqual(await page.getByTestId("connection").locator(".tag").allTextContents(), ["not needed", "OK", "not needed", "OK"]);
  console.log("engine: a connection is tested step by step");
}

/** A request whose connection is reset is sent again; the page shows both attempts. */
async function activity(page, origin) {
  await page.getByRole("link", { name: "Activity" }).click();
  await page.getByTestId("rows").waitFor();
  const response = await fetch(`${origin}/v1/messages`, {
    method: "POST", headers: { "content-type": "application/json", "user-agent": "claude-cli/2.1" }, body: '{"model":"claude-test","messages":[]}',
  });
  assert.equal(response.status, 200);
  const rows = page.getByTestId("rows");
  await page.getByLabel("Filter").fill("claude-test");
  await rows.getByText("answered").waitFor();
  await rows.getByText("claude-test").click();
  const opened = page.getByTestId("request");
  await opened.getByRole("img", { name: "Timeline of 2 attempts" }).waitFor();
  await opened.getByText("Rescued from 1 fault; the agent saw none.").waitFor();
  await opened.getByText("connection reset after").waitFor();
  await opened.getByTestId("cause").filter({ hasText: "connection reset" }).waitFor();
  await opened.getByRole("heading", { name: "Claude Code" }).waitFor();
  const command = await copied(page, opened.getByRole("button", { name: "Copy as curl" }));
  assert.match(command, /x-api-key: \$ANTHROPIC_API_KEY/);
  const again = await promisify(execFile)("sh", ["-c", command], { env: { PATH: process.env.PATH, ANTHROPIC_API_KEY: "none" } });
  assert.match(again.stdout, /^HTTP\/1\.1 200/, "the copied command works as it is");
  await page.keyboard.press("Escape");
  console.log("engine: a rescued request appears by itself and opens to its attempts");
}

/** The engine's own look: what is on this machine is not known here, but that it asked is. */
async function agents(page) {
  await page.getByRole("link", { name: "Agents" }).click();
  await page.getByTestId("coverage").filter({ hasNotText: "Looking" }).waitFor();
  assert.equal(await page.getByTestId("coverage-trouble").count(), 0);
  const here = await page.locator('[data-testid^="agent-"]').count();
  const missing = await page.getByRole("button", { name: /^How to install/ }).count();
  assert.equal(here + missing, 8, "every agent that `leeward wrap` knows");
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByText(/looked [0-9]+ s ago/).waitFor();
  console.log("engine: its look at this machine's agents");
}

async function history(page) {
  await page.getByRole("link", { name: "History" }).click();
  await page.getByTestId("summary").filter({ hasText: "in the last 24 hours" }).waitFor();
  for (const range of ["90 days", "7 days", "1 hour"]) {
    await page.getByRole("button", { name: range }).click();
    await page.getByTestId("summary").filter({ hasText: `in the last ${range}` }).waitFor();
  }
  console.log("engine: history in every range");
}

async function settings(page, home) {
  await page.getByRole("link", { name: "Settings" }).click();
  const save = page.getByRole("button", { name: "Save", exact: true });
  await page.getByTestId("key-listen").waitFor();
  assert.equal(await page.getByTestId("key-retry-total").count(), 0, "Basic is what one sees first");
  await page.getByRole("button", { name: "Advanced" }).click();
  assert.equal(await page.locator("#key-listen").isDisabled(), true, "the command line outranks the file");
  await page.locator("#key-retry-total").fill("soon");
  await page.locator("#key-retry-total-error").waitFor();
  assert.equal(await save.isDisabled(), true, "what the engine refuses cannot be saved");
  await page.locator("#key-retry-total").fill("33s");
  await page.locator("#key-retry-total-error").waitFor({ state: "detached" });
  await page.locator("#key-retry-server_errors").check();
  await page.getByText("2 changes not saved").waitFor();
  await save.click();
  await page.getByText("Saved and in force.").waitFor();
  const path = (await page.getByText("Config file:").textContent()).replace("Config file: ", "").trim();
  assert.ok(path.startsWith(home), path);
  const file = await readFile(path, "utf8");
  assert.match(file, /total = "33s"/);
  assert.match(file, /server_errors = true/);
  await page.getByRole("button", { name: "Reset to default: retry.total" }).click();
  await save.click();
  await page.getByText("Saved and in force.").waitFor();
  assert.doesNotMatch(await readFile(path, "utf8"), /33s/);
  console.log("engine: settings are checked while typing, written to the file, and reset");
}

/** The engine examines its own machine: what it finds of itself is right, and its bundle holds what it lists. */
async function doctor(page) {
  await page.getByRole("link", { name: "Doctor" }).click();
  await page.getByRole("button", { name: "Examine this machine" }).click();
  await page.getByTestId("doctor-checks").getByTestId("finding-instance").filter({ hasText: "proved by its token" }).waitFor();
  await page.getByRole("button", { name: "Examine again" }).waitFor();
  await page.getByTestId("finding-burst-leeward").filter({ hasText: "All 10 requests" }).waitFor();
  await page.getByTestId("hypotheses").getByText("The clock").waitFor();
  assert.match(await copied(page, page.getByRole("button", { name: "Copy as Markdown" })), /^# leeward doctor: /);
  await page.getByRole("button", { name: "Show what it would hold" }).click();
  await page.getByTestId("bundle-entries").getByText("doctor.md").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download", exact: true }).click()]);
  assert.match(download.suggestedFilename(), /^leeward-doctor-\d+\.zip$/);
  assert.equal((await readFile(await download.path())).subarray(0, 2).toString(), "PK");
  console.log("engine: examines its machine and gives the bundle that it listed");
}

async function logs(page) {
  await page.getByRole("link", { name: "Logs" }).click();
  await page.getByRole("log").getByText("accepting").first().waitFor();
  await page.getByLabel("Search").fill("no such words");
  await page.getByText("No line matches").waitFor();
  await page.getByRole("button", { name: "Clear the search" }).click();
  await page.getByRole("log").getByText("accepting").first().waitFor();
  await page.getByLabel("Least level").selectOption("error");
  await page.getByRole("log").getByText("accepting").first().waitFor({ state: "detached" });
  console.log("engine: logs by level");
}
