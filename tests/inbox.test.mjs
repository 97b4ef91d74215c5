// A user's inbox, end to end: direct messages, mentions, what is read, devices that change, and whose it is.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, openSocket, startServer, testDatabase, token } from "./harness/index.mjs";

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { RATE_LIMIT_REQUESTS: "10000" } });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const claims = (who) => (typeof who === "string" ? { sub: who } : who);
const inbox = async (who) => {
  const bearer = who === null ? [] : [`bearer.${await token(claims(who))}`];
  return openSocket(`${server.url.replace("http", "ws")}/api/me/ws`, ["chat.v1", ...bearer]);
};
let letters = 0;
const letter = () => ({
  content: JSON.stringify({ v: 1, alg: "megolm", device_id: "D1", session_id: "c2Vzc2lvbg", index: 0, ciphertext: "AAEC" }),
  type: "encrypted", client_id: `c-${++letters}`, franking: "A".repeat(43),
});
const say = async (room, as) => (await rest("POST", `/rooms/${room}/messages`, { as, body: letter() })).body;

describe("the inbox", { concurrency: true }, () => {
  test("counts direct messages and mentions, until they are read, also after sleep", async () => {
    const { body: { room_id: room } } = await rest("PUT", "/users/bob/direct", { as: "ada" });
    const bob = await inbox("bob");
    assert.deepEqual((await bob.next("inbox")).data, { rooms: [], devices_version: 0 });
    const first = await say(room, "ada");
    assert.deepEqual((await bob.next("inbox_changed")).data, { room_id: room, unread: 1, reason: "message", with: "ada", last_seq: first.seq });
    const second = await say(room, "ada");
    assert.equal((await bob.next("inbox_changed")).data.unread, 2);
    await server.evict("User", "bob");
    await bob.request("mark_read", { room_id: room, seq: first.seq });
    const { data } = await bob.next("inbox_changed");
    assert.deepEqual([data.unread, data.reason], [1, "read"]);
    const tab = await inbox("bob");
    assert.deepEqual((await tab.next("inbox")).data.rooms, [{ room_id: room, type: "direct", unread: 1, last_seq: second.seq, with: "ada" }]);
    await say(room, "bob");
    for (const socket of [bob, tab]) assert.deepEqual([(await socket.next("inbox_changed")).data.unread], [0]);

    const there = await join("video_inbox", "bob");
    await there.request("leave_room");
    await say(room, "bob");
    const ada = await join("video_inbox", "ada");
    const back = await join("video_inbox", "bob");
    const { seq } = await ada.request("send_message", { content: "look @bob", mentions: ["bob"] });
    const told = await bob.next(({ event, data }) => event === "inbox_changed" && data.reason === "mention");
    assert.deepEqual(told.data, { room_id: "video_inbox", unread: 1, reason: "mention", last_seq: seq });
    back.close();
    await rest("PUT", "/users/ada/block", { as: "bob" });
    await ada.request("send_message", { content: "again @bob", mentions: ["bob"] });
    await sleep(1_000);
    const last = await inbox("bob");
    assert.equal((await last.next("inbox")).data.rooms.find(({ room_id }) => room_id === "video_inbox").unread, 1);
    await assert.rejects(last.request("shout"), { code: "unknown_event" });
    await assert.rejects(last.request("mark_read", { room_id: 7 }), { code: "bad_request" });
    last.send(JSON.stringify({ event: "ping" }));
    await last.next("pong");
    last.send("hello");
    assert.equal((await last.closed).code, 4400);
  });

  test("tells of devices that change, one's own and the other's", async () => {
    await rest("PUT", "/users/dan/direct", { as: "cleo" });
    const [cleo, dan, eve] = [await inbox("cleo"), await inbox("dan"), await inbox("eve")];
    const body = { curve25519: "A".repeat(43), ed25519: "A".repeat(43) };
    assert.equal((await rest("PUT", "/devices/phone/keys", { as: "cleo", body })).status, 200);
    for (const socket of [cleo, dan]) assert.deepEqual((await socket.next("devices_changed")).data, { user_id: "cleo", version: 1 });
    await rest("DELETE", "/devices/phone", { as: "cleo" });
    assert.equal((await dan.next("devices_changed")).data.version, 2);
    await eve.none("devices_changed", 200);
  });

  test("is its owner's alone, and ends with the token", async () => {
    for (const [who, code, close] of [[null, "token_required", 4401], [{ sub: "gus", roles: ["guest"] }, "forbidden", 4403]]) {
      const socket = await inbox(who);
      assert.equal((await socket.next("goodbye")).data.code, code);
      assert.equal((await socket.closed).code, close);
    }
    const { body: { room_id: room } } = await rest("PUT", "/users/gil/direct", { as: "fay" });
    const eve = await inbox("eve2");
    await say(room, "fay");
    await eve.none("inbox_changed", 500);
    assert.deepEqual((await eve.next("inbox")).data.rooms, []);
    const short = await inbox({ sub: "fay", exp: Math.floor(Date.now() / 1_000) + 2 });
    const out = await inbox({ sub: "gil" });
    assert.equal((await short.closed).code, 4401);
    await rest("POST", "/me/sign-out", { as: { sub: "gil" } });
    assert.equal((await out.closed).code, 4401);
    const many = [];
    for (let n = 0; n < 20; n++) many.push(await inbox("hal"));
    const over = await inbox("hal");
    assert.equal((await over.next("goodbye")).data.code, "too_many_sockets");
    many.forEach((socket) => socket.close());
  });
});
