// Pictures of every page in both themes and at 380 px, from the fixture, into tests/screenshots; the chosen ones into
// docs/screens with `--docs`. Needs LEEWARD_BIN and CHROMIUM as browser.mjs does.
import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";
import { fixture, TOKEN } from "./fixture/server.mjs";
import { tray } from "./fixture/tray.mjs";

const docs = process.argv.includes("--docs");
const folder = new URL(docs ? "../../docs/screens/" : "./screenshots/", import.meta.url);
await mkdir(folder, { recursive: true });
const only = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const server = await fixture(process.env.LEEWARD_BIN);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--font-render-hinting=none"] });

/** name, address, scene, in the tray?, and what is done before the picture. */
const test = async (page) => {
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByRole("button", { name: "Test again" }).waitFor();
};
const SHOTS = [
  ["status", "status", "good"], ["status-broken", "status", "bad"], ["status-empty", "status", "empty"],
  ["agents", "agents", "good", true, (page) => page.getByRole("button", { name: "Set up Claude Code" }).click()], ["agents-empty", "agents", "empty"], ["agents-unlisted", "agents", "bad"],
  ["status-offline", "status", "offline"], ["status-config", "status", "config"], ["status-taken", "status", "taken"],
  ["activity", "activity", "good"], ["activity-empty", "activity", "empty"],
  ["request", "activity", "good", false, async (page) => {
    await page.getByRole("button", { name: "Rescued" }).click();
    await page.getByTestId("rows").getByText("+2").first().click({ force: true });
  }],
  ["history", "history", "good"], ["history-empty", "history", "empty"], ["launch", "launch", "good", true], ["launch-browser", "launch", "good"],
  ["settings", "settings", "good", true], ["settings-bad", "settings", "good", false, async (page) => {
    await page.getByLabel("Search").fill("retry");
    await page.locator("#key-retry-base").fill("soon");
    await page.locator("#key-retry-base-error").waitFor();
  }],
  ["doctor", "doctor", "good"], ["doctor-result", "doctor", "good", false, async (page) => {
    await page.getByRole("button", { name: "Examine this machine" }).click();
    await page.getByRole("button", { name: "Examine again" }).waitFor();
    await page.getByRole("button", { name: "Show what it would hold" }).click();
    await page.getByTestId("bundle-entries").waitFor();
  }], ["doctor-runs", "doctor", "good", false, async (page) => {
    await page.getByRole("button", { name: "Examine this machine" }).click();
    await page.getByTestId("finding-idle").waitFor();
  }],
  ["logs", "logs", "good"], ["start", "start", "good", true, test], ["start-offline", "start", "offline", true, test], ["start-browser", "start", "good"], ["shortcuts", "status", "good", false, (page) => page.keyboard.press("?")], ["token", "status", "none"], ["gone", "status", "gone"],
];
const CHOSEN = ["status", "status-empty", "status-broken", "status-offline", "status-config", "status-taken", "activity", "request", "history", "launch", "settings", "logs", "start", "start-offline", "agents", "doctor-result"];

const SIZES = docs ? [["light", 1000, 640], ["dark", 1000, 640]] : [["light", 1160, 760], ["dark", 1160, 760], ["light", 380, 780], ["dark", 380, 780]];
for (const [theme, width, height] of SIZES) {
  for (const [name, page_, scene, inTray, act] of SHOTS) {
    if (only.length > 0 && !only.includes(name)) continue;
    if (docs && !CHOSEN.includes(name)) continue;
    server.silence(scene === "gone");
    server.scene(scene, scene === "empty" ? 0 : 80);
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme });
    const page = await context.newPage();
    if (inTray) await tray(page, server);
    await page.goto(`${server.url}#token=${scene === "none" ? "wrong" : TOKEN}`);
    // A bare machine has no good interface font; where Inter is installed the pictures look as on a desktop.
    await page.evaluate(() => document.documentElement.style.setProperty("--sans", "Inter, system-ui, sans-serif"));
    await page.evaluate((to) => (location.hash = `#/${to}`), page_);
    await page.locator("main .card, main .notice").first().waitFor();
    await page.waitForLoadState("load");
    await page.waitForTimeout(500);
    await act?.(page);
    await page.waitForTimeout(250);
    await page.screenshot({ path: new URL(`${name}-${theme}${docs ? "" : `-${width}`}.png`, folder).pathname });
    await context.close();
  }
}
await browser.close();
await server.close();
