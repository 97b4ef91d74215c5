// Private messages as the client module does them, with the real wasm: who reads what, what is kept, what is refused.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";

import { MemoryStore, openPrivate } from "../client/web/sdk/private.js";
import { StandIn } from "./page/direct.mjs";

const wasm = await readFile(new URL("../client/web/crypto/crypto_bg.wasm", import.meta.url));

beforeEach(() => {
  globalThis.window = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
});

/** A person at a browser: `says`, and `heard`, the texts or the codes of what could not be read, by message id. */
async function person(t, server, user, other, { store = new MemoryStore(), ...more } = {}) {
  const messages = await openPrivate({ ...server.options(user), wasm, store, ...more });
  const direct = await messages.openDirect(other);
  const heard = [];
  const shown = ({ body, unreadable }) => body ?? `(${unreadable?.code ?? "deleted"})`;
  direct.on("snapshot", ({ messages: all }) => heard.splice(0, Infinity, ...all.map(shown)));
  direct.on("new_message", (message) => heard.push(shown(message)));
  t.after(() => {
    direct.close();
    messages.close();
  });
  await new Promise((resolve) => direct.on("state", ({ state }) => state === "online" && resolve()));
  return { messages, direct, heard, store, says: (body) => direct.send(body) };
}

async function until(what, check) {
  const end = Date.now() + 10_000;
  while (!(await check())) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const both = async (t, server = new StandIn()) => ({ server, ada: await person(t, server, "ada", "bob"), bob: await person(t, server, "bob", "ada") });

test("two people talk, and the server saw nothing of it", async (t) => {
  const { server, ada, bob } = await both(t);
  await ada.says("the canary sings");
  await bob.says("and the canary answers");
  const expected = ["the canary sings", "and the canary answers"];
  await until("both heard", () => ada.heard.length === 2 && bob.heard.length === 2);
  assert.deepEqual([ada.heard, bob.heard], [expected, expected]);
  assert.ok(server.seen.length > 5);
  const everything = JSON.stringify([server.seen, [...server.rooms.values()].map(({ log }) => log), [...server.backups], (await ada.store.read()).records]);
  assert.doesNotMatch(everything, /canary/);
  assert.equal(ada.messages.device_id.length, 22);
});

test("a device is the same after a reload, and pages of one user take turns", async (t) => {
  const { server, ada, bob } = await both(t);
  await ada.says("one");
  const again = await person(t, server, "ada", "bob", { store: ada.store });
  assert.equal(again.messages.device_id, ada.messages.device_id);
  assert.equal(server.user("ada").size, 1);
  await Promise.all([ada.says("two"), again.says("three"), ada.says("four"), again.says("five")]);
  await until("all five", () => bob.heard.length === 5 && again.heard.length === 5);
  assert.deepEqual(bob.heard.toSorted(), ["five", "four", "one", "three", "two"]);
  assert.deepEqual(again.heard.toSorted(), bob.heard.toSorted());
  const contents = server.room("dm:ada-bob").log.map(({ content }) => JSON.parse(content));
  assert.equal(new Set(contents.map(({ session_id, index }) => `${session_id}/${index}`)).size, 5, "no index was used twice");
});

test("who comes late finds the key beyond the newest messages", async (t) => {
  const server = new StandIn();
  const bob = await person(t, server, "bob", "ada");
  bob.direct.close();
  const ada = await person(t, server, "ada", "bob");
  for (let n = 0; n < 90; n += 1) await ada.says(`a ${n}`);
  // Ada's other tab fills the list with what is not encrypted.
  for (let n = 0; n < 40; n += 1) await ada.direct.chat.send(`open ${n}`);
  const late = await person(t, server, "bob", "ada", { store: bob.store });
  await until("the list", () => late.heard.length === 100);
  assert.deepEqual([late.heard[0], late.heard[59], late.heard[60]], ["a 30", "a 89", "open 0"]);
  const page = await late.direct.history({ limit: 100, before: 31 });
  assert.deepEqual(page.messages.map(({ body }) => body), Array.from({ length: 30 }, (_, n) => `a ${29 - n}`));
  const marks = (await late.direct.history({ limit: 1 })).messages.map(({ encrypted, body }) => [encrypted, body]);
  assert.deepEqual(marks, [[false, "open 39"]], "what the server could read says so");
});

test("a new device reads the old part with the recovery key, and a sentence without it", async (t) => {
  const { server, ada, bob } = await both(t);
  await ada.says("before");
  await bob.says("before too");
  await until("heard", () => bob.heard.length === 2);
  const { recovery_key, sessions } = await bob.messages.backup();
  assert.match(recovery_key, /^([A-Z2-7]{4}-){7}[A-Z2-7]{4}$/);
  assert.equal(sessions, 2);
  bob.direct.close();
  await bob.messages.removeDevice(bob.messages.device_id);
  const fresh = await person(t, server, "bob", "ada");
  assert.deepEqual(fresh.heard, ["(no_key)", "(no_key)"]);
  const [{ unreadable }] = (await fresh.direct.history()).messages;
  assert.match(unreadable.message, /not given the key .* backup may have it/);
  const wrong = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA";
  await assert.rejects(fresh.messages.restore(wrong), { name: "ChatError", code: "wrong_recovery_key" });
  await assert.rejects(fresh.messages.backup(), { code: "backup_exists" });
  let told = 0;
  fresh.messages.on("keys", () => (told += 1));
  assert.deepEqual(await fresh.messages.restore(recovery_key.toLowerCase()), { sessions: 2 });
  assert.equal(told, 1);
  assert.deepEqual((await fresh.direct.history()).messages.map(({ body }) => body), ["before too", "before"]);
  ada.messages.devicesChanged("bob");
  await ada.says("after");
  await fresh.says("after too");
  await until("heard", () => fresh.heard.length === 4 && ada.heard.length === 4);
  assert.deepEqual(fresh.heard.slice(2), ["after", "after too"]);
  assert.deepEqual(ada.heard.slice(2), ["after", "after too"]);
  assert.equal((await fresh.messages.backup()).recovery_key, recovery_key);
  await assert.rejects(ada.messages.restore(recovery_key), { code: "no_backup" });
});

test("two devices of a user back up together", async (t) => {
  const { server, ada, bob } = await both(t);
  const second = await person(t, server, "bob", "ada");
  bob.messages.devicesChanged("bob");
  await second.says("only the newest two know");
  const { recovery_key } = await bob.messages.backup();
  await second.messages.restore(recovery_key);
  await ada.says("x");
  await until("heard", () => second.heard.length === 2 && bob.heard.length === 2);
  const first = (await bob.messages.backup()).sessions;
  assert.ok((await second.messages.backup()).sessions >= first);
});

test("a removed device cannot read what comes after, and is told", async (t) => {
  const { server, ada, bob } = await both(t);
  const lost = await person(t, server, "bob", "ada");
  ada.messages.devicesChanged("bob");
  await ada.says("all hear");
  await until("heard", () => lost.heard.length === 1 && bob.heard.length === 1);
  await bob.messages.removeDevice(lost.messages.device_id);
  ada.messages.devicesChanged("bob");
  await ada.says("not the lost one");
  await until("heard", () => lost.heard.length === 2 && bob.heard.length === 2);
  assert.deepEqual([bob.heard, lost.heard], [["all hear", "not the lost one"], ["all hear", "(no_key)"]]);
  lost.messages.devicesChanged("bob");
  await assert.rejects(lost.says("hello?"), { code: "device_removed" });
  await assert.rejects(openPrivate({ ...server.options("bob"), wasm, store: lost.store }), { code: "device_removed" });
  const anew = await openPrivate({ ...server.options("bob"), wasm, store: lost.store, renew: true });
  assert.notEqual(anew.device_id, lost.messages.device_id);
  const named = await bob.messages.devices();
  assert.equal(named.devices.length, 2);
  await bob.messages.renameDevice(anew.device_id, "phone");
  assert.equal((await bob.messages.devices()).devices[1].name, "phone");
  anew.close();
});

test("the safety number is the same from both sides and tells of a device that the server added", async (t) => {
  const { server, ada, bob } = await both(t);
  const number = await ada.messages.safetyNumber("bob");
  assert.match(number, /^(\d{5} ){11}\d{5}$/);
  assert.equal(await bob.messages.safetyNumber("ada"), number);
  const spy = await openPrivate({ ...server.options("bob"), wasm, store: new MemoryStore() });
  assert.notEqual(await ada.messages.safetyNumber("bob"), number);
  spy.close();
});

test("a server that lies is not believed", async (t) => {
  const { server, ada, bob } = await both(t);
  await ada.says("hello");
  await until("heard", () => bob.heard.length === 1);
  const { log } = server.room("dm:ada-bob");
  const [first] = log;
  const forms = [
    [{ ...first, message_id: "copy" }, "replayed"],
    [{ ...first, franking: first.franking.replace(/^./, (c) => (c === "A" ? "B" : "A")) }, "franking_mismatch"],
    [{ ...first, client_id: "other" }, "franking_mismatch"],
    [{ ...first, user: { user_id: "bob" } }, "undecryptable"],
    [{ ...first, content: "{}" }, "malformed"],
  ];
  for (const [message, code] of forms) {
    const read = await bob.direct.read(message);
    assert.deepEqual([read.body, read.unreadable.code], [null, code]);
    assert.ok(read.unreadable.message.endsWith("."), read.unreadable.message);
  }
  server.lie = async (method, path, answer) => {
    if (!path.endsWith("/keys/claim")) return answer;
    const said = await answer.json();
    said.devices[0].key.key = said.devices[0].curve25519;
    return Response.json(said);
  };
  await person(t, server, "bob", "ada");
  ada.messages.devicesChanged("bob");
  const before = log.length;
  await assert.rejects(ada.says("secret"), { code: "bad_signature" });
  assert.equal(log.length, before);
  server.lie = (method, path, answer) => answer;
  await ada.says("secret");
  await until("heard", () => bob.heard.at(-1) === "secret");
});

test("an edit is read, a deletion takes no key along, a report reveals one message", async (t) => {
  const { server, ada, bob } = await both(t);
  const edits = [];
  bob.direct.on("message_edited", (message) => edits.push(message.body));
  const { message_id } = await ada.says("helo");
  await ada.direct.edit(message_id, "hello");
  await until("edited", () => edits.length === 1);
  assert.deepEqual(edits, ["hello"]);
  await ada.says("second");
  await ada.direct.remove(message_id);
  await until("told", () => server.room("dm:ada-bob").log[0].deleted_at);
  await ada.says("third");
  const late = await person(t, server, "bob", "ada", { store: bob.store });
  assert.deepEqual(late.heard.slice(1), ["second", "third"]);
  const { messages } = await bob.direct.history();
  await bob.direct.report(messages[0], { reason: "abuse", details: "this" });
  const [report] = server.reports;
  assert.deepEqual([report.message_id, report.opened.body, report.reason], [messages[0].message_id, "third", "abuse"]);
  const key = Buffer.from(report.opened.frank_key, "base64");
  const hmac = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const text = `edge-chat/v1/franking\ndm:ada-bob\nada\n${messages[0].client_id}\nthird`;
  const tag = Buffer.from(await crypto.subtle.sign("HMAC", hmac, new TextEncoder().encode(text))).toString("base64").replaceAll("=", "");
  assert.equal(tag, messages[0].franking, "what a server computes of it");
});

test("keys that cannot be kept stop the message before it leaves", async (t) => {
  const { server, ada, bob } = await both(t);
  await ada.says("one");
  const { write } = MemoryStore.prototype;
  ada.store.write = async () => {
    throw new Error("the disk is full");
  };
  await assert.rejects(ada.says("two"), /the disk is full/);
  ada.store.write = write;
  await ada.says("three");
  await until("heard", () => bob.heard.length === 2);
  assert.deepEqual(bob.heard, ["one", "three"]);
  const contents = server.room("dm:ada-bob").log.map(({ content }) => JSON.parse(content).index);
  assert.deepEqual(contents, [0, 1]);
});

test("nothing is sent where the other has no device, and keys are topped up", async (t) => {
  const server = new StandIn();
  const ada = await person(t, server, "ada", "bob");
  await assert.rejects(ada.says("hello?"), { code: "no_devices", message: /no device that could|no device that can/ });
  const [device] = server.user("ada").values();
  assert.equal(device.one_time.length, 50);
  device.one_time.splice(0, 30);
  await person(t, server, "ada", "bob", { store: ada.store });
  assert.equal(device.one_time.length, 50);
});
