// The connection over a socket whose other end the test plays: what no real server does on demand.

import assert from "node:assert/strict";
import { test } from "node:test";

import { connected, EPOCH, event, pass, settled, Wire } from "./page/wire.mjs";

test("a signed-in viewer brings the token in the subprotocol and joins first", async (t) => {
  const { wire, states } = await connected(t);
  assert.equal(wire().url, "wss://chat.example/api/rooms/r/ws");
  assert.deepEqual(wire().protocols, ["chat.v1", "bearer.t.o.k"]);
  wire().joins();
  assert.deepEqual(wire().sent, [{ id: 1, event: "join_room", data: { room_id: "r" } }]);
  assert.deepEqual(states, ["connecting", "online"]);
});

test("a guest brings a kept random id instead", async (t) => {
  const { wire } = await connected(t, { token: null });
  assert.match(wire().protocols[1], /^guest\.[A-Za-z0-9_-]{22}$/);
});

test("V3: what was not answered is said again after a reconnect, from where the log was left", async (t) => {
  const { chat, wire, states } = await connected(t);
  const early = chat.send("before the join");
  wire().joins();
  wire().says({ reply: wire().last("send_message").id, data: { message_id: "m1", seq: 11 } });
  assert.equal((await early).message_id, "m1");
  wire().says(event(11));
  const lost = chat.send("into the dark");
  const first = wire().last("send_message");
  wire().onclose({ code: 1006, reason: "" });
  assert.equal(states.at(-1), "waiting: offline");
  t.mock.timers.tick(1000);
  await settled();
  assert.equal(Wire.open.length, 2);
  wire().joins({ resumed: true, events: [], seq: 11 });
  assert.deepEqual(wire().sent[0].data.resume, { epoch: EPOCH, seq: 11 });
  assert.deepEqual(wire().sent[1], first, "the same request with the same client_id");
  wire().says({ reply: first.id, data: { message_id: "m2", seq: 12 } });
  assert.equal((await lost).client_id, first.data.client_id);
});

test("V4: a gap is caught up with on the same socket", async (t) => {
  const { wire, heard } = await connected(t);
  wire().joins();
  wire().says(event(11), event(14), { event: "room_stats", data: {} });
  const asked = wire().last("catch_up");
  assert.deepEqual(asked.data, { room_id: "r", epoch: EPOCH, seq: 11 });
  wire().says(event(15));
  wire().says({ reply: asked.id, data: { epoch: EPOCH, seq: 14, resumed: true, events: [event(12), event(13), event(14)] } });
  assert.deepEqual(heard, [11, undefined, 12, 13, 14, 15]);
  assert.equal(Wire.open.length, 1);
});

test("V5: another epoch replaces the list", async (t) => {
  const { chat, wire, heard } = await connected(t);
  const lists = [];
  chat.on("snapshot", ({ messages }) => lists.push(messages.length));
  wire().joins();
  wire().says({ at: { epoch: EPOCH + 1, from: 3, to: 4 } }, event(4));
  wire().says({ reply: wire().last("catch_up").id, data: { epoch: EPOCH + 1, seq: 3, resumed: false, messages: [{ message_id: "m1", no: 1 }] } });
  assert.deepEqual(lists, [0, 1]);
  assert.deepEqual(heard, [4]);
  assert.deepEqual(chat.position, { epoch: EPOCH + 1, seq: 4 });
});

test("V4: a probe is echoed after what stood before it", async (t) => {
  const { chat, wire } = await connected(t);
  wire().joins();
  chat.on("new_message", () => wire().send('{"event":"seen"}'));
  wire().says(event(11), { event: "probe", data: { nonce: "n1" } });
  assert.deepEqual(wire().sent.slice(1), [{ event: "seen" }, { event: "probe", data: { nonce: "n1" } }]);
});

test("a ping without a pong gives the socket up, one with a pong keeps it", async (t) => {
  const { wire, states } = await connected(t);
  wire().joins();
  await pass(t, 15_000);
  assert.deepEqual(wire().sent.at(-1), { event: "ping" });
  wire().says({ event: "pong" });
  await pass(t, 10_000);
  assert.equal(states.at(-1), "online");
  await pass(t, 15_000);
  assert.equal(states.at(-1), "waiting: timeout");
  assert.equal(wire().closed, true);
});

test("V9: a refused token is asked for once more, and then it is over", async (t) => {
  const reasons = [];
  const { chat, wire, states } = await connected(t, { getToken: async ({ reason }) => (reasons.push(reason), `t${reasons.length}`) });
  const waiting = chat.send("hello");
  wire().onclose({ code: 4401, reason: '{"retry":false}' });
  await settled();
  assert.deepEqual(wire().protocols, ["chat.v1", "bearer.t2"]);
  wire().onclose({ code: 4401, reason: '{"retry":false}' });
  assert.deepEqual(reasons, ["connect", "refused"]);
  assert.equal(states.at(-1), "ended: token_invalid");
  await assert.rejects(waiting, { code: "token_invalid" });
});

test("V9: a newer token is asked for when the server says, not before", async (t) => {
  const reasons = [];
  const { wire, states } = await connected(t, { getToken: async ({ reason }) => (reasons.push(reason), `t${reasons.length}`) });
  wire().says({ event: "goodbye", data: { code: "token_expired", reason: "", retry: true, after_ms: 400 } });
  wire().onclose({ code: 4401, reason: '{"retry":true,"after_ms":400}' });
  t.mock.timers.tick(399);
  await settled();
  assert.deepEqual([reasons, states.at(-1)], [["connect"], "waiting: token_expired"]);
  t.mock.timers.tick(1);
  await settled();
  assert.deepEqual([reasons, wire().protocols[1]], [["connect", "refused"], "bearer.t2"]);
});

test("a refused join ends with its own code", async (t) => {
  const { wire, states } = await connected(t);
  wire().onopen();
  wire().says({ reply: 1, error: { code: "room_not_found", message: "no such room" } });
  assert.equal(states.at(-1), "ended: room_not_found");
});

const elsewhere = (more = {}) => ({ event: "goodbye", data: { code: "elsewhere", reason: "elsewhere", retry: true, after_ms: 0, ...more } });

test("a goodbye leads to the shard that it names, also where the join was refused first", async (t) => {
  const { wire, states } = await connected(t);
  wire().onopen();
  wire().says({ reply: 1, error: { code: "elsewhere", message: "elsewhere" } });
  wire().says(elsewhere({ shard_key: "k1" }));
  wire().onclose({ code: 4409, reason: '{"retry":true,"after_ms":0}' });
  t.mock.timers.tick(1);
  await settled();
  assert.equal(wire().url, "wss://chat.example/api/rooms/r/ws?k=k1");
  wire().joins();
  assert.deepEqual(states, ["connecting", "connecting", "connecting", "online"]);
});

test("V4: who is sent to another shard is there when it said, resumes, and repeats what is unanswered; it is no trouble", async (t) => {
  const { chat, wire, heard, states } = await connected(t, { token: null });
  wire().joins({ self: { user_id: null, role: "guest", guest_id: "0123456789012345678901", can: [] } });
  wire().says(event(11));
  const asked = chat.request("report_message", { message_id: "m1" });
  const unanswered = wire().last("report_message");
  wire().says(elsewhere({ shard_key: "0123456789abcdef", after_ms: 700 }));
  wire().onclose({ code: 4409, reason: '{"retry":true,"after_ms":700}' });
  t.mock.timers.tick(699);
  await settled();
  assert.equal(Wire.open.length, 1, "not before its time");
  t.mock.timers.tick(1);
  await settled();
  assert.equal(wire().url, "wss://chat.example/api/rooms/r/ws?k=0123456789abcdef");
  assert.deepEqual(wire().protocols, ["chat.v1", "guest.0123456789012345678901"]);
  wire().joins({ resumed: true, seq: 13, events: [event(12), event(13)], messages: undefined });
  assert.deepEqual(wire().sent[0].data.resume, { epoch: EPOCH, seq: 11 });
  assert.deepEqual(wire().sent[1], unanswered);
  wire().says({ reply: unanswered.id, data: {} });
  await asked;
  assert.deepEqual(heard.filter(Boolean), [11, 12, 13]);
  assert.deepEqual(states, ["connecting", "online", "connecting", "connecting", "online"]);
  // The next socket is led by the token or the guest's id again.
  wire().onclose({ code: 1006, reason: "" });
  t.mock.timers.tick(1_000);
  await settled();
  assert.equal(wire().url, "wss://chat.example/api/rooms/r/ws");
});

test("where a room sends a viewer from shard to shard, that is a failure in the end", async (t) => {
  const { wire, states } = await connected(t);
  for (let round = 0; round < 6; round += 1) {
    wire().onopen();
    wire().onclose({ code: 4409, reason: '{"retry":true,"after_ms":0}' });
    t.mock.timers.tick(1);
    await settled();
  }
  assert.equal(Wire.open.length, 6);
  assert.equal(states.at(-1), "waiting: elsewhere");
});

test("the token is renewed on the socket before it ends", async (t) => {
  let asked = 0;
  const { wire } = await connected(t, { getToken: () => `t${(asked += 1)}` });
  wire().joins({ self: { user_id: "ada", expires_at: new Date(Date.now() + 600_000).toISOString() } });
  t.mock.timers.tick(539_000);
  assert.equal(wire().last("refresh_token"), undefined);
  wire().says({ event: "pong" });
  t.mock.timers.tick(1_000);
  await settled();
  assert.equal(wire().last("refresh_token").data.user_token, "t2");
});

test("a message too old for the socket is changed over REST", async (t) => {
  const asked = [];
  const fetch = async (url, { method }) => (asked.push(`${method} ${url}`), new Response("{}"));
  const { chat, wire } = await connected(t, { fetch });
  wire().joins();
  const edit = chat.edit("m1", "new");
  wire().says({ reply: wire().last("edit_message").id, error: { code: "message_too_old", message: "" } });
  await edit;
  assert.deepEqual(asked, ["PATCH https://chat.example/api/messages/m1"]);
});

test("typing is said at most every three seconds, the last word included", async (t) => {
  const { chat, wire } = await connected(t);
  wire().joins();
  t.mock.timers.tick(3_200);
  const said = () => wire().sent.filter((frame) => frame.event === "typing").map(({ data }) => data.is_typing);
  chat.typing(false);
  chat.typing(true);
  chat.typing(true);
  assert.deepEqual(said(), [true]);
  t.mock.timers.tick(3_200);
  assert.deepEqual(said(), [true, true]);
  chat.typing(false);
  chat.typing(false);
  assert.deepEqual(said(), [true, true, false]);
  chat.typing(true);
  chat.send("the word").catch(() => {});
  t.mock.timers.tick(3_200);
  assert.deepEqual(said(), [true, true, false], "what was sent is no longer being typed");
});

test("where nobody is shown typing it is not said, and what was left out is told", async (t) => {
  const { chat, wire } = await connected(t);
  const told = [];
  chat.on("left_out", ({ count }) => told.push(count));
  const left_out = ["user_joined", "user_left", "user_typing"];
  wire().joins({ left_out });
  chat.typing(true);
  assert.deepEqual([chat.leftOut, wire().last("typing")], [left_out, undefined]);
  wire().says({ event: "room_stats", data: { online_users: 90, online_guests: 0, message_count: 1 } });
  chat.typing(true);
  assert.deepEqual([chat.leftOut, wire().last("typing").data], [[], { room_id: "r", is_typing: true }]);
  wire().says({ event: "room_stats", data: { online_users: 101, online_guests: 0, message_count: 1, left_out } });
  t.mock.timers.tick(4_000);
  chat.typing(true);
  assert.equal(wire().sent.filter((frame) => frame.event === "typing").length, 1);
  wire().says({ at: { epoch: EPOCH, from: 10, to: 15, left_out: 4 } }, event(15));
  wire().says({ at: { epoch: EPOCH, from: 15, to: 16, left_out: 0 } }, event(16));
  assert.deepEqual(told, [4]);
});

test("leaving says so and stays away", async (t) => {
  const { chat, wire, states } = await connected(t);
  wire().joins();
  chat.close();
  assert.equal(wire().sent.at(-1).event, "leave_room");
  assert.equal(states.at(-1), "ended: closed");
  t.mock.timers.tick(60_000);
  assert.equal(Wire.open.length, 1);
  await assert.rejects(chat.send("too late"), { code: "closed" });
});
