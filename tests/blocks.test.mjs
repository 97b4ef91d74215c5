// Blocks and sign-out everywhere, end to end: the user's object, rooms, PostgreSQL.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, openSocket, startServer, testDatabase, token, until } from "./harness/index.mjs";

let db, server, open, join, rest;
before(async () => {
  db = await testDatabase();
  server = await startServer({ databaseUrl: db.url, vars: { RATE_LIMIT_REQUESTS: "10000" } });
  ({ open, join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await db?.drop();
});

const said = (content) => (line) => line.event === "new_message" && line.data.content === content;
const contents = ({ body }) => body.messages.map((message) => message.content);
const block = (as, whom) => rest("PUT", `/users/${encodeURIComponent(whom)}/block`, { as });

describe("blocks and sign-out", { concurrency: true }, () => {
  test("a blocked one is not heard: live in two rooms, on return, in history; rows are in PostgreSQL", async () => {
    const [one, two] = ["blocks_1", "blocks_2"];
    const [ada, tab, eve, eve2, bob] = [await join(one, "ada"), await join(two, "ada"), await join(one, "eve"), await join(two, "eve"), await join(one, "bob")];
    await eve.request("send_message", { content: "before" });
    await ada.next(said("before"));
    assert.deepEqual((await rest("GET", "/me/blocks", { as: "ada" })).body, { blocks: [] });
    assert.equal((await block("ada", "eve")).status, 204);
    assert.equal((await block("ada", "eve")).status, 204);
    await sleep(1_000);

    const hidden = await eve.request("send_message", { content: "psst @ada" });
    await eve.request("edit_message", { message_id: hidden.message_id, content: "psst" });
    await eve.request("typing", { is_typing: true });
    await eve2.request("send_message", { content: "here too" });
    await bob.next("user_typing");
    const shown = await bob.request("send_message", { content: "hi" });
    await ada.next(said("hi"));
    await tab.none("new_message");
    for (const name of ["message_edited", "user_typing"]) await ada.none(name, 50);
    assert.ok(!ada.frames.some((frame) => frame.includes("psst")));

    const back = await join(one, "ada", { resume: { epoch: ada.joined.epoch, seq: ada.joined.seq } });
    assert.equal(back.joined.resumed, true);
    assert.deepEqual(back.joined.events.map(({ data }) => data.content), ["hi"]);
    assert.equal(back.joined.seq, shown.seq);
    const fresh = await join(one, "ada");
    assert.deepEqual(fresh.joined.messages.map((message) => message.content), ["hi"]);
    assert.deepEqual(contents(await rest("GET", `/rooms/${one}/messages`, { as: "ada" })), ["hi"]);
    assert.deepEqual(contents(await rest("GET", `/rooms/${one}/messages`, { as: "bob" })), ["hi", "psst", "before"]);

    const { body } = await rest("GET", "/me/blocks", { as: "ada" });
    assert.deepEqual(body.blocks.map(({ user_id }) => user_id), ["eve"]);
    const rows = () => db.query("select blocked_id, created_at from blocks where user_id = 'ada'");
    assert.ok(await until(4_000, async () => (await rows()).length === 1));
    assert.deepEqual((await rows()).map((row) => ({ user_id: row.blocked_id, created_at: row.created_at.toISOString() })), body.blocks);

    // Over a socket, and undone. What the reply says holds at once.
    await back.request("block_user", { user_id: "bob" });
    await bob.request("send_message", { content: "not for ada" });
    await assert.rejects(back.request("block_user", { user_id: "ada" }), { code: "forbidden" });
    await back.request("unblock_user", { user_id: "bob" });
    await assert.rejects(back.request("unblock_user", { user_id: "bob" }), { code: "user_not_found" });
    await bob.request("send_message", { content: "for ada again" });
    await back.next(said("for ada again"));
    await back.none(said("not for ada"), 50);
    assert.equal((await rest("DELETE", "/users/eve/block", { as: "ada" })).status, 204);
    const again = await rest("DELETE", "/users/eve/block", { as: "ada" });
    assert.deepEqual([again.status, again.body.code], [404, "user_not_found"]);
    assert.equal((await block("ada", "ada")).body.code, "forbidden");
    assert.equal((await block(null, "ada")).body.code, "token_required");
    const audit = () => db.query("select action, target, room_id from audit where actor_id = 'ada' order by created_at");
    assert.ok(await until(4_000, async () => (await audit()).length === 4));
    assert.deepEqual((await audit()).map(({ action, target, room_id }) => [action, target, room_id]), [
      ["block_user", "eve", null], ["block_user", "bob", null], ["unblock_user", "bob", null], ["unblock_user", "eve", null],
    ]);
    assert.equal((await rows()).length, 0);
  });

  test("history that only PostgreSQL has, with a thousand blocks and a sleeping room; one more is refused", async () => {
    const room = "blocks_3";
    const [eve, bob] = [await join(room, "eve"), await join(room, "bob")];
    await eve.request("send_message", { content: "old, from eve" });
    const { seq } = await bob.request("send_message", { content: "old, from bob" });
    assert.ok(await until(5_000, async () => (await db.query("select from room_cursor where room_id = $1 and seq >= $2", [room, seq])).length));
    // What the log does not hold any more comes out of PostgreSQL: as if its rows had been let go of.
    await db.query("insert into messages (id, room_id, no, user_id, username, content, type, visible_at, created_at, epoch, seq) select gen_random_uuid(), 'blocks_4', n, case when n % 2 = 0 then 'eve' else 'bob' end, 'x', 'm' || n, 'text', now(), now(), 1, n from generate_series(1, 6) n");
    await db.query("insert into rooms (id, name, type, created_at, updated_at) values ('blocks_4', 'R', 'video', now(), now())");
    const names = ["eve", ...Array.from({ length: 999 }, (_, n) => `somebody ${n}`)];
    // So many a minute; the count goes with the object's memory.
    for (let at = 0; at < names.length; at += 50) {
      await Promise.all(names.slice(at, at + 50).map((name) => block("carl", name)));
      await server.evict("User", "carl");
    }
    assert.equal((await rest("GET", "/me/blocks", { as: "carl" })).body.blocks.length, 1_000);
    const refused = await block("carl", "one more");
    assert.deepEqual([refused.status, refused.body.code], [400, "too_many_blocks"]);
    assert.deepEqual(contents(await rest("GET", "/rooms/blocks_4/messages", { as: "carl" })), ["m5", "m3", "m1"]);
    assert.equal(contents(await rest("GET", "/rooms/blocks_4/messages", { as: "bob" })).length, 6);

    // The whole set passes through the upgrade, and through sleep.
    const carl = await join(room, "carl");
    assert.deepEqual(carl.joined.messages.map((message) => message.content), ["old, from bob"]);
    await server.evict("Room", room);
    await eve.request("send_message", { content: "new, from eve" });
    await bob.request("send_message", { content: "new, from bob" });
    await carl.next(said("new, from bob"));
    await carl.none(said("new, from eve"), 50);
    // A token that comes with the join only.
    const late = await open(room, null);
    const joined = await late.request("join_room", { user_token: await token({ sub: "carl", username: "Carl" }) });
    assert.deepEqual(joined.messages.map((message) => message.content), ["old, from bob", "new, from bob"]);
    assert.ok(await until(6_000, async () => (await db.query("select from blocks where user_id = 'carl'")).length === 1_000));
  });

  test("a moderator hears whom they block", async () => {
    const moderator = { sub: "mo", username: "Mo", roles: ["moderator"] };
    const [mo, eve] = [await join("blocks_5", moderator), await join("blocks_5", "eve")];
    await mo.request("block_user", { user_id: "eve" });
    await eve.request("send_message", { content: "rude" });
    await mo.next(said("rude"));
    assert.deepEqual(contents(await rest("GET", "/rooms/blocks_5/messages", { as: moderator })), ["rude"]);
  });

  test("signing out closes every socket within a second and refuses the older tokens, a new one works", async () => {
    const old = await token({ sub: "zoe", username: "Zoe" });
    const timeless = await token({ sub: "zoe", username: "Zoe", iat: null });
    const enter = async (room, bearer) => {
      const socket = await openSocket(server.socketUrl(room), ["chat.v1", `bearer.${bearer}`]);
      return Object.assign(socket, { joined: await socket.request("join_room", {}) });
    };
    const sockets = [await enter("out_1", old), await enter("out_2", timeless), await join("out_1", "bob")];
    // Rooms that did not let the user in are none to be told of it, however many were asked for.
    await Promise.all(Array.from({ length: 70 }, (_, n) => openSocket(server.socketUrl(`out_of_nowhere_${n}`), ["chat.v1", `bearer.${old}`])));
    const began = performance.now();
    const answered = fetch(`${server.url}/api/me/sign-out`, { method: "POST", headers: { authorization: `Bearer ${old}` } });
    for (const socket of sockets.slice(0, 2)) {
      const { code, reason } = await socket.closed;
      assert.deepEqual([code, reason.retry], [4401, true]);
      const { data } = await socket.next("goodbye");
      assert.deepEqual([data.code, data.retry], ["token_expired", true]);
    }
    assert.ok(performance.now() - began < 1_000, `${performance.now() - began} ms`);
    const answer = await answered;
    assert.equal(answer.status, 200);
    const { signed_out_at } = await answer.json();
    assert.match(signed_out_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

    for (const bearer of [old, timeless]) {
      for (const [method, path] of [["GET", "/rooms/out_1"], ["GET", "/rooms/out_1/messages"], ["GET", "/me/blocks"], ["PUT", "/users/x/block"], ["POST", "/me/sign-out"]]) {
        const response = await fetch(`${server.url}/api${path}`, { method, headers: { authorization: `Bearer ${bearer}` } });
        assert.deepEqual([response.status, (await response.json()).code], [401, "token_expired"], `${method} ${path}`);
      }
      const refused = await openSocket(server.socketUrl("out_1"), ["chat.v1", `bearer.${bearer}`]);
      assert.equal((await refused.next("goodbye")).data.code, "token_expired");
      assert.equal((await refused.closed).code, 4401);
      const guest = await open("out_1", null);
      await assert.rejects(guest.request("join_room", { user_token: bearer }), { code: "token_expired" });
    }
    const again = await join("out_1", "zoe");
    await again.request("send_message", { content: "back" });
    await sockets[2].next(said("back"));
    const rows = () => db.query("select created_at, room_id from audit where actor_id = 'zoe' and action = 'sign_out'");
    assert.ok(await until(4_000, async () => (await rows()).length === 1));
    assert.deepEqual((await rows()).map((row) => [row.created_at.toISOString(), row.room_id]), [[signed_out_at, null]]);
  });

  test("what chat_apply is given twice is there once, and a late one changes nothing", async () => {
    const apply = async (batch) => (await db.query("select chat_apply($1::text[]) as answer", [[JSON.stringify({ v: 1, user: "sql", ...batch })]]))[0].answer[0];
    const op = (seq, name, target) => ({ seq, at: 1_700_000_000_000 + seq, op: name, ...(target && { target }) });
    const ops = [op(1, "block", "a"), op(2, "block", "b"), op(3, "unblock", "a"), op(4, "sign_out")];
    assert.deepEqual(await apply({ epoch: 5, to: 2, ops: ops.slice(0, 2) }), { epoch: 5, seq: 2 });
    assert.deepEqual(await apply({ epoch: 5, to: 4, ops }), { epoch: 5, seq: 4 });
    assert.deepEqual(await apply({ epoch: 5, to: 4, ops }), { epoch: 5, seq: 4 });
    const blocks = async () => (await db.query("select blocked_id from blocks where user_id = 'sql' order by 1")).map((row) => row.blocked_id);
    const acts = async () => (await db.query("select action from audit where actor_id = 'sql' order by created_at")).map((row) => row.action);
    assert.deepEqual([await blocks(), await acts()], [["b"], ["block_user", "block_user", "unblock_user", "sign_out"]]);
    assert.deepEqual(await apply({ epoch: 4, to: 9, ops: [op(9, "block", "c")] }), { epoch: 5, seq: 4 });
    assert.deepEqual(await apply({ epoch: 6, to: 1, ops: [op(1, "block", "d")] }), { epoch: 6, seq: 1 });
    assert.deepEqual(await blocks(), ["b", "d"]);
    assert.equal((await apply({ epoch: 6, ops })).sqlstate, "22004");
  });
});
