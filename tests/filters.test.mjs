// Filters, held messages, terms and the delay, end to end: over sockets and REST, and what PostgreSQL holds of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

const ADVERT = "cheap viewers and followers, dm me, click here";
const MOD = { sub: "mod", username: "Mod", roles: ["moderator"] };

let db;
let server;
let join;
let rest;

before(async () => {
  db = await testDatabase();
  server = await startServer({ databaseUrl: db.url, vars: { ENABLE_PROFANITY_FILTER: "true", ENABLE_SPAM_DETECTION: "true" } });
  ({ join, rest } = chat(server));
});

after(async () => {
  await server?.stop();
  await db?.drop();
});

const row = async (query, ...values) => (await db.query(query, values))[0];

test("swearing is masked for all, and the original is there for moderators, from the log and from PostgreSQL", async () => {
  const zoe = await join("mask_1", "zoe");
  const { message_id } = await zoe.request("send_message", { content: "what a shit day" });
  assert.equal((await zoe.next("new_message")).data.content, "what a **** day");
  const read = async (as) => (await rest("GET", "/rooms/mask_1/messages", { as })).body.messages[0];
  assert.equal((await read("bob")).original, undefined);
  const seen = await read(MOD);
  assert.deepEqual([seen.original, seen.reasons[0].code], ["what a shit day", "profanity"]);
  const stored = () => row("select content, original, reasons from messages where id = $1", message_id);
  assert.ok(await until(3_000, async () => (await stored())?.original));
  assert.deepEqual([(await stored()).content, (await stored()).reasons[0].code], ["what a **** day", "profanity"]);

  // The log lets go of it, and PostgreSQL answers.
  await server.kill9();
  for (const table of ["log", "state"]) await server.sql("Room", "mask_1", `delete from ${table}`);
  await server.restart();
  assert.equal((await read("bob")).original, undefined);
  assert.equal((await read(MOD)).original, "what a shit day");
  assert.equal((await rest("DELETE", `/messages/${message_id}`, { as: MOD })).status, 200);
  assert.ok(await until(3_000, async () => (await stored()).original === null));
});

test("a held message waits, is allowed or denied, and all of it is in the audit", async () => {
  const [zoe, bob, mod] = [await join("held_1", "zoe"), await join("held_1", "bob"), await join("held_1", MOD)];
  const held = await zoe.request("send_message", { content: ADVERT, client_id: "c-1" });
  assert.equal(held.held, true);
  const told = (await mod.next("message_held")).data;
  assert.deepEqual([told.held_id, told.user.user_id, told.reasons[0].code], [held.message_id, "zoe", "spam"]);
  assert.equal((await zoe.next("message_held")).data.held_id, held.message_id);
  const list = await rest("GET", "/rooms/held_1/held", { as: MOD });
  assert.deepEqual(list.body.held.map(({ held_id, content }) => [held_id, content]), [[held.message_id, ADVERT]]);
  assert.equal((await rest("GET", "/rooms/held_1/held", { as: "zoe" })).body.code, "forbidden");
  assert.ok(await until(3_000, () => row("select from held where room_id = 'held_1'")));

  await server.evict("Room", "held_1");
  const allowed = await rest("POST", `/rooms/held_1/held/${held.message_id}/allow`, { as: MOD });
  assert.equal(allowed.status, 200);
  const said = (await bob.next("new_message")).data;
  assert.deepEqual([said.message_id, said.held_id, said.client_id, said.no], [allowed.body.message_id, held.message_id, "c-1", 1]);
  assert.equal((await zoe.next("message_released")).data.message_id, said.message_id);
  assert.equal((await rest("POST", `/rooms/held_1/held/${held.message_id}/allow`, { as: MOD })).body.code, "message_not_found");

  const second = await zoe.request("send_message", { content: `once more ${ADVERT}` });
  const denied = await rest("POST", `/rooms/held_1/held/${second.message_id}/deny`, { as: MOD, body: { reason: "no ads" } });
  assert.equal(denied.status, 200);
  const { data } = await zoe.next("message_denied");
  assert.deepEqual([data.held_id, data.outcome, data.reason], [second.message_id, "denied", "no ads"]);

  const acts = () => db.query("select action, actor_id, target from audit where room_id = 'held_1' order by created_at");
  assert.ok(await until(3_000, async () => (await acts()).length === 2));
  assert.deepEqual((await acts()).map(({ action, actor_id, target }) => [action, actor_id, target]),
    [["allow_message", "mod", "zoe"], ["deny_message", "mod", "zoe"]]);
  assert.equal(await row("select from held where room_id = 'held_1'"), undefined);
  assert.deepEqual(await row("select id, held_id from messages where room_id = 'held_1'"), { id: said.message_id, held_id: held.message_id });
});

test("terms are tried, set, kept by PostgreSQL and hold after a wake", async () => {
  const zoe = await join("terms_1", "zoe");
  const body = { content: "no SPOILERS please", blocked: ["spoil*"], action: "mask" };
  const tried = await rest("POST", "/rooms/terms_1/terms/test", { as: MOD, body });
  assert.deepEqual([tried.body.verdict, tried.body.content], ["mask", "no ******** please"]);
  assert.equal((await rest("GET", "/rooms/terms_1/terms", { as: MOD })).body.blocked.length, 0);
  const bad = await rest("PUT", "/rooms/terms_1/terms", { as: MOD, body: { blocked: ["fine", "*"] } });
  assert.deepEqual([bad.status, bad.body.errors[0].pointer], [400, "#/blocked/1"]);
  assert.equal((await rest("PUT", "/rooms/terms_1/terms", { as: "zoe", body: { blocked: [] } })).status, 403);
  const set = await rest("PUT", "/rooms/terms_1/terms", { as: MOD, body: { blocked: ["spoil*"], allowed: ["spoiled milk"] } });
  assert.deepEqual(set.body, { blocked: ["spoil*"], allowed: ["spoiled milk"], action: "reject" });
  await server.evict("Room", "terms_1");
  await assert.rejects(zoe.request("send_message", { content: "no spoilers" }), ({ code }) => code === "content_rejected");
  await zoe.request("send_message", { content: "spoiled milk" });
  const over = await rest("POST", "/rooms/terms_1/messages", { as: "zoe", body: { content: "spoilers" } });
  assert.deepEqual([over.status, over.body.code], [422, "content_rejected"]);
  assert.ok(await until(3_000, async () => (await row("select terms from rooms where id = 'terms_1'"))?.terms.blocked?.length === 1));
  assert.equal((await row("select count(*) from audit where room_id = 'terms_1' and action = 'set_terms'")).count, "1");
});

test("under a delay moderators see first, and what they take away nobody else ever sees", async () => {
  await rest("POST", "/rooms", { as: "own", body: { room_id: "delay_1", name: "Late", type: "stream", settings: { delay_s: 2 } } });
  const [zoe, bob, mod] = [await join("delay_1", "zoe"), await join("delay_1", "bob"), await join("delay_1", MOD)];
  const rude = await zoe.request("send_message", { content: "a rude word" });
  const kept = await zoe.request("send_message", { content: "a kind word" });
  const began = performance.now();
  assert.equal((await mod.next("new_message")).data.message_id, rude.message_id);
  await mod.request("delete_message", { message_id: rude.message_id });
  const contents = async (as) => (await rest("GET", "/rooms/delay_1/messages", { as })).body.messages.map(({ content }) => content);
  assert.deepEqual([await contents("bob"), (await contents(MOD)).length], [[], 2]);
  const first = await bob.next("new_message", 4_000);
  assert.equal(first.data.message_id, kept.message_id);
  assert.ok(performance.now() - began > 1_500);
  assert.deepEqual(await contents("bob"), ["a kind word"]);
  assert.ok(await until(3_000, async () => (await row("select deleted_at from messages where id = $1", rude.message_id))?.deleted_at));
  await server.kill9();
  for (const table of ["log", "state"]) await server.sql("Room", "delay_1", `delete from ${table}`);
  await server.restart();
  assert.deepEqual(await contents("bob"), ["a kind word"]);
  assert.equal((await contents(MOD)).length, 2);
});

test("followers by their tokens, over REST too", async () => {
  const now = Math.floor(Date.now() / 1000);
  const who = (sub, grant) => ({ sub, username: sub, rooms: { follow_1: grant } });
  await rest("POST", "/rooms", { as: "own", body: { room_id: "follow_1", name: "F", type: "video", settings: { followers_only_s: 60 } } });
  const say = async (as) => (await rest("POST", "/rooms/follow_1/messages", { as, body: { content: "hello" } })).status;
  assert.deepEqual(
    [await say("zoe"), await say(who("new", { followed_at: now - 10 })), await say(who("old", { followed_at: now - 100 })),
      await say(who("sub", { subscribed_at: now - 1 }))],
    [403, 403, 201, 201],
  );
});
