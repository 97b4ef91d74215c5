// Sockets that died without a word, positions while little is said, and who PostgreSQL is told is here.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

let database, server, join, open, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url });
  ({ join, open, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const SERVICE = { sub: "svc", username: "Service", roles: ["service"] };
const MODERATOR = { sub: "mod", username: "Mod", roles: ["moderator"] };
const stats = async (room) => (await rest("GET", `/rooms/${room}/stats`, { as: MODERATOR })).body;

/** Joins and never says or answers anything again, as a socket whose other end is gone. */
async function joinDead(room, who) {
  const socket = await open(room, who, { probes: false });
  await socket.request("join_room", {});
  return socket;
}

const every = (ms, what) => {
  const timer = setInterval(what, ms);
  return () => clearInterval(timer);
};

describe("alive", { concurrency: true }, () => {
  test("V10: a dead socket leaves an awake room within 30 s; who pings, and who only answers, stays", async () => {
    const service = await join("video_awake", SERVICE);
    const pinging = await join("video_awake", "ada");
    const answering = await join("video_awake", "bot");
    const dead = await joinDead("video_awake", "bob");
    const began = Date.now();
    pinging.send('{"event":"ping"}');
    const stop = [
      every(10_000, () => pinging.send('{"event":"ping"}')),
      every(1_000, () => service.request("send_message", { content: "on and on" }).catch(() => {})),
    ];
    const goodbye = await dead.next("goodbye", 30_000);
    assert.deepEqual([goodbye.data.code, goodbye.data.retry, goodbye.data.after_ms], ["too_slow", true, 1_000]);
    const { code, reason } = await dead.closed;
    assert.deepEqual([code, reason], [4408, { retry: true, after_ms: 1_000 }]);
    const left = await pinging.next("user_left", 30_000);
    assert.equal(left.data.user_id, "bob");
    assert.ok(Date.now() - began < 30_000, `${Date.now() - began} ms`);
    // Half a minute is over since the first position, and so it is said again.
    for (let n = 0; n < 2; n++) await answering.next("at", 10_000);
    for (const end of stop) end();
    await service.request("send_message", { content: "and done" });
    for (const socket of [pinging, answering]) await socket.next((line) => line.data?.content === "and done");
    assert.ok(answering.lines.some((line) => line.event === "probe"));
    assert.ok(!pinging.lines.some((line) => line.event === "probe"));
    assert.equal((await stats("video_awake")).online_users, 3);
  });

  test("V10: a room that slept looks before anything else; when a client pinged is known through the sleep", async () => {
    const pinging = await join("video_slept", "ada");
    const dead = await joinDead("video_slept", "bob");
    const { instance } = await stats("video_slept");
    await sleep(10_000);
    pinging.send('{"event":"ping"}');
    await pinging.next("pong");
    await sleep(7_000);
    const woken = await stats("video_slept");
    assert.deepEqual([woken.instance === instance, woken.online_users], [false, 2]);
    await dead.next("probe", 1_000);
    await dead.next("goodbye", 10_000);
    assert.equal((await pinging.next("user_left")).data.user_id, "bob");
    assert.ok(!pinging.lines.some((line) => line.event === "probe"));
    assert.equal((await stats("video_slept")).online_users, 1);
  });

  test("PostgreSQL knows who is in a room, and who is not any more", async () => {
    const rows = (room) => database.query("select user_id, socket_id, last_seen from presence where room_id = $1 order by 1", [room]);
    const ids = async () => (await rows("video_here")).map((row) => row.user_id).join();
    await join("video_here", "ada");
    const bob = await join("video_here", "bob");
    await join("video_here", null);
    assert.ok(await until(6_000, async () => (await ids()) === "ada,bob"), await ids());
    const [row] = await rows("video_here");
    assert.match(row.socket_id, /^\d+$/);
    assert.ok(Math.abs(Date.now() - row.last_seen) < 10_000);
    bob.close();
    await sleep(6_000);
    // An object that was built anew says so at once; else it would be within a minute.
    await server.evict("Room", "video_here");
    await join("video_here", "cyd");
    assert.ok(await until(6_000, async () => (await ids()) === "ada,cyd"), await ids());
  });

  test("the last to leave is taken away at once", async () => {
    const rows = () => database.query("select from presence where room_id = 'video_left'");
    const ada = await join("video_left", "ada");
    assert.ok(await until(6_000, async () => (await rows()).length === 1));
    ada.close();
    assert.ok(await until(12_000, async () => (await rows()).length === 0));
  });

  test("reports of presence: late ones change nothing, bad ones stop no other, old rows go", async () => {
    const report = (room_id, at, ...users) => JSON.stringify({ room_id, at, users });
    const now = Date.now();
    const take = async (...reports) => (await database.query("select chat_presence($1) as n", [reports]))[0].n;
    const who = async (room) => (await database.query("select user_id, socket_id from presence where room_id = $1 order by 1", [room])).map((row) => `${row.user_id} ${row.socket_id}`).join();
    assert.equal(await take(report("r1", now, ["ada", "1"], ["bob", "2"]), "not json", report("r2", now, ["ada", "9"])), 2);
    assert.deepEqual([await who("r1"), await who("r2")], ["ada 1,bob 2", "ada 9"]);
    assert.equal(await take(report("r1", now + 1_000, ["bob", "3"])), 1);
    await take(report("r1", now, ["ada", "1"], ["bob", "2"]).replace('["ada","1"],', ""));
    assert.equal(await who("r1"), "bob 3");
    await take(report("r3", now - 76 * 60_000, ["old", "1"]));
    assert.deepEqual([await who("r3"), await who("r1")], ["", "bob 3"]);
  });
});
