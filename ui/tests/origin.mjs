// The panel's origin belongs to the panel: an upstream's page is not shown there, reads no token, registers no worker; and
// pages of other origins reach no upstream. In a real browser, because its own headers decide.
import assert from "node:assert/strict";
import { createServer } from "node:http";

const TOKEN = "leeward-token";

/** What a hostile API answers below `/evil/`, if it is asked at all. */
export const HOSTILE = {
  "/evil/page.html": ["text/html", `<script>document.title = "token " + sessionStorage.getItem("${TOKEN}");</script>`],
  "/evil/worker.js": ["text/javascript", "self.addEventListener('fetch', () => undefined);"],
  "/evil/script.js": ["text/javascript", "window.hostile = true;"],
  "/evil/image.svg": ["image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'],
};

/** `at`: the panel's address; `lend` gives a tab its files where the engine has none; `seen`: the paths that the API was asked for. */
export async function anOriginOfItsOwn({ context, at, lend, origin, token, seen }) {
  const evil = () => seen.filter((path) => path.includes("/evil/"));
  // A program asks the same, and gets it: the API would answer.
  assert.equal((await fetch(`${origin}/evil/script.js`)).headers.get("content-type"), "text/javascript");
  assert.equal(evil().length, 1);
  seen.length = 0;

  const tab = await context.newPage();
  await lend(tab);
  await tab.goto(`${at}#token=${token}`);
  await tab.getByTestId("headline").filter({ hasText: "Ready on" }).waitFor();
  assert.equal(await tab.evaluate((name) => sessionStorage.getItem(name), TOKEN), token, "this tab has something to take");
  const registered = await tab.evaluate(async () => {
    const refused = await navigator.serviceWorker.register("/evil/worker.js", { scope: "/evil/" }).then(() => "registered", (e) => e.message);
    return [refused, (await navigator.serviceWorker.getRegistrations()).length];
  });
  assert.match(registered[0], /\b403\b/, "the script of a worker is refused");
  assert.equal(registered[1], 0, "no worker of an upstream's");
  const asked = await tab.evaluate(async () => {
    const script = document.createElement("script");
    script.src = "/evil/script.js";
    const ran = new Promise((done) => ((script.onload = () => done("ran")), (script.onerror = () => done("refused"))));
    document.head.append(script);
    const response = await fetch("/evil/page.html");
    return [await ran, window.hostile, response.status, response.headers.get("x-leeward-error")];
  });
  assert.deepEqual(asked, ["refused", undefined, 403, "from-browser"]);

  // Playwright shows no favicon to a tab whose requests it looks into.
  await tab.unrouteAll();
  for (const path of ["/evil/page.html", "/@anthropic/evil/page.html", "/favicon.ico"]) {
    const shown = await tab.goto(`${origin}${path}`);
    assert.equal(shown.headers()["content-type"], "text/plain; charset=utf-8", path);
    assert.equal((await tab.textContent("body")).trim(), "Leeward is running. `leeward panel` opens its panel.", path);
    assert.ok(!(await tab.title()).includes("token"), "no upstream's script has run");
  }
  await tab.close();
  assert.deepEqual(evil(), [], "nothing of it reached the upstream");
  console.log("engine: an upstream's page is not shown in the panel's origin, takes no token and registers no worker");

  await fromElsewhere(context, origin, token);
  assert.deepEqual(evil(), [], "nothing of it reached the upstream");
  console.log("engine: images, scripts, frames, forms and fetches of other pages reach no upstream");
}

/** A page of another origin tries all it has. Leeward's own list shows what came of it: a browser shows no page. */
async function fromElsewhere(context, origin, token) {
  const at = (how) => `${origin}/evil/${how}`;
  const html = `<!doctype html><title>elsewhere</title><img src="${at("image")}"><script src="${at("script")}"></script>
    <link rel="stylesheet" href="${at("style")}"><iframe name="frame" src="${at("page.html")}"></iframe>
    <iframe name="posted"></iframe><form method="post" target="posted" action="${at("form")}"></form>`;
  const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(html));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const tab = await context.newPage();
  try {
    await tab.goto(`http://127.0.0.1:${server.address().port}/`, { waitUntil: "load" });
    assert.doesNotMatch(await tab.frame({ name: "frame" }).content(), /<script/, "a frame shows nothing of an upstream");
    const posted = tab.waitForResponse(/\/evil\/form$/);
    await tab.evaluate(() => document.forms[0].submit());
    await posted;
    const fetched = await tab.evaluate(async (start) => {
      const one = (how, options) => fetch(start + how, options).then((r) => r.type, (e) => e.name);
      return [
        await one("fetch", {}),
        await one("opaque", { mode: "no-cors" }),
        await one("write", { mode: "no-cors", method: "POST", body: "{}" }),
        await one("preflight", { method: "POST", headers: { "x-api-key": "1" } }),
      ];
    }, at(""));
    // `opaque`: sent, and nothing of the response is shown.
    assert.deepEqual(fetched, ["TypeError", "opaque", "opaque", "TypeError"]);
    const activity = await fetch(`${origin}/_leeward/v1/activity`, { headers: { authorization: `Bearer ${token}` } });
    const listed = (await activity.json()).requests.filter(({ path }) => path.startsWith("/evil/"));
    const refused = (how) => listed.filter(({ path, status, outcome }) => path === `/evil/${how}` && status === 403 && outcome === "refused");
    for (const how of ["image", "script", "style", "form", "fetch", "opaque", "write", "preflight"]) {
      assert.equal(refused(how).length, 1, `${how}: ${JSON.stringify(listed)}`);
    }
  } finally {
    await tab.close();
    server.closeAllConnections();
    server.close();
  }
}
