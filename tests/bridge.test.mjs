// The Redis bridge, end to end: what comes into a room's stream and channel, and what Redis's troubles do to rooms.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { cpSync, rmSync } from "node:fs";
import { join as path } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, command, entries, listen, relay, startServer, testDatabase, throwAwayRedis, until } from "./harness/index.mjs";

const KEY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4";
const PASSWORD = "of-redis-not-to-be-logged";
const MOD = { sub: "mod", username: "Mod", roles: ["moderator"] };
const SERVICE = { sub: "backend", roles: ["service"] };

let database, redis, link, server, second, join, rest;
before(async () => {
  database = await testDatabase();
  redis = await throwAwayRedis("--requirepass", PASSWORD, "--appendonly", "yes", "--appendfsync", "always");
  link = await relay(`redis://127.0.0.1:${redis.port}`);
  server = await startServer({
    databaseUrl: database.url,
    vars: { REDIS_URL: `redis://:${PASSWORD}@127.0.0.1:${link.port}/0`, REDIS_SIGNING_KEY: KEY },
  });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await second?.stop();
  await link?.cut();
  await redis?.stop();
  await database?.drop();
});

const as = { password: PASSWORD };
const stream = (room) => entries(redis, room, as).catch(() => []);
const redisSays = (...words) => command(redis, words, as);
const stats = async (room) => (await rest("GET", `/rooms/${room}/stats`, { as: MOD })).body;

/** The room's stream once it is as long, or says why not. */
async function grown(room, length, ms = 15_000) {
  const there = await until(ms, async () => ((await stream(room)).length >= length ? stream(room) : null));
  assert.ok(there, `${length} entries of ${room} in ${ms} ms; there are ${(await stream(room)).length}`);
  return there;
}

/** That every entry says what stood before it, so that nobody could have missed one, and is of one epoch. */
function whole(found, room) {
  let last = 0;
  for (const { id, fields } of found) {
    assert.deepEqual([fields.room, id], [room, `${fields.epoch}-${fields.seq}`]);
    assert.equal(fields.epoch, found[0].fields.epoch);
    assert.equal(Number(fields.after), last, `what stands before ${id}`);
    last = Number(fields.seq);
  }
}

const contents = (found) => found.filter(({ event }) => event === "new_message").map(({ data }) => data.content);
const signed = (fields) => {
  const lines = ["room", "epoch", "seq", "after", "event", "audience", "visible_at", "data"].filter((name) => name in fields);
  return createHmac("sha256", KEY).update(lines.map((name) => `${name}=${fields[name]}`).join("\n")).digest("hex");
};

test("B1: what a guest sees live is what comes into the stream and the channel: all of it, in order, once, signed", async (t) => {
  const room = "bridge_all";
  const ada = await join(room, "ada");
  const heard = await listen(redis, room, as);
  t.after(() => heard.end());
  const [bob, mod, guest] = [await join(room, "bob"), await join(room, MOD), await join(room, null)];
  const first = await ada.request("send_message", { content: "one <b>two</b> & \"three\"\nfour", client_id: "c-1" });
  await bob.request("send_message", { content: "reply 👍", reply_to: first.message_id });
  // What is edited before it goes out goes out edited.
  await grown(room, 2);
  await bob.request("react", { message_id: first.message_id, reaction: "👍" });
  await ada.request("edit_message", { message_id: first.message_id, content: "edited" });
  const gone = await bob.request("send_message", { content: "regretted" });
  await bob.request("delete_message", { message_id: gone.message_id });
  await mod.request("pin_message", { message_id: first.message_id });
  assert.equal((await rest("POST", `/rooms/${room}/ban`, { as: MOD, body: { user_id: "bob", duration_s: 60, reason: "of no concern" } })).status, 200);
  const { seq } = await ada.request("send_message", { content: "last" });
  await guest.next((line) => line.seq === seq);

  const live = guest.lines.filter((line) => line.seq);
  const found = await grown(room, live.length);
  // What was deleted before it went out is a tombstone by then, as on resuming.
  const erased = (event, data) => (data.message_id === gone.message_id && event === "new_message" ? { ...data, content: "", deleted_at: null } : data);
  assert.deepEqual(
    found.map(({ seq, event, data }) => ({ seq, event, data: erased(event, data) })),
    live.map(({ seq, event, data }) => ({ seq, event, data: erased(event, data) })),
  );
  whole(found, room);
  assert.ok(!JSON.stringify(found).includes("of no concern"));
  for (const { fields } of found) assert.equal(fields.sig, signed(fields));

  assert.ok(await until(3_000, () => heard.length >= found.length));
  assert.deepEqual(heard.map((said) => String(said.seq)), found.map(({ fields }) => fields.seq));
  for (const said of heard) {
    assert.deepEqual([said.room, said.sig, typeof said.seq, typeof said.data], [room, signed(said), "number", "string"]);
  }
  const life = Number(await redisSays("TTL", `chat:room:${room}:events`));
  assert.ok(life > 24 * 3600 && life <= 25 * 3600, `lives ${life} s`);
  assert.equal((await stats(room)).bridged_seq >= seq, true);
});

test("B1, V7: what is held, said by a shadow-banned user or not visible yet is not let out", async () => {
  const room = "bridge_hidden";
  const [ada, zoe, mod] = [await join(room, "ada"), await join(room, "zoe"), await join(room, MOD)];
  await rest("PUT", `/rooms/${room}/terms`, { as: MOD, body: { blocked: ["spoil*"], action: "hold" } });
  const held = await ada.request("send_message", { content: "spoiler: held" });
  assert.equal(held.held, true);
  await rest("POST", `/rooms/${room}/ban`, { as: MOD, body: { user_id: "zoe", shadow: true } });
  await zoe.request("send_message", { content: "shadow" });
  await mod.request("set_modes", { modes: { delay_s: 4 } });
  const began = Date.now();
  const late = await ada.request("send_message", { content: "delayed" });
  const taken = await ada.request("send_message", { content: "taken back in time" });
  await ada.request("delete_message", { message_id: taken.message_id });
  while (Date.now() - began < 3_500) {
    const text = JSON.stringify(await stream(room));
    assert.ok(!/delayed|shadow|held|taken/.test(text), text);
    await sleep(250);
  }
  assert.ok(await until(4_000, async () => contents(await stream(room)).includes("delayed")));
  const found = await stream(room);
  assert.ok(!/shadow|spoiler|taken/.test(JSON.stringify(found)));
  assert.equal(found.find(({ event }) => event === "new_message").seq, late.seq);
  whole(found, room);
});

test("B1: what others say on its channel does not wake a room that sleeps", async () => {
  const room = "bridge_sleep";
  const ada = await join(room, "ada");
  await ada.request("send_message", { content: "good night" });
  await grown(room, 1);
  await server.evict("Room", room);
  const wakes = () => server.logs.filter(({ message }) => message.startsWith(`room wake: ${room} `)).length;
  const before_ = wakes();
  await redisSays("PUBLISH", `chat:room:${room}`, "hello?");
  await sleep(1_500);
  assert.equal(wakes(), before_);
});

test("B1: what is older than a day is taken out of the stream with the next that comes", async () => {
  const room = "bridge_aged";
  const ada = await join(room, "ada");
  for (const content of ["one", "two", "three"]) await ada.request("send_message", { content });
  const before_ = await grown(room, 3);
  assert.ok(await until(5_000, async () => (await stats(room)).bridged_seq === before_.at(-1).seq));
  await server.kill9();
  for (const { last_seq: row, events } of server.sql("Room", room, "SELECT last_seq, events FROM log")) {
    const at = Date.now() - (row <= before_[1].seq ? 24.1 : 23.9) * 3_600_000;
    const aged = JSON.parse(events).map((event) => ({ ...event, at, visible_at: at }));
    server.sql("Room", room, "UPDATE log SET events = ? WHERE last_seq = ?", JSON.stringify(aged), row);
  }
  await server.restart();
  const again = await join(room, "ada");
  const { seq } = await again.request("send_message", { content: "four" });
  assert.ok(await until(15_000, async () => (await stream(room)).at(-1).seq === seq), JSON.stringify(await stream(room)));
  assert.deepEqual(contents(await stream(room)), ["three", "four"]);
});

const rows = async (room) => (await database.query("select content from messages where room_id = $1 order by no", [room])).map(({ content }) => content);

/** Breaks Redis, talks meanwhile, mends it: the room and PostgreSQL notice nothing, and the stream misses nothing. */
async function outage(room, { broken, mended, first = ["before"], lasts = 0 }) {
  const ada = await join(room, SERVICE);
  const said = [];
  const say = async (content) => {
    const began = performance.now();
    await ada.request("send_message", { content });
    assert.ok(performance.now() - began < 1_000, "a send waits for nobody");
    said.push(content);
  };
  for (const content of first) await say(content);
  await grown(room, said.length);
  await broken();
  for (let i = 0; i < 4; i++) {
    await say(`during ${i}`);
    await sleep(250);
  }
  assert.ok(await until(2_500, async () => (await rows(room)).length === said.length), "PostgreSQL has it as ever");
  await sleep(lasts);
  const { counters } = await stats(room);
  await mended();
  await say("after");
  assert.ok(await until(2_500, async () => (await rows(room)).length === said.length));
  const found = await grown(room, said.length);
  assert.deepEqual(contents(found), said);
  whole(found, room);
  return counters;
}

const stop = () => redis.kill("SIGKILL");
const start = () => redis.start();

test("B1, V8: Redis is killed and comes back with what it had", async () => {
  const counters = await outage("bridge_killed", { broken: stop, mended: start });
  assert.ok(counters.bridge_failed > 0 && counters.drains_failed === 0, JSON.stringify(counters));
});

test("B1, V8: Redis comes back without its data, or with an older copy, and is told again", async () => {
  const data = path(redis.home, "appendonlydir");
  const forget = async () => {
    await stop();
    rmSync(data, { recursive: true });
    await start();
  };
  await outage("bridge_emptied", { broken: () => {}, mended: forget, first: ["one", "two"] });
  const copy = path(redis.home, "copy");
  const older = {
    async broken() {
      await stop();
      cpSync(data, copy, { recursive: true });
      await start();
    },
    async mended() {
      await grown("bridge_older", 5);
      await stop();
      rmSync(data, { recursive: true });
      cpSync(copy, data, { recursive: true });
      await start();
    },
  };
  await outage("bridge_older", older);
});

const connected = async () => (await redisSays("CLIENT", "LIST")).split("\n").filter((line) => line.includes("user=edge")).length;

test("B1: prefix, user and database are those that are set; with moderation the audience is said", async () => {
  await redisSays("ACL", "SETUSER", "edge", "on", ">secret", "~other:*", "&other:*", "+@all");
  second = await startServer({
    databaseUrl: database.url,
    vars: {
      REDIS_HOST: "127.0.0.1", REDIS_PORT: String(redis.port), REDIS_USERNAME: "edge", REDIS_PASSWORD: "secret", REDIS_DB: "3",
      REDIS_PREFIX: "other:", BRIDGE_MODERATION: "true",
    },
  });
  const here = chat(second);
  const zoe = await here.join("bridge_other", "zoe");
  await here.rest("POST", "/rooms/bridge_other/ban", { as: MOD, body: { user_id: "zoe", shadow: true, reason: "spam" } });
  await zoe.request("send_message", { content: "to whom?" });
  const there = { prefix: "other:", database: 3, ...as };
  const found = await until(5_000, async () => {
    const all = await entries(redis, "bridge_other", there).catch(() => []);
    return contents(all).length ? all : null;
  });
  assert.ok(found);
  assert.deepEqual(found.map(({ event, fields }) => [event, fields.audience, "sig" in fields]), [
    ["user_banned", "moderators", false],
    ["new_message", "user:zoe", false],
  ]);
  assert.deepEqual(found[0].data.reason, "spam");
  assert.ok(Math.abs(Number(found[0].fields.visible_at) - Date.now()) < 60_000);
  assert.deepEqual(await redisSays("KEYS", "other:*"), []);
  assert.ok((await connected()) > 0);
});

test("B1, V8: a Redis that answers nothing for longer than it is waited for delays nobody", async () => {
  const counters = await outage("bridge_slow", { broken: () => redis.kill("SIGSTOP"), lasts: 10_000, mended: () => redis.kill("SIGCONT") });
  assert.ok(counters.bridge_failed > 0 && counters.drains_failed === 0, JSON.stringify(counters));
  assert.ok(await until(3_000, async () => (await connected()) === 0), "a bridge without work lets its connection go");
});

test("B1, V8: a line to Redis that is slow, half gone or cut delays nobody", async () => {
  const slow = () => {
    link.reset();
    link.slow({ delay: 1_000, jitter: 100 });
  };
  await outage("bridge_late", { broken: slow, mended: () => link.heal() });
  const { bridge_failed } = await outage("bridge_half_gone", { broken: () => link.forget(), lasts: 10_000, mended: () => {} });
  assert.ok(bridge_failed > 0, "it was given up");
  await outage("bridge_cut", { broken: () => link.cut(), mended: () => link.open() });
});

test("B1: a replica, a full server and one that lets nobody in are as good as away", async () => {
  await outage("bridge_replica", { broken: () => redisSays("REPLICAOF", "127.0.0.1", "1"), mended: () => redisSays("REPLICAOF", "NO", "ONE") });
  await server.log(/bridge: READONLY/);
  await outage("bridge_full", { broken: () => redisSays("CONFIG", "SET", "maxmemory", "1"), mended: () => redisSays("CONFIG", "SET", "maxmemory", "0") });
  await server.log(/bridge: OOM/);
  await outage("bridge_locked", {
    async broken() {
      await redisSays("CONFIG", "SET", "requirepass", "another");
      await command(redis, ["CLIENT", "KILL", "TYPE", "normal"], { password: "another" });
    },
    mended: () => command(redis, ["CONFIG", "SET", "requirepass", PASSWORD], { password: "another" }),
  });
  await server.log(/bridge: WRONGPASS/);
  const told = server.logs.map(({ text }) => text).join("\n");
  assert.ok(!told.includes(PASSWORD) && !told.includes(KEY) && !told.includes("during"), "no secret and no message is logged");
});
