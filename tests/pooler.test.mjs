// P1: through a pooler of transactions, which is what Hyperdrive is, everything is as it is directly.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import pg from "pg";
import { transactionPooler } from "../scripts/lib/cluster.mjs";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

const ROOM = "video_pooled";
const closers = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

/** Talk, a break of `pause` in the middle, and history that only PostgreSQL still has; what was said and what is stored. */
async function talk(database, databaseUrl, pause) {
  const server = await startServer({ databaseUrl });
  closers.push(() => server.stop());
  const { join, rest } = chat(server);
  const bot = await join(ROOM, { sub: "backend", roles: ["service"] });
  const stored = () => database.query("select no::int, content, deleted_at is not null as gone from messages where room_id = $1 order by no", [ROOM]);
  const seqAt = async () => Number((await database.query("select seq from room_cursor where room_id = $1", [ROOM]))[0]?.seq ?? 0);
  let last;
  const say = async (from, to) => {
    for (let i = from; i < to; i++) last = await bot.request("send_message", { content: `m${i}` });
  };
  await say(0, 60);
  assert.ok(await until(5_000, async () => (await seqAt()) >= last.seq));
  const paused = pause();
  await say(60, 120);
  await paused;
  await bot.request("edit_message", { message_id: last.message_id, content: "edited" });
  const deleted = await bot.request("send_message", { content: "taken back" });
  last = await bot.request("delete_message", { message_id: deleted.message_id });
  assert.ok(await until(15_000, async () => (await seqAt()) >= last.seq), `the cursor stands at ${await seqAt()} of ${last.seq}`);
  bot.terminate();

  await server.kill9();
  server.sql("Room", ROOM, "DELETE FROM log WHERE last_seq < (SELECT max(last_seq) FROM log)");
  await server.restart();
  const pages = await Promise.all([1, 2, 3].map(async (page) => (await rest("GET", `/rooms/${ROOM}/messages?limit=50&page=${page}`)).body.messages));
  const history = pages.flat().reverse().map(({ no, content, deleted_at }) => ({ no, content, gone: Boolean(deleted_at) }));
  const rows = await stored();
  assert.deepEqual(history, rows);
  assert.deepEqual([rows.length, rows[119].content, rows[120].gone], [121, "edited", true]);
  // By id alone: where it is, PostgreSQL says.
  const { status } = await rest("DELETE", `/messages/${(await database.query("select id from messages where room_id = $1 and no = 7", [ROOM]))[0].id}`, { as: { sub: "backend", roles: ["service"] } });
  assert.equal(status, 200);
  assert.ok(await until(5_000, async () => (await stored())[6].gone));
  return stored();
}

test("P1, P2: a chat through pgbouncer in transaction mode, restarted in between, ends as one without it", { timeout: 60_000 }, async () => {
  const [direct, pooled] = await Promise.all([testDatabase(), testDatabase()]);
  closers.push(direct.drop, pooled.drop);
  const pooler = await transactionPooler(pooled.url);
  closers.push(pooler.end);
  const restart = async () => {
    await pooler.stop();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await pooler.start();
  };
  const without = await talk(direct, direct.url, async () => {});
  const through = await talk(pooled, pooler.url, restart);
  assert.deepEqual(through, without);

  const console = new pg.Client(Object.assign(new URL(pooler.url), { pathname: "/pgbouncer" }).href);
  await console.connect();
  const { rows } = await console.query("show pools");
  await console.end();
  const pool = rows.find(({ database }) => `/${database}` === new URL(pooled.url).pathname);
  assert.equal(pool?.pool_mode, "transaction", "it went through the pooler");
});
