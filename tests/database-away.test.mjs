// PostgreSQL goes away and comes back: rooms that exist go on, and it is told everything afterwards.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chat, relay, startServer, testDatabase, until } from "./harness/index.mjs";

let database, link, server, join, open, rest;
before(async () => {
  database = await testDatabase();
  link = await relay(database.url);
  server = await startServer({ databaseUrl: link.url });
  ({ join, open, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await link?.cut();
  await database?.drop();
});

const SERVICE = { sub: "backend", roles: ["service"] };
const count = async (room) => Number((await database.query("select count(*) from messages where room_id = $1", [room]))[0].count);

test("P2: a room that exists does not notice; a new one waits; the log is drained afterwards", async () => {
  const bot = await join("video_exists", SERVICE);
  const bob = await join("video_exists", "bob");
  await bot.request("send_message", { content: "before" });
  assert.ok(await until(3_000, async () => (await count("video_exists")) === 1));

  await link.cut();
  for (let i = 0; i < 30; i++) {
    const began = performance.now();
    await bot.request("send_message", { content: `during ${i}` });
    assert.ok(performance.now() - began < 1_000);
    assert.equal((await bob.next("new_message")).data.no, i + 1);
  }
  const first = await bob.next("new_message");
  await bot.request("edit_message", { message_id: first.data.message_id, content: "edited meanwhile" });
  const { body } = await rest("GET", "/rooms/video_exists/messages?limit=100");
  assert.deepEqual([body.total, body.messages.length], [31, 31]);
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  assert.ok(await until(5_000, () => server.logs.some(({ message }) => /drain/.test(message))), "the operator is told");
  assert.equal(await count("video_exists"), 1);

  // A room that nobody here knows may be one that PostgreSQL does: it is not made anew.
  const made = await rest("POST", "/rooms", { as: "ada", body: { room_id: "video_new", name: "New", type: "video" } });
  assert.deepEqual([made.status, made.body.code], [503, "unavailable"]);
  assert.ok(made.body.retry_after_ms > 0);
  const early = await open("video_new", "ada").then((socket) => socket.closed);
  assert.deepEqual([early.code, early.reason.retry], [4429, true]);
  const byId = await rest("DELETE", `/messages/${first.data.message_id}`, { as: SERVICE });
  assert.deepEqual([byId.status, byId.headers.has("retry-after")], [503, true]);

  await link.open();
  // The wait between tries is at most 10 s while somebody is there.
  assert.ok(await until(15_000, async () => (await count("video_exists")) === 31));
  const stored = await database.query("select no, content from messages where room_id = 'video_exists' order by no");
  assert.deepEqual(stored.map((row) => Number(row.no)), Array.from({ length: 31 }, (_, i) => i + 1));
  assert.equal(stored.find((row) => row.no === String(first.data.no)).content, "edited meanwhile");
  assert.equal((await join("video_new", "ada")).joined.room.message_count, 0);
});
