// People in a room that is split: one user is one, wherever the tabs are; a ban, a block, a sign-out reach every shard.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { allSaw, chat, leave, openSocket, startServer, testDatabase, token, until, viewer } from "./harness/index.mjs";

let database, server, join, open, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { SHARD_SOCKETS: "10", RATE_LIMIT_MESSAGES: "5", RATE_LIMIT_WINDOW: "600000" } });
  ({ join, open, rest } = chat(server));
});
after(async () => {
  leave();
  await server?.stop();
  await database?.drop();
});

const ADMIN = { sub: "admin", username: "Admin", roles: ["admin"] };
const stats = async (room) => (await rest("GET", `/rooms/${room}/stats`, { as: ADMIN })).body;
const expect = (room, viewers) => rest("PATCH", `/rooms/${room}`, { as: ADMIN, body: { settings: { expect_viewers: viewers } } });

/** A room that is split for so many from its beginning; all of its settings. */
async function split(room, viewers = 30, settings = {}) {
  const body = { room_id: room, name: "Split", type: "video", settings: { expect_viewers: viewers, ...settings } };
  assert.equal((await rest("POST", "/rooms", { as: { sub: "owner", username: "Owner", roles: ["service"] }, body })).status, 201);
  assert.ok((await stats(room)).shards > 1);
}

/** The key of the shard that serves a user: as who came to another one is told. */
async function keyOf(room, user_id) {
  for (let n = 0; n < 50; n += 1) {
    const socket = await openSocket(server.socketUrl(room), ["chat.v1"]);
    await socket.request("join_room", { room_id: room, user_token: await token({ sub: user_id, username: "Eve" }) }).catch(() => {});
    const goodbye = socket.lines.find(({ event }) => event === "goodbye") ?? (await socket.next("goodbye", 100).catch(() => null));
    socket.close();
    if (goodbye?.data.shard_key) return goodbye.data.shard_key;
  }
  throw new Error("every socket came to the same shard");
}

describe("people in a room that is split", { concurrency: true }, () => {
  test("a ban closes tabs on two shards within a second, and the banned come back to neither", async () => {
    // A shard sends ten away at once and the others later: who came last has a tab on either side of the move for a second.
    const attempt = async (room, user_id) => {
      await split(room, 15);
      const key = await keyOf(room, user_id);
      const crowd = [];
      for (let n = 0; n < 12; n += 1) crowd.push(await openSocket(`${server.socketUrl(room)}?k=${key}`, ["chat.v1"]));
      await Promise.all(crowd.map((socket) => socket.request("join_room", { room_id: room })));
      const old = await join(room, user_id);
      assert.equal((await expect(room, 160)).status, 200);
      assert.ok(await until(5_000, () => crowd.some((socket) => socket.lines.some(({ event }) => event === "goodbye")), 5));
      const fresh = await join(room, user_id);
      const closes = [old, fresh].map((socket) => socket.closed.then(({ code }) => [code, performance.now()]));
      const began = performance.now();
      assert.equal((await rest("POST", `/rooms/${room}/ban`, { as: ADMIN, body: { user_id } })).status, 200);
      const [[first, at], [second, later]] = await Promise.all(closes);
      crowd.forEach((socket) => socket.close());
      if (first === 4409) return false;
      assert.deepEqual([first, second], [4403, 4403]);
      assert.ok(Math.max(at, later) - began < 1_000, `${at - began} and ${later - began} ms`);
      await assert.rejects(join(room, user_id), { code: "banned" });
      return true;
    };
    for (let n = 0; n < 10; n += 1) if (await attempt(`video_banned${n}`, `eve${n}`)) return;
    assert.fail("the tab was moved before the ban each time");
  });

  test("a block and a sign-out everywhere reach a shard", async () => {
    const room = "video_blocks";
    await split(room);
    const [ada, bob] = [await viewer(server, room, "ada"), await viewer(server, room, "bob")];
    const first = await bob.send("before");
    assert.ok(await ada.has(first.message_id));
    await ada.block("bob");
    const hidden = await bob.send("hidden");
    const cyd = await viewer(server, room, "cyd");
    const shown = await cyd.send("shown");
    assert.ok(await ada.has(shown.message_id));
    assert.ok(!ada.seen.said.includes(hidden.message_id));
    // By the user's object alone, not by a socket.
    assert.equal((await rest("PUT", "/users/cyd/block", { as: "ada" })).status, 204);
    await sleep(500);
    const again = await cyd.send("not for ada");
    assert.ok(await bob.has(again.message_id));
    await sleep(300);
    assert.ok(!ada.seen.said.includes(again.message_id));

    const tab = await join(room, "bob");
    assert.equal((await rest("POST", "/me/sign-out", { as: "bob" })).status, 200);
    assert.equal((await tab.closed).code, 4401);
    [ada, bob, cyd].forEach((one) => one.close());
  });

  test("a limit of a user is one across shards and REST", async () => {
    const room = "video_limit";
    await split(room);
    const ada = await join(room, "ada");
    for (let n = 0; n < 3; n += 1) await ada.request("send_message", { content: `socket ${n}` });
    for (let n = 0; n < 2; n += 1) assert.equal((await rest("POST", `/rooms/${room}/messages`, { as: "ada", body: { content: `rest ${n}` } })).status, 201);
    await assert.rejects(ada.request("send_message", { content: "one too many" }), { code: "rate_limited" });
    const tab = await join(room, "ada");
    await assert.rejects(tab.request("send_message", { content: "from another tab" }), { code: "rate_limited" });
    // Split anew: the other shard does not begin to count afresh.
    assert.equal((await expect(room, 80)).status, 200);
    await until(10_000, async () => (await stats(room)).sockets === 0);
    const moved = await join(room, "ada");
    await assert.rejects(moved.request("send_message", { content: "from another shard" }), { code: "rate_limited" });
  });

  test("whoever is there is mentioned by name, nobody is shown to type, and reactions reach all", async () => {
    const room = "video_names";
    await split(room, 15);
    const bob = await viewer(server, room, { sub: "bob", username: "Bobby" });
    const speakers = await Promise.all(Array.from({ length: 8 }, (_, n) => viewer(server, room, `speaker-${n}`)));
    const typed = [];
    for (const one of [bob, ...speakers]) one.on("user_typing", (data) => typed.push(data));
    await Promise.all(speakers.map((one) => one.request("typing", { is_typing: true })));
    const said = await Promise.all(speakers.map((one) => one.send("hello @bobby")));
    assert.ok(await bob.has(said.at(-1).message_id));
    await allSaw([bob, ...speakers], said);
    const mentions = bob.seen.events.filter(({ event }) => event === "new_message").map(({ data }) => data.mentions);
    assert.ok(mentions.some(([one]) => one?.user_id === "bob" && one.username === "Bobby"), JSON.stringify(mentions));
    assert.deepEqual(typed, []);

    const [{ message_id }] = said;
    await speakers[0].request("react", { message_id, reaction: "👍" });
    const last = await bob.request("react", { message_id, reaction: "👍" });
    assert.deepEqual(last.reactions, { "👍": 2 });
    const late = await join(room, "speaker-0");
    assert.deepEqual(late.joined.messages.find((message) => message.message_id === message_id).reactions, { "👍": 2 });
    assert.deepEqual(late.joined.my_reactions, { [message_id]: ["👍"] });
    [bob, ...speakers].forEach((one) => one.close());
  });

  test("members and stats are put together from all shards", async () => {
    const room = "video_members";
    await split(room, 30);
    const names = Array.from({ length: 12 }, (_, n) => `member-${String(n).padStart(2, "0")}`);
    const people = await Promise.all(names.map((name) => join(room, name)));
    const guests = await Promise.all([join(room, null), join(room, null)]);
    assert.ok(await until(10_000, async () => ((now) => now.online_users === 12 && now.online_guests === 2 && now.sockets === 14)(await stats(room))), JSON.stringify(await stats(room)));
    const list = async (query = "") => (await rest("GET", `/rooms/${room}/members${query}`, { as: ADMIN })).body;
    const all = await list();
    assert.deepEqual(all.members.map(({ user_id, online }) => [user_id, online]), [...names.map((name) => [name, true]), ["owner", false]]);
    assert.equal(all.total, 13);
    const page = await list("?limit=5&cursor=5");
    assert.deepEqual([page.members.map(({ user_id }) => user_id), page.total, page.next], [names.slice(5, 10), 13, 10]);
    // A joiner is told of the whole room, whose shards hear of it every two seconds.
    const late = await until(10_000, async () => {
      const socket = await join(room, "member-00");
      if (socket.joined.online_users === 12 && socket.joined.online_guests === 2) return socket;
      socket.close();
    }, 500);
    assert.ok(late, "the totals reach a shard");
    assert.equal(late.joined.members, undefined);
    [...people, ...guests, late].forEach((socket) => socket.close());
    assert.ok(await until(20_000, async () => ((now) => now.online_users + now.online_guests === 0)(await stats(room))), JSON.stringify(await stats(room)));
  });

  test("a token in join_room alone leads to the right shard by the key of the goodbye", async () => {
    const room = "video_key";
    await split(room, 60);
    let led = 0;
    for (let n = 0; n < 6; n += 1) {
      const user_token = await token({ sub: `late-${n}`, username: "Late" });
      const socket = await openSocket(server.socketUrl(room), ["chat.v1"]);
      const first = await socket.request("join_room", { room_id: room, user_token }).catch((error) => error);
      if (!(first instanceof Error)) continue;
      assert.equal(first.code, "elsewhere");
      const { data } = await socket.next("goodbye");
      assert.deepEqual({ ...data, shard_key: "", reason: "" }, { code: "elsewhere", reason: "", retry: true, after_ms: 0, shard_key: "" });
      assert.match(data.shard_key, /^[0-9a-f]{16}$/);
      assert.equal((await socket.closed).code, 4409);
      const again = await openSocket(`${server.socketUrl(room)}?k=${data.shard_key}`, ["chat.v1"]);
      const joined = await again.request("join_room", { room_id: room, user_token });
      assert.equal(joined.self.user_id, `late-${n}`);
      again.close();
      led += 1;
    }
    assert.ok(led > 0, "of six one at least came to another shard first");
    // A key that is none is no reason to refuse.
    const odd = await openSocket(`${server.socketUrl(room)}?k=zzz`, ["chat.v1"]);
    assert.equal((await odd.request("join_room", { room_id: room })).self.role, "guest");
    odd.close();
  });

  test("a guest is served by the same shard by the id that it was given, and is let in nowhere a guest may not be", async () => {
    const room = "video_guests";
    await split(room, 60);
    const guest = await join(room, null);
    const { guest_id } = guest.joined.self;
    assert.match(guest_id, /^[A-Za-z0-9_-]{22}$/);
    const tab = await openSocket(server.socketUrl(room), ["chat.v1", `guest.${guest_id}`]);
    assert.equal((await tab.request("join_room", { room_id: room })).self.guest_id, guest_id);
    assert.ok(await until(10_000, async () => (await stats(room)).sockets === 2));
    assert.equal((await stats(room)).online_guests, 1, "two tabs of a guest are one");
    assert.equal((await rest("PATCH", `/rooms/${room}`, { as: ADMIN, body: { settings: { guests: false } } })).status, 200);
    assert.equal((await guest.closed).code, 4401);
    assert.equal((await tab.closed).code, 4401);
    await assert.rejects(join(room, null), { code: "token_required" });
  });

  test("a key leads to a shard and grants nothing: who does not belong there is sent on", async () => {
    const room = "video_lies";
    await split(room, 30);
    const sent = [];
    for (let n = 0; n < 8; n += 1) {
      const socket = await openSocket(`${server.socketUrl(room)}?k=${"0123456789abcde"}${n}`, ["chat.v1", `bearer.${await token({ sub: "liar", username: "Liar" })}`]);
      sent.push(await socket.request("join_room", { room_id: room }).then(() => "in", ({ code }) => code));
      socket.close();
    }
    assert.ok(sent.includes("elsewhere"), JSON.stringify(sent));
  });
});

test("who comes back at once to a Worker that knows nothing yet does not all ask the room", async () => {
  const opens = /(\w+)\[(\w+)\]\.getByName\((\w+)\)\.fetch\((\w+),\{headers:/;
  const told = (text) => text.replace(opens, "(console.log(`opens ${$2} ${$3}`),$1[$2].getByName($3)).fetch($4,{headers:");
  const other = await startServer({ databaseUrl: database.url, vars: { SHARD_SOCKETS: "10", RATE_LIMIT_JOINS: "10000" }, patch: told });
  try {
    const room = "video_cold";
    const body = { room_id: room, name: "Split", type: "video", settings: { expect_viewers: 100 } };
    const to = chat(other);
    assert.equal((await to.rest("POST", "/rooms", { as: { sub: "owner", username: "Owner", roles: ["service"] }, body })).status, 201);
    await other.kill9();
    await other.restart();
    const sockets = await Promise.all(Array.from({ length: 100 }, (_, n) => to.join(room, n % 2 ? `cold-${n}` : null)));
    const count = (object) => other.logs.filter(({ text }) => text.startsWith(`opens ${object}`)).length;
    assert.ok(count("SHARD ") >= 100, "each is opened at a shard");
    assert.ok(count(`ROOM ${room}`) <= 3, `${count(`ROOM ${room}`)} asked the room`);
    for (const socket of sockets) socket.close();
  } finally {
    await other.stop();
  }
});
