// /metrics: who may read it, what it says after people were here, and that Prometheus's own tool takes it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import { promtoolProgram } from "../scripts/lib/cluster.mjs";
import { Stop } from "../scripts/lib/process.mjs";
import { chat, hangUp, member, relay, startServer, testDatabase, throwAwayRedis, until } from "./harness/index.mjs";

const TOKEN = "operators-eyes-only";
const MODERATOR = { sub: "mod", roles: ["moderator"] };
let database, link, server, join, rest;
before(async () => {
  database = await testDatabase();
  link = await relay(database.url);
  server = await startServer({ databaseUrl: link.url, vars: { METRICS_TOKEN: TOKEN, RATE_LIMIT_MESSAGES: "3" } });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await link?.cut();
  await database?.drop();
});

const get = (authorization = `Bearer ${TOKEN}`, query = "", of = server) =>
  fetch(`${of.url}/metrics${query}`, { headers: authorization ? { authorization } : {} });

/** The sum over the drains of a family, of the series that have these labels. */
function value(text, name, labels = "") {
  const lines = text.split("\n").filter((line) => line.startsWith(`edge_chat_${name}{`) && line.includes(labels));
  assert.ok(lines.length > 0, `${name} is not in\n${text}`);
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** The text once `holds` is true of it. */
async function scraped(holds, of) {
  let text;
  const found = await until(15_000, async () => holds((text = await (await get(undefined, "", of)).text())), 200);
  assert.ok(found, text);
  return text;
}

test("it is there for whoever has the token, and for nobody where none is set", async () => {
  const response = await get();
  assert.deepEqual([response.status, response.headers.get("content-type")], [200, "text/plain; version=0.0.4; charset=utf-8"]);
  assert.equal(response.headers.get("cache-control"), "no-store");
  for (const [authorization, code] of [[null, "token_required"], [`Basic ${TOKEN}`, "token_required"],
    [`Bearer ${TOKEN}x`, "token_invalid"], ["Bearer ", "token_required"], [`Bearer ${TOKEN.toUpperCase()}`, "token_invalid"]]) {
    const refused = await get(authorization);
    assert.deepEqual([refused.status, (await refused.json()).code], [401, code], authorization);
  }
  assert.equal((await get(`bearer ${TOKEN}`, "?format=xml")).status, 400);
  assert.equal((await fetch(`${server.url}/metrics`, { method: "POST" })).status, 405);
  const closed = await startServer();
  try {
    const absent = await fetch(`${closed.url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
    assert.deepEqual([absent.status, (await absent.json()).type], [404, "about:blank"]);
  } finally {
    await closed.stop();
  }
  const misconfigured = await startServer({ vars: { METRICS_TOKEN: "too short" } });
  try {
    const refused = await fetch(`${misconfigured.url}/metrics`);
    assert.deepEqual([refused.status, (await refused.json()).code], [503, "misconfigured"]);
  } finally {
    await misconfigured.stop();
  }
});

test("what people do in rooms is in it within seconds, and a room that nothing happens in is not woken", async () => {
  const [ada, bob, guest] = [await join("video_a", "ada"), await join("video_a", "bob"), await join("video_b", "cleo").then(() => join("video_b", null))];
  assert.equal(guest.joined.online_guests, 1);
  let said;
  for (let n = 0; n < 3; n++) said = await ada.request("send_message", { content: `${n}`, took: { ack_ms: 20 + n, shown_ms: 300 } });
  await assert.rejects(ada.request("send_message", { content: "too many" }));
  await bob.request("catch_up", { epoch: bob.joined.epoch, seq: 2 });
  // What was counted goes with the next batch.
  await bob.request("react", { message_id: said.message_id, reaction: "👍" });
  const text = await scraped((now) => value(now, "messages_in_total") >= 3 && value(now, "joins_total") >= 4 && value(now, "resumes_total", 'outcome="resumed"') >= 1 && value(now, "lag_events", 'sink="postgres"') === 0);
  assert.deepEqual(
    ["messages_in_total", "joins_total", "connections", "rate_limited_total", "ack_seconds_count", "dead_letters_total"].map((name) => value(text, name)),
    [3, 4, 4, 1, 3, 0],
  );
  assert.equal(value(text, "online", 'kind="users"'), 3);
  assert.equal(value(text, "online", 'kind="guests"'), 1);
  assert.equal(value(text, "errors_total", 'code="rate_limited"'), 1);
  assert.equal(value(text, "resumes_total", 'outcome="resumed"'), 1);
  assert.equal(value(text, "ack_seconds_bucket", 'le="0.025"'), 3);
  assert.ok(value(text, "deliveries_total") >= 6);
  assert.ok(value(text, "batch_seconds_count", 'sink="postgres"') > 0);
  assert.equal(value(text, "drain_up"), 2);
  assert.ok(!text.includes("video_a"), "no room is a label");

  const { at, drains } = await (await get(undefined, "?format=json")).json();
  assert.ok(Math.abs(at - Date.now()) < 5_000);
  const rooms = drains.flatMap(({ busiest }) => busiest);
  const room = rooms.find(({ room_id }) => room_id === "video_a");
  assert.deepEqual([room.gauges.users, room.gauges.sockets, rooms.length], [2, 2, 2]);
  assert.ok(room.messages_per_s > 0);

  await server.evict("Room", "video_b");
  const before = server.logs.length;
  await get();
  // Lines of the log come after the answer.
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.deepEqual(server.logs.slice(before).filter(({ message }) => message.includes("room wake")), []);
});

test("stats of one room has the same", async () => {
  const { body } = await rest("GET", "/rooms/video_a/stats", { as: MODERATOR });
  assert.deepEqual([body.metrics.messages, body.metrics.errors.rate_limited, body.postgres_lag_ms, body.redis_lag_ms], [3, 1, 0, 0]);
});

test("a database that is away shows as a lag that grows, and as none once it is back", async () => {
  const bot = await join("video_a", { sub: "backend", roles: ["service"] });
  await link.cut();
  await bot.request("send_message", { content: "while it is away" });
  const lag = (text) => value(text, "lag_seconds", 'sink="postgres"');
  const text = await scraped((now) => lag(now) > 2);
  assert.equal(value(text, "lag_events", 'sink="postgres"'), 1);
  assert.ok(value(text, "batches_total", 'outcome="failed"') > 0);
  assert.ok(lag(text) < 10);
  await link.open();
  await scraped((now) => lag(now) === 0 && value(now, "lag_events", 'sink="postgres"') === 0);
});

test("shards, gateways and their wakes, what is held, what a client saw and a Redis that is away show as what they are", async (t) => {
  const redis = await throwAwayRedis();
  const there = await relay(`redis://127.0.0.1:${redis.port}`);
  const vars = { METRICS_TOKEN: TOKEN, SHARD_SOCKETS: "10", GATEWAYS: "1", REDIS_URL: `redis://127.0.0.1:${there.port}/0` };
  const own = await startServer({ databaseUrl: database.url, vars });
  t.after(async () => {
    hangUp();
    await own.stop();
    await there.cut();
    await redis.stop();
  });
  const room = "video_split";
  const here = chat(own);
  const now = (holds) => scraped((text) => holds((...of) => value(text, ...of)), own);
  await here.join(room, MODERATOR);
  const held = { blocked: ["spoil*"], action: "hold" };
  assert.equal((await here.rest("PUT", `/rooms/${room}/terms`, { as: MODERATOR, body: held })).status, 200);
  const settings = { expect_viewers: 30 };
  assert.equal((await here.rest("PATCH", `/rooms/${room}`, { as: { sub: "admin", roles: ["admin"] }, body: { settings } })).status, 200);

  const ada = await here.join(room, "ada");
  await ada.request("send_message", { content: "hello", took: { ack_ms: 20, shown_ms: 300 } });
  assert.equal((await ada.request("send_message", { content: "spoiler" })).held, true);
  await now((of) => of("held_total") === 1 && of("shards") === 4 && of("lag_events", 'sink="redis"') === 0);
  const bob = await member(own, room, "bob", { transports: ["websocket"] });
  await bob.ask("send_message", { room_id: room, content: "from a gateway" });
  // The shard that ada is at was built once; the others have nothing to hand up.
  const before = await now((of) => of("shards") === 5 && of("messages_in_total") === 2 && of("wakes_total") === 1 && of("lag_seconds", 'sink="redis"') === 0);
  assert.deepEqual(["count", "sum"].map((part) => value(before, `delivery_seconds_${part}`)), [1, 0.3]);
  assert.deepEqual(["0.25", "0.5"].map((le) => value(before, "delivery_seconds_bucket", `le="${le}"`)), [0, 1]);
  assert.equal(value(before, "lag_events", 'sink="redis"'), 0);

  for (const n of [0, 1, 2, 3]) await own.evict("Shard", `${room}~s${n}`);
  await ada.request("send_message", { content: "awake" });
  await now((of) => of("wakes_total") === 2);
  await own.evict("Gateway", "~g0");
  await bob.ask("send_message", { room_id: room, content: "awake too" });
  await now((of) => of("wakes_total") === 3 && of("lag_events", 'sink="redis"') === 0);

  await there.cut();
  await ada.request("send_message", { content: "while it is away" });
  const away = await now((of) => of("lag_seconds", 'sink="redis"') > 2);
  assert.ok(value(away, "lag_seconds", 'sink="redis"') < 10);
  assert.deepEqual(["redis", "postgres"].map((sink) => value(away, "lag_events", `sink="${sink}"`)), [1, 0]);
  await there.open();
  await now((of) => of("lag_seconds", 'sink="redis"') === 0 && of("lag_events", 'sink="redis"') === 0);
});

test("promtool finds nothing to complain of", async (t) => {
  let promtool;
  try {
    promtool = await promtoolProgram();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return t.skip(error.message);
  }
  const input = await (await get()).text();
  const { status, stdout, stderr } = spawnSync(promtool, ["check", "metrics"], { input, encoding: "utf8" });
  assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  // And it is one that can complain.
  assert.notEqual(spawnSync(promtool, ["check", "metrics"], { input: input.replaceAll("_total", "") }).status, 0);
});
