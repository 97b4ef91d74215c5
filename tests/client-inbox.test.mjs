// The inbox of the client module: what it counts, what it tells, and that it comes back as a room's connection does.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { openInbox } from "../client/web/sdk/inbox.js";
import { pass, settled, Wire } from "./page/wire.mjs";

const TALK = { room_id: "dm:ada-bob", type: "direct", unread: 1, last_seq: 4, with: "ada" };
const VIDEO = { room_id: "video_1", type: "video", unread: 2, last_seq: 90 };

beforeEach(() => {
  globalThis.window = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  Wire.open = [];
});

async function opened(t, options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.now() });
  const inbox = openInbox({ url: "https://chat.example", token: "t.o.k", WebSocket: Wire, ...options });
  const told = [];
  for (const name of ["direct_message", "mention", "unread", "devices_changed"]) inbox.on(name, (data) => told.push([name, data.room_id ?? data]));
  const states = [];
  inbox.on("state", ({ state, error }) => states.push(error ? `${state}: ${error.code}` : state));
  t.after(() => inbox.close());
  await settled();
  const wire = () => Wire.open.at(-1);
  const begins = (...rooms) => {
    wire().onopen();
    wire().says({ event: "inbox", data: { rooms, devices_version: 1 } });
  };
  return { inbox, told, states, wire, begins };
}

test("it tells what is new and counts what is not read", async (t) => {
  const { inbox, told, states, wire, begins } = await opened(t);
  assert.deepEqual([wire().url, wire().protocols], ["wss://chat.example/api/me/ws", ["chat.v1", "bearer.t.o.k"]]);
  assert.equal(inbox.isKnown, false);
  begins(VIDEO, TALK);
  assert.deepEqual([inbox.isKnown, inbox.unread], [true, { direct: 1, mentions: 2 }]);
  wire().says({ event: "inbox_changed", data: { room_id: "dm:bob-cleo", with: "cleo", unread: 1, last_seq: 2, reason: "message" } });
  wire().says({ event: "inbox_changed", data: { room_id: "video_1", unread: 3, last_seq: 95, reason: "mention" } }, { event: "devices_changed", data: { user_id: "ada", version: 3 } });
  assert.deepEqual(told, [
    ["unread", { direct: 1, mentions: 2 }],
    ["unread", { direct: 2, mentions: 2 }], ["direct_message", "dm:bob-cleo"],
    ["unread", { direct: 2, mentions: 3 }], ["mention", "video_1"],
    ["devices_changed", { user_id: "ada", version: 3 }],
  ]);
  assert.deepEqual(inbox.rooms.map(({ room_id }) => room_id), ["video_1", "dm:bob-cleo", TALK.room_id], "what changed last comes first");
  assert.equal(inbox.room("dm:bob-cleo").type, "direct");
  assert.deepEqual(states, ["connecting", "online"]);
});

test("what was read is said until it is answered", async (t) => {
  const { inbox, wire, begins } = await opened(t);
  begins(TALK);
  const done = inbox.markRead(TALK.room_id);
  const first = wire().last("mark_read");
  assert.deepEqual(first.data, { room_id: TALK.room_id, seq: 4 });
  wire().onclose({ code: 1006, reason: "" });
  await pass(t, 2_000);
  begins(TALK);
  assert.deepEqual(wire().last("mark_read"), first);
  wire().says({ reply: first.id, data: {} }, { event: "inbox_changed", data: { ...TALK, unread: 0, reason: "read" } });
  await done;
  assert.deepEqual(inbox.unread, { direct: 0, mentions: 0 });
  await inbox.markRead("of no inbox");
  assert.equal(wire().sent.filter(({ event }) => event === "mark_read").length, 1, "there is nothing to say of it");
  const refused = inbox.markRead(TALK.room_id, -1);
  wire().says({ reply: wire().last("mark_read").id, error: { code: "bad_request", message: "no" } });
  await assert.rejects(refused, { name: "ChatError", code: "bad_request" });
});

test("it comes back, and tells what came meanwhile", async (t) => {
  const { told, states, wire, begins } = await opened(t);
  begins(TALK, VIDEO);
  told.length = 0;
  // Nothing answers the ping any more.
  await pass(t, 15_000 + 10_000);
  assert.equal(states.at(-1), "waiting: timeout");
  await pass(t, 2_000);
  begins({ ...TALK, unread: 2, last_seq: 6 }, VIDEO);
  assert.deepEqual(told, [["unread", { direct: 2, mentions: 2 }], ["direct_message", TALK.room_id]]);
  wire().onclose({ code: 4429, reason: '{"retry":true,"after_ms":20000}' });
  const sockets = Wire.open.length;
  await pass(t, 19_000);
  assert.equal(Wire.open.length, sockets, "the server asked for a longer wait");
  await pass(t, 12_000);
  assert.equal(Wire.open.length, sockets + 1);
});

test("a socket that is never welcomed is given up, and a token that ended is asked for again", async (t) => {
  const asked = [];
  const { states, wire, begins } = await opened(t, { getToken: ({ reason }) => (asked.push(reason), `token${asked.length}`) });
  wire().onopen();
  await pass(t, 10_000);
  assert.equal(states.at(-1), "waiting: timeout");
  await pass(t, 2_000);
  begins();
  wire().onclose({ code: 4401, reason: '{"retry":true,"after_ms":0}' });
  await settled();
  assert.deepEqual(asked, ["connect", "refused"]);
  assert.deepEqual(wire().protocols, ["chat.v1", "bearer.token2"]);
});

test("a listener that closes it ends it, whatever it listens to", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.now() });
  const heard = ["inbox", "inbox_changed", "unread", "direct_message", "mention", "devices_changed"];
  for (const name of heard) {
    Wire.open = [];
    const inbox = openInbox({ url: "https://chat.example", token: "t.o.k", WebSocket: Wire });
    const told = [];
    for (const each of [...heard, "state"]) inbox.on(each, (data) => told.push(data.state ?? each));
    await settled();
    const [wire] = Wire.open;
    wire.onopen();
    const changed = (reason, room) => ({ event: "inbox_changed", data: { ...room, reason } });
    // It comes back once, so that it tells what was said meanwhile.
    wire.says({ event: "inbox", data: { rooms: [{ ...TALK, unread: 0 }], devices_version: 1 } });
    wire.onclose({ code: 1006, reason: "" });
    await pass(t, 2_000);
    inbox.on(name, () => inbox.close());
    told.length = 0;
    const again = Wire.open.at(-1);
    again.onopen();
    again.says(
      { event: "inbox", data: { rooms: [{ ...TALK, last_seq: 6 }], devices_version: 1 } },
      changed("message", { ...TALK, unread: 2, last_seq: 7 }), changed("mention", VIDEO), { event: "devices_changed", data: { user_id: "ada", version: 3 } },
    );
    assert.deepEqual([told.at(-1), told.at(-2)], ["ended", name]);
    assert.equal(inbox.state, "ended", name);
    const sent = again.sent.length;
    await pass(t, 20_000);
    assert.deepEqual([again.sent.length, Wire.open.length], [sent, 2], name);
  }
});

test("a guest has none, and says so", async (t) => {
  const { inbox, states, wire } = await opened(t, { token: undefined });
  assert.deepEqual(wire().protocols, ["chat.v1"]);
  wire().onopen();
  wire().says({ event: "goodbye", data: { code: "token_required", reason: "Sign in.", retry: false, after_ms: 0 } });
  wire().onclose({ code: 4401, reason: '{"retry":false,"after_ms":0}' });
  assert.equal(states.at(-1), "ended: token_required");
  await assert.rejects(inbox.markRead("r", 1), { code: "closed" });
});
