// A deployment as an earlier version stored it, with every kind of stored thing, is taken up by this one; and that
// version goes on beside it on migrated tables.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, test } from "node:test";
import { migrations, root } from "../scripts/lib/database.mjs";
import { chat, entries, hangUp, member, startServer, testDatabase, throwAwayRedis, until } from "./harness/index.mjs";
import { contracts, contractions } from "./fixtures/expands.mjs";
import { ask, putObjects, putRows, takeRows } from "./fixtures/deployment.mjs";

const folder = new URL("fixtures/deployments/", import.meta.url);
const number = (name) => Number(name.match(/\d+/)[0]);
const fixtures = readdirSync(folder).filter((name) => name.endsWith(".json")).sort((a, b) => number(a) - number(b));
assert.ok(fixtures.length);
const fixture = (name) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
after(hangUp);

/** What time takes away: who was there, and the copy of what was reported, after 30 days. */
const PASSES = new Set(["online_users", "online_guests", "quoted"]);

/** Whatever was shown then is shown now; a later version may show more. */
function keeps(now, then, where) {
  if (then === null || typeof then !== "object") return assert.equal(now, then, where);
  assert.equal(Array.isArray(now), Array.isArray(then), where);
  if (Array.isArray(then)) assert.equal(now.length, then.length, where);
  for (const [name, value] of Object.entries(then)) if (!PASSES.has(name)) keeps(now[name], value, `${where}.${name}`);
}

/** Bans that end have ended. */
const lasting = (body) => (body.bans ? { ...body, bans: body.bans.filter(({ ends_at }) => !ends_at) } : body);

for (const name of fixtures) {
  const { vars, rooms, last, seen, resumes, objects, rows } = fixture(name);

  test(`V4, P1: ${name}: this version takes up what was stored, shows it, and goes on`, { timeout: 60_000 }, async () => {
    const [database, redis] = [await testDatabase({ empty: true }), await throwAwayRedis()];
    const storage = mkdtempSync(path(tmpdir(), "edge-chat-upgrade-"));
    let server;
    try {
      await putRows(database, rows);
      await migrations("migrate", database.url);
      putObjects(storage, objects);
      server = await startServer({ databaseUrl: database.url, persist: storage, vars: { ...vars, REDIS_URL: `redis://127.0.0.1:${redis.port}` } });
      const { join, rest } = chat(server);

      // With what PostgreSQL lacked: nobody has to come for that.
      const inPostgres = ({ message_id }) => database.query("select from messages where id = $1", [message_id]);
      for (const [room, message] of Object.entries(last)) assert.ok(await until(20_000, async () => (await inPostgres(message)).length), `${room}: the end of the log is drained`);
      assert.ok(await until(20_000, async () => (await database.query("select from blocks where user_id = 'ada' and blocked_id = 'hugo'")).length), "a user's acts are drained");

      for (const [as, what, then] of seen) {
        const { status, body } = await rest("GET", what, { as });
        assert.equal(status, 200, what);
        if (what.endsWith("/audit")) {
          // What is over since, a ban or a message that was held, may be there too.
          const ids = new Set(body.audit.map(({ id }) => id));
          assert.ok(then.audit.every(({ id }) => ids.has(id)), what);
        } else keeps(lasting(body), lasting(then), `${as}: ${what}`);
      }
      for (const [room, as, epoch, seq, events] of resumes) {
        const { joined } = await join(room, as, { resume: { epoch, seq } });
        assert.deepEqual([joined.resumed, joined.epoch], [true, epoch], room);
        // What was held is over, and its text gone.
        const still = (all) => all.slice(0, events.length).map((line) => (line.event === "message_held" ? { seq: line.seq } : line));
        keeps(still(joined.events), still(events), `${room}, resumed`);
      }
      assert.equal((await rest("GET", `/rooms/${rooms.gone}`, { as: "ada" })).status, 410);
      await assert.rejects(join(rooms.talk, "zoe"), { code: "banned" });

      // And on: people, shards, Socket.IO's clients, a back end, a device that claims a key.
      const [ada, bob, old] = [await join(rooms.talk, "ada"), await join(rooms.talk, "bob"), await member(server, rooms.talk, "gwen")];
      assert.deepEqual([ada.joined.self.role, bob.joined.self.role], ["owner", "moderator"]);
      const next = await ada.request("send_message", { content: "in a later version", client_id: "later" });
      assert.ok(next.seq > last.talk.seq);
      assert.equal((await bob.next(({ data }) => data?.message_id === next.message_id)).data.content, "in a later version");
      assert.equal((await old.next("new_message")).message_id, next.message_id);
      const [dora, eve] = [await join(rooms.split, "dora"), await join(rooms.split, "eve")];
      await eve.request("send_message", { content: "still not for Dora" });
      const shown = await eve.request("send_message", { content: "nor this" }).then(() => dora.request("send_message", { content: "but this" }));
      await dora.next(({ data }) => data?.message_id === shown.message_id);
      assert.ok(!dora.frames.some((frame) => frame.includes("for Dora")));
      const { body } = await rest("POST", "/users/ada/keys/claim", { as: "bob" });
      assert.equal(body.devices[0].key.key_id, "k1");
      for (const message of [next, shown]) assert.ok(await until(10_000, async () => (await inPostgres(message)).length));
      const told = () => entries(redis, rooms.talk);
      assert.ok(await until(10_000, async () => (await told()).some(({ data }) => data.message_id === next.message_id)), "Redis is told");
    } finally {
      hangUp();
      await server?.stop();
      await redis.stop();
      await database.drop();
      rmSync(storage, { recursive: true, force: true });
    }
  });
}

// The build before this one is the one that made the newest.
const { asked, read, rows } = fixture(fixtures.at(-1));

test("P1: the build before goes on beside this one: all that it asked of PostgreSQL holds on the newest tables", async () => {
  const database = await testDatabase();
  try {
    // As then, so that the same is refused.
    await database.query("alter table messages add constraint no_poison check (content <> 'poison')");
    for (const one of asked) await ask(database, one);
    const now = await takeRows(database);
    for (const [table, then] of Object.entries(rows)) {
      // Who was there, how far the tables are, and when a letter came are of this day.
      if (["presence", "schema_migrations"].includes(table)) continue;
      keeps(now[table], then.map(({ created_at, ...row }) => (table === "dead_letters" ? row : { created_at, ...row })), table);
    }
    for (const one of read) await ask(database, one);
  } finally {
    await database.drop();
  }
});

test("migrations that the build before does not have only add, or contract what it does not use any more", () => {
  const applied = new Set(rows.schema_migrations.map(({ version }) => version));
  const files = readdirSync(path(root, "migrations")).filter((file) => file.endsWith(".sql"));
  for (const file of files.filter((name) => !applied.has(name.split("_")[0]))) {
    const text = readFileSync(path(root, "migrations", file), "utf8");
    const [found, of] = [contractions(text), contracts(text)];
    if (found.length) assert.ok(applied.has(of), `${file} ${found.join("; ")} (docs/upgrade.md#migrations)`);
  }
});

test("what only adds is told from what does not", () => {
  for (const sql of [
    "create table a (id uuid primary key); alter table a add column b text not null; create unique index on a (b);",
    "alter table messages add column a text, add column b text not null default '';",
    "alter table audit alter column room_id drop not null; create index a on messages (user_id);",
    "create or replace function chat_a() returns void language plpgsql as $$ begin drop table old; end $$; -- drop table rooms",
    "alter function chat_a(jsonb) rename to chat_a_before; create function chat_a(b jsonb) returns jsonb language sql as $$ select chat_a_before(b) $$;",
    "insert into rooms select * from a; update rooms set name = 'renamed';\n-- migrate:down\ndrop table a;",
  ]) assert.deepEqual(contractions(sql), [], sql);
  for (const sql of [
    "drop table rooms", "alter table rooms drop column name", "alter table rooms rename column name to title", "alter table rooms rename to places",
    "alter table rooms alter column name type varchar(10)", "alter table rooms alter name set data type text", "alter table rooms alter column terms set not null",
    "alter table rooms add column a text not null", "alter table rooms add a int default 1, add b int not null", "alter table rooms add constraint a check (name <> '')",
    "create unique index a on rooms (name)", "drop function chat_apply(text[])", "alter function chat_apply(text[]) rename to a",
    "do $$ begin execute 'alter table rooms drop column name'; end $$", "alter table rooms alter column terms drop default", "alter table rooms set schema old",
  ]) assert.equal(contractions(`${sql};`).length, 1, sql);
  assert.equal(contracts("-- migrate:up\n-- contracts: 20261129000001\ndrop table a;"), "20261129000001");
});

test("V2, V4: an object of a newer shape goes on where that only adds, and is left alone where this build is too old", async () => {
  const database = await testDatabase();
  const server = await startServer({ databaseUrl: database.url, vars: { GATEWAYS: "1" } });
  const { join, rest } = chat(server);
  const ROOM = "video_newer";
  const objects = [["Room", ROOM, "state", "log"], ["User", "ada", "state", "state"], ["Gateway", "~g0", "about", "session"]];
  /** What the objects say of themselves, as a later build would have left it. */
  const say = async (shape, change = []) => {
    hangUp();
    await server.kill9();
    for (const [kind, name, keys] of objects) {
      server.sql(kind, name, `DELETE FROM ${keys} WHERE key = 'shape'`);
      if (shape) server.sql(kind, name, `INSERT INTO ${keys} (key, value) VALUES ('shape', ?)`, JSON.stringify(shape));
    }
    for (const [kind, name, statement] of change) server.sql(kind, name, statement);
    await server.restart();
  };
  try {
    const ada = await join(ROOM, "ada");
    const { joined } = ada;
    const first = await ada.request("send_message", { content: "before" });
    await rest("PUT", "/users/eve/block", { as: "ada" });
    await member(server, ROOM, "bob");

    await say({ is: 2, needs: 1 });
    await server.kill9();
    for (const [kind, name, , table] of objects) server.sql(kind, name, `ALTER TABLE ${table} ADD COLUMN later TEXT`);
    await server.restart();
    const again = await join(ROOM, "ada", { resume: { epoch: joined.epoch, seq: joined.seq } });
    assert.deepEqual([again.joined.resumed, again.joined.seq], [true, first.seq]);
    const second = await again.request("send_message", { content: "beside a later build" });
    await again.request("pin_message", { message_id: first.message_id }).catch(({ code }) => assert.equal(code, "forbidden"));
    assert.equal((await rest("PUT", "/users/mallory/block", { as: "ada" })).status, 204);
    const old = await member(server, ROOM, "bob");
    assert.equal((await old.ask("send_message", { content: "by Socket.IO", room_id: ROOM })).error, undefined);

    const renamed = [["Room", ROOM, "log"], ["Gateway", "~g0", "session"]];
    await say({ is: 3, needs: 3 }, renamed.map(([kind, name, table]) => [kind, name, `ALTER TABLE ${table} RENAME TO ${table}_later`]));
    await assert.rejects(join(ROOM, "ada"), /the socket closed: 4429 .*"retry":true/);
    assert.equal((await rest("POST", "/rooms", { as: "ada", body: { room_id: "video_none", name: "None", type: "video" } })).status, 500);
    for (const what of [`/rooms/${ROOM}`, "/me/blocks"]) assert.equal((await rest("GET", what, { as: "ada" })).status, 500, what);
    await assert.rejects(member(server, ROOM, "bob"));
    for (const what of ["storage", "user", "load"]) await server.log(new RegExp(`^error \\w+: ${what}: .*a newer version wrote this storage: it is of shape 3, which takes a build that knows 3; this one knows 1`));
    for (const [kind, name, table] of renamed) {
      const made = server.copied(kind, name, `SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '${table}%'`);
      assert.deepEqual(made.map((row) => row.name), [`${table}_later`], "nothing is written to it");
    }
    const rows = (table) => server.copied("Room", ROOM, `SELECT last_seq FROM ${table}`);
    const kept = rows("log_later");

    await say(null, renamed.map(([kind, name, table]) => [kind, name, `ALTER TABLE ${table}_later RENAME TO ${table}`]));
    assert.deepEqual(rows("log"), kept);
    const back = await join(ROOM, "ada", { resume: { epoch: joined.epoch, seq: first.seq } });
    assert.equal(back.joined.resumed, true);
    assert.ok(back.joined.events.some(({ data }) => data.message_id === second.message_id));
    assert.deepEqual((await rest("GET", "/me/blocks", { as: "ada" })).body.blocks.length, 2);
  } finally {
    hangUp();
    await server.stop();
    await database.drop();
  }
});
