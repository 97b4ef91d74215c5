// Which rows the message list has, and what of a room is kept for whoever reads further up. No page in it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { RoomModel } from "../client/web/chat.js";
import { Rows } from "../client/web/element/rows.js";

const DAY_MS = 86_400_000;
const BEGIN = Date.parse("2026-11-26T12:00:00Z");

const message = (no, { user = "ada", at = BEGIN + no * 1_000, ...more } = {}) => ({
  message_id: `m${no}`, no, user: { user_id: user, username: user }, content: `line ${no}`, type: "text", timestamp: new Date(at).toISOString(), ...more,
});
const messages = (from, to, options) => Array.from({ length: to - from + 1 }, (_, index) => message(from + index, options));
const update = (rows, list, more = {}) => rows.update({ messages: list, gaps: new Map(), missed: null, pending: [], ...more });
const keys = ({ all }) => all.map(({ key }) => key);

test("rows keep who they are while messages come, go and change; headings stand where they belong", () => {
  const rows = new Rows();
  const list = [...messages(1, 3), message(4, { user: "bob" }), message(5, { user: "bob", at: BEGIN + 2 * DAY_MS })];
  update(rows, list);
  assert.deepEqual(keys(rows), ["day m1", "m1", "m2", "m3", "m4", "day m5", "m5"]);
  assert.deepEqual(rows.all.map(({ first }) => first), [undefined, true, false, false, true, undefined, true]);
  const kept = rows.get("m3");
  const edited = { ...list[2], content: "edited" };
  update(rows, [list[1], edited, ...list.slice(3), message(6, { user: "bob", at: BEGIN + 2 * DAY_MS })]);
  assert.deepEqual(keys(rows), ["day m2", "m2", "m3", "m4", "day m5", "m5", "m6"]);
  assert.equal(rows.get("m3"), kept);
  assert.equal(kept.message, edited);
  assert.equal(rows.get("m1"), undefined);
  assert.equal(rows.get("m2").first, true, "the first that is left names its author");
  assert.deepEqual(rows.all.map(({ index }) => index), rows.all.map((_, index) => index));
});

test("a page of history, the line of what was missed, a gap and one's own on their way have rows too", () => {
  const rows = new Rows();
  update(rows, messages(11, 14));
  const kept = rows.get("m12");
  update(rows, messages(9, 14), { missed: { from: 11, text: "new" }, gaps: new Map([["m14", "5 not shown"]]), pending: [{ client_id: "p", content: "mine" }] });
  assert.deepEqual(keys(rows), ["day m9", "m9", "m10", "m11", "missed", "m12", "m13", "gap m14", "m14", "p"]);
  assert.equal(rows.get("m12"), kept);
  assert.deepEqual([kept.first, rows.get("m13").first, rows.get("m14").first], [true, false, true]);
  update(rows, messages(9, 14));
  assert.deepEqual([rows.get("missed"), rows.get("p"), rows.get("gap m14")], [undefined, undefined, undefined]);
});

test("whatever changes, the rows are those of a list that was made anew", () => {
  let seed = 7;
  const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const rows = new Rows();
  let list = messages(500, 520);
  for (let round = 0; round < 2_000; round += 1) {
    const act = random(5);
    const at = random(list.length);
    if (act === 0) list = [...list, message((list.at(-1)?.no ?? 0) + 1 + random(2), { user: ["ada", "bob"][random(2)] })];
    else if (act === 1) list = list.slice(random(4));
    else if (act === 2 && list.length > 0) list = list.toSpliced(at, 1, { ...list[at], content: `round ${round}` });
    else if (act === 3 && list.length > 0) list = [...messages(Math.max(1, list[0].no - random(4)), list[0].no - 1), ...list];
    else list = list.toSpliced(at, random(3));
    if (list.length === 0) list = [message(500)];
    const fresh = new Rows();
    update(rows, list);
    update(fresh, list);
    const told = ({ all }) => all.map(({ key, index, first, message: one }) => [key, index, first, one]);
    assert.deepEqual(told(rows), told(fresh));
    for (const row of rows.all) assert.equal(rows.get(row.key), row);
  }
});

test("an hour at 200 messages a second leaves a reader further up with what they read, the newest, and a gap that says how much it is", () => {
  const model = new RoomModel();
  model.snapshot({ messages: messages(1, 100) });
  for (let no = 101; no <= 720_000; no += 100) {
    model.messages = [...model.messages, ...messages(no, no + 99)];
    model.shed(60, 500);
    assert.ok(model.messages.length < 60 + 3 * 500 + 100);
  }
  assert.deepEqual(model.messages.slice(0, 560).map(({ no }) => no), Array.from({ length: 560 }, (_, index) => index + 1));
  const [[before, missing]] = model.gaps;
  assert.equal(model.gaps.size, 1);
  assert.equal(missing, 720_000 - model.messages.length);
  assert.equal(model.find(before).no, 561 + missing);
  assert.equal(model.messages.at(-1).no, 720_000);

  // Whoever goes down into the newest part leaves the gap above, and may get another one below.
  model.shed(model.messages.at(-1).no, 500);
  model.messages = [...model.messages, ...messages(720_001, 722_000)];
  model.shed(720_000, 500);
  assert.deepEqual([...model.gaps], [[before, missing], ["m721501", 1_000]]);
  model.trim(500);
  assert.deepEqual([model.gaps.size, model.messages[0].no, model.hasMore], [0, 721_501, true], "at the end the list is whole again");
});
