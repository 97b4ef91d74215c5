// History: what PostgreSQL holds of a room's log, and pages that put the two together.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const MODERATOR = { sub: "mod", username: "Mod", roles: ["moderator"] };
const SERVICE = { sub: "backend", username: "Back End", roles: ["service"] };
const rows = (room) => database.query("select * from messages where room_id = $1 order by no", [room]);
const drained = (room, seq) =>
  until(5_000, async () => (await database.query("select 1 from room_cursor where room_id = $1 and seq >= $2", [room, seq]))[0]);
const page = async (room, query = "", as = null) => {
  const { status, body } = await rest("GET", `/rooms/${room}/messages${query}`, { as });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};
const numbers = ({ messages }) => messages.map((message) => message.no);
const down = (high, low) => Array.from({ length: high - low + 1 }, (_, i) => high - i);

describe("history", { concurrency: true }, () => {
  test("what is said is in PostgreSQL within 2 s, edits, deletions and reactions too", async () => {
    const room = "video_rows";
    const ada = await join(room, { sub: "ada", username: "Ada", avatar: "https://e.example/a.png" });
    const bob = await join(room, "bob");
    const said = performance.now();
    const one = await ada.request("send_message", { content: "a < b & c", client_id: "c1", metadata: { k: [1] } });
    assert.ok(await until(2_500, async () => (await rows(room)).length === 1));
    assert.ok(performance.now() - said < 2_500);
    const two = await bob.request("send_message", { content: "an answer to @ada", reply_to: one.message_id });
    const three = await bob.request("send_message", { content: "secret", metadata: { s: 1 } });
    const edited = await ada.request("edit_message", { message_id: one.message_id, content: "edited" });
    await ada.request("react", { message_id: two.message_id, reaction: "👍" });
    await bob.request("react", { message_id: two.message_id, reaction: "👍" });
    await bob.request("react", { message_id: two.message_id, reaction: "🎉" });
    await bob.request("react", { message_id: two.message_id, reaction: "🎉", remove: true });
    await ada.request("react", { message_id: three.message_id, reaction: "👀" });
    const deleted = await bob.request("delete_message", { message_id: three.message_id });
    assert.ok(await drained(room, deleted.seq));

    const [a, b, c] = await rows(room);
    assert.deepEqual(
      { ...a, created_at: a.created_at.toISOString(), visible_at: 0, edited_at: a.edited_at.toISOString() },
      {
        id: one.message_id, room_id: room, no: "1", user_id: "ada", username: "Ada", avatar: "https://e.example/a.png",
        roles: ["member"], content: "edited", text: null, type: "text", metadata: { k: [1] }, mentions: [], reply_to: null,
        client_id: "c1", audience: "all", visible_at: 0, created_at: one.timestamp, edited_at: edited.edited_at,
        deleted_at: null, epoch: String(ada.joined.epoch), seq: String(one.seq), original: null, reasons: null, held_id: null, franking: null,
      },
    );
    assert.deepEqual([b.content, b.reply_to, b.mentions], ["an answer to @ada", one.message_id, [{ user_id: "ada", username: "Ada" }]]);
    assert.deepEqual([c.no, c.user_id, c.content, c.text, c.metadata, c.deleted_at.toISOString()], ["3", "bob", "", null, {}, deleted.deleted_at]);
    const reactions = await database.query("select message_id, user_id, reaction from reactions where message_id = any($1) order by user_id", [[a.id, b.id, c.id]]);
    assert.deepEqual(reactions, ["ada", "bob"].map((user_id) => ({ message_id: two.message_id, user_id, reaction: "👍" })));
    const [stored] = await database.query("select name, type, owner_id, deleted_at from rooms where id = $1", [room]);
    assert.deepEqual(stored, { name: room, type: "video", owner_id: null, deleted_at: null });
    // Nothing of what was deleted is left anywhere in the log either.
    assert.deepEqual(await database.query("select 1 from dead_letters"), []);
  });

  test("pages are newest first, see what was said a millisecond ago and are cut by number", async () => {
    const room = "video_pages";
    const bot = await join(room, SERVICE);
    for (let i = 1; i <= 12; i++) await bot.request("send_message", { content: `m${i}` });
    const first = await page(room, "?limit=5");
    assert.deepEqual(Object.keys(first).sort(), ["epoch", "has_more", "limit", "messages", "page", "room_id", "total"]);
    assert.deepEqual([first.room_id, first.page, first.limit, first.total, first.has_more, first.epoch], [room, 1, 5, 12, true, bot.joined.epoch]);
    assert.deepEqual(numbers(first), down(12, 8));
    assert.deepEqual(numbers(await page(room, "?page=3&limit=5")), [2, 1]);
    assert.equal((await page(room, "?page=3&limit=5")).has_more, false);
    assert.deepEqual(await page(room, "?page=4&limit=5"), { ...first, page: 4, messages: [], has_more: false });
    assert.deepEqual(numbers(await page(room, "?before=8&limit=3")), [7, 6, 5]);
    assert.deepEqual(numbers(await page(room, "?after=8")), [9, 10, 11, 12]);
    assert.deepEqual([numbers(await page(room, "?after=2&limit=3")), (await page(room, "?after=2&limit=3")).has_more], [[3, 4, 5], true]);
    assert.deepEqual(numbers(await page(room, "?after=12")), []);
    const { message_id } = await bot.request("send_message", { content: "now" });
    const { messages: [now], total } = await page(room, "?limit=1");
    assert.deepEqual([now.message_id, now.content, total], [message_id, "now", 13]);
    await bot.request("delete_message", { message_id });
    const { messages: [gone], total: same } = await page(room, "?limit=1");
    assert.deepEqual([gone.no, gone.content, gone.user.user_id, typeof gone.deleted_at, same], [13, "", "backend", "string", 13]);
    assert.deepEqual(numbers(await page(room)), down(13, 1));
  });

  test("a page spans the log and PostgreSQL without a seam", async () => {
    const room = "video_seam";
    const bot = await join(room, SERVICE);
    const ids = [];
    for (let i = 1; i <= 20; i++) ids.push((await bot.request("send_message", { content: `m${i} <3 & @Back`, metadata: { i } })).message_id);
    await bot.request("react", { message_id: ids[4], reaction: "👍" });
    await bot.request("edit_message", { message_id: ids[5], content: "edited <i>" });
    const { seq } = await bot.request("delete_message", { message_id: ids[6] });
    assert.ok(await drained(room, seq));
    const whole = [await page(room, "?limit=100"), await page(room, "?limit=100&after=0")];
    await server.evict("Room", room);
    // As after a trim: the log begins with the eleventh message (the room's description is event 1).
    server.sql("Room", room, "DELETE FROM log WHERE last_seq <= 11");
    assert.deepEqual(await page(room, "?limit=100"), whole[0]);
    assert.deepEqual(await page(room, "?limit=100&after=0"), whole[1]);
    assert.deepEqual(numbers(await page(room, "?page=2&limit=8")), down(12, 5), "half and half");
    assert.deepEqual(numbers(await page(room, "?before=6")), down(5, 1), "PostgreSQL alone");
    assert.deepEqual(numbers(await page(room, "?before=100&limit=10")), down(20, 11), "the log alone");
    assert.deepEqual(numbers(await page(room, "?after=8&limit=4")), [9, 10, 11, 12]);

    const again = await join(room, SERVICE);
    assert.deepEqual(again.joined.messages.map((message) => message.no), down(20, 11).reverse());
    // What has left the log: over the socket too old, over REST as ever.
    const [oldest, second] = ids;
    await assert.rejects(again.request("edit_message", { message_id: oldest, content: "x" }), { code: "message_too_old" });
    await assert.rejects(again.request("delete_message", { message_id: second }), { code: "message_too_old" });
    const edited = await rest("PATCH", `/messages/${oldest}`, { as: SERVICE, body: { content: "edited late" } });
    assert.equal(edited.status, 200, JSON.stringify(edited.body));
    assert.equal((await again.next("message_edited")).data.content, "edited late");
    const deleted = await rest("DELETE", `/messages/${second}`, { as: MODERATOR });
    assert.equal(deleted.status, 403, "a service is above a moderator");
    const done = await rest("DELETE", `/messages/${second}`, { as: SERVICE });
    assert.equal(done.status, 200, JSON.stringify(done.body));
    assert.equal((await again.next("message_deleted")).data.no, 2);
    assert.ok(await drained(room, done.body.seq));
    const [, { content: c2, deleted_at }] = (await page(room, "?after=0&limit=2")).messages;
    assert.deepEqual([(await page(room, "?after=0&limit=1")).messages[0].content, c2, typeof deleted_at], ["edited late", "", "string"]);
  });

  test("a room whose storage is lost comes back from PostgreSQL in a new epoch, the numbers going on", async () => {
    const room = "group_lost";
    const body = { room_id: room, name: "Lost and found", type: "group", settings: { max_message_length: 50, guests: false } };
    assert.equal((await rest("POST", "/rooms", { as: "ada", body })).status, 201);
    const ada = await join(room, "ada");
    const ids = [];
    for (let i = 1; i <= 5; i++) ids.push(await ada.request("send_message", { content: `m${i}`, client_id: `c${i}` }));
    const { seq } = await ada.request("react", { message_id: ids[0].message_id, reaction: "👍" });
    assert.ok(await drained(room, seq));
    const { epoch } = ada.joined;
    const before_ = await page(room, "", "ada");
    ada.close();
    await ada.closed;
    await server.evict("Room", room);
    for (const table of ["log", "state"]) server.sql("Room", room, `DELETE FROM ${table}`);

    const back = await join(room, "ada", { resume: { epoch, seq } });
    assert.ok(back.joined.epoch > epoch);
    assert.deepEqual([back.joined.resumed, back.joined.self.role], [false, "owner"]);
    assert.deepEqual([back.joined.room.name, back.joined.room.type, back.joined.room.settings.max_message_length, back.joined.room.settings.guests], ["Lost and found", "group", 50, false]);
    assert.equal(back.joined.room.message_count, 5);
    const sixth = await back.request("send_message", { content: "m6" });
    assert.equal((await back.next("new_message")).data.no, 6);
    const { messages, ...rest_ } = await page(room, "", "ada");
    assert.deepEqual(messages.slice(1), before_.messages);
    assert.deepEqual([messages[0].message_id, rest_.total, rest_.epoch], [sixth.message_id, 6, back.joined.epoch]);
    assert.ok(await until(3_000, async () => (await rows(room)).length === 6));
    const cursor = await database.query("select epoch, seq from room_cursor where room_id = $1", [room]);
    assert.deepEqual(cursor, [{ epoch: String(back.joined.epoch), seq: String(sixth.seq) }]);
    // What was said before is still there to be changed, over REST.
    const { status } = await rest("DELETE", `/messages/${ids[1].message_id}`, { as: "ada" });
    assert.equal(status, 200);
    assert.equal((await back.next("message_deleted")).data.message_id, ids[1].message_id);
  });
});
