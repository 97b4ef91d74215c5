// What really crosses the wire, against the package's declarations: each event, frame and answer of a walk through the
// chat becomes a literal of its declared type, so that a field too many, too few or of another type does not compile.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { chat, openSocket, startServer, testDatabase, token } from "./harness/index.mjs";
import { complaints, linked, project } from "./harness/typescript.mjs";

const ROOM = "video_types";
const AVATAR = "https://example.org/a.png";

let database, server, open, rest;
before(async () => {
  database = await testDatabase();
  const vars = { RATE_LIMIT_MESSAGES: "1000", ENABLE_PROFANITY_FILTER: "true", ENABLE_SPAM_DETECTION: "true" };
  server = await startServer({ databaseUrl: database.url, vars });
  ({ open, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

/** What was recorded: a declared type, and a value that came or went as one. */
const recorded = [];
const sockets = [];
const asked = new Set();

/** A socket whose commands and replies are recorded; events are gathered from `sockets` in the end. */
function watched(socket, events = "RoomEvents", commands = "RoomCommands") {
  sockets.push({ socket, events });
  const ask = async (name, data = {}) => {
    if (commands === "RoomCommands") asked.add(name);
    recorded.push([`${commands}["${name}"]["data"]`, data]);
    const reply = await socket.request(name, data);
    recorded.push([`${commands}["${name}"]["reply"]`, reply]);
    return reply;
  };
  return Object.assign(socket, { ask });
}

async function enter(who, data = {}, room = ROOM) {
  const socket = watched(await open(room, who));
  return Object.assign(socket, { joined: await socket.ask("join_room", { room_id: room, ...data }) });
}

async function got(type, path, as, more = {}) {
  const { status, body } = await rest(more.method ?? "GET", path, { as, ...more });
  assert.ok(status < 300, `${path}: ${JSON.stringify(body)}`);
  recorded.push([type, body]);
  return body;
}

const user = (sub, roles) => ({ sub, username: sub, avatar: AVATAR, ...(roles && { roles }) });
const [ADA, BOB, MO, ROOT] = [user("ada"), user("bob"), user("mo", ["moderator"]), user("root", ["admin"])];
const base64 = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

async function talk(ada, bob) {
  const first = await ada.ask("send_message", { content: "hello <b>@bob</b> & all", client_id: "c1", mentions: ["bob"], metadata: { deep: { n: [1, "x", null] } } });
  await bob.ask("send_message", { content: "hi", client_id: "c2", reply_to: first.message_id, took: { ack_ms: 3 } });
  await bob.ask("send_message", { content: "🦜" });
  await ada.ask("edit_message", { message_id: first.message_id, content: "hello, you & you" });
  await bob.ask("react", { message_id: first.message_id, reaction: "👍" });
  await bob.ask("react", { message_id: first.message_id, reaction: "👍" });
  await bob.ask("typing", { is_typing: true });
  const gone = await ada.ask("send_message", { content: "oops" });
  await ada.ask("delete_message", { message_id: gone.message_id });
  await ada.ask("delete_message", { message_id: gone.message_id });
  await ada.ask("send_message", { content: "what the fuck" });
  await ada.ask("block_user", { user_id: "eve" });
  await got("BlockList", "/me/blocks", ADA);
  await ada.ask("unblock_user", { user_id: "eve" });
  await ada.ask("refresh_token", { user_token: await token({ ...ADA, exp: Math.floor(Date.now() / 1000) + 7200 }) });
  ada.send(JSON.stringify({ event: "react", data: {} }));
  await ada.next("error");
  return first;
}

async function keepOrder(mo, root, ada, bob, first) {
  await mo.ask("pin_message", { message_id: first.message_id });
  await mo.ask("unpin_message", { message_id: first.message_id });
  await mo.ask("announce", { content: "Five minutes." });
  await mo.ask("set_terms", { blocked: ["heron"], allowed: ["ada"], action: "hold" });
  await got("Terms", `/rooms/${ROOM}/terms`, MO);
  for (const content of ["a heron", "this fucking motherfucker", "hello"]) await got("Tried", `/rooms/${ROOM}/terms/test`, MO, { method: "POST", body: { content } });
  const held = [];
  for (const n of [1, 2]) held.push(await ada.ask("send_message", { content: `a heron, no. ${n}`, client_id: `held-${n}` }));
  await got("HeldList", `/rooms/${ROOM}/held`, MO);
  await mo.ask("allow_message", { held_id: held[0].message_id });
  await mo.ask("deny_message", { held_id: held[1].message_id, reason: "no herons" });
  const { report_id } = await bob.ask("report_message", { message_id: first.message_id, reason: "abuse", details: "see" });
  await got("ReportPage", `/rooms/${ROOM}/reports`, MO);
  await mo.ask("resolve_report", { report_id, status: "resolved", resolution: "talked" });
  await got("OpenedReport", `/rooms/${ROOM}/reports/${report_id}`, MO);
  await root.ask("set_role", { user_id: "ada", role: "moderator" });
  await root.ask("set_role", { user_id: "ada", role: null });
  await root.ask("set_modes", { modes: { slow_s: 1, profanity: { action: "mask", severity: "mild" }, links: "moderators" } });
  await root.ask("set_modes", { modes: { slow_s: null } });
  await mo.ask("ban_user", { user_id: "carl", duration_s: 60, reason: "flood", delete_messages_s: 60 });
  await mo.ask("ban_user", { user_id: "dora", shadow: true });
  await got("Bans", `/rooms/${ROOM}/bans`, MO);
  await mo.ask("unban_user", { user_id: "carl" });
  await mo.ask("delete_user_messages", { user_id: "bob", reason: "spam" });
  await mo.ask("delete_user_messages", { user_id: "nobody" });
  for (const [as, query] of [[MO, "?mine=1"], [BOB, "?limit=3"], [null, ""]]) await got("History", `/rooms/${ROOM}/messages${query}`, as);
  await got("Members", `/rooms/${ROOM}/members`, MO);
  await mo.ask("clear_room", { reason: "over" });
}

async function comeBack({ joined: { epoch, seq } }) {
  const cy = await enter(user("cy"), { resume: { epoch, seq } });
  assert.equal(cy.joined.resumed, true);
  await cy.ask("catch_up", { epoch, seq });
  await cy.ask("catch_up", { epoch: 1, seq: 1 });
  await cy.ask("leave_room");
  const mine = await enter(BOB);
  assert.equal(mine.joined.resumed, false);
  mine.close();
}

async function inDirect() {
  const { publicKey } = generateKeyPairSync("ed25519");
  const keys = { curve25519: base64(randomBytes(32)), ed25519: base64(Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url")) };
  const inbox = watched(await openSocket(`${server.url.replace("http", "ws")}/api/me/ws`, ["chat.v1", `bearer.${await token(BOB)}`]), "InboxEvents", "InboxCommands");
  const { room_id } = await got("Room", "/users/bob/direct", ADA, { method: "PUT" });
  const [ada, bob] = [await enter(ADA, {}, room_id), await enter(BOB, {}, room_id)];
  const content = JSON.stringify({ v: 1, alg: "megolm", device_id: "D1", session_id: "c2Vzc2lvbg", index: 0, ciphertext: "AAEC" });
  const sealed = { content, client_id: "s1", franking: "A".repeat(43) };
  const { message_id, seq } = await ada.ask("send_message", { ...sealed, type: "encrypted" });
  await ada.ask("edit_message", { message_id, content, franking: sealed.franking });
  await bob.ask("report_message", { message_id, reason: "abuse", opened: { body: "words", frank_key: base64(randomBytes(32)) } });
  await inbox.next("inbox_changed");
  await inbox.ask("mark_read", { room_id, seq });
  await rest("PUT", "/devices/phone/keys", { as: BOB, body: { ...keys, name: "Phone" } });
  await got("DeviceList", "/me/devices", BOB);
  await got("DeviceList", "/users/bob/devices", ADA);
  await inbox.next("devices_changed");
  await got("ReportPage", "/reports", MO);
}

test("all that crosses the wire is as it is declared", { timeout: 60_000 }, async (t) => {
  const root = await enter(ROOT);
  const guest = await enter(null);
  const mo = await enter(MO);
  const [ada, bob, carl] = [await enter(ADA), await enter(BOB), await enter(user("carl"))];
  const first = await talk(ada, bob);
  await keepOrder(mo, root, ada, bob, first);
  await carl.next("goodbye");
  await comeBack(ada);
  await inDirect();
  // After so much the server asks whether it is read.
  for (let n = 0; n < 70; n += 1) await mo.request("send_message", { content: "🦜".repeat(1_000) });
  const { data } = await guest.next("probe");
  asked.add("probe");
  recorded.push([`RoomCommands["probe"]["data"]`, data]);
  await ada.next(({ event, data }) => event === "user_left" && data.user_id === "cy", 15_000);
  const { length } = await database.query("update messages set created_at = created_at - interval '3 days' where room_id = $1 and no <= 2 returning no", [ROOM]);
  assert.equal(length, 2);
  assert.equal((await rest("PATCH", `/rooms/${ROOM}`, { as: ROOT, body: { settings: { retention_days: 2 } } })).status, 200);
  await ada.next("messages_expired", 20_000);
  const said = await rest("POST", `/rooms/${ROOM}/messages`, { as: user("fay"), body: { content: "forget me" } });
  await rest("PUT", `/rooms/${ROOM}/pins/${said.body.message_id}`, { as: MO });
  assert.equal((await rest("POST", "/users/fay/erasure", { as: ROOT })).status, 202);
  await ada.next("user_erased", 30_000);
  assert.equal((await rest("PATCH", `/rooms/${ROOM}`, { as: ROOT, body: { name: "Other", settings: { guests: false } } })).status, 200);
  assert.equal((await rest("DELETE", `/rooms/${ROOM}`, { as: ROOT })).status, 204);
  await ada.next("room_deleted");
  await ada.closed;

  const seen = { RoomEvents: new Set(), InboxEvents: new Set() };
  for (const { socket, events } of sockets) {
    for (const { seq, event, data } of socket.lines) {
      if (event === undefined) continue;
      seen[events].add(event);
      recorded.push(events === "RoomEvents" ? [`Envelope<"${event}">`, { seq, event, data }] : [`InboxEvents["${event}"]`, data]);
    }
  }
  const union = (names) => [...names].map((name) => JSON.stringify(name)).join(" | ");
  // One of each form: what differs in values only compiles alike.
  const form = (value) => JSON.stringify(value, (_, inner) => (typeof inner === "number" ? 0 : inner === null || typeof inner !== "string" ? inner : inner.replace(/[^a-z_]+/g, "").slice(0, 20)));
  const literals = new Map(recorded.map(([type, value]) => [`${type} ${form(value)}`, [type, value]]));
  const lines = [...literals.values()].map(([type, value], n) => `export const r${n}: ${type} = ${JSON.stringify(value)};`);
  const names = [...new Set(recorded.map(([type]) => type.match(/^\w+/)[0])), "RoomEvents"];
  const made = project(t, {
    "recorded.ts": [
      `import type { ${[...new Set(names)].join(", ")} } from "@edge-chat/client";`,
      ...lines,
      `export const unseen: never = null! as Exclude<keyof RoomEvents, ${union(seen.RoomEvents)}>;`,
      `export const unasked: never = null! as Exclude<keyof RoomCommands, ${union(asked)}>;`,
    ].join("\n"),
  });
  linked(made);
  assert.equal(await complaints(made, ["recorded.ts"]), "");
  t.diagnostic(`${lines.length} literals of ${recorded.length}`);
  // The check can fail.
  made.write("wrong.ts", `import type { Envelope } from "@edge-chat/client";\n${["role_set", "room_stats"].map((event) => {
    const line = sockets.flatMap(({ socket }) => socket.lines).find((one) => one.event === event);
    return `export const ${event}: Envelope<"${event}"> = ${JSON.stringify({ ...line, data: { ...line.data, more: 1 } })};`;
  }).join("\n")}`);
  assert.equal((await complaints(made, ["wrong.ts"])).match(/more\W+ does not exist/g)?.length, 2);
});
