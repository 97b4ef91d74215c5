// Those who keep order, end to end: over sockets and REST, what it does to live viewers, and the audit in PostgreSQL.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openSocket, startServer, testDatabase, token, until } from "./harness/index.mjs";

let db;
let server;

before(async () => {
  db = await testDatabase();
  server = await startServer({ databaseUrl: db.url });
});

after(async () => {
  await server?.stop();
  await db?.drop();
});

const bearer = async (claims) => ({ authorization: `Bearer ${await token(claims)}`, "content-type": "application/json" });
const moderator = { sub: "mod", username: "Mod", roles: ["moderator"] };
const owner = { sub: "own", username: "Own", roles: ["admin"] };

async function rest(method, path, claims, body) {
  const answer = await fetch(`${server.url}/api/rooms/${path}`, { method, headers: await bearer(claims), body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : undefined };
}

async function joined(room, sub) {
  const socket = await openSocket(server.socketUrl(room), ["chat.v1", `bearer.${await token({ sub, username: sub })}`]);
  await socket.request("join_room", { room_id: room });
  return socket;
}

test("a banned user's tabs close within a second, and there is no way back in", async () => {
  const [zoe, tab, bob] = [await joined("ban_1", "zoe"), await joined("ban_1", "zoe"), await joined("ban_1", "bob")];
  const { message_id } = await zoe.request("send_message", { content: "rude" });
  const began = performance.now();
  const ban = await rest("POST", "ban_1/ban", moderator, { user_id: "zoe", duration_s: 600, reason: "rude", delete_messages_s: 60 });
  assert.equal(ban.status, 200);
  assert.deepEqual([ban.body.user_id, ban.body.by, ban.body.shadow], ["zoe", "mod", false]);
  for (const socket of [zoe, tab]) {
    const { code, reason } = await socket.closed;
    assert.deepEqual([code, reason.retry], [4403, false]);
  }
  assert.ok(performance.now() - began < 1_000);
  assert.deepEqual((await bob.next("messages_deleted")).data.message_ids, [message_id]);
  const told = (await bob.next("user_banned")).data;
  assert.deepEqual(told, { room_id: "ban_1", user_id: "zoe", username: "zoe", ends_at: ban.body.ends_at });

  const again = await openSocket(server.socketUrl("ban_1"), ["chat.v1", `bearer.${await token({ sub: "zoe" })}`]);
  await assert.rejects(again.request("join_room"), ({ code, data }) => code === "banned" && data.ends_at === ban.body.ends_at);
  assert.equal((await again.closed).code, 4403);
  assert.equal((await rest("GET", "ban_1/messages", { sub: "zoe" })).body.code, "banned");
  assert.equal((await rest("GET", "ban_1/bans", moderator)).body.bans.length, 1);

  assert.equal((await rest("DELETE", "ban_1/ban/zoe", moderator)).status, 204);
  assert.equal((await rest("DELETE", "ban_1/ban/zoe", moderator)).status, 404);
  await joined("ban_1", "zoe");
  const drained = () => db.query("select from audit where room_id = 'ban_1' and action = 'unban_user'");
  assert.ok(await until(3_000, async () => (await drained()).length === 1));
  assert.equal((await db.query("select from bans where room_id = 'ban_1'")).length, 0);
  const [row] = await db.query("select content, deleted_at from messages where id = $1", [message_id]);
  assert.deepEqual([row.content, row.deleted_at !== null], ["", true]);
});

test("bans, pins and roles come back from PostgreSQL when a room's storage is lost", async () => {
  const zoe = await joined("lost_1", "zoe");
  const { message_id } = await zoe.request("send_message", { content: "hello" });
  await rest("PUT", `lost_1/pins/${message_id}`, owner);
  await rest("PUT", "lost_1/roles/bob", owner, { role: "moderator" });
  await rest("POST", "lost_1/ban", owner, { user_id: "carl" });
  await until(3_000, async () => (await db.query("select from bans where room_id = 'lost_1'")).length === 1);
  await server.kill9();
  for (const table of ["log", "state"]) await server.sql("Room", "lost_1", `delete from ${table}`);
  await server.restart();
  assert.deepEqual((await rest("GET", "lost_1", { sub: "ada" })).body.pinned, [message_id]);
  assert.equal((await rest("GET", "lost_1", { sub: "carl" })).body.code, "banned");
  assert.equal((await rest("POST", "lost_1/announce", { sub: "bob" }, { content: "I am back" })).status, 201);
});

test("a bad act is refused with the field that is wrong", async () => {
  await joined("bad_1", "zoe");
  const cases = [
    ["POST", "bad_1/ban", {}, 400, "#/user_id"],
    ["POST", "bad_1/ban", { user_id: "" }, 400, "#/user_id"],
    ["POST", "bad_1/ban", { user_id: "x", duration_s: 0 }, 400, "#/duration_s"],
    ["POST", "bad_1/ban", { user_id: "x", reason: "y".repeat(501) }, 400, "#/reason"],
    ["PUT", "bad_1/roles/x", { role: "admin" }, 400, "#/role"],
    ["PUT", "bad_1/pins/msg_456", undefined, 404, "#/message_id"],
    ["PATCH", "bad_1", { settings: { slow_s: 99_999 } }, 400, "#/settings/slow_s"],
  ];
  for (const [method, path, body, status, pointer] of cases) {
    const answer = await rest(method, path, owner, body);
    assert.deepEqual([answer.status, answer.body.errors?.[0].pointer], [status, pointer], `${method} ${path} ${JSON.stringify(body)}`);
  }
});
