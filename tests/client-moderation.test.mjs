// Keeping order in the client module: acts on the wire, and what the model makes of the events. No server, no page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../client/web/chat.js";
import { banSentence, left, modesOn, span } from "../client/web/element/room-words.js";
import { createRest } from "../client/web/sdk/rest.js";
import { RoomModel } from "../client/web/sdk/room-model.js";

const EPOCH = 1732380000000;

class Wire {
  static last = null;
  sent = [];
  constructor() {
    Wire.last = this;
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {}
  says(...lines) {
    this.onmessage({ data: lines.map((line) => JSON.stringify(line)).join("\n") });
  }
  all(event) {
    return this.sent.filter((frame) => frame.event === event);
  }
  joins(self = { user_id: "ada", role: "member", can: ["send"] }, more = {}) {
    const reply = { room: { room_id: "r" }, self, epoch: EPOCH, seq: 10, resumed: false, messages: [], ...more };
    this.says({ reply: this.all("join_room").at(-1).id, data: reply });
  }
}

async function joined(t, options = {}) {
  const chat = connect({ url: "https://chat.example", room: "r", token: "t", storage: { getItem: () => null, setItem() {} }, WebSocket: Wire, ...options });
  t.after(() => chat.close());
  await new Promise((resolve) => setImmediate(resolve));
  Wire.last.onopen();
  Wire.last.joins();
  return { chat, wire: Wire.last };
}

const answering = (answers, asked) => async (url, { method, body }) => {
  asked.push([method, String(url).replace("https://chat.example/api", ""), body && JSON.parse(body)]);
  const { status = 200, ...said } = answers.shift() ?? {};
  return new Response(JSON.stringify(said), { status });
};

test("each act is one frame with the fields of the protocol", async (t) => {
  const { chat, wire } = await joined(t);
  const acts = [
    [() => chat.ban("zoe", { duration_s: 600, reason: "rude" }), "ban_user", { user_id: "zoe", duration_s: 600, reason: "rude" }],
    [() => chat.ban("zoe", { shadow: true }), "ban_user", { user_id: "zoe", shadow: true }],
    [() => chat.unban("zoe"), "unban_user", { user_id: "zoe" }],
    [() => chat.pin("m1"), "pin_message", { message_id: "m1" }],
    [() => chat.unpin("m1"), "unpin_message", { message_id: "m1" }],
    [() => chat.setRole("zoe", null), "set_role", { user_id: "zoe", role: null }],
    [() => chat.setModes({ slow_s: 5 }), "set_modes", { modes: { slow_s: 5 } }],
    [() => chat.allow("h1"), "allow_message", { held_id: "h1" }],
    [() => chat.deny("h1", { reason: "no" }), "deny_message", { held_id: "h1", reason: "no" }],
    [() => chat.setTerms({ blocked: ["a"], allowed: [], action: "hold" }), "set_terms", { blocked: ["a"], allowed: [], action: "hold" }],
    [() => chat.report("m1", { reason: "spam" }), "report_message", { message_id: "m1", reason: "spam" }],
    [() => chat.resolveReport("r1", { status: "dismissed" }), "resolve_report", { report_id: "r1", status: "dismissed" }],
    [() => chat.block("zoe"), "block_user", { user_id: "zoe" }],
  ];
  for (const [act, event, data] of acts) {
    const done = act();
    const frame = wire.sent.at(-1);
    assert.deepEqual([frame.event, frame.data], [event, { room_id: "r", ...data }]);
    wire.says({ reply: frame.id, data: { fine: event } });
    assert.deepEqual(await done, { fine: event });
  }
});

test("a bulk deletion goes on until there is no more", async (t) => {
  const { chat, wire } = await joined(t);
  const done = chat.removeAllOf("zoe");
  wire.says({ reply: wire.sent.at(-1).id, data: { deleted: 1000, more: true } });
  await new Promise((resolve) => setImmediate(resolve));
  wire.says({ reply: wire.sent.at(-1).id, data: { deleted: 7, more: false } });
  assert.deepEqual(await done, { deleted: 1007 });
  assert.equal(wire.all("delete_user_messages").length, 2);
});

test("what has left the log is pinned and reported over REST; an announcement is made there once", async (t) => {
  const asked = [];
  const { chat, wire } = await joined(t, { fetch: answering([{ pinned: ["m1"] }, { report_id: "r1" }, { message_id: "m2" }], asked) });
  for (const act of [() => chat.pin("m1"), () => chat.report("m1", { reason: "hate", details: "x" })]) {
    const done = act();
    wire.says({ reply: wire.sent.at(-1).id, error: { code: "message_too_old", message: "" } });
    await done;
  }
  await chat.announce("hear");
  assert.deepEqual(asked, [
    ["PUT", "/rooms/r/pins/m1", undefined],
    ["POST", "/messages/m1/report", { room_id: "r", reason: "hate", details: "x" }],
    ["POST", "/rooms/r/announce", { content: "hear" }],
  ]);
  const refused = chat.pin("m3");
  wire.says({ reply: wire.sent.at(-1).id, error: { code: "forbidden", message: "" } });
  await assert.rejects(refused, { code: "forbidden" });
});

test("the lists are asked for under their paths", async () => {
  const asked = [];
  const rest = createRest({ base: "https://chat.example", token: () => "t", fetch: answering([], asked) });
  await rest.bans("r");
  await rest.held("r");
  await rest.terms("r");
  await rest.testTerms("r", { content: "x", blocked: [] });
  await rest.reports("r", { status: "open", before: undefined });
  await rest.reported("r", "r1");
  await rest.blocks();
  assert.deepEqual(asked.map(([method, path]) => `${method} ${path}`), [
    "GET /rooms/r/bans", "GET /rooms/r/held", "GET /rooms/r/terms", "POST /rooms/r/terms/test",
    "GET /rooms/r/reports?status=open", "GET /rooms/r/reports/r1", "GET /me/blocks",
  ]);
});

test("a message is found anywhere in a long history with a few pages", async (t) => {
  const { chat } = await joined(t);
  const id = (no) => String(no).padStart(6, "0");
  let pages = 0;
  chat.rest.history = async (_room, { before = 100_001, limit }) => {
    pages += 1;
    const high = before - 1;
    const numbers = Array.from({ length: Math.min(limit, high) }, (_, index) => high - index);
    // Every third id is nobody's.
    return { messages: numbers.filter((no) => no % 3).map((no) => ({ no, message_id: id(no) })) };
  };
  for (const no of [1, 2, 100, 101, 49_999, 77_777, 99_901, 100_000]) {
    pages = 0;
    assert.equal((await chat.find(id(no)))?.no, no);
    assert.ok(pages <= 12, `${no}: ${pages} pages`);
  }
  for (const missing of [id(30_000), id(0), id(3), id(100_002)]) assert.equal(await chat.find(missing), undefined);
});

test("one's own new role is fetched with a fresh join on the same socket; another's is not", async (t) => {
  const { chat, wire } = await joined(t);
  const states = [];
  chat.on("state", ({ state }) => states.push(state));
  wire.says({ seq: 11, event: "role_set", data: { room_id: "r", user_id: "bob", role: "moderator" } });
  assert.equal(wire.all("join_room").length, 1);
  const waiting = chat.ban("zoe");
  wire.says({ seq: 12, event: "role_set", data: { room_id: "r", user_id: "ada", role: "moderator" } });
  assert.equal(wire.all("join_room").length, 2);
  assert.equal(wire.all("join_room")[1].data.resume, undefined, "a moderator sees more of what was before");
  wire.joins({ user_id: "ada", role: "moderator", can: ["send", "ban"] }, { seq: 12 });
  assert.deepEqual(chat.self.can, ["send", "ban"]);
  assert.deepEqual(states, [], "it was never offline");
  assert.equal(wire.all("ban_user").length, 1, "what waits is not asked twice");
  wire.says({ reply: wire.all("ban_user")[0].id, data: {} });
  await waiting;
});

test("a ban ends the connection with its reason and its end", async (t) => {
  const { chat, wire } = await joined(t);
  let ended;
  chat.on("state", ({ error }) => {
    ended = error;
  });
  wire.says({ seq: 11, event: "user_banned", data: { user_id: "bob", ends_at: null } });
  wire.says({ seq: 12, event: "user_banned", data: { user_id: "ada", ends_at: "2026-01-01T10:00:00.000Z" } });
  wire.says({ event: "goodbye", data: { code: "banned", reason: "You are banned from this room: rude.", retry: false, after_ms: 0 } });
  wire.onclose({ code: 4403, reason: '{"retry":false,"after_ms":0}' });
  assert.deepEqual([chat.state, ended.code, ended.ends_at], ["ended", "banned", "2026-01-01T10:00:00.000Z"]);
  assert.match(banSentence(ended), /^You are banned from this room: rude\. This ends on /);
  assert.equal(banSentence({ message: "Out.", ends_at: null }), "Out. This holds until a moderator lifts it.");
  assert.equal(banSentence({ message: "Out.", ends_at: undefined }), "Out.");
});

const message = (no, user_id = "ada", more = {}) => ({ message_id: `m${no}`, no, user: { user_id, username: user_id }, content: `hello ${no}`, ...more });

function modelOf(self, settings = {}) {
  const model = new RoomModel();
  model.joined({ room: { room_id: "r", settings, pinned: [] }, self, members: [{ user_id: "ada", role: "member" }], online_users: 1, online_guests: 0 });
  model.snapshot({ messages: [message(1), message(2, "zoe")] });
  return model;
}

const member = { user_id: "ada", role: "member", can: ["send", "edit", "react", "type", "report"] };
const moderator = { user_id: "mo", role: "moderator", can: ["send", "ban", "review_held", "review_reports"] };
const held = (more = {}) => ({ event: "message_held", data: { held_id: "h1", user: { user_id: "ada" }, client_id: "c1", content: "a &lt; b", text: "a < b", reasons: [], expires_at: "later", ...more } });

test("one's own held message waits, and becomes the message or was not allowed", () => {
  const model = modelOf(member);
  model.addPending({ client_id: "c1", content: "a < b" });
  model.settlePending("c1", "held", null, "h1");
  model.apply(held(), 0);
  assert.deepEqual([model.pending.get("c1").state, model.held.size], ["held", 0], "the queue is the moderators'");
  model.apply({ event: "message_released", data: { held_id: "h1", message_id: "m3" } }, 0);
  assert.equal(model.pending.get("c1").state, "sent");
  model.apply({ event: "new_message", data: message(3, "ada", { client_id: "c1" }) }, 0);
  assert.equal(model.pending.size, 0);

  model.apply(held({ held_id: "h2", client_id: "c2" }), 0);
  assert.deepEqual([model.pending.get("c2").content, model.pending.get("c2").state], ["a < b", "held"], "another tab's");
  model.apply({ event: "message_denied", data: { held_id: "h2", outcome: "denied", reason: "no" } }, 0);
  assert.deepEqual([model.pending.get("c2").state, model.pending.get("c2").reason], ["denied", "no"]);
  model.settlePending("c2", "held", null, "h2");
  assert.equal(model.pending.get("c2").state, "denied", "the decision stands, whatever is repeated");
});

test("a moderator's queues follow the events and the lists", () => {
  const model = modelOf(moderator);
  model.apply(held(), 0);
  model.apply(held({ held_id: "h2" }), 0);
  assert.deepEqual([[...model.held.keys()], model.pending.size], [["h1", "h2"], 0]);
  model.apply({ event: "message_denied", data: { held_id: "h1", outcome: "expired" } }, 0);
  assert.deepEqual([...model.held.keys()], ["h2"]);
  model.apply({ event: "message_reported", data: { report_id: "r1" } }, 0);
  model.apply({ event: "message_reported", data: { report_id: "r2" } }, 0);
  model.apply({ event: "report_resolved", data: { report_id: "r1", status: "resolved" } }, 0);
  assert.deepEqual([...model.reports.keys()], ["r2"]);
  // Fetched before h1 was denied, and before h2 and r2 came.
  model.queues({ held: [{ held_id: "h1" }, { held_id: "h0" }], reports: [{ report_id: "r1" }] });
  assert.deepEqual([[...model.held.keys()], [...model.reports.keys()]], [["h0", "h2"], ["r2"]]);
  model.joined({ room: {}, self: moderator });
  model.queues({ held: [{ held_id: "h3" }] });
  assert.deepEqual([[...model.held.keys()], [...model.reports.keys()]], [["h3"], []]);
});

test("pins, settings, roles and blocks change what is shown", () => {
  const model = modelOf(member);
  model.apply({ event: "message_pinned", data: { message_id: "m1", pinned: ["m1"] } }, 0);
  model.apply({ event: "room_updated", data: { room_id: "r", name: "R", settings: { read_only: true }, changed: ["settings.read_only"] } }, 0);
  assert.deepEqual([model.room.pinned, model.can("send"), model.can("report")], [["m1"], false, true]);
  model.apply({ event: "room_updated", data: { settings: { read_only: false } } }, 0);
  assert.equal(model.can("send"), true);
  model.apply({ event: "role_set", data: { user_id: "ada", role: "moderator" } }, 0);
  assert.equal(model.members.get("ada").role, "moderator");
  model.blocked.add("zoe");
  assert.deepEqual(model.shown.map(({ no }) => no), [1]);
  model.blocked.delete("zoe");
  assert.equal(model.shown, model.messages);
  const keeper = modelOf({ ...moderator, can: ["delete"] });
  keeper.blocked.add("zoe");
  assert.equal(keeper.shown.length, 2, "who keeps order sees everything");

  const joinedReadOnly = modelOf({ ...member, can: ["report"] }, { read_only: true });
  joinedReadOnly.apply({ event: "room_updated", data: { settings: { read_only: false } } }, 0);
  assert.equal(joinedReadOnly.can("send"), true, "without another join");
  assert.equal(modelOf({ role: "guest", can: [] }).can("send"), false);
  assert.equal(modelOf(moderator, { read_only: true }).can("send"), true);
});

test("modes and times in words", () => {
  assert.deepEqual(modesOn(), []);
  assert.deepEqual(modesOn({ slow_s: null, read_only: false, links: "on", delay_s: 0, followers_only_s: null }), []);
  assert.deepEqual(
    modesOn({ slow_s: 30, followers_only_s: 0, subscribers_only: true, emote_only: true, no_repeats: true, links: "moderators", delay_s: 4, read_only: true }),
    ["Read-only", "Slow mode: 30 s", "Followers only", "Subscribers only", "Emotes only", "No repeats", "No links", "Delay: 4 s"],
  );
  assert.deepEqual(modesOn({ slow_s: 300, followers_only_s: 86_400 }), ["Slow mode: 5 minutes", "Followers only: 1 day"]);
  assert.deepEqual(modesOn({ subscribers_only: true, subscribers_only_s: 86_400 }), ["Subscribers only: 1 day"]);
  assert.deepEqual([span(1), span(90), span(7_200)], ["1 second", "90 seconds", "2 hours"]);
  const now = Date.parse("2026-01-01T00:00:00Z");
  assert.deepEqual(["00:00:30", "00:09:30", "03:00:00", "00:00:00"].map((time) => left(`2026-01-01T${time}Z`, now)), ["30 s left", "10 min left", "3 h left", "0 s left"]);
});
