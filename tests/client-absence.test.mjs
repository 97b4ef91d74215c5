// What a reader missed, as it is counted and kept: the pure parts of coming back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Absence } from "../client/web/element/absence.js";
import { RoomModel } from "../client/web/sdk/room-model.js";

const user = (id) => ({ user_id: id, username: id, avatar: null, roles: ["member"] });
const message = (no, more = {}) => ({ message_id: `m${no}`, no, user: user("bob"), content: `${no}`, reactions: {}, ...more });
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => message(from + index));

function modelOf(...messages) {
  const model = new RoomModel();
  model.joined({ room: {}, self: user("ada"), members: [], online_users: 1, online_guests: 0 });
  model.snapshot({ messages });
  return model;
}

const said = (model, ...messages) => messages.forEach((data) => model.apply({ event: "new_message", data }, 0));

test("V4: what others said while one was away is marked and counted, one's own and what is deleted is not", () => {
  const model = modelOf(...range(1, 10));
  const absence = new Absence();
  absence.left(0, model);
  said(model, message(11, { user: user("ada") }), ...range(12, 15));
  model.apply({ event: "message_deleted", data: { message_id: "m13", deleted_at: "now" } }, 0);
  assert.equal(absence.back(6_000, model), true);
  said(model, message(16));
  assert.deepEqual([absence.mark.from, absence.count(model)], [10, 3], "what comes after is not missed");
});

test("V4: a moment, a silence, and a first visit are no absence", () => {
  const model = modelOf(...range(1, 3));
  const absence = new Absence();
  absence.left(0, model);
  said(model, message(4));
  assert.equal(absence.back(4_000, model), false, "a moment");
  absence.left(10_000, model);
  assert.equal(absence.back(90_000, model), false, "nothing was said");
  absence.left(100_000, model);
  said(model, message(5, { user: user("ada") }));
  assert.equal(absence.back(190_000, model), false, "said by oneself elsewhere");
  const first = new Absence();
  first.left(0, new RoomModel());
  assert.equal(first.back(60_000, model), false);
  absence.left(200_000, model);
  said(model, message(6));
  assert.equal(absence.back(201_000, model, 700_000), true, "the connection knows that it was lost long before");
});

test("V4: what was not seen yet stays new when one is away again", () => {
  const model = modelOf(message(1));
  const absence = new Absence();
  const away = (at, ...messages) => {
    absence.left(at, model);
    said(model, ...messages);
    absence.back(at + 60_000, model);
  };
  away(0, message(2));
  away(100_000, message(3));
  assert.deepEqual([absence.mark.from, absence.count(model)], [1, 2]);
  absence.mark.seen = true;
  away(200_000, message(4));
  assert.deepEqual([absence.mark.from, absence.count(model)], [3, 1]);
});

test("V4: a line that was seen goes when the list has moved on, one that was not stays", () => {
  const model = modelOf(...range(1, 10));
  const absence = new Absence();
  absence.left(0, model);
  said(model, ...range(11, 20));
  absence.back(60_000, model);
  assert.equal(absence.outgrown(model, 5), false);
  absence.mark.seen = true;
  assert.deepEqual([absence.outgrown(model, 11), absence.outgrown(model, 10)], [false, true]);
});

test("V5: a snapshot that begins after what one had is a gap, counted, and closed by paging", () => {
  const model = modelOf(...range(1, 10));
  const absence = new Absence();
  const replace = (messages, sameLog = true) => {
    const before = model.messages.at(-1);
    model.snapshot({ messages });
    return absence.replaced(before, model, { sameLog });
  };
  assert.equal(replace(range(5, 12)), false, "what overlaps leaves no gap");
  assert.equal(replace(range(50, 60)), true);
  assert.deepEqual([absence.mark.from, absence.unloaded(model), absence.count(model)], [12, 37, 48]);
  model.prepend({ messages: range(8, 49), has_more: true }, 50);
  assert.deepEqual([absence.unloaded(model), absence.count(model)], [0, 48]);
  assert.equal(replace(range(3, 9), false), true, "another log");
  assert.deepEqual([absence.mark.from, absence.count(model)], [2, null]);
});

test("V5: a page of history that belongs to a list that was replaced is not taken: it would leave a silent hole", () => {
  const model = modelOf(...range(50, 60));
  model.snapshot({ messages: range(200, 210) });
  assert.equal(model.prepend({ messages: range(1, 49), has_more: false }, 50), null);
  assert.deepEqual([model.messages[0].no, model.hasMore], [200, true]);
});

test("V5: a room that lost its log shows what history has of it", () => {
  const model = new RoomModel();
  model.joined({ room: { message_count: 30 }, self: user("ada"), members: [], online_users: 1, online_guests: 0 });
  model.snapshot({ messages: [] });
  assert.equal(model.hasMore, true);
  assert.equal(model.prepend({ messages: range(1, 30), has_more: false }, undefined), 30);
  const absence = new Absence();
  const before = model.messages.at(-1);
  model.snapshot({ messages: [] });
  absence.replaced(before, model, { sameLog: false });
  assert.equal(absence.mark.from, 30, "the numbers go on");
  const fresh = new RoomModel();
  fresh.joined({ room: { message_count: 0 }, self: user("ada"), members: [], online_users: 1, online_guests: 0 });
  fresh.snapshot({ messages: [] });
  assert.equal(fresh.hasMore, false);
});
