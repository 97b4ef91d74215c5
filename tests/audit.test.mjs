// The audit: every act of moderation, over sockets and over REST, is one line of it that says who, what, to whom, as what
// and why, and the same line whichever way it was done.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

let db;
let server;
let join;
let rest;

before(async () => {
  db = await testDatabase();
  server = await startServer({ databaseUrl: db.url, vars: { RATE_LIMIT_MESSAGES: "100" } });
  ({ join, rest } = chat(server));
});

after(async () => {
  await server?.stop();
  await db?.drop();
});

async function done(method, path, options) {
  const { status, body } = await rest(method, path, options);
  assert.ok(status < 300, `${method} ${path}: ${JSON.stringify(body)}`);
  return body;
}

/** Does everything that is an act in a room of its own; gives the lines that the audit is to have of it. */
async function everything(way) {
  const room = `audit_${way}`;
  const [own, bob, zoe] = ["own", "bob", "zoe"].map((name) => `${way}-${name}`);
  const mod = { sub: `${way}-mod`, username: "Mod", roles: ["moderator"] };
  await done("POST", "/rooms", { as: own, body: { room_id: room, name: "R", type: "video" } });
  const sockets = { [own]: await join(room, own), [mod.sub]: await join(room, mod), [bob]: await join(room, bob) };
  const say = (content) => done("POST", `/rooms/${room}/messages`, { as: zoe, body: { content } });
  const lines = [];
  /** One act, as a frame or as a request, and the line that it leaves. */
  const act = async (as, action, target, { frame, path, method = "POST", body, reason = null, role = null, query = "" }) => {
    const user = typeof as === "string" ? as : as.sub;
    lines.push([user, action, target, role, reason]);
    if (way === "socket" && frame) return sockets[user].request(frame[0], frame[1]);
    return done(method, `${path.startsWith("/") ? path : `/rooms/${room}/${path}`}${query}`, { as, body });
  };
  const byMod = (action, target, how) => act(mod, action, target, { role: "moderator", ...how });
  const byOwner = (action, target, how) => act(own, action, target, { role: "owner", ...how });

  const terms = { blocked: ["heron"], action: "hold" };
  await byMod("set_terms", null, { frame: ["set_terms", terms], method: "PUT", path: "terms", body: terms });
  const [first, second] = [await say("a heron"), await say("another heron")].map(({ message_id }) => message_id);
  await byMod("allow_message", zoe, { frame: ["allow_message", { held_id: first }], path: `held/${first}/allow` });
  await byMod("deny_message", zoe, {
    frame: ["deny_message", { held_id: second, reason: "no herons" }], path: `held/${second}/deny`, body: { reason: "no herons" }, reason: "no herons",
  });
  const { message_id } = await say("hello");
  await byMod("pin_message", null, { frame: ["pin_message", { message_id }], method: "PUT", path: `pins/${message_id}` });
  await byMod("unpin_message", null, { frame: ["unpin_message", { message_id }], method: "DELETE", path: `pins/${message_id}` });
  await byMod("announce", null, { frame: ["announce", { content: "hear" }], path: "announce", body: { content: "hear" } });
  await byMod("update_room", null, { frame: ["set_modes", { modes: { links: "moderators" } }], method: "PATCH", path: `/rooms/${room}`, body: { settings: { links: "moderators" } } });
  await byOwner("set_role", bob, { frame: ["set_role", { user_id: bob, role: "moderator" }], method: "PUT", path: `roles/${bob}`, body: { role: "moderator" } });
  await byOwner("set_role", bob, { frame: ["set_role", { user_id: bob, role: null }], method: "DELETE", path: `roles/${bob}` });
  await act(bob, "report_message", zoe, {
    frame: ["report_message", { message_id, reason: "spam" }], path: `/messages/${message_id}/report`, body: { reason: "spam", room_id: room }, reason: "spam",
  });
  const [{ report_id }] = (await done("GET", `/rooms/${room}/reports`, { as: mod })).reports;
  const decision = { status: "resolved", resolution: "warned" };
  await byMod("resolve_report", zoe, { frame: ["resolve_report", { report_id, ...decision }], method: "PATCH", path: `reports/${report_id}`, body: decision });
  await byMod("delete_message", zoe, { frame: ["delete_message", { message_id }], method: "DELETE", path: `/messages/${message_id}`, query: `?room_id=${room}` });
  const flood = { reason: "a flood" };
  await byMod("delete_user_messages", zoe, {
    frame: ["delete_user_messages", { user_id: zoe, ...flood }], method: "DELETE", path: `users/${zoe}/messages`, query: "?reason=a%20flood", ...flood,
  });
  await say("more");
  await byMod("clear_room", null, { frame: ["clear_room", { reason: "a raid" }], path: "clear", body: { reason: "a raid" }, reason: "a raid" });
  await say("and more");
  const timeOut = { user_id: zoe, duration_s: 600, reason: "rude", delete_messages_s: 60 };
  lines.push([mod.sub, "delete_user_messages", zoe, "moderator", "rude"]);
  await byMod("ban_user", zoe, { frame: ["ban_user", timeOut], path: "ban", body: timeOut, reason: "rude" });
  await byMod("unban_user", zoe, {
    frame: ["unban_user", { user_id: zoe, reason: "sorry" }], method: "DELETE", path: `ban/${zoe}`, query: "?reason=sorry", reason: "sorry",
  });
  await byOwner("ban_user", zoe, { frame: ["ban_user", { user_id: zoe, shadow: true }], path: "ban", body: { user_id: zoe, shadow: true } });
  await byOwner("update_room", null, { method: "PATCH", path: `/rooms/${room}`, body: { name: "Another name" } });

  // What one does in all rooms at once is in the audit too, without a room.
  await act(bob, "block_user", zoe, { frame: ["block_user", { user_id: zoe }], method: "PUT", path: `/users/${zoe}/block` });
  await act(bob, "unblock_user", zoe, { frame: ["unblock_user", { user_id: zoe }], method: "DELETE", path: `/users/${zoe}/block` });
  await act(bob, "sign_out", null, { path: "/me/sign-out" });
  const { audit } = await listed(room, mod, lines.length - 3);
  await byOwner("delete_room", null, { method: "DELETE", path: `/rooms/${room}` });
  for (const socket of Object.values(sockets)) socket.terminate();
  return { room, lines, audit, mod };
}

/** The audit over REST, once it has so many lines. */
async function listed(room, as, count) {
  let body;
  await until(5_000, async () => (body = await done("GET", `/rooms/${room}/audit?limit=100`, { as })).audit.length >= count);
  return body;
}

test("every act is a line of the audit, by SQL and over REST, the same over both wires, with nothing that was said", async () => {
  const found = {};
  for (const way of ["socket", "rest"]) {
    const { room, lines, audit } = await everything(way);
    const rows = () => db.query("select * from audit where room_id = $1 or (room_id is null and actor_id = $2) order by created_at", [room, `${way}-bob`]);
    assert.ok(await until(5_000, async () => (await rows()).length >= lines.length), `${(await rows()).length} of ${lines.length}`);
    const all = await rows();
    const line = ({ actor_id, action, target, details }) => [actor_id, action, target, details.by_role ?? details.role ?? null, details.reason ?? null];
    assert.deepEqual(all.map(line).map(String).sort(), lines.map(String).sort());
    const text = JSON.stringify(all);
    for (const said of ["heron\"", "a heron", "hello", "hear", "and more"]) assert.ok(!text.includes(said), said);
    const details = (action) => all.filter((row) => row.action === action).map((row) => row.details);
    assert.deepEqual(details("update_room").map(({ to }) => to), [{ "settings.links": "moderators" }, { name: "Another name" }]);
    assert.ok(all.every(({ created_at }) => Math.abs(Date.now() - created_at) < 60_000));
    const ofRoom = lines.filter(([, action]) => !["block_user", "unblock_user", "sign_out", "delete_room"].includes(action));
    assert.deepEqual(audit.map(({ action }) => action).sort(), ofRoom.map(([, action]) => action).sort());
    found[way] = lines.map(([actor, action, target, ...rest]) => [actor, action, target, ...rest].map(String).join().replaceAll(`${way}-`, ""));
  }
  assert.deepEqual(found.socket, found.rest);
  assert.ok(new Set(found.rest.map((line) => line.split(",")[1])).size >= 19);
});

test("the audit is read by moderators, a page at a time", async () => {
  const mod = { sub: "mod", username: "Mod", roles: ["moderator"] };
  await done("POST", "/rooms", { as: "own", body: { room_id: "audit_pages", name: "R", type: "video" } });
  for (let n = 1; n <= 5; n++) await done("POST", "/rooms/audit_pages/ban", { as: mod, body: { user_id: `u${n}` } });
  await listed("audit_pages", mod, 5);
  const page = async (query) => (await done("GET", `/rooms/audit_pages/audit?${query}`, { as: mod })).audit;
  const newest = await page("limit=3");
  assert.deepEqual(newest.map(({ target }) => target), ["u5", "u4", "u3"]);
  const older = await page(`limit=3&before=${newest.at(-1).at}`);
  assert.deepEqual(older.map(({ target }) => target), ["u2", "u1"]);
  // An act that leaves two lines of one millisecond: no page ends between them.
  await done("POST", "/rooms/audit_pages/messages", { as: "zoe", body: { content: "hello" } });
  await done("POST", "/rooms/audit_pages/ban", { as: mod, body: { user_id: "zoe", delete_messages_s: 60 } });
  await listed("audit_pages", mod, 7);
  assert.deepEqual((await page("limit=1")).map(({ action }) => action).sort(), ["ban_user", "delete_user_messages"]);
  assert.equal((await rest("GET", "/rooms/audit_pages/audit", { as: "bob" })).body.code, "forbidden");
  assert.equal((await rest("GET", "/rooms/audit_pages/audit?limit=0", { as: mod })).body.code, "invalid_parameter");
});
