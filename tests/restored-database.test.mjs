// P4: PostgreSQL is set back to a backup, and the rooms' logs fill it again.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

const TABLES = {
  messages: "id, room_id, no, user_id, content, text, edited_at, deleted_at, epoch, seq",
  reactions: "message_id, user_id, reaction, created_at",
  bans: "room_id, user_id, reason, created_at, ends_at",
  room_roles: "room_id, user_id, role",
  audit: "id, room_id, actor_id, action, target, created_at",
  rooms: "id, name, settings, pinned, updated_at",
  room_cursor: "room_id, epoch, seq",
};

test("P4: a database swapped for an early copy is refilled from the logs, edits, deletions and all", { timeout: 60_000 }, async () => {
  const database = await testDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const admin = new pg.Client(process.env.TEST_DATABASE_URL);
  await admin.connect();
  const server = await startServer({ databaseUrl: database.url });
  try {
    const { join } = chat(server);
    const SERVICE = { sub: "backend", username: "Backend", roles: ["service"] };
    const rooms = ["video_one", "video_two"];
    const bots = await Promise.all(rooms.map((room) => join(room, SERVICE)));
    const said = rooms.map(() => []);
    const say = async (from, to) => {
      for (let i = from; i < to; i++) {
        for (const [r, bot] of bots.entries()) said[r].push((await bot.request("send_message", { content: `m${i}` })).message_id);
      }
    };
    const all = async () => {
      const entries = Object.entries(TABLES).map(async ([table, columns]) => [table, await database.query(`select ${columns} from ${table} order by 1, 2, 3`)]);
      return Object.fromEntries(await Promise.all(entries));
    };
    const drained = async (last) => {
      const there = async () => {
        const cursors = await database.query("select room_id, seq::int from room_cursor");
        return rooms.every((room, r) => cursors.find(({ room_id }) => room_id === room)?.seq >= last[r]);
      };
      assert.ok(await until(20_000, there), JSON.stringify(await database.query("select * from room_cursor")));
    };
    const ends = () => Promise.all(bots.map(async (bot) => (await bot.request("send_message", { content: "so far" })).seq));

    await say(0, 20);
    await drained(await ends());
    // As a backup would have it; nobody may be connected to what is copied.
    await admin.query(`alter database ${name} with allow_connections false`);
    await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [name]);
    await until(5_000, async () => !(await admin.query("select from pg_stat_activity where datname = $1", [name])).rowCount);
    await admin.query(`create database ${name}_backup template ${name}`);
    await admin.query(`alter database ${name} with allow_connections true`);

    await say(20, 50);
    for (const [r, bot] of bots.entries()) {
      await bot.request("edit_message", { message_id: said[r][3], content: "changed since" });
      await bot.request("delete_message", { message_id: said[r][4] });
      await bot.request("delete_message", { message_id: said[r][30] });
      await bot.request("react", { message_id: said[r][5], reaction: "👍" });
      await bot.request("ban_user", { user_id: "eve", reason: "spam" });
      await bot.request("pin_message", { message_id: said[r][6] });
    }
    await drained(await ends());
    const before = await all();

    await admin.query(`alter database ${name} with allow_connections false`);
    await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [name]);
    await until(5_000, async () => !(await admin.query("select from pg_stat_activity where datname = $1", [name])).rowCount);
    await admin.query(`alter database ${name} rename to ${name}_lost`);
    await admin.query(`alter database ${name}_backup rename to ${name}`);
    assert.equal((await database.query("select from messages")).length, 42, "the copy is the early one");

    // A room finds out as soon as it tells something again.
    const last = await ends();
    await drained(last);
    const after = await all();
    const then = (rows) => rows.filter(({ content, seq, room_id }) => content !== "so far" || seq < last[rooms.indexOf(room_id)]);
    assert.equal(after.messages.length, before.messages.length + 2);
    for (const table of ["reactions", "bans", "room_roles", "audit", "rooms"]) assert.deepEqual(after[table], before[table], table);
    assert.deepEqual(then(after.messages), before.messages);
  } finally {
    await server.stop();
    for (const other of ["", "_backup", "_lost"]) await admin.query(`drop database if exists ${name}${other} with (force)`);
    await admin.end();
  }
});
