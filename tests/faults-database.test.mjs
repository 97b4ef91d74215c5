// PostgreSQL is slow, silent, stopped or half gone: rooms do not notice, and what hangs is given up and done again.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { chat, enter, relay, say, startServer, testDatabase, undisturbed, until } from "./harness/index.mjs";

const SERVICE = { sub: "backend", roles: ["service"] };
const ending = [];
after(() => Promise.all(ending.map((end) => end())));

/** A Worker whose only way to a database of its own is a relay, and a room in which something was said and drained. */
async function reached(room) {
  const database = await testDatabase();
  const link = await relay(database.url);
  const server = await startServer({ databaseUrl: link.url });
  ending.push(async () => {
    await server.stop();
    await link.cut();
    await database.drop();
  });
  const { join, rest } = chat(server);
  const bot = await enter(join, room, SERVICE);
  const stored = () => database.query("select no::int, content from messages where room_id = $1 order by no", [room]);
  const told = (count, ms) => until(ms, async () => (await stored()).length === count, 250);
  const failures = () => server.logs.filter(({ message }) => /drain: /.test(message)).length;
  await say(bot, 20, "warm");
  assert.ok(await told(20, 5_000));
  return { database, link, server, join, rest, bot, stored, told, failures };
}

/** PostgreSQL has just what the room has. */
async function alike({ rest, stored }, room, count) {
  const { body } = await rest("GET", `/rooms/${room}/messages?limit=100`);
  assert.equal(body.total, count);
  assert.deepEqual(await stored(), body.messages.map(({ no, content }) => ({ no, content })).toReversed());
}

/** Something hangs with a batch under way: it is given up in less than 60 s, and the batch is written again. */
async function recovers(room, hang, { heals = async () => {} } = {}) {
  const there = await reached(room);
  const before = await say(there.bot, 15, "before");
  assert.ok(await there.told(35, 5_000));
  await hang(there);
  const [began, failures] = [performance.now(), there.failures()];
  undisturbed(before, await say(there.bot, 40, "hanging"));
  assert.equal(await there.told(75, 0), null);
  assert.ok(await until(30_000, () => there.failures() > failures, 100), "the operator is told that it was given up");
  const gaveUp = performance.now() - began;
  assert.ok(gaveUp < 30_000, `given up after ${gaveUp} ms`);
  await heals(there);
  assert.ok(await there.told(75, 20_000));
  await alike(there, room, 75);
}

describe("PostgreSQL in trouble", { concurrency: true }, () => {
  test("P2: a database that answers 2 s late slows no room, and is still told everything", async () => {
    const room = "video_slow";
    const there = await reached(room);
    const before = await say(there.bot, 30, "before");
    assert.ok(await there.told(50, 5_000));
    // A connection of before lets go after 10 s: the slow ones are to be new ones.
    there.link.reset();
    there.link.slow({ delay: 1_000, jitter: 100 });
    undisturbed(before, await say(there.bot, 50, "slowly"));
    assert.ok(await there.told(100, 45_000), `PostgreSQL has ${(await there.stored()).length}`);
    await alike(there, room, 100);
  });

  test("P2: a database that says nothing is given up in time; the log answers, only it fails what needs it", async () => {
    const room = "video_silent";
    let page;
    await recovers(
      room,
      async (there) => {
        const { link, rest, server, join } = there;
        await server.kill9();
        // As after a trim: 10 messages are in PostgreSQL alone.
        server.sql("Room", room, "DELETE FROM log WHERE last_seq <= 11");
        await server.restart();
        there.bot = await join(room, SERVICE);
        page = async (query) => {
          const began = performance.now();
          const { status, body, headers } = await rest("GET", `/rooms/${room}/messages${query}`);
          return { status, body, wait: headers.get("retry-after"), took: performance.now() - began };
        };
        assert.equal((await page("?after=0&limit=5")).status, 200);
        link.silence();
        const newest = await page("?limit=20");
        assert.deepEqual([newest.status, newest.body.messages.length], [200, 20]);
        assert.ok(newest.took < 1_000, `${newest.took} ms`);
        const oldest = await page("?after=0&limit=5");
        assert.deepEqual([oldest.status, oldest.body.code], [503, "unavailable"]);
        assert.ok(oldest.wait > 0 && oldest.took < 5_000, `${oldest.took} ms`);
      },
      { heals: async ({ link }) => link.heal() },
    );
    assert.equal((await page("?after=0&limit=5")).status, 200);
  });

  test("P1: a server process that stopped with the batch is given up; what it does later changes nothing", async () => {
    const pids = [];
    await recovers(
      "video_stopped",
      async ({ database, server }) => {
        const { pathname } = new URL(database.url);
        const backends = await database.query("select pid from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()", [pathname.slice(1)]);
        for (const { pid } of backends) pids.push(pid), process.kill(pid, "SIGSTOP");
        assert.ok(pids.length, "a drain is connected");
        ending.unshift(async () => pids.forEach((pid) => { try { process.kill(pid, "SIGCONT"); } catch {} }));
      },
      { heals: async () => pids.splice(0).forEach((pid) => process.kill(pid, "SIGCONT")) },
    );
  });

  test("P1: a connection whose other end is gone without a word is given up, and the next one is used", () =>
    recovers("video_half_open", async ({ link }) => link.forget()));
});
