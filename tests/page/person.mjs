// Chromium, the server and the database of the page's tests, and what a person does with the page.

import assert from "node:assert/strict";
import { mkdtemp, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before } from "node:test";

import { chromium } from "playwright-core";

import { startServer, testDatabase } from "../harness/index.mjs";

const AXE = await readFile(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
export const DESKTOP = { width: 1280, height: 760 };
export const PHONE = { width: 360, height: 740 };

let database;
let host;

/**
 * What is running: `server` and `database` of the harness, `browser`; `shots`, the folder of the screenshots;
 * `elsewhere`, a site of another origin whose pages (`/?room=…&token=…`) hold nothing but the element. `vars` are
 * settings that a file of tests may add before anything runs.
 */
export const site = { vars: {} };

let contexts = [];
let faults = [];

before(async () => {
  database = await testDatabase();
  site.database = database;
  host = createServer((request, response) => {
    const { searchParams } = new URL(request.url, "http://host");
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><script type="module" src="${site.server.url}/edge-chat.js"></script>
      <edge-chat room="${searchParams.get("room")}" token="${searchParams.get("token")}"></edge-chat>`);
  });
  await new Promise((resolve) => host.listen(0, "127.0.0.1", resolve));
  site.elsewhere = `http://127.0.0.1:${host.address().port}`;
  const vars = { RATE_LIMIT_MESSAGES: "1000", RATE_LIMIT_WINDOW: "1000", RATE_LIMIT_ROOM_MESSAGES: "10000", RATE_LIMIT_SERVICE_MESSAGES: "10000", RATE_LIMIT_REQUESTS: "10000", DEV_TOKENS: "true", ALLOWED_ORIGINS: site.elsewhere, ...site.vars };
  site.server = await startServer({ vars, databaseUrl: database.url });
  site.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS });
  site.shots = await mkdtemp(join(tmpdir(), "edge-chat-page-"));
  console.log(`screenshots: ${site.shots}`);
});

after(async () => {
  await site.browser?.close();
  await site.server?.stop();
  host?.close();
  await database?.drop();
});

afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  const seen = faults;
  contexts = [];
  faults = [];
  assert.deepEqual(seen, [], "the page reported faults");
});

/** `clock`: the page's time is the test's to move (`page.clock`). */
export async function visit(path, { clock = false, ...options } = {}) {
  const context = await site.browser.newContext({ viewport: DESKTOP, locale: "en-GB", ...options });
  contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  if (clock) await page.clock.install();
  page.on("pageerror", (error) => faults.push(`${error}`));
  page.on("console", (message) => {
    if (/Content Security Policy|Trusted(HTML|Script|Type)/.test(message.text())) faults.push(message.text());
  });
  await page.goto(new URL(path, site.server.url).href);
  return page;
}

export async function enter(room, name, options) {
  const page = await visit(`/?${new URLSearchParams({ room, name })}`, options);
  await online(page);
  return page;
}

/** As `enter`, with a role in the room: a moderator where `options` do not name another. */
export async function moderate(room, name = "Mo", { role = "moderator", ...options } = {}) {
  const page = await visit(`/?${new URLSearchParams({ room, name, role })}`, options);
  await online(page);
  return page;
}

export const online = (page) => page.locator("edge-chat[data-state=online]").waitFor();
export const field = (page) => page.getByRole("textbox", { name: "Message" });
export const row = (page, text) => page.locator(".message:not(.pending)").filter({ hasText: text }).last();
export const shoot = (page, name) => page.screenshot({ path: join(site.shots, `${name}.png`) });

export async function say(page, text) {
  await field(page).fill(text);
  await field(page).press("Enter");
  await row(page, text).waitFor();
}

export async function choose(page, text, button) {
  await row(page, text).hover();
  await row(page, text).getByRole("button", { name: button }).click();
}

/**
 * What `read`, a function that runs in the page, makes of each message's element, the oldest first; all that the list
 * has passes through sight for it, within one task of the page, so that nothing else comes of it.
 */
export const eachMessage = (page, read) => page.locator("edge-chat").evaluate(new Function("chat", `return (${walk})(chat, ${read})`));

function walk({ list, model, shadowRoot }, read) {
  const { scroller, atBottom } = list;
  const { scrollTop } = scroller;
  const place = new Map(model.shown.map(({ message_id }, index) => [message_id, index]));
  const found = new Map();
  for (const id of place.keys()) {
    if (found.has(id) || !list.show(id)) continue;
    let last = -1;
    for (const item of shadowRoot.querySelectorAll(".message:not(.pending)")) {
      const at = place.get(item.dataset.id);
      if (at <= last) throw new Error(`${item.textContent} stands in the wrong place, or twice`);
      if (!found.has(item.dataset.id)) found.set(item.dataset.id, read(item));
      last = at ?? last;
    }
  }
  if (atBottom) list.toBottom();
  else scroller.scrollTop = scrollTop;
  return [...place.keys()].filter((id) => found.has(id)).map((id) => found.get(id));
}

/** The texts of the messages as they stand in the list. */
export const texts = (page) =>
  eachMessage(page, (item) => {
    const copy = item.querySelector(".content").cloneNode(true);
    copy.querySelector(".edited")?.remove();
    return copy.textContent;
  });

export async function eventually(check, what, ms = 15_000) {
  const end = Date.now() + ms;
  let value;
  while (Date.now() < end) {
    value = await check();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail(`not within ${ms} ms: ${what}`);
}

export async function token(user, name, more = {}) {
  const response = await fetch(`${site.server.url}/dev/token`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user, name, ...more }),
  });
  assert.equal(response.status, 200);
  return (await response.json()).token;
}

export async function rest(path, bearer, body) {
  const response = await fetch(site.server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${bearer}` },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 201, `${path}: ${await response.clone().text()}`);
  return response.json();
}

/** Texts and labels of the element with a Latin letter in them, but for what people wrote, rooms, names and keys. */
export const latin = (page) =>
  page.locator("edge-chat").evaluate((chat) => {
    const found = [];
    const theirs = ".content:not(.gone), bdi, .avatar, .title, .name, .recovery-key, textarea, .emoji-grid, option[data-own]";
    const walker = document.createTreeWalker(chat.shadowRoot, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
      const said = node.nodeType === Node.TEXT_NODE ? [node.data] : ["aria-label", "title", "placeholder"].map((name) => node.getAttribute(name) ?? "");
      if (node.nodeType === Node.TEXT_NODE && element.closest(theirs)) continue;
      found.push(...said.filter((text) => /[A-Za-z]/.test(text)).map((text) => `${element.className || element.localName}: ${text}`));
    }
    return found;
  });

/** Nothing that axe calls serious or critical; `what` is in sight. */
export async function axe(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(grave.map(({ id, nodes }) => `${what}: ${id} at ${nodes.map(({ target }) => target.join(" ")).join(", ")}`), []);
}
