// P3: rows that PostgreSQL refuses are set aside, each by itself; all else goes on.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

const ROOM = "video_bad_rows";
const SERVICE = { sub: "backend", roles: ["service"] };
const MODERATOR = { sub: "mod", username: "Mod", roles: ["moderator"] };

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { RATE_LIMIT_MESSAGES: "1000", DRAINS: "1" } });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const stored = (room = ROOM) =>
  database.query("select id, no::int, seq::int, user_id, username, content, text, type, deleted_at from messages where room_id = $1 order by no", [room]);
const letters = () =>
  database.query("select id, room_id, user_id, epoch, seq::int, message_id, type, sqlstate, error, body, created_at from dead_letters order by seq");
const cursor = async () => Number((await database.query("select seq from room_cursor where room_id = $1", [ROOM]))[0]?.seq);

/** The id of message `seq`, made of another's: its last 40 bits are the seq. */
const idOf = (other, seq) => other.slice(0, -10) + seq.toString(16).padStart(10, "0");

test("P3: bad rows in a room's log become tombstones and dead letters, and the rest is soon there", async () => {
  const bot = await join(ROOM, SERVICE);
  const first = await bot.request("send_message", { content: "good 1" });
  assert.ok(await until(3_000, async () => (await stored()).length === 1));
  const { joined } = bot;
  await server.kill9();

  // The wire lets none of these in; an earlier version might have.
  const at = Date.now();
  let seq = first.seq;
  let no = 1;
  const bad = {};
  const put = (event, name) => {
    seq++;
    if (name) bad[name] = seq;
    const text = typeof event === "string" ? event : JSON.stringify({ seq, at, visible_at: at, ...event });
    server.sql("Room", ROOM, "INSERT INTO log VALUES (?, ?, ?, ?, NULL)", seq, no, at, `[${text}]`);
  };
  const say = (more, name) => {
    no++;
    const message_id = idOf(first.message_id, seq + 1);
    const user = { user_id: "ada", username: "Ada", avatar: null, roles: ["member"] };
    const data = { message_id, no, user, content: `good ${no}`, type: "text", ...more };
    put({ event: "new_message", data }, name);
    return data;
  };
  for (let i = 0; i < 60; i++) say({});
  const nul = say({ content: "secret \0 words" }, "nul");
  say({});
  const metadata = say({ metadata: { x: "secret \0 too" }, type: "emote" }, "metadata");
  const name = say({ user: { user_id: "a\0da", username: "A\0da", avatar: null, roles: [] } }, "name");
  say({});
  put({ event: "banned", data: { ban: { user_id: "eve", by: "mod", created_at: at, ends_at: 9e18, shadow: false }, role: "moderator" } }, "ban");
  put({ event: "reaction", data: { message_id: first.message_id, user_id: "x", reaction: randomBytes(6_000).toString("base64"), reactions: {} } }, "long");
  const same = say({ no: 2 }, "same");
  const surrogate = say({});
  bad.surrogate = seq;
  server.sql("Room", ROOM, "UPDATE log SET events = replace(events, ?, ?) WHERE last_seq = ?", surrogate.content, "secret \\ud800", seq);
  for (let i = 0; i < 60; i++) say({});
  const last = say({});

  await server.restart();
  const began = performance.now();
  const reader = await join(ROOM, SERVICE);
  assert.equal(reader.joined.epoch, joined.epoch);
  assert.ok(await until(10_000, async () => (await cursor()) >= seq, 20), `the cursor stands at ${await cursor()} of ${seq}`);
  const took = performance.now() - began;
  // Half a second of it is what a log gathers before it is drained.
  assert.ok(took < 1_500, `${took} ms`);

  const rows = await stored();
  // The one that took another's number has no place of its own.
  const missing = rows.map((row) => row.no).filter((n, i) => rows[i + 1] && rows[i + 1].no !== n + 1);
  assert.deepEqual([rows.length, missing.length], [no - 1, 1]);
  const isBad = new Set([nul, metadata, name, surrogate].map(({ message_id }) => message_id));
  for (const row of rows) {
    if (!isBad.has(row.id)) assert.deepEqual([row.content, row.type, row.deleted_at], [`good ${row.no}`, "text", null]);
    else assert.deepEqual([row.content, row.text, row.type, +row.deleted_at], ["", null, "unavailable", at]);
  }
  assert.equal(rows.at(-1).id, last.message_id);
  assert.deepEqual(rows.filter((row) => isBad.has(row.id)).map(({ user_id, username }) => `${user_id} ${username}`), ["ada Ada", "ada Ada", "a\ufffdda A\ufffdda", "ada Ada"]);

  const found = await letters();
  assert.deepEqual(found.map((letter) => [letter.room_id, Number(letter.epoch), letter.seq, letter.sqlstate, letter.message_id]), [
    [ROOM, joined.epoch, bad.nul, "22P05", nul.message_id],
    [ROOM, joined.epoch, bad.metadata, "22P05", metadata.message_id],
    [ROOM, joined.epoch, bad.name, "22P05", name.message_id],
    [ROOM, joined.epoch, bad.ban, "22008", null],
    [ROOM, joined.epoch, bad.long, "54000", null],
    [ROOM, joined.epoch, bad.same, "23505", same.message_id],
    [ROOM, joined.epoch, bad.surrogate, "", surrogate.message_id],
  ]);
  assert.equal(JSON.parse(found[0].body)[0].content, "secret \0 words", "as it came");
  for (const letter of found) assert.ok(letter.error && letter.created_at);
  const lines = server.logs.filter(({ message }) => /is set aside in dead_letters: \w{5}$/.test(message));
  assert.equal(lines.length, found.length - 1, "one that cannot be read is no fault of PostgreSQL's");
  assert.ok(server.logs.every(({ text }) => !text.includes("secret")));

  // What comes later is about a message that is not there, and stops nothing.
  const ada = await join(ROOM, "ada");
  const mod = await join(ROOM, MODERATOR);
  await mod.request("react", { message_id: nul.message_id, reaction: "👍" });
  await mod.request("delete_message", { message_id: nul.message_id });
  await ada.request("edit_message", { message_id: metadata.message_id, content: "said better" });
  await mod.request("pin_message", { message_id: name.message_id });
  const end = await reader.request("send_message", { content: "the end" });
  assert.ok(await until(3_000, async () => (await cursor()) >= end.seq));
  const now = new Map((await stored()).map((row) => [row.id, row]));
  assert.deepEqual([now.get(nul.message_id).type, now.get(nul.message_id).content], ["unavailable", ""]);
  assert.deepEqual([now.get(metadata.message_id).type, now.get(metadata.message_id).content, now.get(metadata.message_id).deleted_at], ["emote", "said better", null]);
  assert.equal(now.get(end.message_id).content, "the end");
  const left = await letters();
  assert.ok(!left.some(({ body }) => body.includes("secret \\u0000")), "V6: a deleted or edited text is in no dead letter either");
  assert.deepEqual(left.map((letter) => letter.seq), [bad.name, bad.ban, bad.long, bad.same, bad.surrogate]);

  // An operator mends one.
  const letter = left[0];
  await assert.rejects(database.query("select chat_replay($1)", [letter.id]), /Unicode/);
  await database.query("select chat_replay($1, replace(body, '\\u0000', '')) from dead_letters where id = $1", [letter.id]);
  const mended = (await stored()).find((row) => row.id === name.message_id);
  assert.deepEqual([mended.type, mended.content, mended.user_id, mended.deleted_at], ["text", `good ${mended.no}`, "ada", null]);
  assert.deepEqual([(await letters()).length, await cursor()], [left.length - 1, end.seq]);
  await assert.rejects(database.query("select chat_replay($1)", [left[1].id]), /no dead letter of a message/);
  for (const socket of [reader, ada, mod]) socket.terminate();
});

/**
 * How long a log of a hundred messages takes to PostgreSQL, ms, and a message in another room that the same drain writes;
 * `bad` is the content of one of the hundred.
 */
async function writing(room, bad) {
  const bot = await join(room, SERVICE);
  const { seq, message_id } = await bot.request("send_message", { content: "good 1" });
  assert.ok(await until(5_000, async () => (await stored(room)).length === 1));
  await server.kill9();
  const at = Date.now();
  const user = { user_id: "ada", username: "Ada", avatar: null, roles: ["member"] };
  for (let n = 1; n <= 100; n++) {
    const data = { message_id: idOf(message_id, seq + n), no: 1 + n, user, content: n === 50 ? bad : "good", type: "text" };
    const event = JSON.stringify({ seq: seq + n, at, visible_at: at, event: "new_message", data });
    server.sql("Room", room, "INSERT INTO log VALUES (?, ?, ?, ?, NULL)", seq + n, 1 + n, at, `[${event}]`);
  }
  await server.restart();
  const beside = await join(`${room}_beside`, SERVICE);
  const began = performance.now();
  const [reader] = await Promise.all([join(room, SERVICE), beside.request("send_message", { content: "beside" })]);
  const [own, others] = await Promise.all([[room, 101], [`${room}_beside`, 1]].map(async ([of, count]) => {
    assert.ok(await until(20_000, async () => (await stored(of)).length === count, 10));
    return performance.now() - began;
  }));
  for (const socket of [bot, reader, beside]) socket.terminate();
  return { own, others };
}

test("P3: one bad row holds up the rest for less than a second, and another room of its drain not at all", async () => {
  const [clean, bad] = [[], []];
  for (let i = 0; i < 3; i++) {
    clean.push(await writing(`video_none_bad_${i}`, "good"));
    const room = `video_one_bad_${i}`;
    bad.push(await writing(room, "bad \0"));
    assert.equal((await letters()).filter((letter) => letter.room_id === room).length, 1);
  }
  for (const [what, most] of [["others", 300], ["own", 1_000]]) {
    const [without, held] = [clean, bad].map((all) => all.map((one) => Math.round(one[what])).sort((a, b) => a - b));
    assert.ok(held[1] - without[1] < most, `${what}: ${without} ms without one, ${held} ms with one`);
  }
});

test("P3: history shows an unavailable message as a tombstone with its number", async () => {
  const [{ no, id }] = await database.query("select no::int, id from messages where room_id = $1 and type = 'unavailable' order by no limit 1", [ROOM]);
  await server.kill9();
  // The log has let go of everything but its end.
  server.sql("Room", ROOM, "DELETE FROM log WHERE last_seq < (SELECT max(last_seq) FROM log)");
  await server.restart();
  const { status, body } = await rest("GET", `/rooms/${ROOM}/messages?before=${no + 1}&limit=2`);
  assert.equal(status, 200);
  const [gone, good] = body.messages;
  const { message_id, type, content, user, reactions, metadata, deleted_at, timestamp } = gone;
  assert.deepEqual({ no: gone.no, message_id, type, content, user_id: user.user_id, reactions, metadata }, { no, message_id: id, type: "unavailable", content: "", user_id: "ada", reactions: {}, metadata: {} });
  assert.equal(deleted_at, timestamp);
  assert.equal(good.content, `good ${good.no}`);
});

test("P3: trouble that passes sets nothing aside", async () => {
  const bot = await join("video_trouble", SERVICE);
  // A full disk, as PostgreSQL says it.
  await database.query(`create function full_disk() returns trigger language plpgsql as $$
    begin raise disk_full using message = 'no space left'; end $$`);
  await database.query("create trigger full_disk before insert on messages for each row when (new.room_id = 'video_trouble') execute function full_disk()");
  for (let i = 0; i < 5; i++) await bot.request("send_message", { content: `kept ${i}` });
  await server.log(/drain: 53100/);
  await database.query("drop trigger full_disk on messages");
  assert.ok(await until(8_000, async () => (await stored("video_trouble")).length === 5));
  assert.deepEqual((await stored("video_trouble")).map(({ content }) => content), [0, 1, 2, 3, 4].map((i) => `kept ${i}`));
  assert.ok((await letters()).every((letter) => letter.room_id !== "video_trouble"));
  bot.terminate();
});
