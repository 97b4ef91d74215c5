// What gets through to the gateways: bad packets, forged ids, handshakes that stop half way, other origins, too many.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { chat, client, hangUp, member, startServer, testDatabase, until } from "./harness/index.mjs";

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { ALLOWED_ORIGINS: "https://pages.example" } });
  ({ join, rest } = chat(server));
});
after(async () => {
  hangUp();
  await server?.stop();
  await database?.drop();
});

async function ask(query, { to = server, ...options } = {}) {
  const response = await fetch(`${to.url}/socket.io/?${query}`, options);
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text.startsWith("{") ? JSON.parse(text) : null };
}
const POLLING = "EIO=4&transport=polling";
async function handshake(options) {
  const { status, text } = await ask(POLLING, options);
  assert.equal(status, 200, text);
  return JSON.parse(text.slice(1)).sid;
}
const post = (sid, body, options) => ask(`${POLLING}&sid=${sid}`, { method: "POST", body, ...options });
const poll = (sid, options) => ask(`${POLLING}&sid=${sid}`, options);
const UNKNOWN = { code: 1, message: "Session ID unknown" };

/** A bare WebSocket of Engine.IO's; `got` is all that came. */
async function bare(query = "EIO=4&transport=websocket", to = server) {
  const ws = new WebSocket(`${to.url.replace("http", "ws")}/socket.io/?${query}`);
  const got = [];
  const closed = new Promise((resolve) => ws.on("close", (code) => resolve(code)));
  ws.on("message", (data) => got.push(data.toString()));
  ws.on("error", () => {});
  await new Promise((resolve) => ws.on("open", resolve));
  return { got, closed, send: (text) => ws.send(text), next: async (accepts) => (await until(5_000, () => got.some(accepts))) && got.find(accepts), terminate: () => ws.terminate() };
}

describe("the doors", { concurrency: true }, () => {
  test("the handshake says how to go on, and what is none is refused in Engine.IO's words", async () => {
    const { text, headers } = await ask(POLLING);
    const { sid, ...rest_ } = JSON.parse(text.slice(1));
    assert.equal(text[0], "0");
    assert.match(sid, /^0\.[\w-]{22}$/);
    assert.deepEqual(rest_, { upgrades: ["websocket"], pingInterval: 50_000, pingTimeout: 30_000, maxPayload: 65_536 });
    assert.equal(headers.get("cache-control"), "no-store");
    for (const [query, body, options] of [
      ["EIO=3&transport=polling", { code: 5, message: "Unsupported protocol version" }],
      ["transport=polling", { code: 5, message: "Unsupported protocol version" }],
      ["EIO=4&transport=flash", { code: 0, message: "Transport unknown" }],
      ["EIO=4&transport=websocket", { code: 3, message: "Bad request" }],
      [POLLING, { code: 2, message: "Bad handshake method" }, { method: "POST", body: "40" }],
      [`${POLLING}&sid=0.AAAAAAAAAAAAAAAAAAAAAA`, UNKNOWN],
      [`${POLLING}&sid=0.AAAAAAAAAAAAAAAAAAAAAA`, UNKNOWN, { method: "POST", body: "40" }],
      [`${POLLING}&sid=nonsense`, UNKNOWN],
      [`${POLLING}&sid=99.AAAAAAAAAAAAAAAAAAAAAA`, UNKNOWN],
      [`${POLLING}&sid=`, UNKNOWN],
    ]) {
      const answer = await ask(query, options);
      assert.deepEqual([answer.status, answer.body], [400, body], query);
    }
    // And where the id is nearly right.
    const other = sid.slice(0, -1) + (sid.endsWith("A") ? "B" : "A");
    assert.deepEqual((await poll(other)).body, UNKNOWN);
    const forged = new WebSocket(`${server.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket&sid=${other}`);
    const status = await new Promise((resolve) => forged.on("unexpected-response", (_, response) => resolve(response.statusCode)));
    assert.equal(status, 400);
  });

  test("packets that are none end the session, and nothing else", async () => {
    const bystander = await member(server, "video_doors", "by");
    for (const bad of ["", "hello", "9", "4", "49", "42[", "42[]", "42{}", "47", "0", "b1234", "\x1e", "42" + "[".repeat(5_000), "é"]) {
      const sid = await handshake();
      await post(sid, "40");
      const { status } = await post(sid, bad);
      assert.equal(status, 400, JSON.stringify(bad));
      assert.deepEqual((await poll(sid)).body, UNKNOWN, JSON.stringify(bad));
      const ws = await bare();
      ws.send("40");
      assert.ok(await ws.next((text) => text.startsWith("40")));
      ws.send(bad);
      assert.ok(await Promise.race([ws.closed, sleep(5_000)]), `closed after ${JSON.stringify(bad)}`);
    }
    // An event ahead of the CONNECT as well.
    const sid = await handshake();
    assert.equal((await post(sid, '42["join_room",{}]')).status, 400);
    // Binary packets of any make, which are not taken.
    const ws = await bare();
    ws.send("40");
    ws.send('451-["x",{"_placeholder":true,"num":0}]');
    ws.send(Buffer.from([1]));
    ws.send('461-1[{"_placeholder":true,"num":0}]');
    ws.send(Buffer.from([1]));
    ws.send('4599999999999-["x"]');
    assert.ok(await ws.closed);
    assert.ok(ws.got.some((text) => text.includes("bad_request")));
    assert.ok((await bystander.ask("send_message", { room_id: "video_doors", content: "still here" })).message_id);
  });

  test("who goes on with what is refused is ended at the 20th", async () => {
    for (const bad of ["40/admin,", '40{"token":"no"}', '42["join_room",{}]', '42["send_message",{"content":"x"}]']) {
      const ws = await bare();
      if (!bad.startsWith("40")) ws.send("40");
      for (let i = 0; i < 19; i++) ws.send(bad);
      const refused = () => ws.got.filter((text) => text.startsWith("44") || text.startsWith('42["error"')).length;
      assert.ok(await until(5_000, () => refused() === 19), `${bad}: ${refused()}`);
      assert.equal(await Promise.race([ws.closed, sleep(200)]), undefined, "not yet");
      ws.send(bad);
      assert.ok(await Promise.race([ws.closed, sleep(5_000)]), bad);
    }
  });

  test("payloads beyond 64 KiB are refused, frames beyond 16 KiB too", async () => {
    const sid = await handshake();
    await post(sid, "40");
    assert.equal((await post(sid, `42["x",{"y":"${"x".repeat(70_000)}"}]`)).status, 413);
    const ws = await bare();
    ws.send("40");
    await ws.next((text) => text.startsWith("40"));
    ws.send("4" + "x".repeat(70_000));
    assert.ok(await ws.closed);
    const ada = await member(server, "video_large", "ada", { transports: ["websocket"] });
    assert.equal((await ada.ask("send_message", { room_id: "video_large", content: "x".repeat(20_000) })).error.code, "frame_too_large");
    ada.disconnect();
  });

  test("one poll at a time: a second one ends the session", async () => {
    const sid = await handshake();
    await post(sid, "40");
    await poll(sid);
    const waits = poll(sid);
    await sleep(200);
    assert.equal((await poll(sid)).status, 400);
    assert.equal((await waits).text, "1");
    assert.deepEqual((await poll(sid)).body, UNKNOWN);
  });

  test("who says that it goes has its poll let go, and is gone", async () => {
    const sid = await handshake();
    const waits = poll(sid);
    await sleep(200);
    assert.equal((await post(sid, "1")).text, "ok");
    assert.equal((await waits).text, "6");
    assert.deepEqual((await poll(sid)).body, UNKNOWN);
  });

  test("a namespace that is not there is refused as Socket.IO's own servers do, and the session stands", async () => {
    const sid = await handshake();
    await post(sid, "40/random");
    assert.equal((await poll(sid)).text, '44/random,{"message":"Invalid namespace"}');
    await post(sid, "40");
    assert.match((await poll(sid)).text, /^40\{"sid"/);
  });

  test("a WebSocket takes over from polling; one that does not leaves the session as it was", async () => {
    const sid = await handshake();
    await post(sid, "40");
    assert.ok((await poll(sid)).text.startsWith("40"));
    const vain = await bare(`EIO=4&transport=websocket&sid=${sid}`);
    vain.send("2probe");
    assert.equal(await vain.next(() => true), "3probe");
    vain.terminate();
    await sleep(200);
    const waits = poll(sid);
    await sleep(200);
    const ws = await bare(`EIO=4&transport=websocket&sid=${sid}`);
    ws.send("2probe");
    assert.equal(await ws.next(() => true), "3probe");
    assert.equal((await waits).text, "6", "the poll that waits is let go");
    ws.send("5");
    ws.send('420["join_room",{"room_id":"video_nobody"}]');
    assert.match(await ws.next((text) => text.startsWith("43")), /room_not_found/);
    assert.equal((await poll(sid)).status, 400);
    // A pong is answered by a packet that says nothing.
    ws.send("3");
    assert.equal(await ws.next((text) => text === "6"), "6");
    ws.send("1");
    await ws.closed;
    assert.deepEqual((await poll(sid)).body, UNKNOWN);
  });

  test("pages of other origins connect with and without credentials where they may, and not where they may not", async () => {
    for (const method of ["GET", "OPTIONS"]) {
      const { status, headers } = await ask(POLLING, { method, headers: { origin: "https://pages.example" } });
      assert.ok(status === 200 || status === 204);
      assert.equal(headers.get("access-control-allow-origin"), "https://pages.example");
      assert.equal(headers.get("access-control-allow-credentials"), "true");
    }
    const refused = await ask(POLLING, { headers: { origin: "https://evil.example" } });
    assert.deepEqual([refused.status, refused.headers.get("access-control-allow-origin")], [403, null]);
    const socket = client(server, { transports: ["websocket"], extraHeaders: { origin: "https://evil.example" }, reconnection: false });
    await new Promise((resolve) => socket.once("connect_error", resolve));
    const sid = await handshake({ headers: { origin: "https://pages.example" } });
    const wrong = await post(sid, "9", { headers: { origin: "https://pages.example" } });
    assert.equal(wrong.headers.get("access-control-allow-origin"), "https://pages.example", "so that the page can read why");
  });

  test("who polls no more is ended when too much waits, and others go on", async () => {
    const room = "video_full";
    const sid = await handshake();
    await post(sid, "40");
    const bot = await join(room, { sub: "bot", roles: ["service"] });
    assert.ok((await poll(sid)).text.startsWith("40"));
    await post(sid, `42["join_room",{"room_id":"${room}"}]`);
    assert.match((await poll(sid)).text, /position/);
    for (let i = 0; i < 500; i++) await bot.request("send_message", { content: `${i} ${"x".repeat(900)}`, metadata: { x: "y".repeat(900) } });
    assert.match((await poll(sid)).text, /^42\["error",\{"code":"too_slow".*\}\]\x1e1$/, "it is told why");
    assert.deepEqual((await poll(sid)).body, UNKNOWN);
    bot.terminate();
  });
});

test("a thousand handshakes that stop half way end within seconds, and keep nobody out", async () => {
  const own = await startServer({ databaseUrl: database.url, vars: { GATEWAYS: "2", GATEWAY_SESSIONS: "400", RATE_LIMIT_JOINS: "100000" } });
  const address = (n) => ({ to: own, headers: { "cf-connecting-ip": `192.0.2.${n}` } });
  const counts = {};
  for (let i = 0; i < 1_000; i += 50) {
    const some = await Promise.all(Array.from({ length: 50 }, () => ask(POLLING, address(1))));
    for (const { status } of some) counts[status] = (counts[status] ?? 0) + 1;
  }
  assert.ok(counts[200] <= 400 && counts[429] >= 600, JSON.stringify(counts));
  const ada = client(own, { extraHeaders: { "cf-connecting-ip": "192.0.2.2" } });
  assert.ok(await ada.connects(), "others connect meanwhile");
  const first = await handshake(address(3));
  assert.ok(await until(15_000, async () => (await post(first, "3", address(3))).status === 400, 500), "it ends");
  assert.ok(await until(15_000, async () => (await ask(POLLING, address(1))).status === 200, 500), "there is room again");
  await own.stop();
});

test("a session whose token is over leaves nothing behind, and gives its place up", async () => {
  const own = await startServer({ databaseUrl: database.url, vars: { GATEWAYS: "1", GATEWAY_SESSIONS: "10" } });
  const ws = await bare("EIO=4&transport=websocket", own);
  ws.send("40");
  const { token } = await import("./harness/index.mjs");
  const user_token = await token({ sub: "ada", username: "Ada", exp: Math.floor(Date.now() / 1000) + 4 });
  ws.send(`42["join_room",{"room_id":"video_over","user_token":"${user_token}"}]`);
  assert.ok(await until(10_000, () => ws.got.includes("41")), `${ws.got}`);
  assert.ok(await Promise.race([ws.closed, sleep(15_000)]), "who stays without a CONNECT is ended");
  await own.kill9();
  assert.equal(own.sql("Gateway", "~g0", "select count(*) n from session")[0].n, 0);
  await own.stop().catch(() => {});
});

test("a gateway that is full sends on to the next, and the last one says so", async () => {
  const own = await startServer({ databaseUrl: database.url, vars: { GATEWAYS: "2", GATEWAY_SESSIONS: "10" } });
  const clients = [];
  for (let i = 0; i < 20; i++) {
    clients.push(client(own, { transports: ["websocket"], extraHeaders: { "cf-connecting-ip": `192.0.2.${i}` } }));
    assert.ok(await clients.at(-1).connects());
  }
  const { status, body } = await ask(POLLING, { to: own });
  assert.deepEqual([status, body.code], [503, "overloaded"]);
  // Sessions at both are in one room.
  const room = "video_spread";
  const { token } = await import("./harness/index.mjs");
  for (const one of [clients[0], clients[19]]) await one.ask("join_room", { room_id: room, user_token: await token({ sub: `u${clients.indexOf(one)}` }) });
  await clients[0].ask("send_message", { room_id: room, content: "across" });
  assert.equal((await clients[19].next("new_message")).content, "across");
  clients[3].disconnect();
  assert.ok(await until(5_000, async () => (await ask(POLLING, { to: own })).status === 200, 200), "a place is free");
  clients.forEach((one) => one.disconnect());
  const stats = async () => (await chat(own).rest("GET", `/rooms/${room}/stats`, { as: { sub: "mod", roles: ["moderator"] } })).body;
  assert.ok(await until(40_000, async () => (await stats()).gateways === 0, 500), "the room follows nobody any more");
  assert.equal((await stats()).online_users, 0);
  await own.kill9();
  assert.equal(own.sql("Gateway", "~g0", "select count(*) n from session")[0].n, 0, "nothing is left of who disconnected");
  await own.stop().catch(() => {});
});

test("the path can be another, and EIO's version is told there too", async () => {
  const own = await startServer({ databaseUrl: database.url, vars: { SOCKET_IO_PATH: "/api-io/chat/" }, more: { assets: undefined } });
  const socket = client(own, { path: "/api-io/chat/" });
  assert.ok(await socket.connects());
  assert.equal((await fetch(`${own.url}/socket.io/?${POLLING}`)).status, 404);
  socket.disconnect();
  await own.stop();
});
