// Socket.IO's sessions that say nothing: pinged together, asleep in between, and gone once they do not answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, hangUp, member, relay, startServer, testDatabase, until } from "./harness/index.mjs";

test("who is idle stays and hears what is said later; who died without a word is gone at the second ping", async () => {
  const database = await testDatabase();
  const server = await startServer({ databaseUrl: database.url });
  const link = await relay(server.url);
  try {
    const room = "video_idle";
    const idle = [];
    for (const transports of [["websocket"], ["polling"]]) idle.push(await member(server, room, `idle-${transports}`, { transports }));
    const dead = await member({ url: link.url }, room, "dead", { transports: ["websocket"] });
    let gone = 0;
    for (const one of idle) one.on("disconnect", () => (gone += 1));
    let pings = 0;
    idle[0].io.on("ping", () => (pings += 1));
    await sleep(1_000);
    // Both of its ends stay open, and nothing passes any more.
    link.forget();
    dead.disconnect();
    const online = async () => (await chat(server).rest("GET", `/rooms/${room}/stats`, { as: { sub: "mod", roles: ["moderator"] } })).body.online_users;
    assert.equal(await online(), 3);
    assert.ok(await until(120_000, async () => (await online()) === 2, 1_000), "the dead one is gone");
    assert.ok(pings >= 1 && gone === 0, `${pings} pings, ${gone} gone`);
    const bob = await chat(server).join(room, "bob");
    await bob.request("send_message", { content: "are you there" });
    for (const one of idle) assert.equal((await one.next("new_message")).content, "are you there");
  } finally {
    hangUp();
    await link.cut();
    await server.stop();
    await database.drop();
  }
});

test("a gateway whose clients are idle sleeps until its ping, cuts nobody and wakes no room", async () => {
  const database = await testDatabase();
  const server = await startServer({ databaseUrl: database.url });
  try {
    const room = "video_asleep";
    const began = Date.now();
    const idle = [];
    for (const who of ["one", "two"]) idle.push(await member(server, room, who, { transports: ["websocket"] }));
    let [gone, pings] = [0, 0];
    for (const one of idle) one.on("disconnect", () => (gone += 1));
    for (const one of idle) one.io.on("ping", () => (pings += 1));
    await sleep(5_000);
    for (const [kind, name] of [["Gateway", "~g0"], ["Room", room]]) await server.evict(kind, name);
    const wakes = (what) => server.logs.filter(({ message }) => message.startsWith(what)).length;
    // The ping is due after 50 s; after 60 the room reports who is there, and wakes for that.
    await sleep(began + 55_000 - Date.now());
    assert.deepEqual([pings, gone], [2, 0]);
    assert.deepEqual([wakes("gateway wake: ~g0 with 2"), wakes(`room wake: ${room}`)], [1, 0]);
    const bob = await chat(server).join(room, "bob");
    await bob.request("send_message", { content: "are you there" });
    for (const one of idle) assert.equal((await one.next("new_message")).content, "are you there");
  } finally {
    hangUp();
    await server.stop();
    await database.drop();
  }
});
