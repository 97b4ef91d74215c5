// Every promise of the client ends, and where it fails it does so with a ChatError of a published code.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { ChatError, connect } from "../client/web/chat.js";
import { openInbox } from "../client/web/sdk/inbox.js";
import { PrivateDevice } from "../client/web/sdk/private-device.js";
import { createRest } from "../client/web/sdk/rest.js";
import { Token } from "../client/web/sdk/token.js";
import { connected, memory, pass, settled, Wire } from "./page/wire.mjs";

const types = await Promise.all(["errors", "protocol"].map((name) => readFile(new URL(`../client/types/${name}.d.ts`, import.meta.url), "utf8")));
const CODES = new Set(types.flatMap((text) => [...text.matchAll(/(?:ErrorCode|UnreadableCode) =([^;]*);/g)]).flatMap(([, list]) => [...list.matchAll(/"(\w+)"/g)].map(([, code]) => code)));

function isTyped(error, what) {
  assert.ok(error instanceof ChatError, `${what}: ${error}`);
  assert.ok(CODES.has(error.code), `${what}: ${error.code}`);
  assert.ok(error.message.length > 0, what);
  return true;
}

/** Everything that a chat gives a promise for, asked for; by its name. */
const asked = (chat) => {
  const id = "01a209e5-0000-7000-8000-000000000000";
  const calls = {
    send: ["hello"], edit: [id, "x"], remove: [id], react: [id, "👍"], history: [], members: [], find: [id],
    request: ["typing", { is_typing: true }], renew: [], pin: [id], unpin: [id], announce: ["x"], report: [id, { reason: "spam" }],
    ban: ["bob"], unban: ["bob"], removeAllOf: ["bob"], setRole: ["bob", null], block: ["bob"], unblock: ["bob"], clear: [],
    setModes: [{}], allow: [id], deny: [id], setTerms: [{}], testTerms: ["x"], resolveReport: [id, { status: "resolved" }],
    bans: [], held: [], terms: [], reports: [], reported: [id], blocks: [],
  };
  return new Map(Object.entries(calls).map(([name, args]) => [name, chat[name](...args).then(() => null, (error) => error)]));
};

async function allEnd(errors, code) {
  for (const [name, ends] of errors) {
    const error = await ends;
    isTyped(error, name);
    if (code) assert.ok([code, "offline"].includes(error.code), `${name}: ${error.code}`);
  }
}

const away = { fetch: async () => { throw new TypeError("fetch failed"); } };

test("what has a promise is in this test", async () => {
  const text = await readFile(new URL("../client/types/chat.d.ts", import.meta.url), "utf8");
  const declared = text.split("export interface Chat {")[1].split("\nexport declare function connect")[0];
  const statements = declared.split(";\n").map((text) => text.replace(/\/\*\*.*?\*\//g, "").trim());
  const promising = statements.filter((text) => /\): Promise</.test(text)).map((text) => text.match(/(\w+)[<(]/)[1]);
  const chat = new Proxy({}, { get: () => async () => {} });
  assert.deepEqual([...asked(chat).keys()].sort(), promising.sort());
});

test("all of it ends with close(), in every state", async (t) => {
  for (const enter of [
    async () => {},
    async ({ wire }) => wire().joins(),
    async ({ wire }) => wire().onclose({ code: 1006, reason: "" }),
  ]) {
    const session = await connected(t, away);
    await enter(session);
    const errors = asked(session.chat);
    await settled();
    session.chat.close();
    await allEnd(errors, "closed");
    await allEnd(asked(session.chat), "closed");
  }
});

test("all of it ends with a connection that the server ends", async (t) => {
  for (const [code, reason] of [[4401, "token_invalid"], [4403, "forbidden"], [4404, "room_not_found"]]) {
    const { chat, wire, states } = await connected(t, away);
    wire().joins();
    const errors = asked(chat);
    await settled();
    wire().onclose({ code, reason: '{"retry":false}' });
    assert.equal(states.at(-1), `ended: ${reason}`);
    await allEnd(errors, reason);
    await allEnd(asked(chat), "closed");
  }
});

test("who waits for the room's limits waits no longer than the connection", async (t) => {
  const { chat, wire } = await connected(t);
  const sends = [chat.send("one"), chat.send("two")];
  wire().joins();
  for (const { id } of wire().sent.filter(({ event }) => event === "send_message")) {
    wire().says({ reply: id, error: { code: "slow_mode", message: "slow", retry_after_ms: 21_600_000 } });
  }
  await settled();
  chat.close();
  for (const send of sends) await assert.rejects(send, (error) => isTyped(error) && error.code === "closed");
});

test("what is no JSON is refused at once and stands in nothing's way", async (t) => {
  const { chat, wire, states } = await connected(t);
  const circle = {};
  circle.circle = circle;
  const refused = [chat.send("x", { metadata: circle }), chat.send("x", { metadata: { n: 1n } }), chat.setModes(circle), chat.testTerms("x", circle)];
  for (const one of refused) await assert.rejects(one, (error) => isTyped(error) && error.code === "bad_request");
  const good = chat.send("good");
  wire().joins();
  assert.equal(states.at(-1), "online");
  const [frame, more] = wire().sent.filter(({ event }) => event === "send_message");
  assert.deepEqual([frame.data.content, more], ["good", undefined]);
  wire().says({ reply: frame.id, data: { message_id: "m", seq: 11, timestamp: "" } });
  assert.equal((await good).message_id, "m");
});

test("a request that no socket answers ends after three of them", async (t) => {
  const { chat, wire } = await connected(t);
  const edit = chat.edit("m", "x");
  let error;
  edit.catch((caught) => (error = caught));
  for (let n = 0; n < 3; n += 1) {
    wire().joins({ reconnect: { base_ms: 100, spread_ms: 0 } });
    for (let second = 0; second < 16; second += 1) {
      wire().onmessage?.({ data: '{"event":"pong"}' });
      await pass(t, 1_000);
    }
    await pass(t, 2_000);
  }
  isTyped(error, "edit");
  assert.equal(error.code, "timeout");
});

test("a getToken that fails, whatever it throws, is told by its code, and the connection goes on trying", async (t) => {
  for (const failing of [async () => { throw undefined; }, () => { throw "no"; }, async () => { throw new Error("signed out"); }]) {
    const { chat, states } = await connected(t, { getToken: failing });
    assert.equal(states.at(-1), "waiting: token_unavailable");
    await assert.rejects(chat.renew(), (error) => isTyped(error) && error.code === "token_unavailable");
    assert.equal(chat.retry(), true);
    await settled();
    assert.equal(states.at(-1), "waiting: token_unavailable");
  }
  const cause = new Error("signed out");
  for (const open of [(options) => connect({ ...options, room: "r" }), openInbox]) {
    const told = [];
    const one = open({ url: "https://chat.example", WebSocket: Wire, getToken: async () => { throw cause; } });
    one.on("state", ({ error }) => told.push(error?.cause));
    await settled();
    one.close();
    assert.ok(told.includes(cause), "what was thrown is told");
  }
  const silent = new Token({ getToken: () => new Promise(() => {}) });
  const refused = assert.rejects(silent.take(Date.now()), { code: "token_unavailable", message: "getToken did not answer" });
  await pass(t, 15_000);
  await refused;
});

test("REST ends: without an answer, with half of one, and with what is none of the server's", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const rest = (fetch) => createRest({ base: "https://chat.example", token: () => null, fetch });
  const codeOf = async (fetch) => {
    const asking = rest(fetch).bans("r").then(() => null, (error) => isTyped(error) && error.code);
    await settled();
    t.mock.timers.tick(30_000);
    return asking;
  };
  let signal;
  const never = new Promise(() => {});
  assert.equal(await codeOf((_, options) => ((signal = options.signal), never)), "timeout");
  assert.equal(signal.aborted, true);
  assert.equal(await codeOf(async () => ({ ok: true, status: 200, json: () => never })), "timeout");
  assert.equal(await codeOf(async () => ({ ok: false, status: 500, headers: new Headers(), json: () => never })), "timeout");
  assert.equal(await codeOf(async () => { throw new DOMException("aborted", "AbortError"); }), "offline");
  assert.equal(await codeOf(() => { throw new TypeError("no"); }), "offline");
  assert.equal(await codeOf(async () => new Response("<html>", { status: 200 })), "offline");
  assert.equal(await codeOf(async () => new Response("<html>", { status: 502 })), "internal");
  assert.equal(await codeOf(async () => new Response("null", { status: 500 })), "internal");
  assert.equal(await codeOf(async () => new Response("null", { status: 401 })), "token_required");
  assert.equal(await codeOf(async () => new Response('{"code":"forbidden","detail":"no"}', { status: 403 })), "forbidden");
  let path;
  await rest(async (url) => ((path = url.pathname), new Response("{}"))).reported("r", "\ud800");
  assert.equal(path, "/api/rooms/r/reports/%EF%BF%BD");
});

test("what can make no connection is refused when it is asked for", async (t) => {
  const options = { url: "https://chat.example", room: "r", WebSocket: Wire, storage: memory() };
  assert.throws(() => connect(), TypeError);
  for (const room of ["", "\ud800"]) assert.throws(() => connect({ ...options, room }), TypeError);
  assert.throws(() => connect({ ...options, url: "nowhere" }), TypeError);
  const { WebSocket } = globalThis;
  delete globalThis.WebSocket;
  t.after(() => (globalThis.WebSocket = WebSocket));
  for (const open of [connect, openInbox]) assert.throws(() => open({ ...options, WebSocket: undefined }), /needs a WebSocket/);
});

test("what a store, the browser or the module throws is told as a ChatError", async () => {
  const module = { Device: class { take_changes = () => "[]"; free() {} } };
  const store = (more) => ({ lock: (work) => work(), generation: async () => 0, read: async () => null, write: async () => 1, clear: async () => {}, ...more });
  const trap = new DOMException("aborted", "AbortError");
  for (const [broken, work] of [
    [{ lock: () => { throw trap; } }],
    [{ lock: async () => { throw trap; } }],
    [{ generation: async () => { throw trap; } }],
    [{ read: async () => { throw undefined; } }],
    [{}, () => { throw new WebAssembly.RuntimeError("unreachable"); }],
  ]) {
    const device = new PrivateDevice(module, store(broken), "ada");
    await assert.rejects(device.use(work ?? (() => 1)), (error) => isTyped(error) && error.code === "internal");
  }
  const coded = new PrivateDevice(module, store(), "ada");
  await assert.rejects(coded.use(() => { throw Object.assign(new Error("no key"), { code: "no_key" }); }), (error) => isTyped(error) && error.code === "no_key");
});
