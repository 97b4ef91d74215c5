// Viewers who stop reading cost a room little, and nobody else anything. SLOW_SECONDS (8), SLOW_VIEWERS (400), SLOW_RATE
// (10 messages a second) and SLOW_BYTES (of 7,950) make the run longer or larger: SLOW_SECONDS=60 SLOW_VIEWERS=1000
// SLOW_RATE=100 SLOW_BYTES=200 ./scripts/test e2e tests/slow-readers.test.mjs
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { chat, startServer, testDatabase } from "./harness/index.mjs";

const SLOW = 100;
const SECONDS = Number(process.env.SLOW_SECONDS ?? 8);
const VIEWERS = Number(process.env.SLOW_VIEWERS ?? 400);
const RATE = Number(process.env.SLOW_RATE ?? 10);
const BYTES = Number(process.env.SLOW_BYTES ?? 7_950);
const SERVICE = { sub: "svc", username: "Service", roles: ["service"] };
const MODERATOR = { sub: "mod", username: "Mod", roles: ["moderator"] };
const text = (mark, bytes = 7_950) => `${mark} ${"x".repeat(bytes)}`;

let database;
const servers = [];
before(async () => {
  database = await testDatabase();
});
after(async () => {
  for (const server of servers) await server.stop();
  await database?.drop();
});

async function serve() {
  const server = await startServer({ databaseUrl: database.url, vars: { MAX_MESSAGE_LENGTH: "8000", RATE_LIMIT_JOINS: "100000" } });
  servers.push(server);
  return server;
}
const percentile = (numbers, p) => numbers.sort((a, b) => a - b)[Math.floor((numbers.length - 1) * p)];

/** A guest who joins and reads as little code as can be; `seen` gets each text's mark, `stops` stops reading at once. */
async function viewer(url, { seen, stops = false }) {
  const ws = new WebSocket(url, ["chat.v1"], { perMessageDeflate: false });
  const socket = { ws, position: null, closed: new Promise((resolve) => ws.on("close", (code) => resolve(code))) };
  await new Promise((resolve, reject) => {
    ws.on("error", reject);
    ws.on("open", () => ws.send('{"id":1,"event":"join_room","data":{}}'));
    ws.on("message", (data) => {
      if (!socket.position) {
        const { epoch, seq } = JSON.parse(data.toString()).data;
        socket.position = { epoch, seq };
        if (stops) ws.pause();
        return resolve();
      }
      const frame = data.toString("latin1");
      if (frame.startsWith('{"event":"probe"') && !stops) ws.send(frame);
      // Of a frame with many the last one's place, and the first one's time.
      const last = frame.lastIndexOf('"event":"new_message"');
      const seq = last > 0 && /"seq":(\d+),$/.exec(frame.slice(Math.max(0, last - 30), last));
      if (seq) socket.position.seq = Number(seq[1]);
      const mark = /"content":"([\d.]+) /.exec(frame.slice(0, 800));
      if (mark) seen?.(Number(mark[1]));
    });
  });
  return socket;
}

/** A room that is talked in for a while with so many who stop reading; what it cost, and the room itself. */
async function run(slow) {
  // One of its own: who joins is not to be greeted with what the other run said.
  const room = `video_slow_${slow}`;
  const server = await serve();
  const { join, rest } = chat(server);
  const sender = await join(room, SERVICE);
  const delays = [];
  const seen = (at) => delays.push(performance.now() - at);
  const sockets = [];
  while (sockets.length < VIEWERS) {
    const some = Array.from({ length: 20 }, (_, n) => viewer(server.socketUrl(room), { seen, stops: sockets.length + n < slow }));
    sockets.push(...(await Promise.all(some)));
  }
  let most = server.rss();
  const began = performance.now();
  const sends = [];
  for (let n = 0; n < SECONDS * RATE; n++) {
    sends.push(sender.request("send_message", { content: text(performance.now().toFixed(1), BYTES) }, 60_000));
    // Looked at together below.
    sends.at(-1).catch(() => {});
    if (n % RATE === 0) most = Math.max(most, server.rss());
    await sleep(Math.max(0, began + ((n + 1) * 1_000) / RATE - performance.now()));
  }
  await Promise.all(sends);
  await sleep(1_000);
  const p99 = percentile(delays, 0.99);
  console.log(`# ${VIEWERS} viewers, ${slow} do not read: ${most.toFixed(0)} MB, p99 ${p99.toFixed(0)} ms of ${delays.length}`);
  const stats = async () => (await rest("GET", `/rooms/${room}/stats`, { as: MODERATOR })).body;
  return { server, room, sockets, stats, most, p99 };
}

test("V8: a hundred who do not read cost little, slow nobody, are told to come back, and keep no room awake", { timeout: 600_000 }, async () => {
  const without = await run(0);
  for (const { ws } of without.sockets) ws.terminate();
  await servers.pop().stop();

  const { server, room, sockets, stats, most, p99 } = await run(SLOW);
  assert.ok(most - without.most <= 96, `${(most - without.most).toFixed(0)} MB more`);
  assert.ok(p99 <= without.p99 * 1.5 + 250, `p99 ${p99.toFixed(0)} ms, ${without.p99.toFixed(0)} ms without them`);
  const before = await stats();
  assert.equal(before.online_guests, VIEWERS - SLOW, "those who do not read are closed, and nobody else is");

  // They still do not read; all the same the room falls asleep, and wakes without them.
  await sleep(14_000);
  const woken = await stats();
  assert.notEqual(woken.instance, before.instance, "the room slept");
  assert.equal(woken.online_guests, VIEWERS - SLOW);

  // One reads on: what was on its way, why it ended, and then the rest.
  const [late] = sockets;
  late.ws.resume();
  assert.equal(await late.closed, 4408);
  const again = await chat(server).join(room, null, { resume: late.position });
  if (SECONDS * RATE <= 80) assert.equal(again.joined.resumed, true);
  assert.equal(again.joined.seq, woken.seq);
  again.close();
  for (const { ws } of sockets) ws.terminate();
});

test("V8: nobody proves to read without reading: not by guessing, by an older answer, or by answering early", async () => {
  const server = await serve();
  const { join, open } = chat(server);
  const cheat = async (answer) => {
    const socket = await open("video_cheats", null, { probes: false });
    await socket.request("join_room", {});
    const nonces = [];
    const timer = setInterval(() => {
      for (const line of socket.lines.splice(0)) if (line.event === "probe") nonces.push(line.data.nonce);
      for (const nonce of answer(nonces)) socket.send(JSON.stringify({ event: "probe", data: { nonce } }));
    }, 20);
    return { socket, nonces, closed: socket.closed.finally(() => clearInterval(timer)) };
  };
  const sender = await join("video_cheats", SERVICE);
  const honest = await join("video_cheats", null);
  const cheats = await Promise.all([
    cheat(() => Array.from({ length: 5 }, () => randomBytes(8).toString("hex"))),
    // The first one is answered, and the same again and again.
    cheat((nonces) => nonces.slice(0, 1)),
    // Each is answered with the one before it.
    cheat((nonces) => nonces.slice(-2, -1)),
  ]);
  for (let n = 0; n < 160; n++) {
    await sender.request("send_message", { content: text(n) });
    // Time to answer what came.
    if (n % 8 === 0) await sleep(50);
  }
  for (const { closed, nonces } of cheats) {
    const { code, reason } = await closed;
    assert.deepEqual([code, reason.retry], [4408, true]);
    assert.ok(nonces.length >= 1);
  }
  assert.ok(cheats[1].nonces.length >= 2, "the first answer counted");
  await sender.request("send_message", { content: "done" });
  await honest.next((line) => line.data?.content === "done");
});
