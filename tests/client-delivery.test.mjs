// Losing a connection and coming back, as the client module does it: when, with what, and what it keeps.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { connected, EPOCH, event, memory, pass, settled, Wire } from "./page/wire.mjs";

beforeEach(() => {
  globalThis.window = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
});

const tell = async (target, name, more = {}) => {
  target.dispatchEvent(Object.assign(new Event(name), more));
  await settled();
};

const full = { reconnect: { base_ms: 20_000, spread_ms: 0 } };

test("V4: a gap in a frame of many lines is caught up with, and what came meanwhile follows once and in order", async (t) => {
  const { chat, wire, heard } = await connected(t);
  wire().joins();
  wire().says({ at: { epoch: EPOCH, from: 8, to: 14, left_out: 0 } }, event(9), event(11), event(14));
  wire().says({ at: { epoch: EPOCH, from: 16, to: 18, left_out: 0 } }, event(17));
  assert.deepEqual(wire().last("catch_up").data, { room_id: "r", epoch: EPOCH, seq: 14 });
  wire().says(event(19));
  wire().says({ at: { epoch: EPOCH, from: 19, to: 21, left_out: 0 } }, event(20), event(21));
  assert.deepEqual(heard, [11, 14]);
  wire().says({ reply: wire().last("catch_up").id, data: { epoch: EPOCH, seq: 20, resumed: true, events: [event(16), event(17), event(19), event(20)] } });
  assert.deepEqual(heard, [11, 14, 16, 17, 19, 20, 21]);
  assert.deepEqual(chat.position, { epoch: EPOCH, seq: 21 });
});

test("V4: a catch_up that is refused is asked again, one that is lost is a lost socket", async (t) => {
  const { wire, heard, states } = await connected(t);
  wire().joins();
  wire().says(event(13));
  wire().says({ reply: wire().last("catch_up").id, error: { code: "overloaded", message: "", retry_after_ms: 3_000 } });
  const asked = () => wire().sent.filter((frame) => frame.event === "catch_up").length;
  await pass(t, 2_000);
  assert.equal(asked(), 1);
  await pass(t, 1_000);
  assert.equal(asked(), 2);
  await pass(t, 14_000);
  assert.equal(states.at(-1), "online");
  await pass(t, 1_000);
  assert.equal(states.at(-1), "waiting: timeout");
  await pass(t, 1_000);
  wire().joins({ resumed: true, seq: 13, events: [event(12), event(13)] });
  assert.deepEqual(heard, [12, 13], "what was held back on the lost socket comes once");
});

test("V5: where it cannot be resumed the snapshot comes before what follows, with its epoch", async (t) => {
  const { chat, wire } = await connected(t);
  const order = [];
  chat.on("snapshot", ({ epoch, messages }) => order.push([epoch, messages.length]));
  chat.on("event", ({ seq }) => order.push(seq));
  chat.on("state", ({ state }) => order.push(state));
  wire().joins();
  wire().says(event(11));
  wire().onclose({ code: 1006, reason: "" });
  await pass(t, 1_000);
  wire().joins({ epoch: EPOCH + 5, seq: 4, messages: [{ message_id: "m1", no: 1 }] });
  wire().says(event(5));
  assert.deepEqual(order, [[EPOCH, 0], "online", 11, "waiting", "connecting", [EPOCH + 5, 1], "online", 5]);
});

test("V9: the room's wait is kept, doubled for each failure, and spread", async (t) => {
  const { chat, wire } = await connected(t);
  const waits = [];
  chat.on("state", ({ state, retry_in_ms }) => state === "waiting" && waits.push(retry_in_ms));
  t.mock.method(Math, "random", () => 0.5);
  wire().joins({ reconnect: { base_ms: 1_000, spread_ms: 4_000 } });
  for (let failure = 0; failure < 6; failure += 1) {
    wire().onclose({ code: 1006, reason: "" });
    await pass(t, waits.at(-1));
  }
  assert.deepEqual(waits, [3_000, 6_000, 12_000, 24_000, 30_000, 30_000]);
  wire().joins({ reconnect: { base_ms: 1_000, spread_ms: 4_000 } });
  for (let second = 0; second < 12; second += 6) {
    await pass(t, 6_000);
    wire().says({ event: "pong" });
  }
  wire().onclose({ code: 1006, reason: "" });
  assert.equal(waits.at(-1), 3_000, "a socket that lived was no failure");
});

test("V9: the network, the tab and the machine that come back end the wait, and so does the user", async (t) => {
  const { chat, wire, states } = await connected(t);
  wire().joins(full);
  const lost = async () => {
    wire().onclose({ code: 1006, reason: "" });
    await pass(t, 2_000);
    assert.equal(states.at(-1), "waiting: offline");
  };
  const back = [
    () => tell(window, "online"),
    () => tell(document, "visibilitychange"),
    () => tell(window, "pageshow", { persisted: true }),
    () => t.mock.timers.tick(9_000),
    () => chat.retry(),
  ];
  for (const come of back) {
    await lost();
    await come();
    await settled();
    assert.equal(states.at(-1), "connecting", String(come));
    wire().joins({ resumed: true, events: [], ...full });
  }
  assert.equal(Wire.open.length, 1 + back.length);
});

test("V9: a wait that the server asked for is kept, whatever comes back and whoever insists", async (t) => {
  const { chat, wire, states } = await connected(t);
  const details = [];
  chat.on("state", (detail) => details.push(detail));
  wire().joins();
  wire().says({ event: "goodbye", data: { code: "overloaded", reason: "busy", retry: true, after_ms: 20_000 } });
  wire().onclose({ code: 4429, reason: '{"retry":true,"after_ms":20000}' });
  assert.deepEqual([details.at(-1).asked, details.at(-1).retry_in_ms], [true, 20_000]);
  await pass(t, 5_000);
  await tell(window, "online");
  await tell(document, "visibilitychange");
  assert.equal(chat.retry(), false);
  assert.equal(states.at(-1), "waiting: overloaded");
  t.mock.timers.tick(14_999);
  await settled();
  assert.equal(states.at(-1), "waiting: overloaded", "a clock that jumped is not the end of it");
  await pass(t, 1_000);
  assert.equal(states.at(-1), "connecting");
});

test("V9: what says that coming back is no use ends it, and nothing brings it back", async (t) => {
  const { chat, wire, states } = await connected(t);
  wire().joins();
  wire().says({ event: "goodbye", data: { code: "room_deleted", reason: "gone", retry: false, after_ms: 0 } });
  wire().onclose({ code: 4404, reason: '{"retry":false,"after_ms":0}' });
  assert.equal(states.at(-1), "ended: room_deleted");
  await tell(window, "online");
  await pass(t, 60_000);
  assert.equal(chat.retry(), false);
  assert.equal(Wire.open.length, 1);
});

test("V4: a socket that may be dead has to prove itself within seconds", async (t) => {
  const { chat, wire, states } = await connected(t);
  const away = [];
  chat.on("state", ({ state, away_ms }) => state === "online" && away.push(away_ms));
  const pings = () => wire().sent.filter((frame) => frame.event === "ping").length;
  const doubts = [() => tell(window, "offline"), () => tell(window, "online"), () => tell(document, "visibilitychange"), () => t.mock.timers.tick(600_000)];
  wire().joins();
  for (const doubt of doubts) {
    const before = pings();
    await doubt();
    assert.ok(pings() > before, String(doubt));
    wire().says({ event: "pong" });
    await pass(t, 6_000);
    assert.equal(states.at(-1), "online", "a pong is enough");
    wire().says({ event: "pong" });
  }
  await tell(window, "offline");
  await pass(t, 3_000);
  await tell(document, "visibilitychange");
  await pass(t, 2_000);
  assert.equal(states.at(-1), "waiting: timeout", "asked again, it has no more time");
  await pass(t, 1_000);
  wire().joins({ resumed: true, events: [] });
  t.mock.timers.tick(600_000);
  await pass(t, 6_000);
  await settled();
  wire().joins({ resumed: true, events: [] });
  assert.ok(away.at(-1) >= 600_000, `it was away since nothing was heard: ${away}`);
  assert.equal(away[0], null);
});

test("V9: a connect that hangs is begun anew when the network is there", async (t) => {
  const { wire, states } = await connected(t);
  wire().readyState = 0;
  await tell(window, "online");
  assert.equal(Wire.open.length, 2);
  assert.equal(Wire.open[0].closed, true);
  wire().joins();
  assert.equal(states.at(-1), "online");
});

test("V9: after a sign-out everywhere a new token is asked for when the server says", async (t) => {
  const reasons = [];
  const { wire, states } = await connected(t, { getToken: async ({ reason }) => (reasons.push(reason), `t${reasons.length}`) });
  wire().joins();
  wire().says({ event: "goodbye", data: { code: "token_expired", reason: "", retry: true, after_ms: 700 } });
  wire().onclose({ code: 4401, reason: '{"retry":true,"after_ms":700}' });
  await pass(t, 699);
  assert.deepEqual([states.at(-1), reasons], ["waiting: token_expired", ["connect"]]);
  await pass(t, 1);
  assert.deepEqual(reasons, ["connect", "refused"]);
  assert.deepEqual(wire().protocols, ["chat.v1", "bearer.t2"]);
});

test("V9: where no token is to be had it is asked for again, not given up", async (t) => {
  const answers = [() => "t1", () => Promise.reject(new Error("away")), () => "t2"];
  const { wire, states } = await connected(t, { getToken: async () => answers.shift()() });
  wire().joins();
  wire().onclose({ code: 4401, reason: '{"retry":true,"after_ms":0}' });
  await settled();
  assert.equal(states.at(-1), "waiting: token_unavailable");
  await pass(t, 1_000);
  assert.deepEqual(wire().protocols, ["chat.v1", "bearer.t2"]);
});

test("V3: what was not answered goes again after the page was loaded anew, with the same client_id", async (t) => {
  const tabStorage = memory();
  const first = await connected(t, { tabStorage });
  first.wire().joins();
  first.chat.send("answered").catch(() => {});
  first.wire().says({ reply: first.wire().last("send_message").id, data: { message_id: "m1", seq: 11 } });
  await settled();
  first.wire().onclose({ code: 1006, reason: "" });
  first.chat.send("typed offline", { reply_to: "m1" }).catch(() => {});
  const { client_id } = JSON.parse([...tabStorage.kept.values()][0])[0];

  const second = await connected(t, { tabStorage });
  const left = [];
  second.chat.on("unsent", (item) => left.push(item));
  second.wire().joins();
  assert.deepEqual(left.map(({ content, reply_to, late }) => [content, reply_to, late]), [["typed offline", "m1", false]]);
  const sent = second.wire().last("send_message");
  assert.deepEqual(sent.data, { room_id: "r", content: "typed offline", type: "text", client_id, reply_to: "m1" });
  second.wire().says({ reply: sent.id, data: { message_id: "m2", seq: 12 } });
  assert.deepEqual(await left[0].reply, { message_id: "m2", seq: 12, client_id });
  assert.equal(tabStorage.kept.size, 0);

  const third = await connected(t, { tabStorage });
  third.wire().joins();
  assert.equal(third.wire().last("send_message"), undefined, "what was answered stays answered");
});

test("V3: what is left unsent is its author's, in its room, and after an hour not sent unasked", async (t) => {
  const tabStorage = memory();
  const first = await connected(t, { tabStorage });
  first.wire().joins();
  first.chat.send("mine").catch(() => {});
  first.chat.close();
  for (const other of [{ user_id: "eve", role: "member" }, { user_id: null, role: "guest" }]) {
    const stranger = await connected(t, { tabStorage });
    stranger.wire().joins({ self: other });
    assert.equal(stranger.wire().last("send_message"), undefined);
  }
  t.mock.timers.setTime(Date.now() + 3_700_000);
  const late = await connected(t, { tabStorage });
  const left = [];
  late.chat.on("unsent", (item) => left.push(item));
  late.wire().joins();
  assert.deepEqual(left.map((item) => [item.content, item.late, item.reply]), [["mine", true, null]]);
  assert.equal(late.wire().last("send_message"), undefined);
  late.chat.forget(left[0].client_id);
  assert.equal(tabStorage.kept.size, 0);
});

test("V3: what the server refused is not said again later, and storage that is forbidden keeps nobody from writing", async (t) => {
  const tabStorage = { getItem() { throw new Error("forbidden"); }, setItem() { throw new Error("full"); }, removeItem() {} };
  const { chat, wire } = await connected(t, { tabStorage });
  wire().joins();
  const sent = chat.send("hello");
  wire().says({ reply: wire().last("send_message").id, data: { message_id: "m1", seq: 11 } });
  assert.equal((await sent).message_id, "m1");

  const kept = memory();
  const refused = await connected(t, { tabStorage: kept });
  refused.wire().joins();
  const answer = refused.chat.send("no").catch(({ code }) => code);
  refused.wire().says({ reply: refused.wire().last("send_message").id, error: { code: "content_rejected", message: "" } });
  assert.equal(await answer, "content_rejected");
  assert.equal(kept.kept.size, 0);
});

test("V3: what was typed offline waits for the room's limits, in order; what is typed too fast is told", async (t) => {
  const { chat, wire } = await connected(t);
  const answers = [];
  for (const content of ["one", "two"]) chat.send(content).then(({ seq }) => answers.push(seq));
  wire().joins();
  const contents = () => wire().sent.filter((frame) => frame.event === "send_message").map(({ data }) => data.content);
  const refuse = (retry_after_ms) => wire().says({ reply: wire().last("send_message").id, error: { code: "slow_mode", message: "", retry_after_ms } });
  const [first, second] = wire().sent.filter((frame) => frame.event === "send_message");
  for (const { id } of [first, second]) wire().says({ reply: id, error: { code: "slow_mode", message: "", retry_after_ms: 5_000 } });
  await settled();
  await pass(t, 5_000);
  assert.deepEqual(contents(), ["one", "two", "one"]);
  assert.equal(wire().last("send_message").data.client_id, first.data.client_id);
  wire().says({ reply: wire().last("send_message").id, data: { message_id: "m1", seq: 11 } });
  await settled();
  await pass(t, 5_000);
  assert.deepEqual(contents(), ["one", "two", "one", "two"]);
  refuse(2_000);
  await settled();
  await pass(t, 2_000);
  wire().says({ reply: wire().last("send_message").id, data: { message_id: "m2", seq: 12 } });
  await settled();
  assert.deepEqual(answers, [11, 12]);
  const fast = chat.send("three").catch(({ code }) => code);
  refuse(5_000);
  assert.equal(await fast, "slow_mode");
});

test("V3: what one user did not get answered is not said by another who signs in on the same page", async (t) => {
  const tabStorage = memory();
  const { chat, wire } = await connected(t, { tabStorage });
  wire().joins();
  const answer = chat.send("of ada").catch(({ code }) => code);
  wire().onclose({ code: 1006, reason: "" });
  await pass(t, 3_000);
  wire().joins({ self: { user_id: "eve", role: "member", can: ["send"] } });
  assert.equal(await answer, "closed");
  assert.equal(wire().last("send_message"), undefined);
  chat.send("of eve").catch(() => {});
  const kept = Object.fromEntries([...tabStorage.kept].map(([key, list]) => [key.split(" ").at(-1), JSON.parse(list).map(({ content }) => content)]));
  assert.deepEqual(kept, { ada: ["of ada"], eve: ["of eve"] });
});

test("V3: a day later a repeat might be a second message, so it is not sent", async (t) => {
  const { chat, wire } = await connected(t, { tabStorage: memory() });
  wire().joins();
  const answer = chat.send("before the weekend").catch(({ code }) => code);
  wire().onclose({ code: 1006, reason: "" });
  t.mock.timers.setTime(Date.now() + 24 * 3_600_000);
  await pass(t, 3_000);
  wire().joins();
  assert.equal(await answer, "timeout");
  assert.equal(wire().last("send_message"), undefined);
});

test("V9: a connection that is closed by who listens to it stays closed", async (t) => {
  for (const [name, when] of [["state", ({ state }) => state === "waiting"], ["joined", () => true], ["snapshot", () => true]]) {
    const { chat, wire, states } = await connected(t);
    chat.on(name, (data) => when(data) && chat.close());
    wire().joins();
    if (name === "state") wire().onclose({ code: 1006, reason: "" });
    await pass(t, 60_000);
    assert.equal(states.at(-1), "ended: closed", name);
    assert.equal(Wire.open.length, 1, name);
    assert.ok(wire().closed || name === "state", name);
  }
});

test("how long a message took goes with the next one, and what a lost connection is to blame for does not", async (t) => {
  const { chat, wire } = await connected(t);
  wire().joins();
  const sent = () => wire().last("send_message");
  const say = (content) => chat.send(content, { client_id: content });
  const first = say("first");
  assert.equal(sent().data.took, undefined);
  await pass(t, 40);
  wire().says({ reply: sent().id, data: { message_id: "m", seq: 11 } });
  await first;
  await pass(t, 260);
  wire().says({ ...event(11), data: { no: 1, client_id: "first" } });
  say("second").catch(() => {});
  assert.deepEqual(sent().data.took, { ack_ms: 40, shown_ms: 300 });
  // In a room that is split the event may come ahead of the answer.
  await pass(t, 30);
  wire().says({ ...event(12), data: { no: 2, client_id: "second" } });
  await pass(t, 20);
  wire().says({ reply: sent().id, data: { message_id: "m1", seq: 12 } });
  say("held").catch(() => {});
  assert.deepEqual(sent().data.took, { ack_ms: 50, shown_ms: 30 });
  // Held: answered, and not seen for who knows how long.
  wire().says({ reply: sent().id, data: { message_id: "m2", seq: 13, held: true } });
  say("third").catch(() => {});
  assert.equal(sent().data.took, undefined);
  wire().onclose({ code: 1006, reason: "" });
  await pass(t, 30_000);
  wire().joins();
  wire().says({ reply: sent().id, data: { message_id: "m3", seq: 14 } });
  say("fourth").catch(() => {});
  assert.deepEqual(sent().data.took, { ack_ms: 0 });
});
