// What one address, one client and all clients of a gateway may take: memory, places, requests.
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { chat, client, hangUp, member, startServer, testDatabase, token, tokenOf, until } from "./harness/index.mjs";

let database;
const servers = [];
before(async () => (database = await testDatabase()));
after(async () => {
  hangUp();
  for (const server of servers) await server.stop();
  await database?.drop();
});

const POLLING = "EIO=4&transport=polling";
/** A server with these settings, and requests to its gateways. */
async function doors(vars) {
  const server = await startServer({ databaseUrl: database.url, vars });
  servers.push(server);
  async function ask(query, { from, ...options } = {}) {
    const headers = from ? { "cf-connecting-ip": from } : {};
    const response = await fetch(`${server.url}/socket.io/?${query}`, { headers, ...options });
    return { status: response.status, text: await response.text() };
  }
  async function handshake(options) {
    const { status, text } = await ask(POLLING, options);
    assert.equal(status, 200, text);
    return JSON.parse(text.slice(1)).sid;
  }
  const poll = (sid, options) => ask(`${POLLING}&sid=${sid}`, options);
  const post = (sid, body, options) => poll(sid, { method: "POST", body, ...options });
  return { server, ask, handshake, poll, post };
}
const isUnknown = ({ status, text }) => status === 400 && JSON.parse(text).code === 1;

test("where too much waits in all, who has the most of it is ended and told why, and others go on", async () => {
  const { server, handshake, poll, post } = await doors({ GATEWAYS: "1" });
  const rooms = ["video_heavy", "video_heavy_2"];
  const bots = await Promise.all(rooms.map((room) => chat(server).join(room, { sub: "bot", roles: ["service"] })));
  const reads = (sid, what) => until(5_000, async () => (await poll(sid)).text.includes(what), 0);
  // Who is in two rooms has packets of its own: nothing of what waits is shared.
  const sids = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const sid = await handshake();
      await post(sid, "40");
      for (const room of rooms) await post(sid, `42["join_room",{"room_id":"${room}"}]`);
      assert.ok(await reads(sid, `"room_id":"${rooms[1]}"`));
      return sid;
    }),
  );
  const ada = await member(server, rooms[0], "ada", { transports: ["websocket"] });
  const say = async (from, to) => {
    for (let i = from; i < to; i++) {
      const content = `${i} ${"x".repeat(950)}`;
      await Promise.all(bots.map((bot) => bot.request("send_message", { content, metadata: { x: "y".repeat(950) } })));
    }
  };
  await say(0, 80);
  const [reader, ...silent] = sids;
  assert.ok(await reads(reader, '"79 '));
  await say(80, 160);
  // Who reads stays, and so does who has a WebSocket.
  assert.ok(await reads(reader, '"159 '));
  assert.ok(await until(5_000, () => ada.of("new_message").length === 160));
  const answers = await Promise.all(silent.map((sid) => poll(sid)));
  const ended = answers.filter(({ text }) => text.startsWith('42["error",{"code":"too_slow"')).length;
  const alive = answers.filter(({ text }) => text.includes('"0 xxx') && text.includes('"159 xxx')).length;
  assert.ok(ended >= 5 && alive >= 15 && ended + alive === silent.length, `${ended} ended, ${alive} alive`);
  assert.ok(server.logs.some(({ message }) => / bytes waited: \d+ sessions ended$/.test(message)));
});

test("who says more at once than is kept for it is ended", async () => {
  const { server } = await doors({});
  const ws = new WebSocket(`${server.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
  const got = [];
  const closed = new Promise((resolve) => ws.on("close", resolve));
  ws.on("message", (data) => got.push(data.toString()));
  await new Promise((resolve) => ws.on("open", resolve));
  ws.send("40");
  ws.send(`42["join_room",{"room_id":"video_flood","user_token":"${await tokenOf("flood")}"}]`);
  for (let i = 0; i < 40; i++) ws.send(`42["typing",{"room_id":"video_flood","x":"${"x".repeat(15_000)}"}]`);
  assert.equal(await Promise.race([closed, sleep(5_000)]), 4408, `${got}`);
  assert.ok(got.at(-1).startsWith('42["error",{"code":"too_slow"'), got.at(-1));
});

test("rooms that would fill a gateway keep less of what is past, and keep nobody out", async () => {
  const { server, ask } = await doors({ GATEWAYS: "1", MAX_MESSAGE_LENGTH: "8000" });
  const sockets = Array.from({ length: 4 }, () => client(server, { transports: ["websocket"] }));
  for (const one of sockets) assert.ok(await one.connects());
  // About 1 MiB of each room comes to a gateway at once.
  const fills = async (n) => {
    const bot = await chat(server).join(`video_full_${n}`, { sub: `bot-${n}`, roles: ["service"] });
    for (let i = 0; i < 80; i += 20) await Promise.all(Array.from({ length: 20 }, () => bot.request("send_message", { content: "é".repeat(7_000) })));
    bot.terminate();
  };
  for (let n = 0; n < 40; n += 10) await Promise.all(Array.from({ length: 10 }, (_, i) => fills(n + i)));
  const user_token = await token({ sub: "ada" });
  for (let n = 0; n < 40; n++) {
    const answer = await sockets[Math.floor(n / 10)].ask("join_room", { room_id: `video_full_${n}`, user_token });
    assert.ok(!answer.error, `${n}: ${JSON.stringify(answer)}`);
    assert.equal((await ask(POLLING)).status, 200, `${n}`);
  }
  assert.ok((await sockets[0].ask("send_message", { room_id: "video_full_0", content: "still" })).message_id);
  assert.ok(await until(5_000, () => sockets[0].of("new_message").some(({ content }) => content === "still")));
  sockets.forEach((one) => one.disconnect());
});

test("an address has no more than half of the places, also after a gateway's sleep", async () => {
  const { server, ask } = await doors({ GATEWAYS: "8", GATEWAY_SESSIONS: "10" });
  const at = (n) => ({ transports: ["websocket"], extraHeaders: { "cf-connecting-ip": `192.0.2.${n}` } });
  const sockets = Array.from({ length: 15 }, () => client(server, at(1)));
  for (const one of sockets) assert.ok(await one.connects());
  const refused = async () => {
    const { status, text } = await ask(POLLING, { from: "192.0.2.1" });
    assert.deepEqual([status, JSON.parse(text).code], [429, "rate_limited"]);
  };
  await refused();
  for (const name of ["~g0", "~g1", "~g2"]) await server.evict("Gateway", name);
  await refused();
  assert.ok(!server.logs.some(({ message }) => message.startsWith("gateway wake: ~g3")), "no other gateway wakes for it");
  const other = client(server, at(2));
  assert.ok(await other.connects(), "another one has a place");
});

test("who asks for sessions that nobody has is stopped before a gateway hears of it; its neighbours are not", async () => {
  const { server, handshake, poll, post } = await doors({ RATE_LIMIT_JOINS: "5" });
  const from = "192.0.2.7";
  const own = await handshake({ from });
  await post(own, "40", { from });
  const forged = () => poll(`0.${Math.random().toString(36).slice(2).padEnd(22, "A").slice(0, 22)}`, { from });
  const atOnce = await Promise.all(Array.from({ length: 40 }, forged));
  assert.equal(atOnce.filter(isUnknown).length, 20, "side by side no more than one by one");
  const { status, text } = await forged();
  assert.deepEqual([status, JSON.parse(text).code], [429, "rate_limited"]);
  assert.ok((await poll(own, { from })).text.startsWith("40"), "a session that is there goes on");
  const elsewhere = await poll("0.AAAAAAAAAAAAAAAAAAAAAA", { from: "192.0.2.8" });
  assert.ok(isUnknown(elsewhere));
});

test("who polls without a pause is made to pause", async () => {
  const { server, handshake, post } = await doors({});
  const sid = await handshake();
  await post(sid, "40");
  for (let i = 0; i < 300; i++) await post(sid, "3");
  const before = performance.now();
  for (let i = 0; i < 3; i++) assert.equal((await post(sid, "3")).text, "ok");
  assert.ok(performance.now() - before >= 290, `${performance.now() - before} ms`);
});

test("a body that comes in chunks is read no further than it may be long", async () => {
  const { server, handshake, post } = await doors({});
  const sid = await handshake();
  await post(sid, "40");
  for (const path of [`/socket.io/?${POLLING}&sid=${sid}`, "/api/rooms"]) {
    const headers = { authorization: `Bearer ${await tokenOf("ada")}`, "content-type": "application/json" };
    const open = request(`${server.url}${path}`, { method: "POST", headers });
    open.on("error", () => {});
    const answered = new Promise((resolve) => open.on("response", (response) => resolve(response.statusCode)));
    for (let i = 0; i < 10; i++) open.write("x".repeat(10_000));
    // It never ends.
    assert.equal(await Promise.race([answered, sleep(5_000)]), 413, path);
    open.destroy();
  }
  const chunked = new ReadableStream({ start: (to) => (to.enqueue(new TextEncoder().encode("3")), to.close()) });
  assert.equal((await post(sid, chunked, { duplex: "half" })).text, "ok", "a short one is taken");
});
