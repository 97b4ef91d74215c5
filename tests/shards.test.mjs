// A room that grows is split into shards by itself, and put together again, without a viewer losing or doubling anything.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { allSaw, chat, leave, startServer, testDatabase, until, viewer } from "./harness/index.mjs";

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { SHARD_SOCKETS: "10", RATE_LIMIT_MESSAGES: "1000", RATE_LIMIT_WINDOW: "1000" } });
  ({ join, rest } = chat(server));
});
after(async () => {
  leave();
  await server?.stop();
  await database?.drop();
});

const MODERATOR = { sub: "mod", username: "Mod", roles: ["moderator"] };
const stats = async (room) => (await rest("GET", `/rooms/${room}/stats`, { as: MODERATOR })).body;
const expect = (room, viewers) => rest("PATCH", `/rooms/${room}`, { as: { sub: "admin", roles: ["admin"] }, body: { settings: { expect_viewers: viewers } } });

/** Everybody says something now and then, until `done()`; what was acknowledged. */
function talk(viewers, every = 400) {
  const said = [];
  let on = true;
  const one = async (chat, n) => {
    for (let i = 0; on; i += 1) {
      said.push(await chat.send(`${n}: ${i}`));
      await sleep(every / 2 + Math.random() * every);
    }
  };
  const talking = [];
  const begin = (chat) => talking.push(one(chat, talking.length));
  viewers.forEach(begin);
  return {
    begin,
    said,
    async done() {
      on = false;
      await Promise.all(talking);
      return said;
    },
  };
}

describe("a room of many viewers", { concurrency: true }, () => {
  test("V1, V2, V4: a room grows from one object to many while everybody talks, and nobody misses or doubles a message", async () => {
    const room = "video_grow";
    const viewers = [];
    const talking = talk([]);
    for (let n = 0; n < 60; n += 1) {
      const one = await viewer(server, room, n % 5 === 4 ? null : `grow-${n}`);
      viewers.push(one);
      if (n % 5 !== 4) talking.begin(one);
      await sleep(100);
    }
    const { shards } = await stats(room);
    assert.ok(shards >= 5, `${shards} shards`);
    await until(10_000, () => viewers.slice(0, 10).every(({ seen }) => seen.moves > 0));
    await sleep(1_000);
    const said = await talking.done();
    assert.ok(said.length > 100, `${said.length} messages`);
    await allSaw(viewers, said);
    for (const [n, one] of viewers.entries()) assert.deepEqual(one.seen.trouble, [], `viewer ${n}`);
    assert.ok(viewers.slice(0, 10).every(({ seen }) => seen.moves > 0), "those who came first have moved");
    const now = await until(10_000, async () => ((now) => now.online_users === 48 && now.online_guests === 12 && now)(await stats(room)));
    assert.ok(now, JSON.stringify(await stats(room)));
    assert.equal(now.sockets, 60);
    viewers.forEach((one) => one.close());
  });

  test("V4: a room is warmed up for those who are expected, with relays between it and its shards", async () => {
    const room = "video_warm";
    const early = await viewer(server, room, "early");
    assert.equal((await expect(room, 64)).status, 200);
    assert.equal((await stats(room)).shards, 8);
    const viewers = [early, ...(await Promise.all(Array.from({ length: 20 }, (_, n) => viewer(server, room, `warm-${n}`))))];
    const talking = talk(viewers);
    await sleep(3_000);
    await allSaw(viewers, await talking.done());
    assert.equal(early.seen.moves, 1);
    for (const one of viewers.slice(1)) assert.deepEqual([one.seen.moves, one.seen.urls.length], [0, 1], "they came where they belong");
    viewers.forEach((one) => one.close());
  });

  test("V4: a room that is not expected to be large any more becomes one object again after a while", async () => {
    const room = "video_shrink";
    const viewers = await Promise.all(Array.from({ length: 4 }, (_, n) => viewer(server, room, `shrink-${n}`)));
    assert.equal((await expect(room, 20)).status, 200);
    assert.equal((await stats(room)).shards, 3);
    await until(10_000, () => viewers.every(({ seen }) => seen.moves === 1));
    assert.equal((await expect(room, null)).status, 200);
    const talking = talk(viewers, 1_000);
    assert.ok(await until(90_000, async () => (await stats(room)).shards === 0, 1_000), "it is one object again");
    await until(10_000, () => viewers.every(({ seen }) => seen.moves === 2));
    await sleep(1_000);
    await allSaw(viewers, await talking.done());
    assert.deepEqual(viewers.map(({ seen }) => [seen.moves, seen.trouble]), viewers.map(() => [2, []]));
    const late = await join(room, "late");
    assert.ok(late.joined.members.length === 5, "who is there is shown again");
    viewers.forEach((one) => one.close());
    late.close();
  });
});
