// Webhooks, end to end: what a back end is posted, and what its troubles do to rooms.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, endpoint, startServer, testDatabase, until } from "./harness/index.mjs";

const secret = () => `whsec_${randomBytes(32).toString("base64")}`;
const SECRET = secret();
const METRICS_TOKEN = randomBytes(16).toString("hex");
const MOD = { sub: "mod", username: "Mod", roles: ["moderator"] };
const SERVICE = { sub: "backend", roles: ["service"] };

let database, hooks, server, second, join, rest;
before(async () => {
  database = await testDatabase();
  hooks = await endpoint({ secret: SECRET });
  server = await startServer({
    databaseUrl: database.url,
    // While one is rotated both sign.
    vars: { WEBHOOK_URL: hooks.url, WEBHOOK_SECRET: `${secret()},${SECRET}`, METRICS_TOKEN },
  });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await second?.stop();
  await hooks?.stop();
  await database?.drop();
});

const stats = async (room) => (await rest("GET", `/rooms/${room}/stats`, { as: MOD })).body;
const rows = async (room) => (await database.query("select content from messages where room_id = $1 order by no", [room])).map(({ content }) => content);
/** Has one room's posts answered so, and the others' taken. */
const answers = (room, answer) => {
  const others = hooks.answer;
  hooks.answer = (body, n) => (body.room_id === room ? answer(body, n) : others(body, n));
};

/** Says all of it, each acknowledged at once whatever the back end does. */
async function talk(who, ...contents) {
  for (const content of contents) {
    const began = performance.now();
    await who.request("send_message", { content });
    assert.ok(performance.now() - began < 5_000, "a send waits for nobody");
  }
}

/** Waits until the back end has just this of what was said. */
async function has(room, said, ms = 30_000) {
  const there = await until(ms, () => hooks.said(room).length >= said.length);
  assert.deepEqual(hooks.said(room), said, there ? "" : `not within ${ms} ms`);
  assert.deepEqual(hooks.faults, []);
}

test("H1, V7: messages, bans and no more are posted, signed, in order, as a guest sees them", async () => {
  const room = "hooks_all";
  const [ada, mod, guest] = [await join(room, "ada"), await join(room, MOD), await join(room, null)];
  await rest("POST", `/rooms/${room}/ban`, { as: MOD, body: { user_id: "zoe", shadow: true } });
  const zoe = await join(room, "zoe");
  await zoe.request("send_message", { content: "shadow" });
  const first = await ada.request("send_message", { content: "one <b>two</b> & \"three\"\nfour 👍" });
  assert.ok(await until(15_000, () => hooks.events(room).length === 1));
  await ada.request("edit_message", { message_id: first.message_id, content: "edited" });
  await ada.request("react", { message_id: first.message_id, reaction: "👍" });
  await mod.request("report_message", { message_id: first.message_id, reason: "spam" });
  await mod.request("pin_message", { message_id: first.message_id });
  await rest("POST", `/rooms/${room}/ban`, { as: MOD, body: { user_id: "eve", duration_s: 60, reason: "of no concern" } });
  await mod.request("delete_message", { message_id: first.message_id });
  const { seq } = await ada.request("send_message", { content: "last" });
  await guest.next((line) => line.seq === seq);
  await until(30_000, () => hooks.said(room).includes("last"));
  const wanted = ["new_message", "message_edited", "message_deleted", "messages_deleted", "user_banned", "user_unbanned"];
  const live = guest.lines.filter((line) => line.seq && wanted.includes(line.event));
  // What was edited and deleted before it went out is not there any more.
  const steady = ({ event }) => event !== "message_edited";
  assert.deepEqual(
    hooks.events(room).filter(steady).map(({ seq, event }) => [seq, event]),
    live.filter(steady).map(({ seq, event }) => [seq, event]),
  );
  const last = (all) => all.find((event) => event.seq === seq).data;
  assert.deepEqual(last(hooks.events(room)), last(live));
  const text = JSON.stringify(hooks.bodies(room));
  assert.ok(!/shadow|of no concern|spam|audience|visible_at|zoe/.test(text), text);
  const { hooked_seq, counters } = await until(10_000, async () => {
    const all = await stats(room);
    return all.hooked_seq >= seq && all;
  });
  assert.deepEqual([hooked_seq >= seq, counters.hook_failed, counters.hook_skipped], [true, 0, 0]);
  assert.deepEqual([hooks.most, hooks.faults], [1, []]);
});

test("H1: with moderation reports, reasons and whom it is for are posted, and of the events only those that are set", async () => {
  const other = await endpoint({ secret: SECRET });
  try {
    second = await startServer({
      databaseUrl: database.url,
      vars: { WEBHOOK_URL: other.url, WEBHOOK_SECRET: SECRET, WEBHOOK_EVENTS: "reports, bans", WEBHOOK_MODERATION: "true" },
    });
    const here = chat(second);
    const [room, zoe, ada] = ["hooks_other", await here.join("hooks_other", "zoe"), await here.join("hooks_other", "ada")];
    const { message_id } = await zoe.request("send_message", { content: "buy!" });
    await ada.request("report_message", { message_id, reason: "spam" });
    await here.rest("POST", `/rooms/${room}/ban`, { as: MOD, body: { user_id: "zoe", shadow: true, reason: "spam" } });
    assert.ok(await until(15_000, () => other.events(room).length >= 2));
    assert.deepEqual(other.events(room).map(({ event, audience }) => [event, audience]), [["message_reported", "moderators"], ["user_banned", "moderators"]]);
    const [report, ban] = other.events(room);
    assert.deepEqual([report.data.message_id, ban.data.reason], [message_id, "spam"]);
    assert.ok(Math.abs(ban.visible_at - Date.now()) < 60_000);
    assert.deepEqual(other.faults, []);
  } finally {
    await second?.stop();
    second = null;
    await other.stop();
  }
});

test("H1, V8: a back end that fails, hangs, asks to wait or redirects delays nobody, and is told all afterwards", async () => {
  const ways = {
    hooks_500: () => 500,
    hooks_hang: () => "hang",
    hooks_429: () => ({ status: 429, headers: { "retry-after": "7" } }),
    hooks_307: () => ({ status: 307, headers: { location: `${hooks.url}/elsewhere` } }),
  };
  const before = hooks.answer;
  let broken = true;
  hooks.answer = (body, n) => (broken && ways[body.room_id] ? ways[body.room_id](body, n) : before(body, n));
  const people = await Promise.all(Object.keys(ways).map((room) => join(room, SERVICE)));
  const said = ["one", "two"];
  await Promise.all(people.map((who) => talk(who, ...said)));
  const tried = (room) => hooks.requests.filter(({ body }) => body.room_id === room);
  assert.ok(await until(20_000, () => Object.keys(ways).every((room) => tried(room).length >= 1)));
  await Promise.all(people.map((who) => talk(who, "three")));
  for (const room of Object.keys(ways)) assert.ok(await until(15_000, async () => (await rows(room)).length === 3), "PostgreSQL has it as ever");
  const failed = async (room) => (await stats(room)).counters.hook_failed > 0;
  assert.ok(await until(25_000, async () => (await Promise.all(Object.keys(ways).map(failed))).every(Boolean)), "the one that hangs is given up");
  broken = false;
  await Promise.all(people.map((who) => talk(who, "four")));
  for (const room of Object.keys(ways)) {
    await has(room, ["one", "two", "three", "four"], 70_000);
    const [first, again] = tried(room);
    assert.deepEqual([again.id, again.body], [first.id, first.body], "the same again");
  }
  const [first, again] = tried("hooks_429");
  assert.ok(again.at - first.at >= 6_900, `asked to wait 7 s and waited ${again.at - first.at} ms`);
  assert.ok(tried("hooks_hang")[1].at - tried("hooks_hang")[0].at >= 9_900);
  assert.equal(hooks.most, 1);
  await server.log(/webhook: the back end answered 500/);
  await server.log(/webhook: no answer within 10000 ms/);
});

test("H1: many rooms are posted at once, three of a drain, and the others in turn", async () => {
  const rooms = Array.from({ length: 20 }, (_, i) => `hooks_turns_${i}`);
  const drains = 2;
  const before = hooks.answer;
  let [now, most] = [0, 0];
  hooks.answer = async (body, n) => {
    if (!rooms.includes(body.room_id)) return before(body, n);
    most = Math.max(most, ++now);
    await sleep(200);
    now--;
    return 204;
  };
  const people = await Promise.all(rooms.map((room) => join(room, SERVICE)));
  await Promise.all(people.map((who) => talk(who, "one")));
  for (const room of rooms) await has(room, ["one"]);
  assert.ok(most > 1 && most <= 3 * drains, `${most} at once`);
  for (const who of people) who.terminate();
});

test("H1: what was under way when the process was killed is posted again, and can be told", async () => {
  const room = "hooks_killed";
  const ada = await join(room, SERVICE);
  await talk(ada, "before");
  await has(room, ["before"]);
  const deaf = Promise.withResolvers();
  answers(room, (body) => (JSON.stringify(body).includes("during") ? (deaf.resolve(), "hang") : 204));
  await talk(ada, "during");
  await deaf.promise;
  await server.kill9();
  // The back end has had it, but nobody knows.
  const taken = hooks.requests.at(-1);
  taken.status = 204;
  answers(room, () => 204);
  await server.restart();
  const again = await join(room, SERVICE);
  await talk(again, "after");
  await has(room, ["before", "during", "after"]);
  const doubles = hooks.bodies(room).filter(({ events }) => events.some(({ data }) => data.content === "during"));
  assert.deepEqual(doubles.map(({ from }) => from), [taken.body.from, taken.body.from]);
});

test("H1: the back end is away for a while", async () => {
  const room = "hooks_away";
  const ada = await join(room, SERVICE);
  await talk(ada, "before");
  await has(room, ["before"]);
  await hooks.stop();
  await talk(ada, "during");
  assert.ok(await until(15_000, async () => (await stats(room)).counters.hook_failed > 0));
  assert.ok((await stats(room)).webhook_lag_ms > 0);
  await hooks.start();
  await talk(ada, "after");
  await has(room, ["before", "during", "after"]);
});

test("H1: one room's body that is refused stops no other room; of a back end that is gone it is left out, said so and counted", async () => {
  const [room, poor] = ["hooks_gone", "hooks_poison"];
  const [ada, eve, bob] = [await join(room, SERVICE), await join(poor, SERVICE), await join("hooks_fine", SERVICE)];
  answers(room, () => 410);
  answers(poor, () => 422);
  await talk(eve, "bitter words");
  await talk(ada, "one");
  await talk(bob, "fine");
  await has("hooks_fine", ["fine"]);
  await server.log(/webhook: the back end answered 410; 1 to \d+ of epoch \d+ are left out/, 15_000);
  assert.ok(await until(15_000, async () => (await stats(poor)).counters.hook_failed > 0));
  assert.equal((await stats(poor)).hooked_seq, 0);
  assert.equal((await stats(room)).counters.hook_skipped, 1);
  // An hour is too long here: a room that sleeps forgets to wait.
  answers(room, () => 204);
  const lines = await until(20_000, async () => {
    await talk(ada, "more");
    const text = await (await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } })).text();
    return /^edge_chat_batches_total\{sink="webhook",outcome="left_out",drain="\d"\} 1$/m.test(text) && text;
  });
  assert.ok(lines, "it is counted");
  assert.match(lines, /^edge_chat_batches_total\{sink="webhook",outcome="ok",drain="\d"\} [1-9]/m);
  assert.match(lines, /^edge_chat_lag_events\{sink="webhook",drain="\d"\} [1-9]/m);
  await server.evict("Room", room);
  await talk(await join(room, SERVICE), "last");
  assert.ok(await until(20_000, () => hooks.said(room).includes("last")));
  const [body] = hooks.bodies(room);
  assert.deepEqual([body.from, body.left_out.from], [1, 1]);
  assert.ok(!hooks.said(room).includes("one") && hooks.said(room)[0] === "more");
  const logged = server.logs.map(({ text }) => text).join("\n");
  assert.ok(!logged.includes(SECRET.slice(6)) && !logged.includes(hooks.url) && !logged.includes("bitter words"), "no secret and no message is logged");
});
