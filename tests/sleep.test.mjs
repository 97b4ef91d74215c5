// A room that leaves memory while its sockets hibernate wakes as it was.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { RATE_LIMIT_MESSAGES: "3", RATE_LIMIT_WINDOW: "600000" } });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const MODERATOR = { sub: "mod", username: "Mod", roles: ["moderator"] };
const stats = async (room) => (await rest("GET", `/rooms/${room}/stats`, { as: MODERATOR })).body;

/** Out of memory it goes, and it must be another instance that answers next. */
async function evict(room) {
  const { instance } = await stats(room);
  await server.evict("Room", room);
  return async () => {
    const woken = await stats(room);
    assert.notEqual(woken.instance, instance);
    return woken;
  };
}

/** A room with people, a role, reactions, a spent rate and a client_id, and what of it must come back. */
async function lively(room) {
  assert.equal((await rest("POST", "/rooms", { as: "ada", body: { room_id: room, name: "Lively", type: "group", settings: { edit_window_s: 3600 } } })).status, 201);
  const ada = await join(room, "ada");
  const tab = await join(room, "ada");
  const bob = await join(room, "bob");
  const mod = await join(room, MODERATOR);
  const guest = await join(room, null);
  const sent = await bob.request("send_message", { content: "one", client_id: "c1" });
  for (const content of ["two", "three"]) await bob.request("send_message", { content });
  const { message_id } = sent;
  await ada.request("react", { message_id, reaction: "👍" });
  const last = await mod.request("react", { message_id, reaction: "🎉" });
  for (const socket of [ada, tab, bob, mod, guest]) await socket.next((line) => line.seq === last.seq);
  return { ada, tab, bob, mod, guest, sent, seq: last.seq };
}

async function intact(room, { ada, tab, bob, mod, guest, sent, seq }) {
  // What was spent stays spent, what was sent is known: asked on the sockets that hibernated.
  await assert.rejects(bob.request("send_message", { content: "four" }), { code: "rate_limited" });
  assert.deepEqual(await bob.request("send_message", { content: "one", client_id: "c1" }), sent);
  const next = await ada.request("send_message", { content: "after", mentions: ["bob"] });
  assert.equal(next.seq, seq + 1);

  for (const socket of [ada, tab, bob, mod, guest]) {
    const line = await socket.next((candidate) => candidate.seq === next.seq);
    assert.deepEqual([line.data.no, line.data.user.roles, line.data.mentions], [4, ["owner"], [{ user_id: "bob", username: "Bob" }]]);
    // The first frame after says where the log is, ahead of the event.
    const frame = socket.frames.find((text) => text.includes(next.message_id) && text.includes("new_message"));
    assert.deepEqual(JSON.parse(frame.split("\n")[0]), { at: { epoch: ada.joined.epoch, from: seq, to: next.seq, left_out: 0 } });
  }
  const { reactions } = await bob.request("react", { message_id: sent.message_id, reaction: "👍" });
  assert.deepEqual(reactions, { "👍": 2, "🎉": 1 });
  // The second frame needs no position any more.
  const update = await guest.next("reaction_updated");
  assert.ok(guest.frames.includes(JSON.stringify(update)));

  const late = await join(room, "cyd");
  assert.deepEqual([late.joined.online_users, late.joined.online_guests], [4, 1]);
  assert.deepEqual(late.joined.members.map(({ user_id, role }) => [user_id, role]), [["ada", "owner"], ["bob", "member"], ["cyd", "member"], ["mod", "moderator"]]);
  assert.deepEqual(late.joined.messages.map((message) => message.content), ["one", "two", "three", "after"]);
  assert.deepEqual(late.joined.room.settings.edit_window_s, 3600);
  assert.equal(late.joined.epoch, ada.joined.epoch);
  await ada.next((line) => line.event === "user_joined" && line.data.user_id === "cyd");

  // One of two tabs goes: nobody left. The last one goes: somebody did.
  tab.close();
  await mod.request("delete_message", { message_id: sent.message_id });
  await mod.none("user_left");
  bob.close();
  assert.equal((await ada.next("user_left", 8_000)).data.user_id, "bob");
}

describe("sleep", { concurrency: true }, () => {
  test("an evicted room wakes with everything intact", async () => {
    const people = await lively("group_evicted");
    const woken = await evict("group_evicted");
    const { wakes } = await woken();
    assert.ok(wakes >= 1);
    await intact("group_evicted", people);
  });

  test("a room that falls asleep by itself wakes with everything intact", async () => {
    const people = await lively("group_asleep");
    const wake = /^room wake: group_asleep instance ([0-9a-f]+) wakes (\d+)$/;
    const { instance } = await stats("group_asleep");
    // Nothing may touch it meanwhile: the room sleeps 10 s after its last timer and drain.
    await sleep(14_000);
    const answers = people.mod.request("send_message", { content: "", client_id: "probe" });
    await assert.rejects(answers, { code: "message_empty" });
    const woken = await stats("group_asleep");
    assert.notEqual(woken.instance, instance);
    await server.log(new RegExp(`^room wake: group_asleep instance ${woken.instance} wakes ${woken.wakes}$`));
    assert.ok(server.logs.some(({ message }) => wake.test(message)));
    await intact("group_asleep", people);
  });

  test("a token's end closes a socket whose room is asleep", async () => {
    const exp = Math.floor(Date.now() / 1000) + 6;
    const ada = await join("video_token", { sub: "ada", exp });
    const bob = await join("video_token", "bob");
    await evict("video_token");
    const goodbye = await ada.next("goodbye", 12_000);
    assert.equal(goodbye.data.code, "token_expired");
    assert.equal((await ada.closed).code, 4401);
    assert.ok(Date.now() >= exp * 1000, "not before its end");
    assert.ok(Date.now() < exp * 1000 + 4_000, `${Date.now() - exp * 1000} ms late`);
    assert.equal((await bob.next("user_left", 8_000)).data.user_id, "ada");
  });

  test("a ping is answered without waking the room, and a socket that never joined is closed", async () => {
    const idle = await join("video_ping", "ada");
    const { open } = chat(server);
    const silent = await open("video_ping", "bob");
    const woken = await evict("video_ping");
    idle.send('{"event":"ping"}');
    await idle.next("pong");
    const closed = await silent.closed;
    assert.deepEqual([closed.code, closed.reason.retry], [4408, true]);
    await woken();
    await idle.request("send_message", { content: "here" });
  });

  test("presence knows who left while the room was asleep", async () => {
    const ada = await join("video_left", "ada");
    const bob = await join("video_left", "bob");
    await evict("video_left");
    bob.terminate();
    assert.equal((await ada.next("user_left", 10_000)).data.user_id, "bob");
    assert.ok(await until(3_000, async () => (await stats("video_left")).online_users === 1));
  });
});
