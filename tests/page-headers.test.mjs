// What the page and the API tell a browser about themselves, so that a hole elsewhere is not yet a way in.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { enter, say, row, site, token, visit } from "./page/person.mjs";

const WEB = new URL("../client/web", import.meta.url).pathname;
const FILES = readdirSync(WEB, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== "_headers")
  .map((entry) => join(entry.parentPath, entry.name).slice(WEB.length));

const get = (path, options) => fetch(site.server.url + path, { redirect: "manual", ...options });
const directives = (response) => new Map(response.headers.get("content-security-policy").split("; ").map((one) => one.split(/ (.*)/)));

test("every file of the page comes with the page's policy", async () => {
  assert.ok(FILES.length > 15 && FILES.includes("/index.html") && FILES.includes("/sdk/connection.js") && FILES.includes("/crypto/crypto_bg.wasm"), `${FILES}`);
  for (const path of ["/", "/?room=video_1&name=Ada", ...FILES]) {
    const response = await get(path);
    assert.ok([200, 307].includes(response.status), path);
    const policy = directives(response);
    assert.equal(policy.get("default-src"), "'none'", path);
    assert.equal(policy.get("style-src"), "'self'", path);
    // Compiled code of this origin (private messages), and still no script that was made of a text.
    assert.equal(policy.get("script-src"), "'self' 'wasm-unsafe-eval'", path);
    assert.equal(policy.get("require-trusted-types-for"), "'script'", path);
    assert.equal(policy.get("trusted-types"), "'none'", path);
    assert.equal(policy.get("base-uri"), "'none'", path);
    assert.ok(!/unsafe|data:|blob:|\*/.test(response.headers.get("content-security-policy").replace("'wasm-unsafe-eval'", "")), path);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(response.headers.get("cross-origin-opener-policy"), "same-origin", path);
    assert.equal(response.headers.get("referrer-policy"), "strict-origin-when-cross-origin", path);
    assert.equal(response.headers.get("access-control-allow-origin"), /(\.(js|wasm)|^\/element\/.*)$/.test(path) && !/^\/(page\.js|embed\.js|dashboard\/)/.test(path) ? "*" : null, path);
    if (path.endsWith(".wasm")) assert.equal(response.headers.get("content-type"), "application/wasm");
    if (path.endsWith(".js")) assert.match(response.headers.get("content-type"), /^text\/javascript/);
  }
});

test("no answer of the API is a page", async () => {
  const bearer = `Bearer ${await token("ada", "Ada")}`;
  const post = (body, more = {}) => ({ method: "POST", headers: { authorization: bearer, "content-type": "application/json", ...more }, body: JSON.stringify(body) });
  const asked = [
    ["/healthz", 200],
    ["/openapi.json", 200],
    ["/problems/forbidden", 200],
    ["/problems/nothing", 404],
    ["/api/nothing", 404],
    ["/nothing.html", 404],
    ["/api/rooms/video_none", 404],
    ["/api/rooms/video_headers/ws", 400],
    ["/api/rooms", 201, post({ room_id: "video_headers", name: "Headers", type: "video" })],
    ["/api/rooms/video_headers/messages", 201, post({ content: "hello" })],
    ["/api/rooms/video_headers/messages", 200],
    ["/api/rooms/video_headers/messages", 405, { method: "PUT" }],
    ["/api/rooms/video_headers/messages", 204, { method: "OPTIONS", headers: { origin: site.elsewhere } }],
    ["/api/rooms/video_headers/messages", 403, { method: "OPTIONS", headers: { origin: "https://evil.example" } }],
    ["/api/rooms/video_headers/messages", 400, post({ content: 7 })],
    ["/dev/token", 200, post({ user: "ada", name: "Ada" })],
  ];
  for (const [path, status, options] of asked) {
    const { status: got, headers } = await get(path, options);
    const what = `${options?.method ?? "GET"} ${path}`;
    assert.equal(got, status, what);
    assert.equal(headers.get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'", what);
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin", what);
    assert.equal(headers.get("referrer-policy"), "no-referrer", what);
    assert.equal(headers.get("x-content-type-options"), "nosniff", what);
    if (status !== 204) assert.match(headers.get("content-type"), /^(application\/(problem\+)?json|text\/plain)/, what);
  }
});

test("the page keeps to its policy, and would be stopped from leaving it", async () => {
  const ada = await enter("video_policy", "Ada");
  await ada.evaluate(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => globalThis.violations.push(effectiveDirective));
  });
  await say(ada, "hello");
  await row(ada, "hello").hover();
  await ada.locator(".people-button").click();
  assert.deepEqual(await ada.evaluate(() => globalThis.violations), []);
  const other = await visit("/");
  // What it says of that is no fault here.
  other.removeAllListeners("console");
  const tried = await other.evaluate(async () => {
    const attempt = (act) => {
      try {
        act();
        return "done";
      } catch (error) {
        return error.name;
      }
    };
    const script = document.createElement("script");
    script.append("globalThis.ranInline = true");
    return [
      attempt(() => (document.body.innerHTML += "<img src=x>")),
      attempt(() => document.body.append(script)),
      attempt(() => new Worker("data:text/javascript,1")),
      // What a test evaluates may do this at once, whatever the policy.
      await new Promise((resolve) => setTimeout(() => resolve(attempt(() => new Function("return 1")())))),
      globalThis.ranInline ?? "not run",
    ];
  });
  assert.deepEqual(tried, ["TypeError", "done", "TypeError", "EvalError", "not run"]);
});

test("another site may read what its origin is allowed to, and may put nothing of it into a frame", async () => {
  const page = await visit(`${site.elsewhere}/?room=video_policy`);
  const read = await page.evaluate(async (url) => (await fetch(`${url}/api/rooms/video_policy`)).status, site.server.url);
  assert.equal(read, 200, "the resource policy is not in the way of CORS");
  page.removeAllListeners("console");
  const inFrame = (path) =>
    page.evaluate(async (url) => {
      const frame = document.createElement("iframe");
      frame.src = url;
      const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
      document.body.append(frame);
      await loaded;
      frame.remove();
    }, site.server.url + path);
  for (const path of ["/", "/api/rooms/video_policy", "/problems/forbidden"]) {
    const blocked = page.waitForEvent("console", (message) => /frame-ancestors/.test(message.text()));
    await inFrame(path);
    await blocked;
  }
});
