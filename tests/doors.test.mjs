// The doors: what gets through at most, whose address counts, which pages may ask, and what a client is told.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, openSocket, Refused, startServer, testDatabase } from "./harness/index.mjs";

const WINDOW = 8_000;
const MESSAGES = 200;
let database, server, strict, open, rest, join;
before(async () => {
  database = await testDatabase();
  server = await startServer({
    databaseUrl: database.url,
    vars: {
      RATE_LIMIT_JOINS: "10", RATE_LIMIT_REACTIONS: "3", RATE_LIMIT_TYPING: "3", RATE_LIMIT_REQUESTS: "20",
      ALLOWED_ORIGINS: "https://pages.example",
    },
  });
  const vars = { RATE_LIMIT_MESSAGES: String(MESSAGES), RATE_LIMIT_WINDOW: String(WINDOW), MAX_SOCKETS_PER_USER: "64" };
  strict = await startServer({ databaseUrl: database.url, vars });
  ({ join, open, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await strict?.stop();
  await database?.drop();
});

const refused = (socket, event, data) => socket.request(event, data).then(() => assert.fail("accepted"), (error) => error.data);

test("what 64 sockets and REST get through for one user is the rate, within 1 %", async () => {
  const { join, open, rest } = chat(strict);
  const sockets = [];
  for (let i = 0; i < 64; i++) sockets.push(await join("video_64", "ada"));
  assert.equal((await refused(await open("video_64", "ada"), "join_room", {})).code, "too_many_sockets");
  const all = [];
  for (let round = 0; round < 3; round++) {
    const began = performance.now();
    const attempts = Array.from({ length: MESSAGES * 1.5 }, async (_, i) => {
      const content = `${round} ${i}`;
      if (i % 10 === 0) {
        const { status, body } = await rest("POST", "/rooms/video_64/messages", { as: "ada", body: { content } });
        assert.ok(status === 201 || body.code === "rate_limited", body.code);
        return body.timestamp;
      }
      const told = await sockets[i % 64].request("send_message", { content }, 20_000).catch((error) => error);
      assert.ok(told.timestamp || told.code === "rate_limited", told.code);
      return told.timestamp;
    });
    const times = (await Promise.all(attempts)).filter(Boolean).map((time) => Date.parse(time)).sort((a, b) => a - b);
    // On a machine so slow that the window moved on meanwhile there may be more, in order.
    assert.ok(times.length >= MESSAGES * 0.99, `${times.length} in round ${round}`);
    if (performance.now() - began < WINDOW) assert.ok(times.length <= MESSAGES * 1.01, `${times.length} in round ${round}`);
    all.push(...times);
    await sleep(all.at(-1) + WINDOW - Date.now() + 20);
  }
  for (let i = MESSAGES; i < all.length; i++) assert.ok(all[i] - all[i - MESSAGES] >= WINDOW, `${MESSAGES + 1} in ${all[i] - all[i - MESSAGES]} ms`);
  for (const socket of sockets) socket.terminate();
});

describe("on a socket", () => {
  test("reactions and typing have rates; who goes on regardless is sent away", async () => {
    const socket = await join("video_hammer", "ada");
    const { message_id } = await socket.request("send_message", { content: "x" });
    const react = { message_id, reaction: "👍" };
    for (let i = 0; i < 3; i++) await socket.request("react", react);
    for (let i = 0; i < 3; i++) await socket.request("typing", { is_typing: true });
    for (const [event, data] of [["react", react], ["typing", { is_typing: true }]]) {
      const error = await refused(socket, event, data);
      assert.equal(error.code, "rate_limited");
      assert.ok(error.retry_after_ms > 0 && error.retry_after_ms <= 60_000);
    }
    let n = 2;
    while ((await Promise.race([refused(socket, "react", react), socket.closed])).code === "rate_limited" && n < 40) n += 1;
    const { data } = await socket.next("goodbye");
    assert.deepEqual([data.code, data.retry, data.after_ms], ["rate_limited", true, 10_000]);
    assert.deepEqual(await socket.closed, { code: 4429, reason: { retry: true, after_ms: 10_000 } });
    assert.ok(socket.lines.filter((line) => line.error).length >= 30);
  });

  test("joins count by address, and only the named header says it", async () => {
    const from = (address, more = {}) => ({ headers: { "cf-connecting-ip": address, ...more } });
    const guest = (options) => openSocket(server.socketUrl("video_joins"), ["chat.v1"], options);
    for (let i = 0; i < 10; i++) (await guest(from(i % 2 ? "192.0.2.1" : "::ffff:192.0.2.1"))).terminate();
    for (const spoof of [{}, { "x-forwarded-for": "6.6.6.6" }, { forwarded: "for=6.6.6.6" }, { "true-client-ip": "6.6.6.6" }, { "x-real-ip": "6.6.6.6" }]) {
      const socket = await guest(from("192.0.2.1", spoof));
      const { data } = await socket.next("goodbye");
      const { code, reason } = await socket.closed;
      assert.deepEqual([data.code, data.retry, code, reason.retry], ["rate_limited", true, 4429, true], JSON.stringify(spoof));
      assert.ok(data.after_ms > 0 && data.after_ms <= 60_000 && reason.after_ms === data.after_ms);
    }
    await assert.rejects(openSocket(server.socketUrl("video_joins"), [], from("192.0.2.1")), (error) =>
      error instanceof Refused && error.status === 429 && error.body.code === "rate_limited" && Number(error.headers["retry-after"]) > 0);
    // Another address, and another room from the same one.
    await guest(from("192.0.2.2"));
    await openSocket(server.socketUrl("video_joins_2"), ["chat.v1"], from("192.0.2.1"));
    for (let i = 0; i < 10; i++) (await guest(from(`2001:db8:1:2::${i + 1}`))).terminate();
    assert.equal((await (await guest(from("2001:db8:1:2:ffff::1"))).closed).code, 4429);
    await guest(from("2001:db8:1:3::1"));
  });

  test("an address that goes from room to room is refused before any wakes", async () => {
    const from = { headers: { "cf-connecting-ip": "192.0.2.40" } };
    for (let i = 0; i < 40; i++) (await openSocket(server.socketUrl(`video_tour_${i}`), ["chat.v1"], from)).terminate();
    const socket = await openSocket(server.socketUrl("video_tour_40"), ["chat.v1"], from);
    assert.deepEqual([(await socket.next("goodbye")).data.code, (await socket.closed).code], ["rate_limited", 4429]);
  });
});

describe("over REST", () => {
  const path = "/rooms/video_rest/messages";
  const numbers = (headers) => [headers.get("ratelimit"), headers.get("ratelimit-policy")];
  before(() => join("video_rest", "owner"));

  test("a user's requests are counted, the answers say what is left, and 429 when to come back", async () => {
    const left = [];
    for (let i = 0; i < 20; i++) {
      const { status, headers } = await rest("GET", i % 2 ? path : "/rooms/video_nobody", { as: "reader" });
      assert.equal(status, i % 2 ? 200 : 404);
      const [limit, policy] = numbers(headers);
      assert.equal(policy, '"requests";q=20;w=60');
      left.push(Number(limit.match(/^"requests";r=(\d+);t=\d+$/)[1]));
    }
    assert.deepEqual(left, Array.from({ length: 20 }, (_, i) => 19 - i));
    const { status, headers, body } = await rest("GET", path, { as: "reader", headers: { origin: "https://pages.example" } });
    assert.deepEqual([status, body.code, headers.get("content-type")], [429, "rate_limited", "application/problem+json"]);
    assert.match(headers.get("ratelimit"), /^"requests";r=0;t=\d+$/);
    assert.equal(headers.get("retry-after"), String(Math.ceil(body.retry_after_ms / 1000)));
    const exposed = headers.get("access-control-expose-headers").toLowerCase().split(/, */);
    for (const name of ["ratelimit", "ratelimit-policy", "retry-after"]) assert.ok(exposed.includes(name), name);
    assert.equal((await rest("GET", path, { as: "another" })).status, 200);
    for (let i = 0; i < 30; i++) assert.equal((await rest("GET", path, { as: { sub: "bot", roles: ["service"] } })).status, 200);
  });

  test("without a good token the address counts, whatever else is said", async () => {
    const get = (headers) => rest("GET", path, { headers: { "cf-connecting-ip": "192.0.2.9", ...headers } });
    for (let i = 0; i < 20; i++) assert.equal((await get({ authorization: `Bearer guess-${i}` })).status, 401);
    for (const name of ["x-forwarded-for", "forwarded", "true-client-ip", "x-real-ip"]) assert.equal((await get({ [name]: "6.6.6.6" })).status, 429, name);
    assert.equal((await get({ "cf-connecting-ip": "192.0.2.10" })).status, 200);
    assert.equal((await rest("GET", path, { as: "signed-in", headers: { "cf-connecting-ip": "192.0.2.9" } })).status, 200);
    assert.equal((await fetch(`${server.url}/healthz`, { headers: { "cf-connecting-ip": "192.0.2.9" } })).headers.get("ratelimit"), null);
  });

  test("a page of another origin gets nothing, with or without a preflight", async () => {
    const { host } = new URL(server.url);
    const write = (origin) => rest("POST", path, { as: "owner", body: { content: origin }, headers: { origin } });
    const preflight = (origin) => fetch(`${server.url}/api${path}`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
    });
    for (const origin of ["https://evil.example", "null", "http://pages.example", "https://pages.example:8443", "https://evil.pages.example",
      "https://pages.example.evil.example", "https://PAGES.example", "https://pages.example, https://evil.example", `ftp://${host}`, "http://127.0.0.1:1", "http://localhost"]) {
      const refusals = { write: await write(origin), read: await rest("GET", path, { headers: { origin } }), preflight: await preflight(origin) };
      for (const [what, { status, headers }] of Object.entries(refusals)) {
        assert.deepEqual([status, headers.get("access-control-allow-origin"), headers.get("vary")], [403, null, "Origin"], `${what} ${origin}`);
      }
      await assert.rejects(openSocket(server.socketUrl("video_rest"), [], { headers: { origin } }), ({ status }) => status === 403, origin);
    }
    for (const origin of ["https://pages.example", server.url]) {
      const { status, headers } = await write(origin);
      assert.deepEqual([status, headers.get("access-control-allow-origin"), headers.get("access-control-allow-credentials")], [201, origin, null]);
      const asked = await preflight(origin);
      assert.deepEqual([asked.status, asked.headers.get("access-control-allow-origin")], [204, origin]);
      assert.match(asked.headers.get("access-control-allow-headers"), /authorization/i);
    }
    const { body } = await rest("GET", path, { as: "owner" });
    assert.deepEqual(body.messages.map(({ content }) => content).sort(), ["https://pages.example", server.url].sort());
  });
});
