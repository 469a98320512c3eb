// The built page in a real browser. Needs LEEWARD_BIN (the CLI) and CHROMIUM; `cargo xtask test ui-browser` sets both.
// First on the real engine, then every page on the fixture, whose data is lively enough to look at.
import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";
import { onTheEngine } from "./engine.mjs";
import { onTheFixture } from "./pages.mjs";

/** One wait in a page; a busy machine is slow, and a hang must still end. */
const LIMIT = 30_000;
const screenshots = new URL("./screenshots/", import.meta.url);

await mkdir(screenshots, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

/** A page of its own; what it throws or its policy refuses is collected in `errors`. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1160, height: 760 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT);
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => /Content Security Policy/.test(message.text()) && errors.push(message.text()));
  // As the tray's window does (`freezePrototype`).
  await page.addInitScript(() => Object.freeze(Object.prototype));
  await page.addInitScript(() => {
    window.shifts = [];
    const note = (list) => window.shifts.push(...list.getEntries().map(({ value, sources }) => ({ value, what: sources.map(({ node }) => node?.parentElement?.outerHTML.slice(0, 160)) })));
    new PerformanceObserver(note).observe({ type: "layout-shift", buffered: true });
  });
  return { page, errors, context };
}

const only = process.argv[2];
try {
  if (only !== "fixture") await onTheEngine(open, screenshots);
  if (only !== "engine") await onTheFixture(open, screenshots);
} finally {
  await browser.close();
}
