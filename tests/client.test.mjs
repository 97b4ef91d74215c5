// The pure parts of the client module, without a server and without a page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { closeCodeOf, codeOfClose, delay, verdict } from "../client/web/sdk/backoff.js";
import { ChatError } from "../client/web/sdk/errors.js";
import { isPositional, parseFrame } from "../client/web/sdk/frame.js";
import { guestId, keepGuestId } from "../client/web/sdk/guest.js";
import { Outbox } from "../client/web/sdk/outbox.js";
import { Position } from "../client/web/sdk/position.js";
import { createRest } from "../client/web/sdk/rest.js";
import { RoomModel } from "../client/web/sdk/room-model.js";

const EPOCH = 1732380000000;
const event = (seq) => ({ seq, event: "new_message", data: { no: seq } });
const at = (from, to, epoch = EPOCH) => ({ at: { epoch, from, to } });
const seqs = (lines) => lines.map(({ seq }) => seq);

function positionAt(seq) {
  const position = new Position();
  position.adopt({ epoch: EPOCH, seq, resumed: false });
  return position;
}

test("a frame is split into its lines, and what cannot be read is left out", () => {
  const lines = parseFrame('{"at":{"epoch":1,"from":0,"to":2}}\n{"seq":2,"event":"x","data":"a\\nb"}\nnot json\n\n3\n');
  assert.equal(lines.length, 2);
  assert.equal(lines[1].data, "a\nb");
  assert.deepEqual(lines.map(isPositional), [true, true]);
  assert.equal(isPositional({ event: "user_typing", data: {} }), false);
  assert.equal(isPositional({ reply: 1, data: { seq: 4 } }), false);
});

test("V4: events pass once and in order; doubles are dropped", () => {
  const position = positionAt(10);
  assert.deepEqual(seqs(position.take([event(9), event(10), event(11), event(11), event(12)])), [11, 12]);
  assert.deepEqual(position.value, { epoch: EPOCH, seq: 12 });
});

test("V4: an `at` line covers numbers that are not for this viewer", () => {
  const position = positionAt(10);
  assert.deepEqual(seqs(position.take([at(10, 20), event(13), event(17)])), [13, 17]);
  assert.equal(position.seq, 20);
  // It may begin before the cursor, and may end before it too.
  assert.deepEqual(seqs(position.take([at(15, 22), event(18), event(22)])), [22]);
  assert.deepEqual(position.take([at(5, 8)]), []);
  assert.equal(position.seq, 22);
  assert.equal(position.catchingUp, false);
});

test("V4: a gap asks to catch up and holds back what comes meanwhile", () => {
  const position = positionAt(10);
  assert.deepEqual(seqs(position.take([event(11), event(13)])), [11]);
  assert.equal(position.catchingUp, true);
  assert.deepEqual(position.value, { epoch: EPOCH, seq: 11 });
  assert.deepEqual(position.take([event(14)]), []);
  assert.deepEqual(position.take([at(14, 16), event(16)]), []);
  const merged = position.adopt({ epoch: EPOCH, seq: 14, resumed: true, events: [event(12), event(13), event(14)] });
  assert.deepEqual(seqs(merged), [12, 13, 14, 16]);
  assert.equal(position.catchingUp, false);
  assert.equal(position.seq, 16);
});

test("V4: a reply to a resume that repeats what is known brings only what is new", () => {
  const position = positionAt(10);
  assert.deepEqual(seqs(position.take([event(11), event(12)])), [11, 12]);
  assert.deepEqual(seqs(position.adopt({ epoch: EPOCH, seq: 15, resumed: true, events: [event(11), event(12), event(13), event(14)] })), [13, 14]);
  assert.equal(position.seq, 15);
});

test("V4: an `at` that begins after the cursor, or of another epoch, is a gap", () => {
  const ahead = positionAt(10);
  assert.deepEqual(ahead.take([at(12, 14), event(13)]), []);
  assert.equal(ahead.catchingUp, true);
  const other = positionAt(10);
  assert.deepEqual(other.take([at(0, 3, EPOCH + 1), event(3)]), []);
  assert.equal(other.catchingUp, true);
  assert.deepEqual(seqs(other.adopt({ epoch: EPOCH + 1, seq: 2, resumed: false })), [3]);
  assert.deepEqual(other.value, { epoch: EPOCH + 1, seq: 3 });
});

test("V4: what was left out is counted once, and not where a catch-up brought it", () => {
  const position = positionAt(10);
  const sampled = (from, to, left_out) => ({ at: { epoch: EPOCH, from, to, left_out } });
  position.take([sampled(10, 20, 7), event(20)]);
  position.take([sampled(10, 20, 7), event(20)]);
  // A frame may hold nothing else.
  position.take([sampled(18, 22, 2)]);
  assert.equal(position.takeLeftOut(), 9);
  assert.equal(position.takeLeftOut(), 0);
  position.take([sampled(25, 30, 4), event(30)]);
  position.take([sampled(30, 36, 5), event(36)]);
  assert.equal(position.catchingUp, true);
  position.adopt({ epoch: EPOCH, seq: 30, resumed: true, events: [event(23), event(28), event(30)] });
  assert.deepEqual([position.takeLeftOut(), position.seq], [5, 36]);
});

test("V4: a gap among what was held back asks again", () => {
  const position = positionAt(1);
  position.take([event(3)]);
  position.take([event(9)]);
  assert.deepEqual(seqs(position.adopt({ epoch: EPOCH, seq: 3, resumed: true, events: [event(2), event(3)] })), [2, 3]);
  assert.equal(position.catchingUp, true);
  assert.equal(position.seq, 3);
});

test("V4: an event after the end of its `at` is judged by its own number", () => {
  const position = positionAt(10);
  assert.deepEqual(seqs(position.take([at(10, 12), event(12), event(15)])), [12]);
  assert.equal(position.catchingUp, true);
  assert.equal(position.seq, 12);
});

test("V4: in any cutting and doubling of a log, each event arrives exactly once", () => {
  let state = 7;
  const random = (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state % below;
  };
  for (let round = 0; round < 300; round += 1) {
    const log = Array.from({ length: 60 }, (_, index) => index + 1);
    const visible = log.filter(() => random(4) > 0);
    const position = positionAt(0);
    const seen = [];
    let sent = 0;
    while (sent < log.length) {
      const to = Math.min(log.length, sent + 1 + random(6));
      const from = Math.max(0, sent - random(4));
      const lost = random(5) === 0;
      if (!lost) {
        seen.push(...position.take([at(from, to), ...visible.filter((seq) => seq > from && seq <= to).map(event)]));
        if (position.catchingUp && random(2) === 0) {
          const since = position.seq;
          const events = visible.filter((seq) => seq > since && seq <= to).map(event);
          seen.push(...position.adopt({ epoch: EPOCH, seq: to, resumed: true, events }));
        }
      }
      sent = to;
    }
    position.drop();
    const rest = visible.filter((seq) => seq > position.seq).map(event);
    seen.push(...position.adopt({ epoch: EPOCH, seq: log.length, resumed: true, events: rest }));
    assert.deepEqual(seqs(seen), visible, `round ${round}`);
  }
});

test("V9: the wait grows from base + spread up to 30 s", () => {
  const room = { base_ms: 1000, spread_ms: 2000 };
  assert.equal(delay(room, 0, () => 0), 1000);
  assert.equal(delay(room, 0, () => 0.5), 2000);
  assert.equal(delay(room, 2, () => 0.5), 8000);
  assert.equal(delay(room, 30, () => 0.5), 30_000);
  assert.equal(delay({ base_ms: 1000, spread_ms: 60_000 }, 1, () => 0.75), 46_000, "a large room's spread is kept");
});

test("V9: close codes and their reasons say whether to come back", () => {
  assert.deepEqual(verdict(1006), { code: 1006, retry: true, afterMs: null, token: false });
  for (const code of [4400, 4401, 4403, 4404]) assert.equal(verdict(code).retry, false, String(code));
  for (const code of [1011, 4408, 4413, 4429]) assert.equal(verdict(code).retry, true, String(code));
  assert.deepEqual(verdict(4404, '{"retry":true,"after_ms":700}'), { code: 4404, retry: true, afterMs: 700, token: false });
  assert.equal(verdict(1012, '{"retry":false}').retry, false);
  assert.equal(verdict(4401, "null").token, true);
  assert.equal(verdict(1006, "<html>").retry, true);
  assert.equal(closeCodeOf("token_expired"), 4401);
  assert.equal(closeCodeOf("banned"), 4403);
  assert.equal(verdict(closeCodeOf("room_deleted")).retry, false);
  assert.equal(verdict(closeCodeOf("unavailable")).retry, true);
  assert.equal(codeOfClose(4404), "room_not_found");
  assert.equal(codeOfClose(1006), "offline");
});

test("the outbox keeps requests in order until they are answered", async () => {
  const outbox = new Outbox();
  const first = outbox.add("send_message", { content: "a" });
  const second = outbox.add("send_message", { content: "b" });
  assert.deepEqual(outbox.ids(), [first.id, second.id]);
  assert.deepEqual(outbox.frame(first.id, 0), { id: first.id, event: "send_message", data: { content: "a" } });
  assert.equal(outbox.settle({ reply: 99, data: {} }), false);
  assert.equal(outbox.settle({ reply: first.id, data: { seq: 4 } }), true);
  assert.deepEqual(await first.promise, { seq: 4 });
  assert.equal(outbox.frame(first.id, 0), null);
  outbox.settle({ reply: second.id, error: { code: "rate_limited", message: "slow down", retry_after_ms: 800 } });
  await assert.rejects(second.promise, (error) => {
    assert.ok(error instanceof ChatError);
    assert.deepEqual([error.code, error.message, error.retry_after_ms], ["rate_limited", "slow down", 800]);
    return true;
  });
  assert.equal(outbox.size, 0);
});

test("a request without an answer is sent again on a new socket, and given up after three", async () => {
  const outbox = new Outbox();
  const { id, promise } = outbox.add("react", {});
  for (let round = 1; round <= 3; round += 1) {
    assert.equal(outbox.overdue(1000, 500), false, "not sent on this socket yet");
    outbox.frame(id, 1000);
    assert.equal(outbox.overdue(1499, 500), false);
    assert.equal(outbox.overdue(1500, 500), true);
  }
  await assert.rejects(promise, { code: "timeout" });
  assert.equal(outbox.size, 0);
});

test("a guest keeps one id of 22 base64url characters", () => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  const id = guestId(storage);
  assert.match(id, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(guestId(storage), id);
  keepGuestId("not an id", storage);
  assert.match(guestId(storage), /^[A-Za-z0-9_-]{22}$/);
});

test("REST errors carry what the problem document says", async () => {
  const asked = [];
  const answer = (status, body, headers) => async (url, options) => {
    asked.push({ url: String(url), ...options });
    return new Response(JSON.stringify(body), { status, headers });
  };
  const base = "https://chat.example";
  const fine = createRest({ base, token: () => "t", fetch: answer(200, { messages: [] }) });
  await fine.history("video_1", { before: 40, limit: 50, after: undefined });
  assert.equal(asked[0].url, `${base}/api/rooms/video_1/messages?before=40&limit=50`);
  assert.equal(asked[0].headers.authorization, "Bearer t");
  const busy = createRest({ base, token: () => null, fetch: answer(429, { code: "rate_limited", detail: "wait", retry_after_ms: 900 }) });
  await assert.rejects(busy.members("video_1"), { code: "rate_limited", message: "wait", retry_after_ms: 900 });
  assert.equal(asked[1].headers.authorization, undefined);
  const away = createRest({ base, token: () => null, fetch: answer(503, {}, { "retry-after": "2" }) });
  await assert.rejects(away.edit("video_1", "id", "x"), { code: "internal", retry_after_ms: 2000 });
  const cut = createRest({ base, token: () => null, fetch: () => Promise.reject(new TypeError("failed")) });
  await assert.rejects(cut.remove("video_1", "id"), { code: "offline" });
});

const user = (id) => ({ user_id: id, username: id.toUpperCase(), avatar: null, roles: ["member"] });
const message = (no, more = {}) => ({
  message_id: `m${no}`, no, room_id: "r", user: user("ada"), content: `hello ${no}`, type: "text",
  timestamp: "2026-01-01T00:00:00.000Z", reactions: {}, mentions: [], metadata: {}, ...more,
});

function joinedModel() {
  const model = new RoomModel();
  model.joined({
    room: { room_id: "r", name: "R", message_count: 9 }, self: user("ada"),
    members: [user("ada"), user("bob")], online_users: 2, online_guests: 1,
  });
  model.snapshot({ messages: [message(8), message(9, { reactions: { "👍": 1 } })], my_reactions: { m9: ["👍"] } });
  return model;
}

test("the model folds messages, edits, deletions and reactions", () => {
  const model = joinedModel();
  assert.equal(model.hasMore, true);
  assert.deepEqual(model.find("m9").mine, ["👍"]);
  const before = model.find("m8");
  model.apply({ event: "new_message", data: message(10, { user: user("bob") }) }, 0);
  model.apply({ event: "message_edited", data: { message_id: "m10", content: "a &lt; b", text: "a < b", mentions: [], edited_at: "later" } }, 0);
  model.apply({ event: "reaction_updated", data: { message_id: "m10", reactions: { "🎉": 2 } } }, 0);
  model.setMine("m10", "🎉", true);
  assert.equal(model.find("m8"), before, "what did not change is the same object");
  assert.deepEqual(model.messages.map(({ no }) => no), [8, 9, 10]);
  assert.equal(model.find("m10").text, "a < b");
  assert.deepEqual(model.find("m10").mine, ["🎉"]);
  model.apply({ event: "messages_deleted", data: { message_ids: ["m9", "m10"], deleted_at: "now" } }, 0);
  assert.deepEqual(
    model.messages.map(({ content, deleted_at = null }) => [content, deleted_at]),
    [["hello 8", null], ["", "now"], ["", "now"]],
  );
  assert.deepEqual(model.find("m10").reactions, {});
  model.apply({ event: "something_new", data: {} }, 0);
});

test("the model pages history in and trims it again without doubles", () => {
  const model = joinedModel();
  assert.equal(model.prepend({ messages: [message(8), message(7), message(6)], has_more: true }), 2);
  assert.deepEqual(model.messages.map(({ no }) => no), [6, 7, 8, 9]);
  assert.equal(model.prepend({ messages: [message(5)], has_more: false }), 1);
  assert.equal(model.hasMore, false);
  model.trim(3);
  assert.deepEqual(model.messages.map(({ no }) => no), [7, 8, 9]);
  assert.equal(model.hasMore, true);
});

test("a message on its way is shown until its event comes", () => {
  const model = joinedModel();
  model.addPending({ client_id: "c1", content: "hi" });
  model.addPending({ client_id: "c2", content: "ho" });
  model.settlePending("c1", "sent");
  model.settlePending("c2", "failed", new ChatError({ code: "rate_limited" }));
  model.apply({ event: "new_message", data: message(10, { client_id: "c1", user: user("bob") }) }, 0);
  assert.equal(model.pending.has("c1"), true, "another's client_id is not ours");
  model.apply({ event: "new_message", data: message(11, { client_id: "c1" }) }, 0);
  assert.deepEqual([...model.pending.keys()], ["c2"]);
  model.snapshot({ messages: [message(12, { client_id: "c2" })] });
  assert.equal(model.pending.size, 0);
});

test("presence and typing follow the room, and typing lapses", () => {
  const model = joinedModel();
  model.apply({ event: "user_joined", data: user("cid") }, 0);
  model.apply({ event: "user_typing", data: { ...user("cid"), is_typing: true } }, 1000);
  model.apply({ event: "user_typing", data: { ...user("bob"), is_typing: true } }, 2000);
  assert.deepEqual(model.typing(2000).map(({ user_id }) => user_id), ["cid", "bob"]);
  assert.deepEqual(model.typing(7500).map(({ user_id }) => user_id), ["bob"]);
  model.apply({ event: "new_message", data: message(10, { user: user("bob") }) }, 3000);
  assert.deepEqual(model.typing(3000).map(({ user_id }) => user_id), ["cid"]);
  model.apply({ event: "user_left", data: { user_id: "cid" } }, 3000);
  assert.deepEqual(model.typing(3000), []);
  assert.deepEqual([...model.members.keys()], ["ada", "bob"]);
  model.apply({ event: "room_stats", data: { online_users: 5, online_guests: 2, message_count: 11 } }, 0);
  assert.deepEqual(model.stats, { online_users: 5, online_guests: 2, message_count: 11 });
});

test("a room that grows tells no more who is there, and one that shrinks again is asked", () => {
  const model = joinedModel();
  model.apply({ event: "user_typing", data: { ...user("cid"), is_typing: true } }, 1000);
  const stats = { online_users: 101, online_guests: 0, message_count: 9 };
  model.apply({ event: "room_stats", data: { ...stats, left_out: ["user_joined", "user_left", "user_typing"] } }, 1000);
  assert.deepEqual([model.leftOut.length, model.members, model.typing(1000)], [3, null, []]);
  model.apply({ event: "user_joined", data: user("dan") }, 1000);
  model.apply({ event: "room_stats", data: stats }, 1000);
  assert.deepEqual(model.leftOut, []);
  model.present({ members: [{ ...user("ada"), online: true }, { ...user("owner"), online: false }] });
  model.apply({ event: "user_joined", data: user("eve") }, 1000);
  assert.deepEqual([...model.members.keys()], ["ada", "eve"]);
});

test("what was not shown is counted until the list is whole again", () => {
  const model = joinedModel();
  model.sampled({ count: 3 });
  model.sampled({ count: 4 });
  assert.equal(model.notShown, 7);
  model.snapshot({ messages: [message(12)] });
  assert.equal(model.notShown, 0);
});
