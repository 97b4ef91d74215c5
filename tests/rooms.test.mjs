// Rooms and messages over REST: made, changed, deleted, private; what a back end posts appears on live sockets.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
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

const SERVICE = { sub: "backend", username: "Back End", roles: ["service"] };
const make = (as, body) => rest("POST", "/rooms", { as, body: { name: "A room", type: "video", ...body } });

describe("rooms over REST", { concurrency: true }, () => {
  test("whoever makes a room owns it, and finds it where Location says", async () => {
    const { status, headers, body } = await make("ada", { name: " My room ", type: "stream", settings: { guests: false, history_limit: 5 } });
    assert.equal(status, 201);
    assert.match(body.room_id, /^stream_[0-9a-f-]{36}$/);
    assert.equal(headers.get("location"), `/api/rooms/${body.room_id}`);
    assert.deepEqual(Object.keys(body).sort(), ["created_at", "message_count", "name", "online_guests", "online_users", "owner_id", "pinned", "room_id", "settings", "type", "updated_at"]);
    assert.deepEqual([body.name, body.type, body.owner_id, body.settings.guests, body.settings.history_limit, body.message_count], ["My room", "stream", "ada", false, 5, 0]);
    assert.deepEqual((await rest("GET", `/rooms/${body.room_id}`, { as: "bob" })).body, body);
    assert.equal((await join(body.room_id, "ada")).joined.self.role, "owner");
    const guest = await open(body.room_id, null);
    await assert.rejects(guest.request("join_room", {}), { code: "token_required" });
    assert.equal((await guest.closed).code, 4401);
    assert.equal((await rest("GET", `/rooms/${body.room_id}/messages`)).status, 401);
    const stored = () => database.query("select name, type, owner_id, settings from rooms where id = $1", [body.room_id]);
    const [row] = await until(3_000, async () => ((await stored()).length ? stored() : null));
    assert.deepEqual([row.name, row.type, row.owner_id, row.settings.guests], ["My room", "stream", "ada", false]);
  });

  test("a taken id is 409, and everything in the body is checked", async () => {
    assert.equal((await make("ada", { room_id: "video_taken" })).status, 201);
    const again = await make("bob", { id: "video_taken" });
    assert.deepEqual([again.status, again.body.code], [409, "room_exists"]);
    for (const [wrong, code, pointer, as] of [
      [{ type: "chat" }, "invalid_type", "#/type"],
      [{ type: 7 }, "bad_request", "#/type"],
      [{ name: "" }, "bad_request", "#/name"],
      [{ name: "x".repeat(256) }, "bad_request", "#/name"],
      [{ name: null }, "bad_request", "#/name"],
      [{ settings: { gusts: true } }, "invalid_settings", "#/settings/gusts"],
      [{ settings: { guests: "yes" } }, "invalid_settings", "#/settings/guests"],
      [{ settings: { history_limit: 101 } }, "invalid_settings", "#/settings/history_limit"],
      [{ settings: { rate: { messages: 0, window_ms: 1_000 } } }, "invalid_settings", "#/settings/rate"],
      [{ settings: { visibility: "secret" } }, "invalid_settings", "#/settings/visibility"],
      [{ settings: [] }, "bad_request", "#/settings"],
      [{ members: ["a", "b"] }, "bad_request", "#/members"],
      [{ type: "direct" }, "bad_request", "#/members"],
      [{ type: "direct", members: ["ada", "ada"] }, "bad_request", "#/members"],
      [{ type: "direct", members: ["bob", "cyd"] }, "forbidden", "#/members"],
      [{ room_id: "a/b" }, "invalid_room_id", "#/room_id"],
      [{ room_id: "dm:abc" }, "invalid_room_id", "#/room_id"],
      [{}, "token_required", undefined, null],
    ]) {
      // All by one user: what is refused does not count among the ten rooms an hour.
      const { status, body } = await make(as === undefined ? "val" : as, wrong);
      assert.deepEqual([body.code, body.errors?.[0].pointer, status === body.status], [code, pointer, true], JSON.stringify(wrong));
    }
    assert.equal((await make("val", { unknown: 1 })).status, 201, "an unknown field is ignored");
  });

  test("a member makes ten rooms an hour; who runs the place as many as needed", async () => {
    for (let i = 0; i < 10; i++) assert.equal((await make("max", {})).status, 201);
    const { status, headers, body } = await make("max", {});
    assert.deepEqual([status, body.code, headers.has("retry-after")], [429, "rate_limited", true]);
    for (let i = 0; i < 12; i++) assert.equal((await make(SERVICE, {})).status, 201);
  });

  test("a patch by the owner changes what it names and is shown to who is there", async () => {
    await make("pat", { room_id: "video_patch", settings: { edit_window_s: 60 } });
    const bob = await join("video_patch", "bob");
    const patch = { name: "New", settings: { read_only: true, edit_window_s: null } };
    for (const as of ["bob", { sub: "m", roles: ["moderator"] }]) assert.equal((await rest("PATCH", "/rooms/video_patch", { as, body: patch })).status, 403);
    assert.equal((await rest("PATCH", "/rooms/video_patch", { body: patch })).status, 401);
    const { status, body } = await rest("PATCH", "/rooms/video_patch", { as: "pat", body: patch });
    assert.deepEqual([status, body.name, body.settings.read_only, body.settings.edit_window_s], [200, "New", true, null]);
    const { seq, data } = await bob.next("room_updated");
    assert.ok(seq > 1);
    assert.deepEqual(data, { room_id: "video_patch", name: "New", settings: body.settings, changed: ["name", "settings.edit_window_s", "settings.read_only"], updated_at: body.updated_at });
    await assert.rejects(bob.request("send_message", { content: "?" }), { code: "room_mode" });
    const bad = await rest("PATCH", "/rooms/video_patch", { as: "pat", body: { settings: { max_message_length: 0 } } });
    assert.deepEqual([bad.status, bad.body.code], [400, "invalid_settings"]);
    await rest("PATCH", "/rooms/video_patch", { as: "pat", body: patch });
    await bob.none("room_updated");
    assert.equal((await rest("PATCH", "/rooms/video_nowhere", { as: "pat", body: patch })).status, 404);
  });

  test("a private room is for those it knows", async () => {
    await make("pia", { room_id: "group_private", type: "group", settings: { visibility: "private" } });
    const invited = { sub: "inv", rooms: { group_private: "member" } };
    for (const as of ["pia", invited, { sub: "m", roles: ["moderator"] }, SERVICE]) assert.equal((await rest("GET", "/rooms/group_private/messages", { as })).status, 200);
    assert.equal((await rest("GET", "/rooms/group_private/messages", { as: "eve" })).status, 403);
    assert.equal((await rest("GET", "/rooms/group_private/messages")).status, 401);
    assert.equal((await rest("POST", "/rooms/group_private/messages", { as: "eve", body: { content: "x" } })).status, 403);
    const eve = await open("group_private", "eve");
    await assert.rejects(eve.request("join_room", {}), { code: "forbidden" });
    assert.equal((await eve.closed).code, 4403);

    const direct = await make("pia", { type: "direct", members: ["pia", "bob"] });
    assert.deepEqual([direct.status, direct.body.settings.visibility, direct.body.owner_id], [201, "private", null]);
    await join(direct.body.room_id, "bob");
    assert.equal((await rest("GET", `/rooms/${direct.body.room_id}`, { as: "eve" })).status, 404);

    // A room that becomes private shows its strangers out.
    await make("pia", { room_id: "group_closing", type: "group" });
    const [stranger, guest, owner] = [await join("group_closing", "eve"), await join("group_closing", null), await join("group_closing", "pia")];
    await rest("PATCH", "/rooms/group_closing", { as: "pia", body: { settings: { visibility: "private" } } });
    assert.deepEqual([(await stranger.closed).code, (await guest.closed).code], [4403, 4401]);
    await owner.request("send_message", { content: "alone" });
  });

  test("a deleted room closes its sockets, answers 410 and cannot be raised", async () => {
    await make("dee", { room_id: "video_deleted" });
    const bob = await join("video_deleted", "bob");
    await bob.request("send_message", { content: "hello" });
    assert.equal((await rest("DELETE", "/rooms/video_deleted", { as: "bob" })).status, 403);
    const { status, body } = await rest("DELETE", "/rooms/video_deleted", { as: "dee" });
    assert.deepEqual([status, body], [204, null]);
    assert.equal((await bob.next("goodbye")).data.code, "room_deleted");
    assert.deepEqual(await bob.closed, { code: 4404, reason: { retry: false, after_ms: 0 } });
    for (const [method, path, sent] of [["GET", ""], ["GET", "/messages"], ["GET", "/members"], ["POST", "/messages", { content: "x" }], ["PATCH", "", { name: "x" }], ["DELETE", ""]]) {
      const gone = await rest(method, `/rooms/video_deleted${path}`, { as: "dee", body: sent });
      assert.deepEqual([gone.status, gone.body.code], [410, "room_deleted"], `${method} ${path}`);
    }
    assert.equal((await make("dee", { room_id: "video_deleted" })).status, 410);
    const late = await open("video_deleted", "dee");
    await assert.rejects(late.request("join_room", {}), { code: "room_deleted" });
    assert.equal((await late.closed).code, 4404);
    const tombstone = async () => (await database.query("select deleted_at from rooms where id = 'video_deleted'"))[0]?.deleted_at;
    assert.ok(await until(4_000, tombstone));
    // Not even from an empty storage.
    await server.evict("Room", "video_deleted");
    for (const table of ["log", "state"]) server.sql("Room", "video_deleted", `DELETE FROM ${table}`);
    assert.equal((await rest("GET", "/rooms/video_deleted", { as: "dee" })).status, 410);
  });

  test("a back end posts, edits and deletes, also for somebody, and sockets see it", async () => {
    const ada = await join("video_backend", "ada");
    const path = "/rooms/video_backend/messages";
    const headers = { "idempotency-key": "k-1" };
    const posted = await rest("POST", path, { as: SERVICE, headers, body: { content: "from the back end", type: "system" } });
    assert.equal(posted.status, 201);
    assert.deepEqual(Object.keys(posted.body).sort(), ["message_id", "seq", "timestamp"]);
    assert.equal(posted.headers.get("location"), null, "a message has no address of its own");
    const { data } = await ada.next("new_message");
    assert.deepEqual([data.message_id, data.type, data.user.user_id, data.user.roles, data.client_id], [posted.body.message_id, "system", "backend", ["service"], "k-1"]);
    assert.deepEqual((await rest("POST", path, { as: SERVICE, headers, body: { content: "again" } })).body, posted.body);
    // The body's own wins, and the header says nothing then.
    const unused = { "idempotency-key": "x".repeat(65) };
    assert.deepEqual((await rest("POST", path, { as: SERVICE, headers: unused, body: { content: "again", client_id: "k-1" } })).body, posted.body);
    assert.equal((await rest("POST", path, { as: SERVICE, headers: unused, body: { content: "again" } })).body.code, "bad_request");
    await ada.none("new_message");

    const as_user = { user_id: "u9", username: "<b>Nine</b>", avatar: "https://e.example/9.png" };
    const said = await rest("POST", path, { as: SERVICE, body: { content: "as nine", as_user, reply_to: posted.body.message_id } });
    const { data: nine } = await ada.next("new_message");
    assert.deepEqual([nine.user, nine.reply_to], [{ ...as_user, username: "Nine", roles: ["member"] }, posted.body.message_id]);
    assert.equal((await rest("POST", path, { as: "ada", body: { content: "as nine", as_user } })).status, 403);

    // Asked for at once: the id is younger than the drain, and is waited for.
    const { body: { message_id } } = await rest("POST", path, { as: SERVICE, body: { content: "tpyo" } });
    const edited = await rest("PATCH", `/messages/${message_id}`, { as: SERVICE, body: { content: "typo" } });
    assert.deepEqual([edited.status, edited.body.message_id], [200, message_id]);
    assert.equal((await ada.next("message_edited")).data.content, "typo");
    assert.equal((await rest("PATCH", `/messages/${message_id}`, { as: "ada", body: { content: "mine" } })).status, 403);
    assert.equal((await rest("PATCH", `/messages/${message_id}`, { body: { content: "mine" } })).status, 401);
    const deleted = await rest("DELETE", `/messages/${said.body.message_id}`, { as: SERVICE });
    assert.equal(deleted.status, 200);
    assert.deepEqual((await ada.next("message_deleted")).data.by, { user_id: "backend", role: "service" });
    for (const id of ["msg_456", "00000000-0000-7000-8000-000000000000"]) {
      const none = await rest("DELETE", `/messages/${id}`, { as: SERVICE });
      assert.deepEqual([none.status, none.body.code], [404, "message_not_found"]);
    }
  });

  test("members are those present, then those who hold a role", async () => {
    await make("ada", { room_id: "group_members", type: "group" });
    await join("group_members", "bob");
    await join("group_members", null);
    const { body } = await rest("GET", "/rooms/group_members/members");
    const [bob, ada] = body.members;
    assert.deepEqual([body.total, body.members.length, "next" in body], [2, 2, false]);
    assert.deepEqual({ ...bob, last_seen: typeof bob.last_seen }, { user_id: "bob", username: "Bob", avatar: null, role: "member", online: true, last_seen: "string" });
    assert.deepEqual([ada.user_id, ada.role, ada.online, ada.last_seen], ["ada", "owner", false, null]);
    const one = (await rest("GET", "/rooms/group_members/members?limit=1")).body;
    const two = (await rest("GET", `/rooms/group_members/members?limit=1&cursor=${one.next}`)).body;
    assert.deepEqual([one.members[0].user_id, two.members[0].user_id, two.next], ["bob", "ada", undefined]);
  });
});

test("ROOM_CREATION=service leaves the making of rooms to services", async () => {
  const strict = await startServer({ vars: { ROOM_CREATION: "service" }, databaseUrl: database.url });
  try {
    const body = { room_id: "video_by_service", name: "A room", type: "video" };
    assert.equal((await chat(strict).rest("POST", "/rooms", { as: "ada", body })).status, 403);
    assert.equal((await chat(strict).rest("POST", "/rooms", { as: SERVICE, body })).status, 201);
  } finally {
    await strict.stop();
  }
});
