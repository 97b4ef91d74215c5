// Private messages from end to end: Chromium, the Worker, PostgreSQL, and nobody in between who could read them.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";

import { createClient } from "redis";

import { throwAwayRedis, withClient } from "./harness/index.mjs";
import { eventually, site, token, visit } from "./page/person.mjs";

const CANARY = "the canary sings at dawn";
const SECRET = /canary|new device/;
const METRICS_TOKEN = "operators-eyes-only";

const redis = await throwAwayRedis();
site.vars = { REDIS_URL: `redis://127.0.0.1:${redis.port}/0`, METRICS_TOKEN };
/** Every message on any channel of Redis. */
const published = [];
let subscriber;
before(async () => {
  subscriber = createClient({ socket: { host: "127.0.0.1", port: redis.port } });
  subscriber.on("error", () => {});
  await subscriber.connect();
  await subscriber.pSubscribe("*", (message, channel) => published.push(`${channel} ${message}`));
});
after(async () => {
  subscriber?.destroy();
  await redis.stop();
});

/** All that Redis holds, in words. */
const inRedis = () =>
  withClient(redis, async (client) => {
    const held = [];
    for (const key of await client.keys("*")) {
      const kind = await client.type(key);
      held.push([key, kind, kind === "stream" ? await client.xRange(key, "-", "+") : kind === "hash" ? await client.hGetAll(key) : await client.get(key)]);
    }
    return JSON.stringify(held);
  });

const metrics = async (query = "") => {
  const answer = await fetch(`${site.server.url}/metrics${query}`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
  assert.equal(answer.status, 200);
  return answer.text();
};

/** A page of this user's with the direct room open: what they read is in `heard`. */
async function person(user, other, context) {
  const page = context ? await context.newPage() : await visit("/");
  if (context) await page.goto(site.server.url);
  await page.evaluate(
    async ([bearer, other]) => {
      const { openPrivate } = await import("/sdk/private.js");
      const mine = await openPrivate({ token: bearer, deviceName: "test" });
      const direct = await mine.openDirect(other);
      Object.assign(globalThis, { mine, direct, heard: [] });
      const shown = ({ body, unreadable }) => body ?? `(${unreadable?.code})`;
      direct.on("snapshot", ({ messages }) => (globalThis.heard = messages.map(shown)));
      direct.on("new_message", (message) => globalThis.heard.push(shown(message)));
      direct.on("message_edited", (message) => globalThis.heard.push(`edited: ${shown(message)}`));
      await new Promise((resolve) => direct.on("state", ({ state }) => state === "online" && resolve()));
    },
    [await token(user, user), other],
  );
  return page;
}

const says = (page, body) => page.evaluate((text) => globalThis.direct.send(text), body);
const heard = (page, ...expected) =>
  eventually(async () => JSON.stringify(await page.evaluate(() => globalThis.heard)) === JSON.stringify(expected), `${expected}`);

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (entry.isFile()) yield path;
  }
}

test("two pages talk, one comes back on a new device with the backup, and a search finds only ciphertext", async () => {
  const [ada, bob] = [await person("ada", "bob"), await person("bob", "ada")];
  await ada.evaluate(() => globalThis.mine.devicesChanged("bob"));
  const { message_id } = await says(ada, CANARY);
  await says(bob, `${CANARY}, and again`);
  await heard(bob, CANARY, `${CANARY}, and again`);
  await heard(ada, CANARY, `${CANARY}, and again`);
  await ada.evaluate(([id, text]) => globalThis.direct.edit(id, text), [message_id, `${CANARY} and dusk`]);
  await heard(bob, CANARY, `${CANARY}, and again`, `edited: ${CANARY} and dusk`);
  const numbers = [await ada.evaluate(() => globalThis.mine.safetyNumber("bob")), await bob.evaluate(() => globalThis.mine.safetyNumber("ada"))];
  assert.equal(numbers[0], numbers[1]);
  assert.match(numbers[0], /^(\d{5} ){11}\d{5}$/);

  const { recovery_key } = await bob.evaluate(() => globalThis.mine.backup());
  await bob.context().close();
  // A browser that was never here.
  const fresh = await person("bob", "ada");
  await heard(fresh, "(no_key)", "(no_key)");
  await fresh.evaluate((key) => globalThis.mine.restore(key), recovery_key);
  const read = await fresh.evaluate(async () => (await globalThis.direct.history()).messages.map(({ body }) => body));
  assert.deepEqual(read, [`${CANARY}, and again`, `${CANARY} and dusk`]);
  assert.notEqual(await ada.evaluate(() => globalThis.mine.safetyNumber("bob")), numbers[0], "a device more is told");
  await ada.evaluate(() => globalThis.mine.devicesChanged("bob"));
  await says(ada, "to the new device");
  await eventually(() => fresh.evaluate(() => globalThis.heard.at(-1) === "to the new device"), "the new device hears");

  const rows = await eventually(async () => {
    const found = await site.database.query("SELECT content FROM messages WHERE type = 'encrypted'");
    return found.length === 3 && found;
  }, "three rows in PostgreSQL");
  for (const { content } of rows) assert.equal(JSON.parse(content).alg, "megolm");
  const tables = await site.database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
  for (const { tablename } of tables) {
    for (const { row } of await site.database.query(`SELECT t::text AS row FROM "${tablename}" t`)) assert.doesNotMatch(row, SECRET, tablename);
  }
  let looked = 0;
  for (const file of files(dirname(dirname(site.server.file("Room", "any"))))) {
    looked += 1;
    assert.doesNotMatch(readFileSync(file, "latin1"), SECRET, file);
  }
  assert.ok(looked > 0);
  assert.doesNotMatch(JSON.stringify(site.server.logs), SECRET);

  // Redis hears that something was said, and nothing of it: neither the words nor the ciphertext.
  const stream = await eventually(async () => {
    const held = await inRedis();
    return held.split('"new_message"').length > 3 && held.includes('"message_edited"') && held;
  }, "three messages and an edit in Redis");
  await eventually(() => published.filter((message) => message.includes('"new_message"')).length === 3, "three messages on the channel");
  assert.match(stream, /ada/);
  for (const text of [stream, ...published]) assert.doesNotMatch(text, new RegExp(`${SECRET.source}|megolm`));
  assert.match(await metrics(), /^# HELP/m);
  for (const text of [await metrics(), await metrics("?format=json")]) assert.doesNotMatch(text, SECRET);
});
