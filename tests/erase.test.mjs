// A user is erased, and searched for everywhere in vain: PostgreSQL, the objects' storage, history, viewers, Redis, logs.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, randomUUID, sign } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { chat, command, entries, hangUp, startServer, testDatabase, throwAwayRedis, until } from "./harness/index.mjs";

const ID = "canary-7f3a";
const CANARY = { sub: ID, username: "Canaryname", avatar: "https://canary.example/face.png" };
const MOD = { sub: "mod", username: "Mod", roles: ["moderator"] };
const ADMIN = { sub: "root", username: "Root", roles: ["admin"] };
const SERVICE = { sub: "backend", roles: ["service"] };
const METRICS = "0123456789abcdef0123456789abcdef";

let database, redis, server, join, rest;
before(async () => {
  database = await testDatabase();
  redis = await throwAwayRedis();
  const vars = {
    REDIS_URL: `redis://127.0.0.1:${redis.port}`, METRICS_TOKEN: METRICS, RATE_LIMIT_REQUESTS: "100000", RATE_LIMIT_MESSAGES: "1000",
  };
  server = await startServer({ databaseUrl: database.url, vars });
  ({ join, rest } = chat(server));
});
after(async () => {
  hangUp();
  await server?.stop();
  await redis?.stop();
  await database?.drop();
});

const base64 = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");
const ok = ({ status, body }) => (assert.ok(status < 300, `${status} ${JSON.stringify(body)}`), body);
const erasure = (id, as = ADMIN) => rest("GET", `/erasures/${id}`, { as });
const erase = (user, body, as = ADMIN) => rest("POST", `/users/${user}/erasure`, { as, body });

/** Waits until an erasure has ended. */
async function ended(id) {
  const done = await until(60_000, async () => {
    const { body } = await erasure(id).catch(() => ({}));
    return body?.status && body.status !== "running" ? body : null;
  });
  assert.ok(done, JSON.stringify((await erasure(id)).body));
  return done;
}

/** Every column that holds text or JSON, of every table, in which this stands. */
async function inPostgres(text) {
  const columns = await database.query(`select c.relname as tab, a.attname as col from pg_class c join pg_attribute a on attrelid = c.oid
    where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped
      and format_type(atttypid, null) ~ '^(text|json|jsonb|character varying|text\\[\\])'`);
  assert.ok(columns.length > 40);
  const found = [];
  for (const { tab, col } of columns) {
    const [{ n }] = await database.query(`select count(*)::int as n from "${tab}" where "${col}"::text ilike $1`, [`%${text}%`]);
    if (n) found.push(`${tab}.${col}: ${n}`);
  }
  return found;
}

const searched = async (call) => (await database.query("select chat_erase($1::jsonb) as answer", [call]))[0].answer;

const files = (folder) => readdirSync(folder, { recursive: true }).map((name) => path(folder, name)).filter((name) => statSync(name).isFile());

/**
 * Files of objects' storage in which a table has this, the runtime's own tables too. Bytes of rows that are gone stay in a
 * file until they are written over: workerd refuses `secure_delete` and `VACUUM`, so no Worker can help it.
 */
function onDisk(text) {
  const copy = mkdtempSync(path(tmpdir(), "edge-chat-copy-"));
  try {
    cpSync(path(server.file("Room", "x"), "../../"), copy, { recursive: true, filter: (name) => !name.endsWith("-shm") });
    return files(copy).filter((name) => name.endsWith(".sqlite")).filter((name) => texts(name).some((value) => value.toLowerCase().includes(text)));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Every value in every table of a SQLite file. */
function texts(name) {
  const db = new DatabaseSync(name);
  try {
    const tables = db.prepare("select name from sqlite_master where type = 'table'").all();
    const rows = tables.flatMap(({ name }) => {
      const statement = db.prepare(`select * from "${name}"`);
      statement.setReadBigInts(true);
      return statement.all();
    });
    return rows.flatMap(Object.values).map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value)));
  } finally {
    db.close();
  }
}

/** A device of the user's, with keys. */
async function device(user, id) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const ed25519 = base64(Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url"));
  const [key_id, key] = ["k1", base64(randomBytes(32))];
  const signature = base64(sign(null, Buffer.from(["edge-chat/v1/one-time-key", user.sub, id, key_id, key].join("\n")), privateKey));
  const body = { name: "Canary's phone", curve25519: base64(randomBytes(32)), ed25519, one_time_keys: [{ key_id, key, signature }] };
  ok(await rest("PUT", `/devices/${id}/keys`, { as: user, body }));
}
const letter = (n, to) => ({
  content: JSON.stringify({ v: 1, alg: "megolm", device_id: "D1", session_id: "c2Vzc2lvbg", index: n, ciphertext: "AAEC", keys: { [to]: { type: 0, body: "AAEC" } } }),
  type: "encrypted", client_id: `letter-${n}`, franking: "A".repeat(43),
});

/** Whatever a user can leave behind. */
async function live() {
  const [open, held, gone] = ["erase_open", "erase_held", "erase_gone"];
  ok(await rest("POST", "/rooms", { as: CANARY, body: { name: "Open", type: "video", room_id: open } }));
  ok(await rest("POST", "/rooms", { as: ADMIN, body: { name: "Held", type: "video", room_id: held, settings: { spam: { action: "hold" } } } }));
  const [canary, bob] = [await join(open, CANARY), await join(open, "bob")];
  const metadata = { where: "canary's metadata" };
  const own = await canary.request("send_message", { content: "canary says this", client_id: "canary-client", metadata });
  await canary.request("edit_message", { message_id: own.message_id, content: "canary says that, @bob" });
  const other = await bob.request("send_message", { content: "well, @canaryname.", reply_to: own.message_id, mentions: [ID] });
  await canary.request("react", { message_id: other.message_id, reaction: "👍" });
  await bob.request("react", { message_id: other.message_id, reaction: "👍" });
  await bob.request("react", { message_id: own.message_id, reaction: "🎉" });
  for (const [as, { message_id }] of [[CANARY, other], ["bob", own]]) {
    ok(await rest("POST", `/messages/${message_id}/report`, { as, body: { room_id: open, reason: "abuse", details: as === CANARY ? "canary's details" : "rude" } }));
  }
  ok(await rest("PUT", `/rooms/${open}/pins/${own.message_id}`, { as: MOD }));
  ok(await rest("PUT", `/rooms/${held}/roles/${ID}`, { as: ADMIN, body: { role: "member" } }));
  const wait = await (await join(held, CANARY)).request("send_message", { content: "canary https://a.example https://b.example https://c.example cheap cheap cheap cheap buy now" });
  assert.equal(wait.held, true);
  await (await join(gone, CANARY)).request("send_message", { content: "canary was here" });
  ok(await rest("DELETE", `/rooms/${gone}`, { as: ADMIN }));
  ok(await rest("POST", "/rooms", { as: ADMIN, body: { name: "Ban", type: "video", room_id: "erase_ban" } }));
  const shadowed = await join("erase_ban", CANARY);
  ok(await rest("POST", "/rooms/erase_ban/ban", { as: MOD, body: { user_id: ID, shadow: true, reason: "canary again" } }));
  await shadowed.request("send_message", { content: "canary, to nobody" });
  ok(await rest("POST", "/rooms/erase_ban/ban", { as: MOD, body: { user_id: ID, reason: "canary is a nuisance" } }));

  ok(await rest("PUT", "/users/bob/block", { as: CANARY }));
  ok(await rest("PUT", `/users/${ID}/block`, { as: "carl" }));
  await device(CANARY, "D1");
  ok(await rest("PUT", "/me/key-backup", { as: CANARY, body: { data: base64("canary's backup, encrypted") } }));
  const { room_id: direct } = ok(await rest("PUT", `/users/${ID}/direct`, { as: "dan" }));
  ok(await rest("POST", `/rooms/${direct}/messages`, { as: CANARY, body: letter(1, "dan/D2") }));
  ok(await rest("POST", `/rooms/${direct}/messages`, { as: "dan", body: letter(2, `${ID}/D1`) }));
  return { open, held, gone, direct, own: own.message_id, other: other.message_id };
}

describe("erasure", () => {
  let left, page, place;

  test("a hold refuses it, and only admins and services may ask for it", async () => {
    left = await live();
    page = await join(left.open, "eve");
    place = { epoch: page.joined.epoch, seq: 0 };
    const drained = await until(20_000, async () => {
      const { seq, drained_seq } = ok(await rest("GET", `/rooms/${left.open}/stats`, { as: MOD }));
      return seq === drained_seq && (await database.query("select from blocks where $1 in (user_id, blocked_id)", [ID])).length === 2;
    });
    assert.ok(drained, "PostgreSQL has what was said and done");
    assert.ok((await inPostgres("canary")).length > 12);
    assert.ok(onDisk("canary").length >= 6);
    // The search that is to find nothing in the end finds what there is.
    const found = {};
    for (const table of await searched({ op: "places" })) Object.assign(found, (await searched({ op: "look", user_id: ID, table })).found);
    const blind = ["bans.user_id", "blocks.user_id", "blocks.blocked_id", "held.user_id", "messages.user_id", "messages.mentions", "messages.audience", "messages.content",
      "reactions.user_id", "reports.reporter_id", "room_roles.user_id", "rooms.owner_id", "audit.actor_id", "audit.target"].filter((column) => !found[column]);
    assert.deepEqual(blind, [], JSON.stringify(found));

    for (const [as, status] of [[null, 401], [CANARY, 403], [MOD, 403]]) assert.equal((await erase(ID, {}, as)).status, status);
    assert.equal((await erase(ID, { mode: "burn" })).status, 400);
    const id = randomUUID();
    const hold = (room, user) => database.query("insert into legal_holds values ($1, $2, $3, 'case 7', 'root', now())", [id, room, user]);
    for (const [room, user] of [[null, ID], [left.open, ID], [left.open, null]]) {
      await hold(room, user);
      const refused = await erase(ID, {});
      assert.deepEqual([refused.status, refused.body.code], [409, "on_hold"]);
      await database.query("delete from legal_holds");
    }
    await hold("another_room", null);
    await database.query("update legal_holds set user_id = $1, lifted_at = now(), lifted_by = 'root'", [ID]);
    assert.equal((await erasure(randomUUID())).status, 404);
  });

  test("V11: it ends well, though everything dies in the middle of it, and proves that nothing is left", async () => {
    // A table of the back end's own, beside the chat's: it is told of, and not touched.
    await database.query("create table users (id text primary key)");
    await database.query("insert into users values ($1)", [ID]);
    const begun = await erase(ID, { mode: "tombstone", reason: "asked for on paper" }, SERVICE);
    assert.equal(begun.status, 202, JSON.stringify(begun.body));
    const { erasure_id } = begun.body;
    const again = await erase(ID, { mode: "anonymise" });
    assert.deepEqual([again.body.erasure_id, again.body.mode], [erasure_id, "tombstone"], "the same job");
    await server.kill9();
    await server.restart();
    // And once more where it has begun to change things, if it is not quicker.
    assert.ok(await until(30_000, async () => (await erasure(erasure_id)).body?.progress?.step !== "look"));
    await server.kill9();
    await server.restart();

    const done = await ended(erasure_id);
    assert.deepEqual([done.status, done.asked_by, done.reason, done.mode], ["done", "backend", "asked for on paper", "tombstone"]);
    assert.ok(!JSON.stringify(done).includes("canary"));
    const { tables, entries: logs, rooms, erased_messages } = done.proof;
    assert.deepEqual([logs, [...new Set(Object.values(tables))]], [0, [0]]);
    assert.deepEqual([done.proof.elsewhere, done.proof.unread], [{ "users.id": 1 }, undefined]);
    assert.ok(Object.keys(tables).length > 20 && rooms >= 5 && erased_messages >= 4, JSON.stringify(done.proof));

    assert.deepEqual(await inPostgres("canary"), ["users.id: 1"]);
    const lines = await database.query("select actor_id, action, target, details from audit where details ->> 'erasure_id' = $1 order by created_at", [erasure_id]);
    assert.deepEqual(lines.map(({ actor_id, action, target }) => [actor_id, action, target]), [["backend", "erase_user", null], ["backend", "user_erased", null]]);
    assert.notEqual((await erase(ID, {})).body.erasure_id, erasure_id, "once it is done another one is another");
  });

  test("V11: rooms show nothing of the user, to whoever comes, comes back, or reads", async () => {
    const seen = [];
    for (const room of [left.open, left.held, "erase_ban"]) {
      for (const who of ["eve", MOD]) {
        const socket = await join(room, who);
        seen.push(socket.joined, ok(await rest("GET", `/rooms/${room}/messages?limit=100`, { as: who })), ok(await rest("GET", `/rooms/${room}/members`, { as: who })));
      }
      for (const list of ["bans", "held", "reports", "audit"]) seen.push(ok(await rest("GET", `/rooms/${room}/${list}`, { as: MOD })));
    }
    const back = await join(left.open, "eve", { resume: place });
    seen.push(back.joined, ok(await rest("GET", `/rooms/${left.direct}/messages`, { as: "dan" })), ok(await rest("GET", "/me/blocks", { as: "carl" })));
    assert.deepEqual(seen.filter((answer) => JSON.stringify(answer).toLowerCase().includes("canary")), []);
    assert.ok(back.joined.resumed);
    const told = back.joined.events.find(({ event, data }) => event === "user_erased" && data.message_ids.includes(left.own));
    assert.deepEqual([told.data.tombstones, told.data.mentioned_in, told.data.reactions], [true, [left.other], { [left.other]: { "👍": 1 } }]);
    const shown = ok(await rest("GET", `/rooms/${left.open}/messages`, { as: "eve" })).messages;
    const [own, other] = [left.own, left.other].map((id) => shown.find(({ message_id }) => message_id === id));
    assert.deepEqual([own.user.user_id, own.user.username, own.content, other.content], ["", "erased", "", "well, @erased."]);
    // What was kept from the user stays so.
    const says = async (iat) => (await rest("POST", "/rooms/erase_ban/messages", { as: { ...CANARY, iat }, body: { content: "again" } })).body.code;
    assert.equal(await says(Math.floor(Date.now() / 1000) - 600), "token_expired");
    assert.equal(await says(Math.floor(Date.now() / 1000) + 5), "banned");
    await assert.rejects((await join(left.direct, "dan")).request("send_message", letter(3, "dan/D2")), { code: "blocked" });
  });

  test("nothing stands in logs and figures, and on Redis what is older than the erasure, until that is trimmed", async () => {
    assert.deepEqual(server.logs.filter(({ text }) => text.toLowerCase().includes("canary")), []);
    const figures = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${METRICS}` } });
    assert.ok(figures.ok && !(await figures.text()).toLowerCase().includes("canary"));
    const stream = (room) => entries(redis, room);
    const told = await until(15_000, async () => (await stream(left.open)).find(({ event }) => event === "user_erased"));
    assert.ok(told.data.message_ids.includes(left.own));
    const names = (list) => list.filter(({ fields }) => JSON.stringify(fields).toLowerCase().includes("canary"));
    assert.ok(names(await stream(left.open)).every(({ seq }) => seq < told.seq) && names(await stream(left.open)).length > 0);
    for (const key of await command(redis, ["KEYS", "chat:*"])) {
      // As the bridge does after 24 hours: what is older than the erasure goes.
      const ids = (await command(redis, ["XRANGE", key, "-", "+"])).filter(([, fields]) => fields.includes("user_erased")).map(([id]) => id);
      await command(redis, ids.length ? ["XTRIM", key, "MINID", ids[0]] : ["XTRIM", key, "MAXLEN", "0"]);
      assert.ok(!JSON.stringify(await command(redis, ["XRANGE", key, "-", "+"])).toLowerCase().includes("canary"), key);
    }
  });

  test("anonymised: the text stays, and nobody has said it", async () => {
    const bard = { sub: "bard-91c", username: "Bardname" };
    const { message_id } = ok(await rest("POST", `/rooms/${left.open}/messages`, { as: bard, body: { content: "a line to keep", metadata: { of: "bard" } } }));
    const { erasure_id } = ok(await erase(bard.sub, { mode: "anonymise" }));
    assert.equal((await ended(erasure_id)).status, "done");
    assert.deepEqual(await inPostgres("bard"), []);
    const [row] = await database.query("select user_id, username, content, metadata, deleted_at from messages where id = $1", [message_id]);
    assert.deepEqual({ ...row }, { user_id: "", username: "erased", content: "a line to keep", metadata: {}, deleted_at: null });
    const { messages } = ok(await rest("GET", `/rooms/${left.open}/messages`, { as: "eve" }));
    assert.deepEqual(messages.filter((message) => JSON.stringify(message).includes("bard")), []);
    assert.equal(messages.find((message) => message.message_id === message_id).content, "a line to keep");
  });

  test("V11: no table of any object has anything of it", async () => {
    await server.kill9();
    assert.deepEqual(onDisk("canary"), []);
  });
});
