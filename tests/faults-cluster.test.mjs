// PostgreSQL has no connection left, crashes in the middle of a batch, or has no space left: rooms go on, and it is told
// everything afterwards.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join as path } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { chat, enter, noMount, ownCluster, relay, say, startServer, undisturbed, until } from "./harness/index.mjs";

const SERVICE = { sub: "backend", roles: ["service"] };
const ending = [];
after(async () => {
  for (const end of ending.reverse()) await end();
});

/** A Worker on a cluster of its own, as a user without special rights. */
async function reached(settings, where = async ({ plainUrl }) => plainUrl) {
  const cluster = await ownCluster(settings);
  ending.push(() => cluster.drop());
  const url = await where(cluster);
  const link = await relay(url);
  ending.push(() => link.cut());
  const server = await startServer({ databaseUrl: link.url });
  ending.push(() => server.stop());
  const query = async (sql, values) => {
    const client = new pg.Client(url);
    await client.connect();
    return client.query(sql, values).then(({ rows }) => rows).finally(() => client.end());
  };
  const stored = (room) => query("select no::int, content from messages where room_id = $1 order by no", [room]);
  return { cluster, link, server, url, query, stored, ...chat(server) };
}

/** Whether PostgreSQL gets to have just what the room has. */
async function alike({ rest, stored }, room, ms) {
  const { body } = await rest("GET", `/rooms/${room}/messages?limit=100`);
  assert.ok(body.total <= 100);
  const said = body.messages.map(({ no, content }) => ({ no, content })).toReversed();
  assert.equal(said.length, body.total);
  const come = await until(ms, async () => (await stored(room).catch(() => [])).length >= said.length, 250);
  assert.ok(come, `PostgreSQL has ${(await stored(room)).length} of ${said.length}`);
  assert.deepEqual(await stored(room), said);
}

describe("a PostgreSQL server in trouble", { concurrency: true }, () => {
  test("P2: where PostgreSQL has no connection left, many rooms together ask for one seldom", async () => {
    const there = await reached({ max_connections: 12 });
    const { link, server, join, url } = there;
    const rooms = Array.from({ length: 30 }, (_, i) => `video_crowded_${i}`);
    const bots = await Promise.all(rooms.map((room) => enter(join, room, SERVICE)));
    const before = await say(bots[0], 20, "before");
    for (const bot of bots) await say(bot, 1, "first");
    // No drain has a reason to connect again before the connections are taken.
    assert.ok(await until(15_000, async () => (await there.query("select count(*)::int from messages"))[0].count === 20 + rooms.length, 250));
    await sleep(1_000);

    link.reset();
    const taken = [];
    for (;;) {
      const client = new pg.Client(url);
      client.on("error", () => {});
      try {
        await client.connect();
        taken.push(client);
      } catch (error) {
        assert.equal(error.code, "53300");
        break;
      }
    }
    const began = link.accepted;
    for (const bot of bots) await say(bot, 1, "crowded");
    undisturbed(before, await say(bots[0], 40, "crowded"));
    await sleep(4_000);
    const halfway = link.accepted;
    await sleep(4_000);
    const [first, second] = [halfway - began, link.accepted - halfway];
    assert.ok(server.logs.some(({ message }) => /drain: 53300/.test(message)), "the operator is told why");
    assert.ok(second >= 1 && second <= 14, `${first}, then ${second} connections in 4 s`);

    await Promise.all(taken.map((client) => client.end()));
    for (const room of rooms) await alike(there, room, 15_000);
  });

  test("P1: crashes of PostgreSQL in the middle of batches, and lost answers, double and lose nothing", async () => {
    const there = await reached({});
    const { cluster, link, join } = there;
    const room = "video_restarted";
    const bot = await enter(join, room, SERVICE);
    // So that a batch is long under way.
    await cluster.query("create function late() returns trigger language plpgsql as $$ begin perform pg_sleep(0.03); return new; end $$");
    await cluster.query("create trigger late before insert on messages for each row execute function late()");
    const busy = () => cluster.query("select 1 from pg_stat_activity where query like '%chat_apply%' and state = 'active' and pid <> pg_backend_pid()");
    for (let crash = 0; crash < 3; crash++) {
      await say(bot, 20, `crash ${crash}`);
      assert.ok(await until(12_000, async () => (await busy())[0], 20), "a batch is under way");
      await cluster.stop("SIGQUIT");
      await say(bot, 3, `down ${crash}`);
      await cluster.start();
    }
    await alike(there, room, 15_000);

    // Written, but nobody is told.
    link.silence("down");
    await say(bot, 10, "unanswered");
    const { length } = await there.stored(room);
    assert.ok(await until(5_000, async () => (await there.stored(room)).length === length + 10 || (await there.stored(room)).length === 79, 100));
    link.reset();
    link.heal();
    await say(bot, 1, "last");
    await alike(there, room, 15_000);
    assert.equal((await there.stored(room)).length, 80);
    assert.deepEqual(await cluster.query("select * from dead_letters"), []);
  });

  test("P2: where PostgreSQL's disk is full, rooms go on, and it catches up once there is space", async (t) => {
    const reason = noMount();
    if (reason) return t.skip(reason);
    let folder;
    const there = await reached({}, async (cluster) => {
      folder = cluster.tmpfs("48m");
      await cluster.query(`create tablespace small location '${folder}'`);
      await cluster.query("create database small template postgres tablespace small");
      return Object.assign(new URL(cluster.plainUrl), { pathname: "/small" }).href;
    });
    const room = "video_full";
    const bot = await enter(there.join, room, SERVICE);
    const before = await say(bot, 20, "before");
    await alike(there, room, 5_000);

    const ballast = path(folder, "..", "ballast");
    assert.throws(() => writeFileSync(ballast, Buffer.alloc(64 << 20)), { code: "ENOSPC" });
    undisturbed(before, await say(bot, 50, "x".repeat(900)));
    await there.server.log(/drain: 53100/, 10_000);
    const [{ count }] = await there.query("select count(*)::int from messages");
    assert.ok(count < 70, `${count} of 70`);
    assert.equal((await there.rest("GET", `/rooms/${room}/messages`)).status, 200);

    rmSync(ballast);
    await alike(there, room, 15_000);
    assert.deepEqual(await there.query("select * from dead_letters"), [], "a full disk is no fault of a row");
  });
});
