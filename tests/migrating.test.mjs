// From the service that this replaces: its tables with rows in them, taken over, served, and given back.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join as path } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { createAdapter } from "@socket.io/redis-adapter";
import pg from "pg";
import { createClient } from "redis";
import { Server } from "socket.io";
import { WebSocket } from "ws";
import { migrations, root } from "../scripts/lib/database.mjs";
import { chat, command, embeddedDatabase, startServer, testDatabase, throwAwayRedis, token, until } from "./harness/index.mjs";

// As its documentation has them.
const TABLES = `
  create table messages (id uuid primary key, room_id varchar(255), user_id varchar(255), content text, type varchar(50),
    metadata jsonb, created_at timestamp, edited_at timestamp, deleted_at timestamp);
  create table rooms (id varchar(255) primary key, name varchar(255), type varchar(50), settings jsonb, created_at timestamp);
  create table presence (user_id varchar(255), room_id varchar(255), socket_id varchar(255), last_seen timestamp,
    primary key (user_id, room_id));`;

const id = (n) => `f4c1b2a3-0000-4000-8000-${String(n).padStart(12, "0")}`;
const at = (minute) => `2026-03-01 12:${String(minute).padStart(2, "0")}:00.123`;
const said = (n, room, user, content, minute, { type = "text", metadata = null, edited = null, deleted = null } = {}) =>
  [id(n), room, user, content, type, metadata === null ? null : JSON.stringify(metadata), minute === null ? null : at(minute), edited, deleted];

const ROOMS = [
  ["video_1", "Match of the day", "video", { slowMode: 5 }, at(0)],
  ["stream_2", null, null, null, null],
  ["video_quiet", "Nobody wrote here", "video", {}, at(0)],
  ["team", "The team", "private", {}, at(0)],
  ["video_family", "Family", "video", { private: true }, at(0)],
];
const MESSAGES = [
  said(3, "video_1", "bob", "third", 3),
  said(1, "video_1", "ada", "first", 1),
  said(2, "video_1", "ada", "second & <script>alert(1)</script>", 2, { metadata: { k: [1] } }),
  said(5, "video_1", "bob", "escaped: 1 &lt; 2 &amp;&amp; it&#39;s", 4),
  said(4, "video_1", "ada", "the same minute", 4),
  said(6, "video_1", "ada", "regretted", 5, { deleted: at(7), metadata: { secret: 1 } }),
  said(7, "video_1", "bob", "https://a.example/cat.png", 6, { type: "image", metadata: [1, 2], edited: at(8) }),
  [id(8), "video_1", null, null, null, null, null, null, null],
  said(9, "stream_orphan", "ada", "in a room that has no row", 1),
  said(10, "team", "ada", "among us", 1),
  said(11, null, "ada", "nowhere", 1),
  said(12, "stream_2", "eve", "infinity", 1, { edited: "infinity" }),
];

async function fill(query) {
  for (const statement of TABLES.split(";").filter((text) => text.trim())) await query(statement);
  for (const [room, name, type, settings, created] of ROOMS) {
    await query("insert into rooms values ($1, $2, $3, $4, $5)", [room, name, type, settings && JSON.stringify(settings), created]);
  }
  for (const row of MESSAGES) await query("insert into messages values ($1, $2, $3, $4, $5, $6, $7, $8, $9)", row);
  await query("insert into presence values ('ada', 'video_1', 'socket', now()::timestamp)");
}

const take = async (query, source) => (await query("select chat_take_over($1) as did", [source]))[0].did;
const NOTHING = { rooms: 0, messages: 0, changed: 0, reactions: 0, bans: 0, open: 0, without_room: 1 };

for (const [server, open] of [["PostgreSQL", testDatabase], ["PGlite", embeddedDatabase]]) {
  test(`${server}: a database with the old tables is migrated with every row, twice is once, and down gives them back`, async () => {
    const { url, query, drop } = await open({ empty: true });
    try {
      await fill(query);
      await query("create table users (id varchar(255), username varchar(255), avatar text)");
      await query("insert into users values ('ada', 'Ada <L>', 'https://a.example/ada.png'), ('eve', '', 'javascript:alert(1)')");
      await query("create table reactions (message_id varchar(255), user_id varchar(255), reaction text, created_at timestamp)");
      await query(`insert into reactions values ($1, 'ada', '👍', null), ($1, 'bob', '👍', now()), ($2, 'bob', '👍', now()), ('gone', 'bob', '👍', now())`, [id(1), id(6)]);
      await query("create table bans (room_id text, user_id text, reason text, expires_at timestamp)");
      await query("insert into bans values ('video_1', 'eve', 'spam', 'infinity'), ('video_1', 'dan', null, '2999-01-01 00:00')");
      const old = await query("select * from messages order by id");

      await migrations("migrate", url);
      const rows = await query("select * from messages where room_id = 'video_1' order by no");
      assert.deepEqual(rows.map((row) => [Number(row.no), row.id]), [8, 1, 2, 3, 4, 5, 6, 7].map((n, i) => [i + 1, id(n)]), "by time, then by id");
      const [none, one, two, , , escaped, gone, image] = rows;
      assert.deepEqual([none.user_id, none.username, none.content, none.type, none.metadata], ["", "unknown", "", "text", {}]);
      assert.deepEqual([one.username, one.avatar, one.created_at.toISOString()], ["Ada &lt;L&gt;", "https://a.example/ada.png", "2026-03-01T12:01:00.123Z"]);
      assert.deepEqual([two.content, two.text, two.metadata],
        ["second &amp; &lt;script&gt;alert(1)&lt;/script&gt;", "second & <script>alert(1)</script>", { k: [1] }]);
      assert.deepEqual([escaped.content, escaped.text], ["escaped: 1 &lt; 2 &amp;&amp; it's", "escaped: 1 < 2 && it's"]);
      assert.deepEqual([gone.content, gone.text, gone.metadata, gone.deleted_at.toISOString()], ["", null, {}, "2026-03-01T12:07:00.123Z"]);
      assert.deepEqual([image.type, image.metadata, image.content, image.text, image.edited_at.toISOString()],
        ["text", { type: "image", value: [1, 2] }, "https://a.example/cat.png", null, "2026-03-01T12:08:00.123Z"]);
      assert.deepEqual(await query("select id, name, type, settings from rooms order by id"), [
        { id: "stream_2", name: "stream_2", type: "stream", settings: {} },
        { id: "stream_orphan", name: "stream_orphan", type: "stream", settings: {} },
        { id: "team", name: "The team", type: "group", settings: { guests: false, visibility: "private" } },
        { id: "video_1", name: "Match of the day", type: "video", settings: {} },
        { id: "video_family", name: "Family", type: "group", settings: { guests: false, visibility: "private" } },
        { id: "video_quiet", name: "Nobody wrote here", type: "video", settings: {} },
      ]);
      assert.deepEqual(await query("select message_id, user_id from reactions order by 2"), ["ada", "bob"].map((user_id) => ({ message_id: id(1), user_id })));
      assert.deepEqual(await query("select user_id, ends_at is null as for_good from bans order by 1"), [{ user_id: "dan", for_good: false }, { user_id: "eve", for_good: true }]);
      assert.equal((await query("select from presence")).length, 1);
      const [{ n }] = await query("select count(*)::int as n from messages");
      assert.equal(n, MESSAGES.length - 1, "all but the one of no room, which stays where it was");

      const whole = await query("select * from messages order by id");
      assert.deepEqual(await take(query, "replaced"), NOTHING);
      await migrations("migrate", url);
      assert.deepEqual(await query("select * from messages order by id"), whole);

      const [{ steps }] = await query("select count(*)::int as steps from schema_migrations");
      for (let i = 0; i < steps; i++) await migrations("rollback", url);
      assert.deepEqual(await query("select * from messages order by id"), old);
    } finally {
      await drop();
    }
  });
}

test("ids that are no UUIDs become the same ones each time, and zones are as said", async () => {
  const { query, drop } = await testDatabase();
  try {
    await query("create schema old");
    await query("create table old.messages (id text primary key, room_id text, user_id text, content text, created_at timestamp, updated_at timestamptz)");
    // What is for everybody is known by the id alone; and the last two are one.
    await query("insert into old.messages values ('m1', 'videos', 'ada', 'among us', '2026-01-01 12:00'), ($1, 'video_2', 'ada', 'upper', '2026-01-01 12:00'), ($2, 'video_2', 'ada', 'lower', '2026-01-01 12:00')", [id(1).toUpperCase(), id(1)]);
    assert.equal((await take(query, "old")).messages, 2);
    assert.deepEqual(await query("select id, settings ->> 'visibility' as visibility from rooms order by id"), [{ id: "video_2", visibility: null }, { id: "videos", visibility: "private" }]);
    await query("delete from messages");
    await query("delete from old.messages");
    await query("insert into old.messages values ('msg_456', 'video_1', 'ada', 'hello', '2026-01-01 12:00'), ('msg_457', 'video_1', 'ada', 'you', '2026-01-01 12:01')");
    assert.equal((await query("select chat_take_over('old', 'America/New_York') as did"))[0].did.messages, 2);
    assert.equal((await take(query, "old")).messages, 0);
    await query("insert into old.messages values ('msg_458', 'video_1', 'ada', 'again', now())");
    assert.equal((await query("select chat_take_over('old', since => now() - interval '1 hour') as did"))[0].did.messages, 1, "without the columns edited_at and deleted_at");
    const [row] = await query("select * from messages order by no");
    assert.match(row.id, /^[0-9a-f]{8}-[0-9a-f]{4}-8/);
    assert.equal(row.created_at.toISOString(), "2026-01-01T17:00:00.000Z");
  } finally {
    await drop();
  }
});

test("tables and schemas of others that bear such names stay as they are", async () => {
  const { url, query, drop } = await testDatabase({ empty: true });
  try {
    await query("create table reports (theirs int)");
    await query("create table messages (id uuid, room_id text)");
    await query("create schema replaced");
    await query("create table replaced.theirs ()");
    await assert.rejects(migrations("migrate", url));
    assert.deepEqual(await query("select schemaname, tablename from pg_tables where tablename in ('reports', 'messages', 'theirs') order by 2"),
      [["public", "messages"], ["public", "reports"], ["replaced", "theirs"]].map(([schemaname, tablename]) => ({ schemaname, tablename })));
    await query("drop table reports, messages");
    await migrations("migrate", url);
    const [{ steps }] = await query("select count(*)::int as steps from schema_migrations");
    for (let i = 0; i < steps; i++) await migrations("rollback", url);
    assert.equal((await query("select from pg_tables where schemaname = 'replaced'")).length, 1);
  } finally {
    await drop();
  }
});

/** The old service's database in use, and ours beside it under a role of its own, as docs/migrating.md has it. */
async function sideBySide() {
  const database = await testDatabase({ empty: true });
  await fill(database.query);
  const role = `edge_chat_${randomBytes(4).toString("hex")}`;
  const doc = readFileSync(path(root, "docs/migrating.md"), "utf8");
  const [, sql] = doc.match(/^```sql\n(-- A role of its own.*?)^```$/ms);
  const [{ name }] = await database.query("select current_database() as name");
  for (const statement of sql.replaceAll("edge_chat", role).replaceAll("chat_db", name).split(";").filter((text) => text.trim())) await database.query(statement);
  const url = Object.assign(new URL(database.url), { username: role, password: "secret" }).href;
  const query = async (text, values) => {
    const client = new pg.Client(url);
    await client.connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  };
  const drop = async () => {
    await database.drop();
    const client = new pg.Client(process.env.TEST_DATABASE_URL);
    await client.connect();
    await client.query(`drop role ${role}`);
    await client.end();
  };
  await migrations("migrate", url);
  return { old: database.query, query, url, role, drop };
}

describe("beside the service in use", () => {
  test("a later call closes what was closed there; one during which a room is opened takes nothing", async () => {
    const { old, query, url, role, drop } = await sideBySide();
    try {
      await take(query, "public");
      await query("update rooms set settings = '{}' where id = 'team'");
      await old("update rooms set settings = '{\"private\": true}' where id in ('video_1', 'video_quiet')");
      await query("insert into room_cursor values ('video_quiet', 1, 0)");
      await old("insert into presence values ('ada', 'video_quiet', 'socket', now()::timestamp), ('ada', 'stream_2', 'socket', now()::timestamp)");
      await take(query, "public");
      assert.deepEqual(await query("select id from rooms where settings @> '{\"visibility\": \"private\"}' order by id"), [{ id: "video_1" }, { id: "video_family" }],
        "not what was made public here, nor what is open");
      assert.deepEqual(await query("select room_id from presence order by 1"), [{ room_id: "stream_2" }, { room_id: "video_1" }]);

      await old("insert into messages values ($1, 'video_1', 'bob', 'since', 'text', null, $2)", [id(20), at(2)]);
      const other = new pg.Client(url);
      await other.connect();
      await other.query("begin");
      // Where the call waits, with its messages written.
      await other.query("lock table presence in exclusive mode");
      const call = take(query, "public");
      call.catch(() => {});
      assert.ok(await until(5_000, async () => (await old("select from pg_locks l join pg_database d on d.oid = l.database where not granted and datname = current_database()")).length));
      await query("insert into room_cursor values ('video_1', 1, 0)");
      await other.query("commit");
      await other.end();
      await assert.rejects(call, { code: "40001" });
      assert.deepEqual(await take(query, "public"), { ...NOTHING, open: 1 });
      // Only what was said for him counts as carried.
      const carry = (n, user, room = "video_1") => query(
        `insert into messages (id, room_id, no, user_id, username, content, type, client_id, visible_at, created_at, epoch, seq)
         values (gen_random_uuid(), $4, $1, $2, '', '', 'text', $3, now(), now(), 1, $1)`, [n, user, `replaced:${id(20)}`, room]);
      await carry(100, "eve");
      assert.equal((await take(query, "public")).open, 1);
      await carry(101, "bob");
      assert.equal((await take(query, "public")).open, 0);
      // Nothing comes back to a room that is not there.
      await carry(1, "ada", "gone");
      await old(`grant insert, update on rooms, messages to ${role}`);
      await old("alter table messages add foreign key (room_id) references rooms not valid");
      assert.equal((await query("select chat_give_back('public') as did"))[0].did.messages, 1);
    } finally {
      await drop();
    }
  });

  test("a further call takes what came since; 100,000 rows take seconds, and a call that is cut off does nothing", { timeout: 120_000 }, async () => {
    const { old, query, url, drop } = await sideBySide();
    try {
      assert.deepEqual(await take(query, "public"), { ...NOTHING, rooms: 6, messages: 11 });
      await old("insert into messages values ($1, 'video_1', 'bob', 'since', 'text', null, $2)", [id(20), at(2)]);
      await old("update messages set content = 'third <b>', edited_at = $2 where id = $1", [id(3), at(30)]);
      await old("update messages set deleted_at = $2 where id = $1", [id(4), at(30)]);
      assert.deepEqual(await take(query, "public"), { ...NOTHING, messages: 1, changed: 2 });
      assert.deepEqual(await take(query, "public"), NOTHING);
      await old("insert into messages values ($1, 'video_1', 'bob', 'of today', 'text', null, now() at time zone 'UTC'), ($2, 'video_1', 'bob', 'of then', 'text', null, $3)", [id(21), id(22), at(2)]);
      const [{ did }] = await query("select chat_take_over('public', since => now() - interval '1 hour') as did");
      assert.deepEqual(did, { ...NOTHING, messages: 1, without_room: 0 });
      await old("delete from messages where id = any($1)", [[id(21), id(22)]]);
      const rows = await query("select id, no::int, content from messages where room_id = 'video_1' order by no limit 9");
      assert.deepEqual(rows.slice(3).map(({ no, content }) => [no, content]),
        [[4, "third &lt;b&gt;"], [5, ""], [6, "escaped: 1 &lt; 2 &amp;&amp; it's"], [7, ""], [8, "https://a.example/cat.png"], [9, "since"]]);

      await old(`insert into messages select gen_random_uuid(), 'video_' || i % 100, 'u' || i % 500, 'message ' || i, 'text', '{}',
        '2026-04-01'::timestamp + i * interval '1 second' from generate_series(1, 100000) i`);
      const client = new pg.Client(url);
      client.on("error", () => {});
      await client.connect();
      const cut = client.query("select chat_take_over('public')");
      cut.catch(() => {});
      const stop = `select pg_terminate_backend(pid) from pg_stat_activity
        where query like '%chat_take_over(%' and state = 'active' and pid <> pg_backend_pid() and datname = current_database()`;
      assert.ok(await until(5_000, async () => (await old(stop)).length));
      await assert.rejects(cut);
      assert.equal((await query("select count(*)::int as n from messages"))[0].n, 13);
      const begun = performance.now();
      assert.equal((await take(query, "public")).messages, 100_000);
      const seconds = (performance.now() - begun) / 1000;
      assert.ok(seconds < 60, `${seconds} s`);
      const [{ bad }] = await query(`select count(*)::int as bad from (
        select no, row_number() over (partition by room_id order by created_at, no) as place from messages where room_id <> 'video_1') m where no <> place`);
      assert.equal(bad, 0);
    } finally {
      await drop();
    }
  });

  test("a room goes on from what was taken over, and what was said is given back", { timeout: 60_000 }, async () => {
    const { old, query, url, role, drop } = await sideBySide();
    const server = await startServer({ databaseUrl: url });
    try {
      const { join, rest } = chat(server);
      await take(query, "public");
      // What the old tables have no place for is set before the room opens.
      await query("update rooms set settings = settings || '{\"history_limit\": 7}', pinned = $1 where id = 'video_1'", [JSON.stringify([id(1)])]);
      await query("insert into room_roles values ('video_1', 'mod', 'moderator', 'Mod', now()), ('team', 'ada', 'member', 'Ada', now())");
      await query("insert into bans values ('video_1', 'eve', 'Eve', 'spam', false, 'mod', now(), null)");
      await query("insert into reactions values ($1, 'bob', '👍', now())", [id(1)]);

      const page = async (room, search = "", as = null) => {
        const { status, body } = await rest("GET", `/rooms/${room}/messages${search}`, { as });
        assert.equal(status, 200, JSON.stringify(body));
        return body;
      };
      const first = await page("video_1");
      assert.deepEqual(first.messages.map((message) => message.no), [8, 7, 6, 5, 4, 3, 2, 1]);
      assert.equal(first.total, 8);
      assert.deepEqual((await page("video_1", "?page=2&limit=3")).messages.map((message) => message.message_id), [4, 3, 2].map(id));
      const oldest = (await page("video_1", "?after=1&limit=1")).messages[0];
      assert.deepEqual([oldest.message_id, oldest.content, oldest.timestamp, oldest.user.user_id, oldest.reactions], [id(1), "first", "2026-03-01T12:01:00.123Z", "ada", { "👍": 1 }]);
      assert.deepEqual((await page("video_quiet")).messages, []);
      assert.equal((await page("stream_orphan")).total, 1);
      assert.equal((await page("stream_2")).messages[0].content, "infinity");
      assert.equal((await rest("GET", "/rooms/team/messages")).status, 401, "not opened to everybody by the move");
      assert.equal((await page("team", "", "ada")).total, 1);

      const ada = await join("video_1", "ada");
      const { room, self, messages } = ada.joined;
      assert.deepEqual([room.name, room.type, room.settings.history_limit, room.message_count, room.pinned, self.role], ["Match of the day", "video", 7, 8, [id(1)], "member"]);
      assert.deepEqual(messages, [], "the log begins here; what was before is history's");
      assert.equal((await join("video_1", "mod")).joined.self.role, "moderator");
      await assert.rejects(join("video_1", "eve"), { code: "banned" });
      const ninth = await ada.request("send_message", { content: "ninth < tenth" });
      assert.equal((await ada.next("new_message")).data.no, 9);
      const after = await page("video_1", "?after=0");
      assert.deepEqual(after.messages.map((message) => message.no), [1, 2, 3, 4, 5, 6, 7, 8, 9]);

      // What can be done to what was said before.
      for (const event of ["react", "edit_message", "delete_message", "report_message"]) {
        const data = { message_id: id(1), reaction: "🎉", content: "x", reason: "spam" };
        await assert.rejects(ada.request(event, data), { code: "message_too_old" }, event);
      }
      await assert.rejects(ada.request("send_message", { content: "an answer", reply_to: id(1) }), { code: "message_too_old" });
      await assert.rejects(ada.request("react", { message_id: "msg_456", reaction: "🎉" }), { code: "message_not_found" });
      assert.equal((await rest("PATCH", `/messages/${id(2)}`, { as: "bob", body: { content: "mine now" } })).status, 403);
      assert.equal((await rest("POST", `/messages/${id(5)}/report`, { as: "ada", body: { reason: "spam" } })).status, 201);
      assert.equal((await rest("DELETE", `/messages/${id(3)}?room_id=video_1`, { as: "mod" })).status, 200);
      assert.equal((await ada.next("message_deleted")).data.message_id, id(3));
      const edited = await rest("PATCH", `/messages/${id(2)}`, { as: "ada", body: { content: "edited here" } });
      assert.equal(edited.status, 200, JSON.stringify(edited.body));
      assert.equal((await rest("DELETE", `/messages/${id(99)}`, { as: "mod" })).status, 404);
      await assert.rejects((await join("video_fresh", "ada")).request("delete_message", { message_id: id(1) }), { code: "message_not_found" });
      assert.ok(await until(5_000, async () => (await query("select from messages where content = 'edited here'"))[0]));
      const changed = (await page("video_1", "?after=0")).messages;
      assert.deepEqual([changed[2].content, changed[3].content, typeof changed[3].deleted_at], ["edited here", "", "string"]);

      // What the old service writes into a room that is open here stays there, and is counted.
      await old("insert into messages values ($1, 'video_1', 'bob', 'too late', 'text', null, now())", [id(30)]);
      assert.deepEqual(await take(query, "public"), { ...NOTHING, open: 1 });

      assert.ok(await until(5_000, async () => (await query("select from rooms where id = 'video_fresh'"))[0]));
      await old(`grant insert, update on rooms, messages to ${role}`);
      const back = async () => (await query("select chat_give_back('public') as did"))[0].did;
      assert.deepEqual(await back(), { rooms: 2, changed: 2, messages: 1 });
      assert.deepEqual(await back(), { rooms: 0, changed: 0, messages: 0 });
      const [there] = await old("select * from messages where id = $1", [ninth.message_id]);
      assert.deepEqual([there.room_id, there.user_id, there.content, there.created_at.toISOString().slice(0, 16)], ["video_1", "ada", "ninth &lt; tenth", ninth.timestamp.slice(0, 16)]);
      const [[two], [three], [all]] = await Promise.all([
        old("select content from messages where id = $1", [id(2)]), old("select content, deleted_at from messages where id = $1", [id(3)]), old("select count(*)::int as n from messages")]);
      assert.deepEqual([two.content, three.content, three.deleted_at !== null, all.n], ["edited here", "", true, MESSAGES.length + 2]);
      assert.deepEqual(await take(query, "public"), { ...NOTHING, open: 1 });
    } finally {
      await server.stop();
      await drop();
    }
  });

  test("scripts/side-by-side: what is said in one service is shown in the other, once, though it is killed", { timeout: 120_000 }, async () => {
    const { old, query, url, role, drop } = await sideBySide();
    const redis = await throwAwayRedis();
    const server = await startServer({ databaseUrl: url, vars: { REDIS_HOST: "127.0.0.1", REDIS_PORT: String(redis.port) } });
    const service = await oldService(redis.port);
    // On the way to edge-chat one room cannot be reached for a while, and one message is refused by something between.
    let busy = true;
    const through = [];
    const between = createServer(async (request, response) => {
      const { authorization, "idempotency-key": key } = request.headers;
      const body = await text(request);
      if (request.url.includes("video_quiet")) {
        if (!busy) through.push(key);
        return response.writeHead(busy ? 503 : key.endsWith("1") ? 418 : 201).end("no JSON");
      }
      const answer = await fetch(server.url + request.url, { method: request.method, headers: { authorization, "content-type": "application/json", "idempotency-key": key }, body });
      response.writeHead(answer.status).end(await answer.text());
    });
    await new Promise((resolve) => between.listen(0, "127.0.0.1", resolve));
    let script;
    try {
      const { join, rest } = chat(server);
      await old(`grant insert, update on messages to ${role}`);
      await take(query, "public");
      const env = {
        ...process.env, DATABASE_URL: url, REDIS_URL: `redis://127.0.0.1:${redis.port}`, OLD_REDIS_URL: `redis://127.0.0.1:${redis.port}`,
        CHAT_URL: `http://127.0.0.1:${between.address().port}`, CHAT_TOKEN: await token({ sub: "bridge", username: "Bridge", roles: ["service"] }),
      };
      let errors = "";
      const begin = () => {
        script = spawn(process.execPath, [path(root, "scripts/lib/side-by-side.mjs")], { env, stdio: ["ignore", "ignore", "pipe"] });
        script.stderr.on("data", (chunk) => (errors += chunk));
      };
      // A room that was opened long before the script is started, with an entry that the old table refuses.
      await query("insert into room_cursor values ('video_quiet', 1, 0)");
      const entry = (at, message_id, content, minutes) => command(redis, ["XADD", "chat:room:video_quiet:events", at, "room", "video_quiet", "event", "new_message",
        "data", JSON.stringify({ message_id, user: { user_id: "ada" }, content, type: "text", timestamp: new Date(Date.now() - minutes * 60_000) })]);
      await entry("1-1", id(60), "long ago", 10);
      await entry("1-2", id(61), "refused\0", 0);
      await entry("1-3", id(62), "just now", 0);
      const quietViewer = await service.viewer("video_quiet");
      await old("insert into messages select id, 'video_quiet', 'bob', 'waits', 'text', null, now() at time zone 'UTC' from unnest($1::uuid[]) id", [[id(71), id(72)]]);
      begin();
      const theirViewer = await service.viewer("video_1");
      assert.ok(await until(10_000, () => quietViewer.heard.length > 0), errors);
      assert.deepEqual(quietViewer.heard.map(([, said]) => said.content), ["just now"]);
      assert.match(errors, /1-2 of video_quiet was refused/);
      assert.equal((await old("select from messages where id = any($1)", [[id(60), id(62)]])).length, 2);
      await old("create table users (id text, username text)");
      await old("insert into users values ('zoe', 'Zoe')");
      await old(`grant select on users to ${role}`);
      // After the last call and before the room is opened, by a user who came since, longer ago than is looked back for what is late.
      await old("insert into messages values ($1, 'video_1', 'zoe', 'between', 'text', null, now() at time zone 'UTC' - interval '10 minutes')", [id(39)]);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      const ada = await join("video_1", "ada");

      const tenth = await ada.request("send_message", { content: "here < there", metadata: { k: 1 } });
      assert.ok(await until(10_000, () => theirViewer.heard.length > 0), errors);
      const [[event, data]] = theirViewer.heard;
      assert.deepEqual([event, data.message_id, data.user.user_id, data.content, typeof data.timestamp, data.reactions], ["new_message", tenth.message_id, "ada", "here &lt; there", "string", {}]);
      const sayThere = (n, content) => old("insert into messages values ($1, 'video_1', 'bob', $2, 'text', null, now() at time zone 'UTC')", [id(n), content]);
      await sayThere(40, "there > here");
      const seen = () => ada.lines.filter(({ event }) => event === "new_message").map(({ data }) => data);
      assert.ok(await until(10_000, () => seen().length >= 3), errors);
      assert.deepEqual(seen().map(({ content }) => content).sort(), ["between", "here &lt; there", "there &gt; here"]);
      assert.equal(seen().find(({ content }) => content === "between").user.username, "Zoe");
      const theirs = seen().find(({ content }) => content === "there &gt; here");
      assert.deepEqual([theirs.text, theirs.user.user_id, theirs.client_id], ["there > here", "bob", `replaced:${id(40)}`]);

      // As it writes what was said here, and PostgreSQL has not been told of yet.
      await old("insert into messages values ($1, 'video_1', 'ada', 'ours', 'text', '{\"edge_chat\": true}', now() at time zone 'UTC')", [id(41)]);

      for (let i = 0; i < 5; i++) {
        script.kill("SIGKILL");
        // As if it had been killed before it kept its place.
        await command(redis, ["DEL", "chat:side-by-side"]);
        await sayThere(50 + i, `there ${i}`);
        await ada.request("send_message", { content: `here ${i}` });
        begin();
        assert.ok(await until(15_000, () => seen().some(({ content }) => content === `there ${i}`)), errors);
        assert.ok(await until(15_000, () => theirViewer.heard.some(([, said]) => said.content === `here ${i}`)), errors);
      }
      await ada.request("edit_message", { message_id: tenth.message_id, content: "edited" });
      assert.equal((await rest("DELETE", `/messages/${theirs.message_id}?room_id=video_1`, { as: { sub: "mod", roles: ["moderator"] } })).status, 200);
      assert.ok(await until(10_000, async () => (await old("select from messages where id = $1 and deleted_at is not null", [id(40)]))[0]), errors);
      assert.equal((await old("select content from messages where id = $1", [tenth.message_id]))[0].content, "edited");
      assert.ok(await until(5_000, () => theirViewer.heard.some(([event, said]) => event === "message_deleted" && said.message_id === id(40))), "under the id that they know");
      assert.deepEqual(theirViewer.heard.filter(([event]) => event === "new_message").map(([, said]) => said.content),
        ["here &lt; there", ...[0, 1, 2, 3, 4].map((i) => `here ${i}`)], "each once");
      assert.equal(quietViewer.heard.length, 1);
      busy = false;
      assert.ok(await until(10_000, () => through.length >= 2), errors);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      assert.deepEqual(through.sort(), [71, 72].map((n) => `replaced:${id(n)}`), "each once");
      assert.match(errors, /0071 was refused: 418/);

      const both = [...Array(5).keys()].flatMap((i) => [`here ${i}`, `there ${i}`]).sort();
      assert.deepEqual(seen().map(({ content }) => content).slice(3).sort(), both);
      const [{ n }] = await old("select count(*)::int as n from messages where room_id = 'video_1'");
      assert.equal(n, 8 + 13 + 1, "each once in their table");
      const { body } = await rest("GET", "/rooms/video_1/messages?after=8&limit=100");
      assert.equal(body.messages.length, 13, "and in ours");
      await old(`grant insert, update on rooms to ${role}`);
      assert.deepEqual((await query("select chat_give_back('public') as did"))[0].did, { rooms: 1, changed: 0, messages: 0 });
    } finally {
      script?.kill("SIGKILL");
      between.close();
      await service.stop();
      await server.stop();
      await redis.stop();
      await drop();
    }
  });
});

/** A stand-in for the replaced service: Socket.IO with its Redis adapter. A viewer's `heard` are events as [name, data]. */
async function oldService(port) {
  const clients = [0, 1].map(() => createClient({ socket: { host: "127.0.0.1", port } }).on("error", () => {}));
  await Promise.all(clients.map((client) => client.connect()));
  const http = createServer();
  const io = new Server(http, { transports: ["websocket"], adapter: createAdapter(...clients) });
  io.on("connection", (socket) => socket.on("join_room", ({ room_id }, done) => done(socket.join(room_id))));
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    async viewer(room) {
      const socket = new WebSocket(`ws://127.0.0.1:${http.address().port}/socket.io/?EIO=4&transport=websocket`);
      const heard = [];
      await new Promise((resolve) => socket.on("message", (data) => {
        const text = String(data);
        if (text.startsWith("0{")) socket.send("40");
        if (text.startsWith("40{")) socket.send(`420["join_room",${JSON.stringify({ room_id: room })}]`);
        if (text.startsWith("430")) resolve();
        if (text.startsWith("42[")) heard.push(JSON.parse(text.slice(2)));
        if (text === "2") socket.send("3");
      }));
      return { heard };
    },
    async stop() {
      await io.close();
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}
