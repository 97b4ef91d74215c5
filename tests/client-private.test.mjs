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
    [{ ...first, user: { user_id: "bob" } }, "unknown_device"],
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

test("nobody but the two speaks, and what was deleted says nothing", async (t) => {
  const { server, ada, bob } = await both(t);
  await ada.says("hello");
  await until("heard", () => bob.heard.length === 1);
  const invented = await person(t, server, "b0b", "bob");
  const made = await invented.messages.encrypt("dm:ada-bob", "bob", "c-1", "it is me");
  const message = { message_id: "m-1", no: 2, room_id: "dm:ada-bob", user: { user_id: "b0b", username: "Ada" }, client_id: "c-1", type: "encrypted", ...made };
  for (const said of [message, { ...message, type: "text", content: "it is me" }, { ...message, user: undefined }]) {
    const { body, unreadable } = await bob.direct.read(said);
    assert.deepEqual([body, unreadable.code], [null, "not_of_this_talk"]);
  }
  const [first] = server.room("dm:ada-bob").log;
  const deleted = await bob.direct.read({ ...first, deleted_at: "now", body: "put there", encrypted: true, device_id: "d" });
  assert.deepEqual([deleted.body, deleted.encrypted, deleted.device_id], [null, undefined, undefined]);
});

test("a device that is named only where something is encrypted is told of", async (t) => {
  const { server, ada } = await both(t);
  const told = [];
  ada.messages.on("device_added", ({ user_id, device_id }) => told.push(`${user_id} ${device_id}`));
  ada.messages.on("safety_number_changed", ({ user_id, safety_number }) => told.push(`${user_id} ${safety_number}`));
  const number = await ada.messages.safetyNumber("bob");
  await ada.says("to those that were compared");
  assert.deepEqual(told, []);
  const ghost = await openPrivate({ ...server.options("bob"), wasm, store: new MemoryStore() });
  ghost.close();
  ada.messages.devicesChanged("bob");
  await ada.says("to one more");
  assert.deepEqual([told.length, told[0]], [2, `bob ${ghost.device_id}`]);
  server.user("bob").delete(ghost.device_id);
  ada.messages.devicesChanged("bob");
  await ada.says("to one less");
  assert.equal(told[2], `bob ${number}`);
  // One's own list too, where this device was alone.
  const own = await openPrivate({ ...server.options("ada"), wasm, store: new MemoryStore() });
  own.close();
  ada.messages.devicesChanged("ada");
  await ada.says("read along");
  assert.equal(told[3], `ada ${own.device_id}`);
  server.lie = async (method, path, answer) => (path === "/users/bob/devices" ? Response.json({ ...(await answer.json()), user_id: "carol" }) : answer);
  ada.messages.devicesChanged("bob");
  await assert.rejects(ada.says("to whom?"), { code: "malformed" });
});

test("an edit, or a deletion that nobody here heard of, takes no key along", async (t) => {
  const { server, ada, bob } = await both(t);
  bob.direct.close();
  const { message_id } = await ada.says("one");
  await ada.says("two");
  await ada.direct.edit(message_id, "uno");
  const late = await person(t, server, "bob", "ada", { store: bob.store });
  assert.deepEqual(late.heard, ["uno", "two"]);

  const second = await both(t);
  second.bob.direct.close();
  await second.ada.says("one");
  await second.ada.says("two");
  second.ada.direct.close();
  Object.assign(second.server.room("dm:ada-bob").log[0], { content: "", franking: undefined, deleted_at: "now" });
  const again = await person(t, second.server, "ada", "bob", { store: second.ada.store });
  await again.says("three");
  // The key comes later in the list than what it opens.
  const later = await person(t, second.server, "bob", "ada", { store: second.bob.store });
  assert.deepEqual(later.heard, ["(deleted)", "two", "three"]);
});

test("new keys are kept before they leave", async (t) => {
  const server = new StandIn();
  const store = new MemoryStore();
  const kept = [];
  server.lie = async (method, path, answer) => {
    if (method === "PUT") kept.push(await store.generation());
    return answer;
  };
  await person(t, server, "ada", "bob", { store });
  assert.equal(kept[0], 1);
});

test("what the server has is sent, and told, also where this device then fails", async (t) => {
  const { ada, bob } = await both(t);
  const deleted = [];
  bob.direct.on("message_deleted", ({ message_id }) => deleted.push(message_id));
  const full = async () => {
    throw new Error("the disk is full");
  };
  ada.messages.stored = full;
  bob.messages.gone = full;
  const { message_id } = await ada.says("hello");
  await ada.direct.remove(message_id);
  await until("told", () => deleted.length === 1);
  assert.deepEqual(deleted, [message_id]);
});

test("a device that was set back hears itself before it speaks", async (t) => {
  const { server, ada, bob } = await both(t);
  await ada.says("one");
  const { records, key } = await ada.store.read();
  const store = new MemoryStore();
  await store.write(records, key);
  await ada.says("two");
  ada.direct.close();
  const messages = await openPrivate({ ...server.options("ada"), wasm, store });
  const direct = await messages.openDirect("bob");
  t.after(() => direct.close());
  await direct.send("three");
  const places = server.room("dm:ada-bob").log.map(({ content }) => JSON.parse(content)).map(({ session_id, index }) => `${session_id}/${index}`);
  assert.equal(new Set(places).size, 3, `${places}`);
  await until("heard", () => bob.heard.length === 3);
  assert.deepEqual(bob.heard, ["one", "two", "three"]);
  const closed = await messages.openDirect("bob");
  const never = closed.send("never");
  closed.close();
  await assert.rejects(never, { code: "closed" });
});

test("a search for a key that failed is made again", async (t) => {
  const { server, ada, bob } = await both(t);
  bob.direct.close();
  await ada.says("one");
  await ada.says("two");
  const { log } = server.room("dm:ada-bob");
  const [carrier] = log.splice(0, 1);
  server.lie = (method, path, answer) => {
    if (path.startsWith("/rooms/")) throw new Error("no network");
    return answer;
  };
  const late = await person(t, server, "bob", "ada", { store: bob.store });
  assert.deepEqual(late.heard, ["(offline)"]);
  log.unshift(carrier);
  server.lie = (method, path, answer) => answer;
  let told = 0;
  late.messages.on("keys", () => (told += 1));
  assert.equal((await late.direct.read(log[1])).body, "two");
  assert.equal(told, 1, "others may be readable now too");
});

test("what cannot be read is reported without its words", async (t) => {
  const { server, ada } = await both(t);
  await ada.says("before");
  const fresh = await person(t, server, "bob", "ada");
  assert.deepEqual(fresh.heard, ["(no_key)"]);
  const [message] = (await fresh.direct.history()).messages;
  await fresh.direct.report(message, { reason: "spam" });
  assert.deepEqual([server.reports[0].message_id, server.reports[0].opened], [message.message_id, undefined]);
});

test("what was left unsent comes back with its words", async (t) => {
  const { server, ada, bob } = await both(t);
  const kept = new Map();
  // As where the page is loaded anew before the answer.
  const tabStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: () => {} };
  const first = await person(t, server, "ada", "bob", { store: ada.store, tabStorage });
  await first.says("on its way");
  first.direct.close();
  const messages = await openPrivate({ ...server.options("ada"), wasm, store: ada.store, tabStorage });
  const direct = await messages.openDirect("bob");
  t.after(() => direct.close());
  const { body, encrypted, reply } = await new Promise((resolve) => direct.on("unsent", resolve));
  assert.deepEqual([body, encrypted], ["on its way", true]);
  await reply;
  const { messages: [message] } = await direct.history();
  assert.equal(message.body, "on its way", "and its place was not taken");
  await until("heard", () => bob.heard.length === 1);
});

test("the inbox comes with it: a device that it tells of is written to at once, and it ends with it", async (t) => {
  const server = new StandIn();
  const ada = await person(t, server, "ada", "bob", { inbox: undefined });
  const bob = await person(t, server, "bob", "ada");
  await until("ada's inbox is open", () => ada.messages.inbox.isKnown);
  await ada.says("one");
  const later = await person(t, server, "bob", "ada", { store: new MemoryStore() });
  for (const socket of server.inboxes.get("ada")) socket.says({ event: "devices_changed", data: { user_id: "bob", version: 2 } });
  await ada.says("two");
  await until("both of bob's devices read it", () => [bob, later].every(({ heard }) => heard.at(-1) === "two"));
  ada.messages.close();
  assert.equal(ada.messages.inbox.state, "ended");
});
