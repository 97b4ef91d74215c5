// A shard, a relay, the room that dies while a split room talks: nothing that was acknowledged is lost or comes twice.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { allSaw, chat, fault, faulty, killObject, leave, mortal, startServer, testDatabase, until, viewer } from "./harness/index.mjs";

const ending = [];
after(async () => {
  leave();
  await Promise.all(ending.map((end) => end()));
});

const ADMIN = { sub: "admin", username: "Admin", roles: ["admin"] };
const SERVICE = { sub: "backend", username: "Backend", roles: ["service"] };

/** A server, and a room of it that is split for so many, with this many viewers in it. */
async function talked(room, { expected = 30, people = 12, ...options } = {}) {
  const database = await testDatabase();
  const server = await startServer({ databaseUrl: database.url, vars: { SHARD_SOCKETS: "10", RATE_LIMIT_MESSAGES: "1000", RATE_LIMIT_WINDOW: "1000" }, ...options });
  ending.push(async () => {
    await server.stop();
    await database.drop();
  });
  const { join, rest } = chat(server);
  const body = { room_id: room, name: "Split", type: "video", settings: { expect_viewers: expected } };
  assert.equal((await rest("POST", "/rooms", { as: { sub: "owner", username: "Owner", roles: ["service"] }, body })).status, 201);
  const stats = async () => (await rest("GET", `/rooms/${room}/stats`, { as: ADMIN })).body;
  const viewers = [];
  for (let n = 0; n < people; n += 1) viewers.push(await viewer(server, room, `${room}-${n}`));
  const said = [];
  let on = true;
  const talk = async (one, n) => {
    for (let i = 0; on; i += 1) {
      said.push(await one.send(`${n}: ${i}`));
      await sleep(100 + Math.random() * 200);
    }
  };
  const talking = viewers.map(talk);
  const done = async () => {
    on = false;
    await Promise.all(talking);
    return said;
  };
  return { server, join, rest, stats, viewers, done };
}

/** How often an object came into memory. */
const wakes = (server, name) => server.logs.filter(({ message }) => message.includes(` wake: ${name} `)).length;

describe("a split room in trouble", () => {
  test("V2, V4: the room, each of its shards and its relays are evicted while everybody talks", async () => {
    const room = "video_evicted";
    const { server, stats, viewers, done } = await talked(room, { expected: 64, people: 8 });
    const { shards, instance } = await stats();
    assert.equal(shards, 8);
    // An eviction waits for the object's timers, and this process with it; one that is in use has to be caught at rest.
    const evict = (kind, name) => server.evict(kind, name).then(() => true, ({ message }) => assert.match(message, /active references/));
    for (const [kind, name] of [["Room", ""], ["Shard", "~s0"], ["Shard", "~r0"], ["Shard", "~s5"], ["Room", ""]]) {
      assert.ok(await until(20_000, () => evict(kind, room + name)), `${kind} ${name} was not evicted`);
      await sleep(400);
    }
    assert.notEqual((await stats()).instance, instance, "the room was another one in the end");
    await allSaw(viewers, await done(), 20_000);
    for (const shard of ["~s0", "~s5"]) assert.ok(wakes(server, room + shard) > 1, `${shard} was another one in the end`);
    for (const [n, one] of viewers.entries()) assert.deepEqual([one.seen.trouble, one.seen.moves], [[], 0], `viewer ${n} kept its socket`);
  });

  test("V2, V3, V4: the room, each of its shards and their relay die while everybody talks", async () => {
    const room = "video_died";
    const { server, stats, viewers, done } = await talked(room, { expected: 64, people: 8, patch: mortal });
    const { shards } = await stats();
    assert.equal(shards, 8);
    const each = Array.from({ length: shards }, (_, n) => ["Shard", `~s${n}`]);
    for (const [kind, name] of [["Room", ""], ["Shard", "~r0"], ...each, ["Shard", "~r0"], ["Room", ""]]) {
      const before = wakes(server, room + name);
      await killObject(server, kind, room + name);
      // A relay has nothing to wake with.
      if (name !== "~r0") assert.ok(await until(10_000, () => wakes(server, room + name) > before), `${room}${name} did not come back`);
      await sleep(200);
    }
    assert.ok(await until(30_000, () => viewers.every((one) => one.state === "online")));
    await allSaw(viewers, await done(), 20_000);
    for (const [n, one] of viewers.entries()) assert.ok(one.seen.urls.length > 1, `viewer ${n} lost its socket`);
  });

  test("V2, V3, V4: the whole process is killed while everybody talks", async () => {
    const { server, viewers, done } = await talked("video_killed");
    await sleep(1_000);
    await server.kill9();
    await server.restart();
    assert.ok(await until(30_000, () => viewers.every((one) => one.state === "online")));
    await sleep(2_000);
    await allSaw(viewers, await done(), 20_000);
  });

  test("V2, V4: traps of the wasm take the memory of all shards, and nothing else", async () => {
    const { server, viewers, done } = await talked("video_trapped", { patch: faulty, people: 6 });
    let traps = 0;
    for (const after of [3, 40, 111, 250]) {
      await fault(server, { after });
      // Whose join was trapped comes back later each time, so that it may be quiet for some seconds.
      traps = (await until(30_000, async () => ((now) => now.traps > traps && now.traps)(await fault(server)))) ?? traps;
      await fault(server, { after: null });
      await sleep(1_500);
    }
    assert.ok(traps >= 4, `${traps} traps`);
    await until(40_000, () => viewers.every((one) => one.state === "online"));
    await allSaw(viewers, await done(), 60_000);
  });

  test("V4, V6: who was away resumes some hundred events on another shard, and what was deleted is in no join and no resume", async () => {
    const room = "video_resumed";
    const { join, rest, stats, viewers, done } = await talked(room, { expected: 20, people: 3 });
    await done();
    const [ada] = viewers;
    const away = await join(room, "away");
    const { epoch, seq } = away.joined;
    away.close();
    const sent = [];
    for (let n = 0; n < 250; n += 1) sent.push(await rest("POST", `/rooms/${room}/messages`, { as: SERVICE, body: { content: `while away ${n}` } }));
    assert.ok(sent.every(({ status }) => status === 201));
    const gone = sent[200].body.message_id;
    assert.equal((await rest("DELETE", `/messages/${gone}?room_id=${room}`, { as: ADMIN })).status, 200);
    assert.ok(await ada.has(sent.at(-1).body.message_id));
    assert.equal((await rest("PATCH", `/rooms/${room}`, { as: ADMIN, body: { settings: { expect_viewers: 160 } } })).status, 200);
    assert.ok(await until(10_000, () => viewers.some(({ seen }) => seen.moves > 0)));
    assert.equal((await stats()).shards, 20);

    const back = await join(room, "away", { resume: { epoch, seq } });
    assert.equal(back.joined.resumed, true);
    const missed = back.joined.events;
    assert.deepEqual(missed.filter(({ event }) => event === "new_message").map(({ data }) => data.message_id), sent.map(({ body }) => body.message_id));
    assert.deepEqual(missed.map((line) => line.seq), [...new Set(missed.map((line) => line.seq))].sort((a, b) => a - b));
    assert.ok(!JSON.stringify(missed).includes("while away 200"));
    const fresh = await join(room, "fresh");
    const shown = fresh.joined.messages.find((message) => message.message_id === gone);
    assert.deepEqual([shown.content, typeof shown.deleted_at], ["", "string"]);
    // Deleted while somebody is there: the next resume has no word of it either.
    const { body: last } = await rest("POST", `/rooms/${room}/messages`, { as: SERVICE, body: { content: "soon gone" } });
    await fresh.next((line) => line.data?.message_id === last.message_id);
    assert.equal((await rest("DELETE", `/messages/${last.message_id}?room_id=${room}`, { as: ADMIN })).status, 200);
    await fresh.next("message_deleted");
    const again = await join(room, "fresh", { resume: { epoch: fresh.joined.epoch, seq: fresh.joined.seq } });
    assert.equal(again.joined.resumed, true);
    assert.ok(!JSON.stringify(again.joined).includes("soon gone"));
    [back, fresh, again].forEach((socket) => socket.close());
  });

  test("V5: a position that never was is answered by a list", async () => {
    const room = "video_ahead";
    const { join, viewers, done } = await talked(room, { people: 2 });
    const said = await done();
    await allSaw(viewers, said);
    const socket = await join(room, "ahead", { resume: { epoch: viewers[0].position.epoch, seq: 1_000_000 } });
    assert.deepEqual([socket.joined.resumed, socket.joined.messages.length > 0], [false, true]);
    socket.close();
  });
});
