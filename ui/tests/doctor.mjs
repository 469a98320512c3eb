// The Doctor page on the fixture: checks appear as they end, the worst first, stopped, copied, and the bundle read before it is written.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { copied } from "./copied.mjs";

const SIZES = [["light", 1160], ["dark", 1160], ["light", 380], ["dark", 380]];

export async function examined(server, start, findings, screenshots) {
  await inABrowser(server, start);
  await inTheTray(server, start);
  for (const [colorScheme, width] of SIZES) {
    const { page, errors, context } = await start({ colorScheme, viewport: { width, height: 760 } });
    await run(page);
    await page.getByRole("button", { name: "Show what it would hold" }).click();
    await page.getByTestId("bundle-entries").locator("summary").first().click();
    await page.getByTestId("doctor-problems").locator("summary").first().click();
    // What lies half under the navigation of a narrow window is no finding about the page.
    await page.evaluate(() => scrollTo(0, 0));
    assert.deepEqual(await findings(page), [], `a whole examination, ${colorScheme}, ${width} px`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `wider than ${width} px`);
    await page.screenshot({ path: new URL(`test-doctor-result-${colorScheme}-${width}.png`, screenshots).pathname, fullPage: true });
    assert.deepEqual(errors, []);
    await context.close();
  }
  console.log("fixture: the doctor: as they end, the worst first, stopped, copied, bundled; nothing moderate for axe");
}

async function run(page) {
  await page.getByRole("link", { name: "Doctor" }).click();
  await page.getByRole("button", { name: "Examine this machine" }).click();
  await page.getByTestId("doctor-headline").filter({ hasText: "Something is broken" }).waitFor();
}

async function inABrowser(server, start) {
  const { page, errors, context } = await start();
  server.state.step_ms = 150;
  await page.getByRole("link", { name: "Doctor" }).click();
  await page.getByRole("button", { name: "Examine this machine" }).click();
  await page.getByTestId("finding-burst-leeward").waitFor();
  assert.ok(await page.getByTestId("pending-instance").isVisible(), "what still runs is said, and what has ended stands there already");
  // The examination goes on while one looks elsewhere.
  await page.getByRole("link", { name: "Logs" }).click();
  await page.getByRole("link", { name: "Doctor" }).click();
  await page.getByTestId("doctor-headline").filter({ hasText: "Something is broken" }).waitFor();
  const order = await page.getByTestId("doctor-problems").locator(".tag").allTextContents();
  assert.deepEqual(order, ["broken", "warning", "warning", "warning", "not known"]);
  const first = page.getByTestId("doctor-problems").locator("li").first();
  assert.match(await first.textContent(), /gateway\.corp has no address.*To do:.*name servers/s);
  await page.getByTestId("hypotheses").getByText("The post-quantum hello").waitFor();
  assert.match(await copied(page, page.getByRole("button", { name: "Copy as Markdown" })), /^# leeward doctor: broken/);

  await page.getByRole("button", { name: "Show what it would hold" }).click();
  const entries = page.getByTestId("bundle-entries");
  await entries.getByText("config.toml").click();
  await entries.getByText("[redacted]").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download", exact: true }).click()]);
  assert.equal(download.suggestedFilename(), "leeward-doctor-1796000000.zip");
  assert.equal(await readFile(await download.path(), "utf8"), "PK");
  await page.getByTestId("bundle-saved").filter({ hasText: "Your browser has" }).waitFor();

  server.state.ended = 0;
  await page.getByRole("button", { name: "Examine again" }).click();
  await page.getByTestId("finding-idle").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByTestId("doctor-headline").filter({ hasText: "was stopped" }).waitFor();
  for (let turn = 0; server.state.ended === 0 && turn < 100; turn += 1) await page.evaluate(() => new Promise(requestAnimationFrame));
  assert.ok(server.state.ended > 0, "the engine is left, and ends it");

  server.state.step_ms = 20;
  await page.getByRole("button", { name: "Run the long checks, too" }).first().click();
  await page.getByTestId("doctor-long").getByText("It served again").first().waitFor();
  await page.getByTestId("doctor-headline").filter({ hasText: "Something is broken" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Run the long checks, too" }).count(), 1, "they are offered apart only where they have not run");

  server.state.doctor = false;
  await page.getByRole("button", { name: "Examine again" }).click();
  await page.getByTestId("doctor-trouble").filter({ hasText: "running already" }).waitFor();
  server.state.doctor = true;
  assert.deepEqual(errors, []);
  await context.close();
}

async function inTheTray(server, start) {
  const { page, errors, context } = await start({}, true);
  await run(page);
  await page.getByRole("button", { name: "Show what it would hold" }).click();
  await page.getByRole("button", { name: "Save to Downloads" }).click();
  await page.getByTestId("bundle-saved").filter({ hasText: "/home/ada/Downloads/leeward-doctor" }).waitFor();
  server.state.step_ms = 150;
  server.state.ended = 0;
  await page.getByRole("button", { name: "Examine again" }).click();
  await page.getByTestId("finding-idle").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByTestId("doctor-headline").filter({ hasText: "was stopped" }).waitFor();
  assert.ok(server.state.ended > 0);
  server.state.step_ms = 20;
  assert.deepEqual(errors, []);
  await context.close();
}
