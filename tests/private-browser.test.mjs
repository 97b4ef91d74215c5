// The device of a browser: loaded only when used, under the page's policy, kept across reloads, one for all tabs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { StandIn } from "./page/direct.mjs";
import { site, visit } from "./page/person.mjs";

/** The page's requests for keys go to the stand-in. */
async function answeredBy(server, user, page) {
  const { fetch } = server.options(user);
  await page.route(/\/api\/(me|users|devices)\//, async (route) => {
    const request = route.request();
    const answer = await fetch(request.url(), { method: request.method(), headers: request.headers(), body: request.postData() ?? undefined });
    await route.fulfill({ status: answer.status, contentType: "application/json", body: await answer.text() });
  });
  page.requested = [];
  page.on("request", (request) => page.requested.push(new URL(request.url()).pathname));
}

const opened = (page, user) =>
  page.evaluate(async (token) => {
    const { openPrivate } = await import("/sdk/private.js");
    globalThis.mine = await openPrivate({ token });
    return globalThis.mine.device_id;
  }, user);

test("the wasm is loaded when it is used first, and the device is kept across a reload", async () => {
  const server = new StandIn();
  const page = await visit("/");
  await answeredBy(server, "ada", page);
  await page.reload();
  assert.ok(!page.requested.some((path) => path.startsWith("/crypto/")), `${page.requested}`);
  const device = await opened(page, "ada");
  assert.ok(page.requested.includes("/crypto/crypto_bg.wasm"));
  const before = await page.evaluate(() => globalThis.mine.backup());
  await page.reload();
  assert.equal(await opened(page, "ada"), device);
  assert.equal((await page.evaluate(() => globalThis.mine.backup())).recovery_key, before.recovery_key);
  assert.equal(server.user("ada").size, 1);
  const second = await page.context().newPage();
  await answeredBy(server, "ada", second);
  await second.goto(site.server.url);
  assert.equal(await opened(second, "ada"), device, "another tab is the same device");
  assert.notEqual(await opened(second, "bob"), device, "another user is not");
});

test("what the browser keeps opens with nothing that a script can take along", async () => {
  const server = new StandIn();
  const page = await visit("/");
  await answeredBy(server, "ada", page);
  await opened(page, "ada");
  const kept = await page.evaluate(async () => {
    const [{ name }] = (await indexedDB.databases()).filter(({ name }) => name.startsWith("edge-chat private"));
    const open = indexedDB.open(name);
    await new Promise((resolve) => (open.onsuccess = resolve));
    const transaction = open.result.transaction(["meta", "records"]);
    const asked = [transaction.objectStore("meta").get("wrap"), transaction.objectStore("records").getAll()];
    await new Promise((resolve) => (transaction.oncomplete = resolve));
    const [wrap, records] = asked.map(({ result }) => result);
    const taken = await crypto.subtle.exportKey("raw", wrap).then(() => "taken", ({ name }) => name);
    return { taken, records, extractable: wrap.extractable };
  });
  assert.deepEqual([kept.taken, kept.extractable], ["InvalidAccessError", false]);
  assert.ok(kept.records.length > 0 && kept.records.every((record) => /^[A-Za-z0-9+/]+$/.test(record)));
});

test("a page whose device another one renewed keeps what opens", async () => {
  const page = await visit("/");
  await page.evaluate(async () => {
    const { BrowserStore } = await import("/sdk/private-store.js");
    const one = new BrowserStore(location.origin, "eve");
    await one.write([["account", "AAAA"]], new Uint8Array(32).fill(1));
    await new BrowserStore(location.origin, "eve").clear();
    if ((await one.read()) !== null) throw new Error("it was cleared");
    await one.write([["account", "BBBB"]], new Uint8Array(32).fill(2));
    const { key, records } = await new BrowserStore(location.origin, "eve").read();
    if (key[0] !== 2 || records[0][1] !== "BBBB") throw new Error("it does not open");
  });
});
