// Every page on the fixture: what it shows and does, by keyboard, in the dark, at 380 px, and for screen readers.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { copied } from "./copied.mjs";
import { examined } from "./doctor.mjs";
import { fixture, TOKEN } from "./fixture/server.mjs";
import { tray } from "./fixture/tray.mjs";

const PAGES = ["status", "agents", "activity", "history", "launch", "settings", "logs", "doctor", "start"];
const axe = await readFile(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** Findings that are more than minor, with what they are about. */
async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  return violations.filter(({ impact }) => impact !== "minor").map(({ id, nodes }) => `${id}: ${nodes.map((n) => `${n.target} ${n.failureSummary?.split("\n")[1] ?? ""}`).slice(0, 3).join(" | ")}`);
}

async function go(page, name) {
  if (name === "start") {
    await page.evaluate(() => (location.hash = "#/start"));
    await page.locator('main[aria-label="Get started"] .card').first().waitFor();
    return;
  }
  await page.getByRole("link", { name: name[0].toUpperCase() + name.slice(1), exact: true }).click();
  await page.locator(`main[aria-label="${name[0].toUpperCase() + name.slice(1)}"] .card`).first().waitFor();
}

export async function onTheFixture(open, screenshots) {
  const server = await fixture(process.env.LEEWARD_BIN);
  const start = async (options, inTray = false) => {
    const opened = await open(options);
    if (inTray) await tray(opened.page, server);
    await opened.page.goto(inTray ? server.url : `${server.url}#token=${TOKEN}`);
    await opened.page.getByTestId("headline").waitFor();
    return opened;
  };
  try {
    await status(server, start);
    await activity(server, start);
    await settings(server, start);
    await historyAndLogs(server, start);
    await agents(server, start);
    await examined(server, start, findings, screenshots);
    await launch(server, start);
    await firstStart(server, start);
    await keyboard(start);
    await firstPaint(server, open);
    await forcedColours(start, screenshots);
    await everyPage(server, start, screenshots);
  } finally {
    await server.close();
  }
}

async function status(server, start) {
  const { page, errors, context } = await start();
  await page.getByText("Works", { exact: true }).waitFor();
  server.scene("bad");
  await page.getByTestId("upstream-unreachable").waitFor();
  assert.equal(await page.getByTestId("probe-failing").count(), 0, "the headline says it");
  const order = await page.evaluate(() => ["#headline", "[data-testid=upstream-unreachable]", ".tiles", "#sessions", "#engine"].map((one) => document.querySelector(one).getBoundingClientRect().top));
  assert.deepEqual(order, order.toSorted((a, b) => a - b), "what is wrong, what Leeward did, the agents, the engine");
  assert.equal(await page.locator(".hero").getByRole("button", { name: "Restart" }).count(), 1, "Restart stands with what is wrong");
  assert.equal(await page.getByText("unreachable, requests wait").isVisible(), false, "the engine is folded");
  await page.getByText("Connections and figures").click();
  await page.getByText("unreachable, requests wait").waitFor();
  await go(page, "logs");
  await go(page, "status");
  await page.getByText("unreachable, requests wait").waitFor();
  server.scene("good");
  await page.getByText("Works", { exact: true }).waitFor();
  await go(page, "logs");
  await go(page, "status");
  assert.equal(await page.locator(".hero").getByRole("button", { name: "Restart" }).count(), 0, "Restart stands with the engine while all is well");
  await page.getByRole("link", { name: "Requests of Codex CLI" }).click();
  await page.getByLabel("Agent", { exact: true }).and(page.locator("select")).waitFor();
  assert.equal(await page.getByLabel("Agent", { exact: true }).inputValue(), "Codex CLI");
  assert.deepEqual([...new Set(await page.locator(".space .agent").allTextContents())], ["Codex CLI"]);
  await go(page, "status");
  await page.getByRole("link", { name: "Requests of Claude Code" }).click();
  const chosen = page.getByLabel("Agent", { exact: true }).and(page.locator("select"));
  await chosen.waitFor();
  assert.equal(await chosen.locator("option:checked").textContent(), "Claude Code, claude-51022", "a session that has an id is meant alone");
  const shown = async () => Number((await page.getByText(/^\d+ of 80 requests$/).textContent()).split(" ")[0]);
  const [all, one] = [server.state.requests.filter(({ session }) => session !== undefined).length, await shown()];
  assert.equal(one, server.state.requests.filter(({ session }) => session === "claude-51022").length);
  await chosen.selectOption({ label: "Claude Code, claude-50001 (ended)" });
  await eventually(async () => (await shown()) === all - one, "the other session's requests");
  await go(page, "status");

  server.scene("taken");
  await page.getByRole("button", { name: `Stay on ${new URL(server.origin).host}` }).click();
  await page.getByTestId("port-taken").waitFor({ state: "detached" });
  assert.equal(server.state.keys.find(({ key }) => key === "listen").value, new URL(server.origin).host);
  server.scene("good");
  await page.getByText("Works", { exact: true }).waitFor();

  server.state.restart_ms = 600;
  const button = page.getByRole("button", { name: "Restart" });
  const box = await page.getByTestId("restart").boundingBox();
  await button.click();
  await page.getByRole("button", { name: "Restarting" }).waitFor();
  await page.getByTestId("restart").filter({ hasText: "has taken over in 41 ms" }).waitFor();
  assert.deepEqual(await page.getByTestId("restart").boundingBox(), box, "the result moves nothing");

  server.silence(true);
  await page.getByTestId("trouble").waitFor();
  await page.getByText("Works", { exact: true }).waitFor();
  server.silence(false);
  await page.getByTestId("trouble").waitFor({ state: "detached" });
  server.state.events = false;
  server.silence(false);
  await page.getByTestId("generation").filter({ hasText: String(server.state.generation) }).waitFor();
  server.scene("bad");
  await page.getByTestId("upstream-unreachable").waitFor();
  server.scene("good");
  server.state.events = true;
  assert.deepEqual(errors, []);
  await context.close();
  console.log("fixture: status follows by events, survives a silence, and falls back to asking");
}

async function activity(server, start) {
  server.scene("good");
  const { page, errors, context } = await start();
  await go(page, "activity");
  const rows = page.getByTestId("rows");
  const request = server.step();
  await page.locator(`#request-${request.id}`).waitFor();
  await page.getByText("81 requests").waitFor();

  await rows.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  const opened = page.getByTestId("request");
  await opened.getByRole("img", { name: /^Timeline of \d+ attempt/ }).waitFor();
  await page.keyboard.press("Escape");
  await opened.waitFor({ state: "detached" });
  assert.equal(await rows.evaluate((list) => list === document.activeElement), true, "the list has the focus again");

  await page.getByLabel("Agent", { exact: true }).selectOption("Claude Code");
  await page.getByText(/^\d+ of 81 requests$/).waitFor();
  const [csv, json] = [await saved(page, "CSV"), JSON.parse(await saved(page, "JSON"))];
  const shown = Number((await page.getByText(/^\d+ of 81 requests$/).textContent()).split(" ")[0]);
  assert.equal(json.requests.length, shown, "what is filtered is what is exported");
  assert.equal(csv.trimEnd().split("\r\n").length, shown + 1);
  assert.ok(json.requests.every(({ agent }) => agent === "claude-cli"));
  await page.getByLabel("Agent", { exact: true }).selectOption("");

  await page.getByRole("button", { name: "Rescued" }).click();
  await page.getByText(/^\d+ of 81 requests$/).waitFor();
  await page.getByLabel("Filter").fill("no such thing");
  await page.getByText("No request matches").waitFor();
  await page.getByRole("button", { name: "Clear the filter" }).click();

  server.scene("good", 5000);
  await page.reload();
  await page.getByText("5,000 requests").waitFor();
  const drawn = await rows.evaluate(async (list) => {
    const frame = () => new Promise(requestAnimationFrame);
    let [most, from] = [0, performance.now()];
    let [frames, longest] = [0, 0];
    for (let top = 0; top < list.scrollHeight; top += 1500) {
      list.scrollTop = top;
      await frame();
      frames += 1;
      longest = Math.max(longest, performance.now() - from);
      from = performance.now();
      most = Math.max(most, list.querySelectorAll("[aria-rowindex]").length);
    }
    list.scrollTop = list.scrollHeight;
    await frame();
    await frame();
    return { most, frames, longest: Math.round(longest), last: list.querySelector("[aria-rowindex='5000']") !== null };
  });
  assert.ok(drawn.most < 80, `only rows in sight are drawn: ${drawn.most}`);
  assert.ok(drawn.last, "the last row is reached");
  await page.setViewportSize({ width: 960, height: 700 });
  assert.ok(await rows.locator(".model").first().isVisible(), "a new window is wide enough for the model");
  for (let width = 360; width <= 1500; width += 20) {
    await page.setViewportSize({ width, height: 700 });
    const over = await rows.evaluate((list) => [...list.querySelectorAll(".row")].filter((row) => row.scrollWidth > row.clientWidth).length);
    assert.equal(over, 0, `at ${width} px every column of a request is inside its row`);
  }
  server.scene("empty", 0);
  await page.reload();
  await page.getByText("No request yet").waitFor();
  server.scene("good");
  assert.deepEqual(errors, []);
  await context.close();
  console.log(`fixture: activity is live, by keyboard; 5,000 rows: at most ${drawn.most} drawn, longest of ${drawn.frames} frames ${drawn.longest} ms`);
}

/** The file that a button of Export gives. */
async function saved(page, what) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: `Export the list as ${what}` }).click()]);
  assert.equal(download.suggestedFilename(), `leeward-requests.${what.toLowerCase()}`);
  return readFile(await download.path(), "utf8");
}

async function settings(server, start) {
  const { page, errors, context } = await start();
  await go(page, "settings");
  await levelsAndDraft(server, page);
  const save = page.getByRole("button", { name: "Save", exact: true });
  await page.locator("#key-retry-base").fill("soon");
  await page.locator("#key-retry-base-error").filter({ hasText: "is no duration" }).waitFor();
  assert.equal(await save.isDisabled(), true, "what the engine refuses cannot be saved");
  await page.locator("#key-retry-base").fill("75ms");
  await page.locator("#key-retry-base-error").waitFor({ state: "detached" });
  await page.locator("#key-retry-server_errors").check();
  await page.locator("#key-stream-mode").selectOption("adaptive");
  await page.getByRole("button", { name: "Reset to default: retry.total" }).click();
  await page.getByText("4 changes not saved").waitFor();
  await save.click();
  await page.getByText("Saved and in force.").waitFor();
  const value = (key) => server.state.keys.find((one) => one.key === key);
  assert.deepEqual(["retry.base", "retry.server_errors", "stream.mode", "retry.total"].map((key) => value(key).value), ["75ms", true, "adaptive", "45s"]);
  assert.equal(value("retry.total").from, "default");

  assert.equal(await page.locator("#key-log").isDisabled(), true, "the environment outranks the file");
  await page.getByText("Set by LEEWARD_LOG in the environment").waitFor();
  await page.locator("#key-listen").fill("127.0.0.1:9000");
  await save.click();
  await page.getByText("Saved and in force.").waitFor();
  await page.locator("#key-pool-idle").fill("90s");
  await page.getByRole("button", { name: "Discard" }).click();
  assert.equal(await page.locator("#key-pool-idle").inputValue(), "60s");
  await page.getByLabel("Search").fill("company proxy");
  await page.getByTestId("key-proxy-url").waitFor();
  assert.equal(await page.getByTestId("key-retry-base").count(), 0);
  assert.deepEqual(errors, []);
  await context.close();

  server.state.autostart = { enabled: false, where: "/home/ada/.config/autostart/leeward-tray.desktop", note: "The system's own settings have switched it off; switch it on here to undo that." };
  server.state.tray_icon = false;
  const inTray = await start({}, true);
  await inTray.page.getByTestId("no-icon").waitFor();
  await go(inTray.page, "settings");
  const login = inTray.page.getByRole("switch", { name: "Start at login" });
  await inTray.page.getByTestId("autostart-note").filter({ hasText: "switched it off" }).waitFor();
  assert.equal(await login.isChecked(), false);
  await login.press("Space");
  await inTray.page.getByTestId("autostart-note").filter({ hasText: "leeward-tray.desktop" }).waitFor();
  assert.equal(await login.isChecked(), true);
  server.state.autostart.where = "";
  await login.click();
  await inTray.page.getByTestId("autostart-note").filter({ hasText: "read-only" }).waitFor();
  assert.equal(await login.isChecked(), true, "what did not work is not shown as done");
  await inTray.page.getByRole("button", { name: "Quit Leeward" }).click();
  await inTray.page.getByRole("button", { name: "Ending" }).waitFor();
  assert.equal(server.state.quit, true);
  server.state.tray_icon = true;
  assert.deepEqual(inTray.errors, []);
  await inTray.context.close();
  console.log("fixture: settings are checked while typing, saved, reset, discarded, searched");
}

/** Basic and Advanced, the index, what outlives the page, and that the bar covers nothing that has the focus. */
async function levelsAndDraft(server, page) {
  const keys = page.locator('[data-testid^="key-"]');
  await page.getByTestId("key-listen").waitFor();
  const basic = await keys.count();
  assert.ok(basic >= 10 && basic <= 20, `Basic has ${basic} keys`);
  await page.getByRole("button", { name: "Advanced" }).click();
  assert.equal(await keys.count(), server.state.keys.length, "Advanced has every key");
  await page.getByRole("navigation", { name: "Sections" }).getByRole("button", { name: "Streams", exact: true }).click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "section-stream");
  assert.ok(await page.locator("#section-stream").evaluate((heading) => heading.getBoundingClientRect().top >= 0 && heading.getBoundingClientRect().top < 120));

  await page.locator("#key-retry-cap").fill("3s");
  await page.getByText("1 change not saved").waitFor();
  await go(page, "logs");
  await page.getByRole("link", { name: "Settings, 1 change not saved" }).click();
  assert.equal(await page.locator("#key-retry-cap").inputValue(), "3s", "what was typed is still there");
  await page.getByRole("button", { name: "Basic" }).click();
  await page.locator("#key-retry-cap").waitFor();
  assert.equal(await keys.count(), basic + 1, "what is changed stays in sight");
  await page.getByRole("button", { name: "Advanced" }).click();

  for (const [width, height] of [[1160, 760], [600, 380], [380, 500]]) {
    await page.setViewportSize({ width, height });
    await page.locator("#key-listen").focus();
    for (let at = 0; at < 60; at += 1) {
      const covered = await page.evaluate(() => {
        const one = document.activeElement.getBoundingClientRect();
        const bar = document.querySelector("[data-testid=bar]");
        return bar.contains(document.activeElement) ? "" : one.bottom > bar.getBoundingClientRect().top + 1 && one.top < bar.getBoundingClientRect().bottom ? `${document.activeElement.id || document.activeElement.textContent} ends at ${one.bottom}, the bar begins at ${bar.getBoundingClientRect().top}` : "";
      });
      assert.equal(covered, "", `${width} x ${height}: nothing that has the focus is behind the bar`);
      await page.keyboard.press("Tab");
    }
  }
  // The bar comes up, and the engine's words with it, after the field has the focus.
  await page.getByRole("button", { name: "Discard" }).click();
  const field = page.locator("#key-connect-timeout");
  await field.evaluate((one) => (one.scrollIntoView({ block: "end" }), one.focus({ preventScroll: true })));
  await page.keyboard.press("End");
  await page.keyboard.type("x");
  await page.locator("#key-connect-timeout-error").waitFor();
  await page.waitForFunction(() => {
    const top = document.querySelector("[data-testid=bar]").getBoundingClientRect().top;
    return ["#key-connect-timeout", "#key-connect-timeout-error"].every((one) => document.querySelector(one).getBoundingClientRect().bottom <= top);
  });
  await page.setViewportSize({ width: 1160, height: 760 });
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByRole("link", { name: "Settings", exact: true }).waitFor();
}

async function historyAndLogs(server, start) {
  const { page, errors, context } = await start();
  await go(page, "history");
  await page.getByTestId("summary").filter({ hasText: "in the last 24 hours" }).waitFor();
  await page.locator(".uplot canvas").first().waitFor();
  await page.getByRole("button", { name: "7 days" }).click();
  await page.getByTestId("summary").filter({ hasText: "in the last 7 days" }).waitFor();
  await page.getByRole("region", { name: "Latest faults" }).getByRole("row").nth(5).waitFor();
  // What the newest step has is seen, and a point that no line leads to.
  server.scene("single");
  for (const range of ["1 hour", "24 hours", "7 days", "90 days"]) {
    await page.getByRole("button", { name: range }).click();
    await page.getByTestId("summary").filter({ hasText: `3 requests in the last ${range}` }).waitFor();
    const drawn = await page.waitForFunction(() => {
      const colour = getComputedStyle(document.documentElement).getPropertyValue("--bar-response").trim();
      const wanted = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
      const counts = [...document.querySelectorAll(".uplot canvas")].map((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200 && wanted.every((value, i) => Math.abs(data[at + i] - value) < 8)) count += 1;
        return count;
      });
      return counts.length === 2 && counts.every((count) => count > 4) && counts;
    }, undefined, { timeout: 8000 }).then((handle) => handle.jsonValue(), () => undefined);
    assert.ok(drawn, `${range}: the newest bar and the only point are drawn`);
  }
  server.scene("good");
  server.state.history = false;
  await page.getByRole("button", { name: "1 hour" }).click();
  await page.getByTestId("history-trouble").filter({ hasText: "No history is kept" }).waitFor();
  await page.getByText("counted since Leeward started").waitFor();
  server.state.history = true;
  await page.getByRole("button", { name: "24 hours" }).click();
  await page.getByTestId("summary").filter({ hasText: "in the last 24 hours" }).waitFor();
  await go(page, "logs");
  const lines = page.getByRole("log");
  await lines.getByText("disk full").first().waitFor();
  await page.getByLabel("Search").fill("WARN refused");
  await lines.getByText("disk full").first().waitFor({ state: "detached" });
  await lines.getByText("connection refused").first().waitFor();
  await page.getByText(/^\d+ of \d+ lines$/).waitFor();
  await page.getByLabel("Search").fill("");
  await page.getByLabel("Least level").selectOption("error");
  await lines.getByText("accepting on").first().waitFor({ state: "detached" });
  await lines.getByText("disk full").first().waitFor();
  assert.deepEqual(errors, []);
  await context.close();
  console.log("fixture: history and logs");
}

/** What bypasses comes first; each agent has what can be done; a look is made anew when the page opens and by its button. */
async function agents(server, start) {
  for (const inTray of [false, true]) {
    const { page, errors, context } = await start({}, inTray);
    const before = server.state.looks;
    await go(page, "agents");
    await page.getByTestId("coverage").filter({ hasText: "1 running session bypasses Leeward" }).waitFor();
    assert.equal(server.state.looks, before + 1, "opened: one look");
    const claude = page.getByTestId("agent-claude");
    const sessions = claude.getByRole("list", { name: "Running sessions of Claude Code" }).getByRole("listitem");
    assert.equal(await sessions.count(), 3);
    await sessions.filter({ hasText: "pid 60411" }).filter({ hasText: "https://gate.example.com" }).filter({ hasText: "/home/ada/work/site" }).getByText("Not protected").waitFor();
    await sessions.filter({ hasText: "pid 60902" }).getByText("Not known", { exact: true }).waitFor();
    await claude.getByText("Where it is: 2 places").click();
    await claude.getByText("extension of VS Code").waitFor();
    await claude.getByRole("button", { name: "Set up Claude Code" }).click();
    assert.equal(await copied(page, claude.getByRole("button", { name: "Copy" })), "leeward setup claude");
    const codex = page.getByTestId("agent-codex");
    await codex.getByText("by its settings").waitFor();
    await codex.getByRole("button", { name: "Undo the set-up of Codex CLI" }).click();
    await codex.getByText("leeward setup --undo codex").waitFor();
    assert.equal(await page.getByTestId("agent-goose").getByRole("button").count(), 0, "no set-up is known for goose");
    await page.getByRole("button", { name: "How to install aider" }).click();
    await page.getByText("https://aider.chat/docs/install.html").waitFor();
    server.state.looking = false;
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByTestId("coverage-trouble").filter({ hasText: "Ask again" }).waitFor();
    assert.equal(await sessions.count(), 3, "what was seen stays");
    server.state.looking = true;
    server.scene("empty");
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByTestId("coverage").filter({ hasText: "No agent is running" }).waitFor();
    assert.equal(await page.getByTestId("agent-claude").count(), 0);
    server.scene("good");
    await page.getByRole("button", { name: "Refresh" }).click();
    await claude.getByRole("link", { name: "Launch Claude Code" }).click();
    await page.locator('main[aria-label="Launch"]').waitFor();
    assert.deepEqual(errors, []);
    await context.close();
  }
  console.log("fixture: agents, in a browser and through the tray's command");
}

async function launch(server, start) {
  const browser = await start();
  await go(browser.page, "launch");
  await browser.page.getByLabel("codex").check();
  await browser.page.getByLabel("Arguments").fill("-p 'two words'");
  await browser.page.getByTestId("command").filter({ hasText: "leeward wrap codex -- -p 'two words'" }).waitFor();
  const modes = () => browser.page.getByLabel("What Leeward repairs").locator("option").evaluateAll((list) => list.map(({ value }) => value));
  assert.deepEqual(await modes(), ["", "auto", "base-url", "tunnel", "intercept"]);
  await browser.page.getByLabel("What Leeward repairs").selectOption("intercept");
  await browser.page.getByTestId("command").filter({ hasText: "leeward wrap --mode intercept codex" }).waitFor();
  await browser.page.getByLabel("goose").check();
  assert.deepEqual(await modes(), ["", "auto", "base-url", "tunnel"], "only modes that the agent can take");
  await browser.page.getByTestId("command").filter({ hasText: /^leeward wrap goose/ }).waitFor();
  assert.deepEqual(browser.errors, []);
  await browser.context.close();

  const { page, errors, context } = await start({}, true);
  await go(page, "launch");
  await page.getByText("2.1.329").waitFor();
  assert.equal(await page.getByRole("radio", { name: "aider" }).count(), 0, "what is not there cannot be launched");
  await page.getByRole("button", { name: "How to install aider" }).click();
  await page.getByRole("button", { name: "How to install Kimi CLI" }).click();
  await page.getByRole("alert").filter({ hasText: "https://kimi.example" }).waitFor();
  assert.deepEqual(server.state.opened, ["aider"]);
  await page.getByRole("button", { name: "Choose…" }).click();
  await page.waitForFunction(() => document.querySelector("#folder").value === "/home/ada/work/chosen");
  await page.getByLabel("Folder").fill("/home/ada/work/typed");
  await page.getByRole("button", { name: "Choose…" }).click();
  await page.getByRole("button", { name: "Choose…" }).and(page.locator(":enabled")).waitFor();
  assert.equal(await page.getByLabel("Folder").inputValue(), "/home/ada/work/typed", "cancelled: it stays");
  await page.getByLabel("Arguments").fill('--resume "a b"');
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByTestId("launched").filter({ hasText: "Claude Code starts in /home/ada/work/typed, in GNOME Terminal." }).waitFor();
  assert.deepEqual(server.state.launched, [{ agent: "claude", folder: "/home/ada/work/typed", mode: "", args: ["--resume", "a b"] }]);
  await page.getByLabel("opencode").check();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByTestId("launched").filter({ hasText: "No terminal was found" }).waitFor();
  assert.deepEqual(errors, []);
  await context.close();
  console.log("fixture: launch, as a command in a browser and through the tray's commands");
}

/** The page of the first start: the agents that are there come first and can be launched; the switch is the one of Settings. */
async function firstStart(server, start) {
  server.state.drawn.length = 0;
  const { page, errors, context } = await start({ colorScheme: "dark" }, true);
  await eventually(() => server.state.drawn.length > 0, "the page says that it has drawn itself");
  await page.emulateMedia({ colorScheme: "light" });
  await eventually(() => server.state.drawn.length > 1, "and that its colours are others");
  assert.deepEqual(server.state.drawn, [{ dark: true }, { dark: false }]);
  await page.getByRole("link", { name: "Get started" }).click();
  await page.getByRole("heading", { name: "Welcome to Leeward", level: 1 }).waitFor();
  const agents = page.getByTestId("agents").getByRole("listitem");
  await agents.filter({ hasText: "2.1.329" }).waitFor();
  assert.deepEqual(await agents.evaluateAll((list) => list.map((one) => one.querySelector("a") !== null)), [true, true, true, false, false, false, false, false]);
  await agents.filter({ hasText: "Gemini CLI" }).getByRole("button", { name: "How to install Gemini CLI" }).waitFor();
  await connectionTest(server, page);
  await page.getByRole("switch", { name: "Start at login" }).waitFor();
  await page.getByRole("link", { name: "Launch Codex CLI" }).click();
  await page.locator('main[aria-label="Launch"]').waitFor();
  await page.getByText("0.61.0").waitFor();
  assert.equal(await page.locator('input[name="agent"]:checked').inputValue(), "codex", "the one that was meant is chosen");
  assert.deepEqual(errors, []);
  await context.close();

  const browser = await start();
  await go(browser.page, "start");
  await browser.page.getByText("leeward wrap goose").waitFor();
  await browser.page.getByRole("link", { name: "To the status page" }).click();
  await browser.page.getByTestId("headline").waitFor();
  assert.deepEqual(browser.errors, []);
  await browser.context.close();
  console.log("fixture: the page of the first start");
}

/** Every step has its verdict and its time, and what could not be asked is not said to be broken. */
async function connectionTest(server, page) {
  const verdicts = () => page.getByTestId("connection").locator(".tag").allTextContents();
  assert.deepEqual(await verdicts(), Array(4).fill("not tested yet"));
  const place = await page.getByRole("heading", { name: "Your agents" }).boundingBox();
  await page.getByRole("button", { name: "Test", exact: true }).press("Enter");
  await page.getByTestId("step-api").filter({ hasText: "it wants a key (401)" }).waitFor();
  assert.deepEqual(await verdicts(), Array(4).fill("OK"));
  assert.deepEqual(await page.getByTestId("connection").locator(".took").allTextContents(), ["11 ms", "18 ms", "37 ms", "148 ms"]);
  assert.deepEqual(await page.getByRole("heading", { name: "Your agents" }).boundingBox(), place, "the result moves nothing");
  server.scene("offline");
  await page.getByRole("button", { name: "Test again" }).click();
  await page.getByTestId("step-dns").filter({ hasText: "Check network or VPN." }).waitFor();
  assert.deepEqual(await verdicts(), ["failed", "not known", "not known", "not known"]);
  assert.deepEqual(await findings(page), [], "a test that failed");
  server.scene("busy");
  await page.getByRole("button", { name: "Test again" }).click();
  await page.getByTestId("connection-trouble").filter({ hasText: "under way" }).waitFor();
  server.scene("good");
}

/** Waits for what happens beside the page. */
async function eventually(there, what) {
  for (const end = Date.now() + 30_000; !(await there()); ) {
    assert.ok(Date.now() < end, what);
    await new Promise((done) => setTimeout(done, 20));
  }
}

async function keyboard(start) {
  const { page, context } = await start();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to content");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "the focus is seen");
  await page.keyboard.press("Enter");
  await page.locator('main[aria-label="Activity"]').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "MAIN", "a new page takes the focus");

  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("type")), "search");
  await page.keyboard.type("7/?");
  assert.equal(await page.getByLabel("Filter").inputValue(), "7/?", "a field takes what is typed into it");
  await page.keyboard.press("Tab");
  await page.locator("main").focus();
  await page.keyboard.press("7");
  await page.locator('main[aria-label="Logs"]').waitFor();
  await page.keyboard.press("?");
  const list = page.getByRole("dialog", { name: "Shortcuts" });
  await list.getByText("Search or filter").waitFor();
  assert.deepEqual(await findings(page), [], "the list of shortcuts");
  await page.keyboard.press("1");
  assert.equal(await page.locator('main[aria-label="Logs"]').count(), 1, "keys are quiet while the list is open");
  await list.getByRole("checkbox").press("Space");
  await page.keyboard.press("Escape");
  await list.waitFor({ state: "detached" });
  await page.keyboard.press("1");
  await page.keyboard.press("?");
  await list.waitFor();
  assert.equal(await page.locator('main[aria-label="Logs"]').count(), 1, "digits are switched off");
  await context.close();
  console.log("fixture: reachable by keyboard");
}

/** The window has its colour before any script has run: no white flash in the dark. */
async function firstPaint(server, open) {
  for (const [colorScheme, colour] of [["light", "rgb(246, 247, 248)"], ["dark", "rgb(15, 22, 27)"]]) {
    const { page, context } = await open({ colorScheme });
    await page.route("**/*.js", (route) => route.abort());
    await page.goto(server.url);
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), colour);
    assert.equal(await page.locator("#app > *").count(), 0, "no script has run");
    await context.close();
  }
  console.log("fixture: the background is there before the first script");
}

/** In the system's own few colours everything chosen is still told apart. */
async function forcedColours(start, screenshots) {
  const { page, context } = await start({ forcedColors: "active", colorScheme: "dark" });
  for (const name of PAGES) {
    await go(page, name);
    const plain = await page.evaluate(() => {
      const looks = (one) => getComputedStyle(one).backgroundColor;
      return [...document.querySelectorAll('[aria-pressed="true"], nav [aria-current="page"]')].filter((one) => {
        const other = one.closest("ul, [role=group]").querySelector('[aria-pressed="false"], a:not([aria-current])');
        return other && looks(other) === looks(one);
      }).map((one) => one.textContent);
    });
    assert.deepEqual(plain, [], `${name}: what is chosen looks different`);
    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll(".tag")].filter((one) => getComputedStyle(one).borderTopStyle !== "solid").length), 0, `${name}: tags have a line`);
    await page.screenshot({ path: new URL(`test-${name}-forced.png`, screenshots).pathname });
  }
  await context.close();
  console.log("fixture: forced colours");
}

async function everyPage(server, start, screenshots) {
  for (const [theme, width] of [["light", 1200], ["dark", 1200], ["light", 600], ["dark", 600], ["light", 380], ["dark", 380]]) {
    for (const scene of width === 600 ? ["good"] : ["good", "bad", "empty", "offline", "config", "taken"]) {
      server.scene(scene, scene === "empty" ? 0 : 80);
      const { page, errors, context } = await start({ colorScheme: theme, ...(width === 600 ? { viewport: { width, height: 400 }, deviceScaleFactor: 2 } : { viewport: { width, height: 760 } }) }, scene === "good");
      for (const name of PAGES) {
        await go(page, name);
        if (name === "history" && scene !== "empty") await page.locator(".uplot canvas").first().waitFor();
        assert.deepEqual(await findings(page), [], `${name}, ${theme}, ${width} px, ${scene}`);
        // A shift is a sudden move of what was already there, as a share of the window; 0.1 counts as good on the web.
        const shifts = await page.evaluate(() => window.shifts.splice(0));
        const moved = shifts.reduce((sum, { value }) => sum + value, 0);
        assert.ok(moved < 0.02, `${name}, ${theme}, ${width} px, ${scene}: the layout shifts by ${moved}: ${JSON.stringify(shifts)}`);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(over <= 0, `${name} is wider than ${width} px`);
        await page.screenshot({ path: new URL(`test-${name}-${theme}-${width}-${scene}.png`, screenshots).pathname });
      }
      assert.deepEqual(errors, []);
      await context.close();
    }
  }
  server.scene("good");
  console.log("fixture: every page, empty, under faults, offline, with an invalid config, with the port taken, in both themes and at 380 px, at 200 % (600 px), nothing moderate for axe, no layout shift, nothing beside the page");
}
