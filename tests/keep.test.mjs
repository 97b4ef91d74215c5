// What is kept and what is given out: retention, legal holds, and the export of a room and of a user.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import pg from "pg";
import { RoomModel } from "../client/web/sdk/room-model.js";
import { chat, startServer, testDatabase, token, until } from "./harness/index.mjs";

const SERVICE = { sub: "svc", username: "Svc", roles: ["service"] };

let db, server, join, rest;
before(async () => {
  db = await testDatabase();
  const vars = { RATE_LIMIT_MESSAGES: "1000", RATE_LIMIT_SERVICE_MESSAGES: "100000", AUTO_CREATE_ROOMS: "false" };
  server = await startServer({ databaseUrl: db.url, vars });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await db?.drop();
});

async function done(method, path, options) {
  const { status, body } = await rest(method, path, options);
  assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(body)}`);
  return body;
}

/** A room of `owner`'s in which `count` messages were said, one after the other. */
async function talked(room, owner, count) {
  await done("POST", "/rooms", { as: owner, body: { room_id: room, name: "R", type: "video" } });
  const socket = await join(room, owner);
  for (let n = 1; n <= count; n += 50) {
    const some = Array.from({ length: Math.min(50, count - n + 1) }, (_, i) => `word ${n + i}`);
    await Promise.all(some.map((content) => socket.request("send_message", { content })));
  }
  await drained(room, count);
  return socket;
}

const numbers = async (room) => (await db.query("select no from messages where room_id = $1 order by no", [room])).map(({ no }) => Number(no));
const drained = async (room, count) => assert.ok(await until(15_000, async () => (await numbers(room)).length === count), "PostgreSQL has them");
const patch = (room, as, settings) => rest("PATCH", `/rooms/${room}`, { as, body: { settings } });
const from = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

test("V4, V6: what a room keeps no longer is gone, live and on coming back, in history and in PostgreSQL", async () => {
  const room = "keep_count";
  const own = await talked(room, "own", 130);
  const { epoch } = own.joined;
  const pinned = own.lines.find(({ event, data }) => event === "new_message" && data.no === 3).data.message_id;
  await done("PUT", `/rooms/${room}/pins/${pinned}`, { as: "own" });
  await own.next("message_pinned");
  const model = new RoomModel();
  model.joined({ ...own.joined, room: { ...own.joined.room, pinned: [pinned] } });
  for (const line of own.lines) if (line.event) model.apply(line, Date.now());
  assert.equal(model.messages.length, 130);

  assert.equal((await patch(room, "bob", { retention_messages: 100 })).body.code, "forbidden");
  assert.equal((await patch(room, "own", { retention_messages: 99 })).body.code, "invalid_settings");
  assert.equal((await patch(room, "own", { retention_messages: 100 })).status, 200);
  const expired = await own.next("messages_expired", 20_000);
  assert.deepEqual(expired.data, { room_id: room, before_no: 31, pinned: [] });
  model.apply(expired, Date.now());
  assert.deepEqual([model.messages.length, model.messages[0].no, model.room.pinned, model.hasMore], [100, 31, [], false]);
  // A page that was asked for before them, and comes after.
  model.prepend({ messages: [{ message_id: "late", no: 30 }], has_more: true });
  assert.deepEqual([model.messages.length, model.hasMore], [100, false]);
  assert.ok(await until(15_000, async () => (await numbers(room)).length === 100));
  assert.deepEqual(await numbers(room), from(31, 130));
  assert.deepEqual(await db.query("select first_no, pinned from rooms where id = $1", [room]), [{ first_no: "31", pinned: [] }]);

  const page = await done("GET", `/rooms/${room}/messages?limit=60&page=2`, { as: "own" });
  assert.deepEqual([page.total, page.has_more, page.messages.length, page.messages.at(-1).no], [100, false, 40, 31]);
  const fresh = await join(room, "bob");
  assert.deepEqual([fresh.joined.messages.length, fresh.joined.room.message_count], [100, 100]);
  // Who was away since the first of them: what is left of what was said, and that the others are gone.
  const back = await join(room, "ada", { resume: { epoch, seq: own.joined.seq } });
  assert.equal(back.joined.resumed, true);
  const said = back.joined.events.filter(({ event }) => event === "new_message").map(({ data }) => data.no);
  assert.deepEqual(said, from(31, 130));
  assert.equal(back.joined.events.filter(({ event }) => event === "messages_expired").length, 1);
  assert.ok(!JSON.stringify(back.joined.events).includes("word 30"));
});

test("days count from when it was said", async () => {
  const room = "keep_days";
  await talked(room, "own", 120);
  await db.query("update messages set created_at = created_at - interval '3 days' where room_id = $1 and no <= 20", [room]);
  assert.equal((await patch(room, SERVICE, { retention_days: 2 })).status, 200);
  assert.ok(await until(15_000, async () => (await numbers(room)).length === 100));
  assert.deepEqual((await numbers(room))[0], 21);
  const { body } = await rest("GET", `/rooms/${room}/messages?after=0&limit=1`, { as: "own" });
  assert.deepEqual([body.messages[0].no, body.total], [21, 100]);
});

test("a hold counts at once: nothing of the room expires, and lifted it does", async () => {
  const room = "keep_hold";
  const own = await talked(room, "own", 130);
  const message_id = own.lines.find(({ event, data }) => event === "new_message" && data.no === 120).data.message_id;
  const place = { as: SERVICE, body: { room_id: room, reason: "case 17" } };
  assert.equal((await rest("POST", "/holds", { ...place, as: "own" })).body.code, "forbidden");
  assert.equal((await rest("POST", "/holds", { as: SERVICE, body: { reason: "case 17" } })).body.code, "bad_request");
  const hold = await done("POST", "/holds", place);
  const user = await done("POST", "/holds", { as: SERVICE, body: { user_id: "own", reason: "case 18" } });
  assert.deepEqual({ ...hold, hold_id: 0, placed_at: 0 }, {
    hold_id: 0, room_id: room, user_id: null, reason: "case 17", placed_by: "svc", placed_at: 0, lifted_by: null, lifted_at: null,
  });
  const { holds } = await done("GET", "/holds?limit=1", { as: SERVICE });
  assert.deepEqual(holds, [user]);
  assert.deepEqual((await done("GET", `/holds?before=${user.hold_id}`, { as: SERVICE })).holds, [hold]);

  const { seq } = (await done("GET", `/rooms/${room}/stats`, { as: "own" }));
  await patch(room, "own", { retention_messages: 100 });
  // The room asked, and was told to leave it.
  const kept = () => JSON.parse(server.copied("Room", room, "select value from state where key = 'kept'")[0]?.value ?? "{}");
  assert.ok(await until(15_000, () => kept().held));
  await own.request("delete_message", { message_id });
  assert.ok(await until(15_000, async () => (await db.query("select from hold_copies where message_id = $1", [message_id])).length === 1));
  assert.deepEqual(await db.query("select content from hold_copies where message_id = $1", [message_id]), [{ content: "word 120" }]);
  const stats = await done("GET", `/rooms/${room}/stats`, { as: "own" });
  assert.deepEqual([stats.seq, stats.message_count, (await numbers(room)).length], [seq + 2, 130, 130]);

  const lifted = await done("DELETE", `/holds/${hold.hold_id}`, { as: SERVICE });
  assert.deepEqual([lifted.lifted_by, await done("DELETE", `/holds/${hold.hold_id}`, { as: SERVICE })], ["svc", lifted]);
  assert.equal((await rest("DELETE", "/holds/01a209e5-b9b3-75fe-b369-e70000000006", { as: SERVICE })).body.code, "hold_not_found");
  const audit = await db.query("select action, target, room_id, details from audit where action like '%_hold' order by created_at, id");
  assert.deepEqual(audit.map(({ action, target, room_id, details }) => [action, target, room_id, details.room_id]), [
    ["place_hold", null, null, room], ["place_hold", "own", null, null], ["lift_hold", null, null, room],
  ]);
  // Those who are under it are not told.
  assert.ok(!JSON.stringify(await done("GET", `/rooms/${room}/audit`, { as: "own" })).match(/_hold|case 17/));
  // The user's own hold still stands: viewers see the messages no more, and PostgreSQL keeps them.
  await patch(room, "own", { retention_messages: 110 });
  await own.next("messages_expired", 20_000);
  assert.ok(await until(15_000, async () => (await db.query("select first_no from rooms where id = $1", [room]))[0].first_no === "21"));
  assert.equal((await numbers(room)).length, 130);
  const copies = () => db.query("select from hold_copies where message_id = $1", [message_id]);
  assert.equal((await copies()).length, 1);
  await done("DELETE", `/holds/${user.hold_id}`, { as: SERVICE });
  assert.equal((await copies()).length, 0);
  await patch(room, "own", { retention_messages: 120 });
  assert.ok(await until(15_000, async () => (await numbers(room)).length === 110));
});

test("what is deleted at once has a bound in reactions too, and waits for no hold that is being written", async () => {
  const room = "keep_sql";
  await db.query(`insert into messages (id, room_id, no, user_id, username, content, type, visible_at, created_at, epoch, seq)
    select gen_random_uuid(), $1, n, case when n % 2 = 0 then 'ada' else 'bob' end, 'A', 'a', 'text', now(), now(), 1, n from generate_series(1, 600) n`, [room]);
  await db.query(`insert into reactions select id, 'u' || n, 'x', now() from messages, generate_series(1, 120) n where room_id = $1`, [room]);
  const expiry = async () => (await db.query("select chat_expiry($1, 601, null, null, 500) as answer", [room]))[0].answer;
  const other = new pg.Client({ connectionString: db.url });
  await other.connect();
  try {
    await other.query("begin");
    await other.query("insert into legal_holds values (gen_random_uuid(), $1, 'ada', 'case 19', 'adm', now())", [room]);
    const begun = Date.now();
    assert.deepEqual(await expiry(), { before_no: 601, oldest_at: null, more: false, held: true });
    assert.ok(Date.now() - begun < 5_000, "it does not wait");
    assert.equal((await numbers(room)).length, 600);
    await other.query("commit");
  } finally {
    await other.end();
  }
  assert.deepEqual(await expiry(), { before_no: 601, oldest_at: null, more: true, held: true });
  assert.equal((await numbers(room)).length, 400);
  assert.deepEqual(await expiry(), { before_no: 601, oldest_at: null, more: false, held: true });
  assert.deepEqual(await numbers(room), Array.from({ length: 300 }, (_, i) => 2 * i + 2));
  const [{ count }] = await db.query("select count(*) from reactions r join messages m on m.id = r.message_id where m.room_id = $1", [room]);
  assert.equal(Number(count), 300 * 120);
});

/** The lines of an export; all of them, or those that came before it was cut. */
async function lines(path, as, { most = Infinity, after } = {}) {
  const bearer = await token(typeof as === "string" ? { sub: as, username: as } : as);
  const url = `${server.url}/api${path}${after ? `?after=${encodeURIComponent(after)}` : ""}`;
  const cut = new AbortController();
  const response = await fetch(url, { headers: { authorization: `Bearer ${bearer}` }, signal: cut.signal });
  assert.deepEqual([response.status, response.headers.get("content-type")], [200, "application/x-ndjson"]);
  const all = [];
  let rest_ = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest_ + chunk).split("\n");
    rest_ = parts.pop();
    all.push(...parts.map((line) => JSON.parse(line)));
    if (all.length >= most) {
      cut.abort();
      break;
    }
  }
  return all;
}

const of = (all, kind) => all.filter((line) => line.kind === kind);

test("an export of 3,000 messages that was cut is gone on with: whole, and nothing twice", async () => {
  const room = "keep_export";
  await done("POST", "/rooms", { as: "own", body: { room_id: room, name: "R", type: "video" } });
  const own = await join(room, "own");
  const svc = await join(room, SERVICE);
  for (let n = 0; n < 3_000; n += 250) {
    await Promise.all(Array.from({ length: 250 }, (_, i) => svc.request("send_message", { content: `word ${n + i}` }, 20_000)));
  }
  const { message_id } = await own.request("send_message", { content: "the last one" });
  const mod = { sub: "mod", username: "Mod", roles: ["moderator"] };
  await done("PUT", `/rooms/${room}/pins/${message_id}`, { as: "own" });
  await done("POST", `/messages/${message_id}/report`, { as: "bob", body: { room_id: room, reason: "spam" } });
  await done("POST", `/rooms/${room}/ban`, { as: mod, body: { user_id: "zoe", reason: "rude", shadow: true } });
  await done("PUT", `/rooms/${room}/roles/eve`, { as: "own", body: { role: "moderator" } });
  await own.request("react", { message_id, reaction: "👍" });

  assert.equal((await rest("GET", `/rooms/${room}/export`, { as: mod })).body.code, "forbidden");
  assert.equal((await rest("GET", `/rooms/${room}/export?after=messages:x`, { as: "own" })).body.code, "invalid_parameter");
  const first = await lines(`/rooms/${room}/export`, "own", { most: 1_200 });
  assert.equal(of(first, "end").length, 0, "cut");
  const second = await lines(`/rooms/${room}/export`, "own", { after: first.at(-1).cursor });
  const all = [...first, ...second];
  const [begin] = of(all, "export");
  const end = all.at(-1);
  assert.deepEqual([end.kind, end.room_id, end.up_to_seq], ["end", room, end.seq]);
  assert.ok(begin.up_to_seq <= end.up_to_seq);
  assert.deepEqual(of(all, "message").map(({ no }) => no), from(1, 3_001));
  const cursors = all.map(({ cursor }) => cursor).filter(Boolean);
  assert.equal(new Set(cursors).size, cursors.length);
  assert.deepEqual(of(all, "message").at(-1).reactions, [{ user_id: "own", reaction: "👍" }]);
  assert.deepEqual(of(all, "room").map(({ pinned, owner_id }) => [pinned, owner_id]), [[[message_id], "own"]]);
  assert.deepEqual(of(all, "ban").map(({ user_id, shadow }) => [user_id, shadow]), [["zoe", true]]);
  assert.deepEqual(of(all, "role").map(({ user_id, role }) => [user_id, role]), [["eve", "moderator"]]);
  assert.deepEqual(of(all, "report").map(({ reporter_id, quoted }) => [reporter_id, quoted]), [["bob", "the last one"]]);
  assert.ok(of(all, "audit").some(({ action }) => action === "ban_user"));
});

test("exports that nobody reads on hold no connection to PostgreSQL", async () => {
  const room = "keep_slow";
  await done("POST", "/rooms", { as: "own", body: { room_id: room, name: "R", type: "video" } });
  const svc = await join(room, SERVICE);
  await svc.request("send_message", { content: "x" });
  await drained(room, 1);
  // More than all buffers on the way to a client take in.
  await db.query(`insert into messages (id, room_id, no, user_id, username, roles, content, type, visible_at, created_at, epoch, seq, audience)
    select gen_random_uuid(), room_id, no + n, user_id, username, roles, repeat('x', 4000), type, visible_at, created_at, epoch, seq + n, audience
    from messages, generate_series(1, 8000) n where room_id = $1`, [room]);
  const bearer = await token({ sub: "own", username: "own" });
  const cut = new AbortController();
  const options = { headers: { authorization: `Bearer ${bearer}` }, signal: cut.signal };
  const begun = await Promise.all(Array.from({ length: 5 }, () => fetch(`${server.url}/api/rooms/${room}/export`, options)));
  const held = async () => Number((await db.query(`select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and query like '%json_build_object(''cursor''%'`))[0].count);
  assert.ok(begun.every(({ status }) => status === 200));
  assert.ok(await until(20_000, async () => (await held()) === 0), `${await held()} connections are held`);
  // Nothing was lost by it.
  const [slow] = begun;
  const text = await slow.text();
  const kinds = text.trim().split("\n").map((line) => JSON.parse(line).kind);
  assert.deepEqual([kinds.filter((kind) => kind === "message").length, kinds.at(-1)], [8_001, "end"]);
  cut.abort();
});

test("a user's export has what the user may see, and nothing of a shadow ban", async () => {
  const room = "keep_user";
  await done("POST", "/rooms", { as: "own", body: { room_id: room, name: "R", type: "video" } });
  const [zed, own] = [await join(room, "zed"), await join(room, "own")];
  const { message_id } = await zed.request("send_message", { content: "mine" });
  await own.request("send_message", { content: "not zed's" });
  await zed.request("react", { message_id, reaction: "👍" });
  await done("PUT", "/users/own/block", { as: "zed" });
  await done("POST", `/messages/${(await own.request("send_message", { content: "x" })).message_id}/report`, { as: "zed", body: { room_id: room, reason: "spam" } });
  await done("POST", `/rooms/${room}/ban`, { as: "own", body: { user_id: "zed", shadow: true, reason: "secret" } });
  await zed.request("send_message", { content: "seen by nobody" });
  const bans = () => db.query("select from bans where room_id = $1", [room]);
  assert.ok(await until(15_000, async () => (await bans()).length === 1 && (await numbers(room)).length === 4));
  assert.ok(await until(15_000, async () => (await db.query("select from blocks where user_id = 'zed'")).length === 1));

  assert.equal((await rest("GET", "/users/zed/export", { as: "own" })).body.code, "forbidden");
  const mine = await lines("/users/zed/export", "zed");
  assert.deepEqual(of(mine, "message").map(({ content, room_id }) => [content, room_id]), [["mine", room], ["seen by nobody", room]]);
  assert.deepEqual([of(mine, "reaction").length, of(mine, "block")[0].user_id, of(mine, "report").length], [1, "own", 1]);
  assert.ok(!JSON.stringify(mine).match(/secret|shadow"? ?: ?true|user:zed|not zed's/));
  assert.deepEqual([of(mine, "ban"), mine.at(-1).kind, of(mine, "devices").length], [[], "end", 1]);
  const [{ up_to_seq, room_id }] = of(mine, "room");
  assert.ok(room_id === room && up_to_seq > 0);
  const whole = await lines("/users/zed/export", SERVICE);
  assert.deepEqual(of(whole, "ban").map(({ shadow, by }) => [shadow, by]), [[true, "own"]]);
});

test("the export of a user by a service says nothing of direct rooms, and the user's own does", async () => {
  const { room_id: dm } = await done("PUT", "/users/yan/direct", { as: "xia" });
  const letter = { content: JSON.stringify({ v: 1, alg: "megolm", device_id: "D1", session_id: "c2Vzc2lvbg", index: 0, ciphertext: "AACANARYAA" }), type: "encrypted", client_id: "c-1", franking: "A".repeat(43) };
  const { message_id } = await done("POST", `/rooms/${dm}/messages`, { as: "yan", body: letter });
  const xia = await join(dm, "xia");
  const { message_id: own } = await xia.request("send_message", { ...letter, client_id: "c-2" });
  await xia.request("react", { message_id, reaction: "👍" });
  const opened = "said in private";
  await rest("POST", `/messages/${message_id}/report`, { as: "xia", body: { room_id: dm, reason: "abuse", details: opened } });
  await talked("keep_open", "xia", 1);
  await drained(dm, 2);
  await db.query("insert into presence values ('xia', $1, '1', now()) on conflict do nothing", [dm]);
  assert.ok(await until(15_000, async () => (await db.query("select from reactions where message_id = $1", [message_id])).length === 1));
  const whole = JSON.stringify(await lines("/users/xia/export", "xia"));
  assert.ok([dm, message_id, own, "AACANARYAA"].every((text) => whole.includes(text)), whole);
  const theirs = JSON.stringify(await lines("/users/xia/export", SERVICE));
  assert.ok(theirs.includes("keep_open") && theirs.includes("word 1"));
  assert.ok([dm, message_id, own, "AACANARYAA", opened].every((text) => !theirs.includes(text)), theirs);
});
