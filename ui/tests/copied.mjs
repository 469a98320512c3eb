// What a Copy button gives, read where the page hands it to the browser: a headless one has no clipboard to look into.

/** Presses `button` and returns the text. */
export async function copied(page, button) {
  await page.evaluate(() => {
    const write = (text) => ((window.copiedText = text), Promise.resolve());
    Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: write } });
    window.copiedText = undefined;
  });
  await button.click();
  await page.waitForFunction(() => window.copiedText !== undefined);
  return page.evaluate(() => window.copiedText);
}
