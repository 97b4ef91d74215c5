// The same thing said again and again, by other ways and at other times, and what an old connection or a dead process
// still had on its way.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import pg from "pg";
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

const post = (room, key) => rest("POST", `/rooms/${room}/messages`, { as: "ada", body: { content: "once" }, headers: { "idempotency-key": key } });

test("V3: a message sent ten times, in tabs, over REST, after sleep and SIGKILL, is one", async () => {
  const ROOM = "video_once";
  const said = { content: "once", client_id: "the-one" };
  const eve = await join(ROOM, "eve");
  const tabs = [await join(ROOM, "ada"), await join(ROOM, "ada")];
  const replies = await Promise.all([...Array.from({ length: 10 }, (_, i) => tabs[i % 2].request("send_message", said)), ...[1, 2].map(async () => (await post(ROOM, "the-one")).body)]);
  await server.evict("Room", ROOM);
  replies.push(await tabs[0].request("send_message", said), (await post(ROOM, "the-one")).body);
  await server.kill9();
  await server.restart();
  const back = await join(ROOM, "ada", { resume: { epoch: tabs[0].joined.epoch, seq: tabs[0].joined.seq } });
  assert.deepEqual([back.joined.resumed, back.joined.events.map(({ data }) => data.client_id)], [true, ["the-one"]]);
  replies.push((await post(ROOM, "the-one")).body, await back.request("send_message", said));
  for (const reply of replies) assert.deepEqual(reply, replies[0]);
  assert.equal((await rest("GET", `/rooms/${ROOM}/messages`, { as: "ada" })).body.total, 1);
  assert.equal(eve.lines.filter(({ event }) => event === "new_message").length, 1);
  // Another's name for a message is another name.
  const other = await join(ROOM, "eve");
  assert.notEqual((await other.request("send_message", said)).message_id, replies[0].message_id);
});

test("V1, V3: what an old connection still brings changes neither order nor number", async () => {
  const ROOM = "video_late";
  const eve = await join(ROOM, "eve");
  const old = await join(ROOM, "ada");
  const [first, second] = ["first", "second"].map((name) => ({ content: name, client_id: name }));
  // The client gave the old socket up, came back and repeated; then the network delivers what was on its way.
  const fresh = await join(ROOM, "ada", { resume: { epoch: old.joined.epoch, seq: old.joined.seq } });
  const replies = [await fresh.request("send_message", first), await fresh.request("send_message", second)];
  await fresh.request("delete_message", { message_id: replies[1].message_id });
  assert.deepEqual([await old.request("send_message", first), await old.request("send_message", second)], replies);
  await assert.rejects(old.request("edit_message", { message_id: replies[1].message_id, content: "late" }), { code: "message_not_found" });
  const last = await fresh.request("send_message", { content: "last" });
  await eve.next(({ seq }) => seq === last.seq);
  assert.deepEqual(eve.lines.filter(({ event }) => event === "new_message").map(({ data }) => data.content), ["first", "second", "last"]);
});

test("P1: a batch that a dead process had on its way and a newer one meet in PostgreSQL; each row is there once", async () => {
  const ROOM = "video_orphan";
  const bot = await join(ROOM, { sub: "bot", roles: ["service"] });
  const rows = () => database.query("select no::int, content from messages where room_id = $1 order by no", [ROOM]);
  await bot.request("send_message", { content: "message 1" });
  assert.ok(await until(5_000, async () => (await rows()).length === 1));

  // PostgreSQL works on the batch, and waits, while the process that sent it dies.
  const lock = new pg.Client(database.url);
  await lock.connect();
  await lock.query("begin");
  await lock.query("select from room_cursor where room_id = $1 for update", [ROOM]);
  const busy = async () => Number((await database.query("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%chat_apply%'"))[0].count);
  const edited = await bot.request("send_message", { content: "message 2" });
  assert.ok(await until(5_000, async () => (await busy()) === 1), "the first one waits");
  await server.kill9();
  await server.restart();
  const again = await join(ROOM, { sub: "bot", roles: ["service"] });
  await again.request("edit_message", { message_id: edited.message_id, content: "message two" });
  await again.request("send_message", { content: "message 3" });
  assert.ok(await until(15_000, async () => (await busy()) === 2, 100), "the newer one waits too");
  await lock.query("rollback");
  await lock.end();

  const all = [{ no: 1, content: "message 1" }, { no: 2, content: "message two" }, { no: 3, content: "message 3" }];
  assert.ok(await until(15_000, async () => (await rows()).length === 3 && (await rows())[1].content === "message two"), JSON.stringify(await rows()));
  assert.deepEqual(await rows(), all);
});

test("P1: what nobody had told PostgreSQL when workerd died is told when it is up again, without anybody coming", async () => {
  const ROOM = "video_alarm";
  const bot = await join(ROOM, { sub: "bot", roles: ["service"] });
  const count = async () => Number((await database.query("select count(*) from messages where room_id = $1", [ROOM]))[0].count);
  for (let i = 0; i < 20; i++) await bot.request("send_message", { content: `message ${i}` });
  await server.kill9();
  assert.ok((await count()) < 20, "the room died before its alarm");
  await server.restart();
  assert.ok(await until(10_000, async () => (await count()) === 20), `PostgreSQL has ${await count()}`);
});
