// What is measured: each row gives lines of the table.
import { text as textOf } from "node:stream/consumers";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execFileSync } from "node:child_process";
import WebSocket from "ws";
import { root } from "../scripts/lib/database.mjs";
import { Stop, say, start } from "../scripts/lib/process.mjs";
import { alone, compared } from "./report.mjs";
import { empty, serve } from "./workerd.mjs";

/** Bytes of a message's content. */
const BYTES = 200;
const VIEWERS = 500;
const RATE = 20;
/** Objects leave the memory after 10 s without work. */
const ASLEEP = 13_000;

const ms = (value) => `${value.toFixed(1)} ms`;
let rooms = 0;

/** Runs the load generator; null, and said, where the run is void. */
async function load(job) {
  const child = start(join(root, "bench/load/target/release/load"), [], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(JSON.stringify(job));
  const [out, error, how] = await Promise.all([textOf(child.stdout), textOf(child.stderr), child.gone]);
  if (how !== "status 0") {
    say(`  ✗ void: the load generator ended (${how}): ${error.trim()}`);
    return null;
  }
  const measured = JSON.parse(out);
  const { faults, seconds, generator_cpu_s } = measured;
  if (generator_cpu_s > 0.9 * seconds) faults.push(`the load generator was the limit: ${generator_cpu_s} s of CPU in ${seconds.toFixed(1)} s`);
  if (!faults.length) return measured;
  say(`  ✗ void: ${faults.slice(0, 3).join("; ")}${faults.length > 3 ? `; and ${faults.length - 3} more` : ""}`);
  return null;
}

/** The same job on both servers, in turns; `[ours, theirs]` of each round that stands. */
async function rounds(bench, label, count, job, shown) {
  const pairs = [];
  for (let round = 1; round <= count; round++) {
    const of = {};
    // Whoever comes second may find the machine warmer.
    for (const server of round % 2 ? [bench.chat, bench.bare] : [bench.bare, bench.chat]) {
      const target = { url: server.socketUrl, pid: server.pid, bytes: BYTES, token: bench.sender };
      const measured = await load({ ...job(server === bench.bare), ...target });
      if (!measured) {
        bench.void = true;
        continue;
      }
      say(`  ${label} ${round}/${count}, ${server === bench.chat ? "edge-chat" : "bare     "}: ${shown(measured)}, ` +
        `load generator ${Math.round((100 * measured.generator_cpu_s) / measured.seconds)} % of a core`);
      of[server === bench.chat ? "chat" : "bare"] = measured;
    }
    if (of.chat && of.bare) pairs.push([of.chat, of.bare]);
  }
  if (!pairs.length) throw new Stop(`No round of "${label}" stands; see above why.`);
  return (value) => pairs.map((pair) => pair.map(value));
}

const perMillion = ({ server_cpu_s, count }) => (server_cpu_s / count) * 1e6;

async function fanout(bench) {
  const { quick } = bench;
  const job = (bare) => ({
    job: "fanout",
    room: `${bare ? "broadcast" : "video_fanout"}${++rooms}`,
    viewers: bench.viewers(VIEWERS),
    rate: RATE,
    warm_up: RATE * (quick ? 1 : 2),
    messages: RATE * (quick ? 4 : 8),
  });
  const shown = (m) => `${perMillion(m).toFixed(1)} CPU-s per million deliveries, p50 ${ms(m.p50_ms)}, p99 ${ms(m.p99_ms)}`;
  const values = await rounds(bench, "fanout", quick ? 3 : 7, job, shown);
  const load = `${VIEWERS} viewers, ${RATE} messages/s`;
  return [
    compared(`fan-out, ${load}: CPU`, "CPU-s per million deliveries", values(perMillion), { most: 1.15 }),
    compared(`fan-out, ${load}: delivery p50`, "ms", values((m) => m.p50_ms)),
    compared(`fan-out, ${load}: delivery p99`, "ms", values((m) => m.p99_ms)),
  ];
}

async function send(bench) {
  const { quick } = bench;
  const lines = [];
  for (const window of [1, 16]) {
    const job = (bare) => ({
      job: "send",
      room: `${bare ? "echo" : "video_send"}${++rooms}`,
      window,
      warm_up: quick ? 0.5 : 1,
      seconds: quick ? 1.5 : 3,
    });
    const perSecond = (m) => m.count / m.seconds;
    const cpu = (m) => perMillion(m) ;
    const shown = (m) => `${perSecond(m).toFixed(0)} acknowledged/s, p50 ${m.p50_ms.toFixed(2)} ms, p99 ${m.p99_ms.toFixed(2)} ms`;
    const values = await rounds(bench, `send, window ${window}`, quick ? 3 : 7, job, shown);
    const what = `send, one sender, ${window} outstanding`;
    lines.push(compared(what, "acknowledged/s", values(perSecond), { least: 0.8 }));
    lines.push(compared(`${what}: CPU`, "CPU-µs per message", values(cpu)));
  }
  return lines;
}

function size() {
  // As scripts/build says it.
  const mb = execFileSync("gzip", ["-9c", join(root, "build/index_bg.wasm")], { maxBuffer: 1 << 28 }).length / 1e6;
  say(`  size: ${mb.toFixed(3)} MB`);
  return [alone("wasm, gzipped", "MB", mb, { most: 1 })];
}

async function cold(bench) {
  const starts = [];
  const [worker, nothing] = [bench.workers.chat, empty()];
  for (let round = 1; round <= (bench.quick ? 3 : 7); round++) {
    const pair = [];
    for (const each of [worker, nothing]) {
      const server = await serve(each);
      await server.stop();
      pair.push(server.ms);
    }
    say(`  cold ${round}: edge-chat ${ms(pair[0])}, empty Worker ${ms(pair[1])}`);
    starts.push(pair);
  }
  return [
    compared("process start to first answer (beside an empty Worker)", "ms", starts),
    compared("first acknowledgement after eviction", "ms", await wakes(bench)),
  ];
}

/** Opens a socket and joins; what it gives sends one message and resolves with the ms to its acknowledgement. */
async function sleeper(server, room, token) {
  const socket = new WebSocket(`${server.socketUrl}/api/rooms/${room}/ws`, ["chat.v1", `bearer.${token}`]);
  const answer = (prefix) =>
    new Promise((resolve, reject) => {
      socket.once("error", reject).once("close", (code) => reject(new Stop(`The socket of ${room} closed: ${code}.`)));
      socket.on("message", (data) => prefix.test(data) && resolve());
    });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const joined = answer(/^{"reply":0/);
  socket.send(JSON.stringify({ id: 0, event: "join_room", data: { room_id: room } }));
  await joined;
  const send = async () => {
    const acknowledged = answer(/^{"(reply|id)":1/);
    const began = performance.now();
    socket.send(JSON.stringify({ id: 1, event: "send_message", data: { content: "good morning" } }));
    await acknowledged;
    return performance.now() - began;
  };
  return { send, close: () => socket.terminate() };
}

async function wakes(bench) {
  const { chat, bare } = bench;
  const pairs = [];
  for (let n = 0; n < (bench.quick ? 5 : 15); n++) {
    rooms++;
    pairs.push([await sleeper(chat, `video_wake${rooms}`, bench.sender), await sleeper(bare, `echo${rooms}`, bench.sender)]);
  }
  const woken = () => [chat.logged("room wake"), bare.logged("echo wake")];
  const before = woken();
  say(`  cold: ${pairs.length} rooms of each kind go to sleep, ${ASLEEP / 1000} s`);
  await sleep(ASLEEP);
  const times = [];
  for (const [ours, theirs] of pairs) times.push([await ours.send(), await theirs.send()]);
  // The last lines of the log may still be on their way.
  await sleep(100);
  const slept = woken().map((count, i) => count - before[i]);
  pairs.flat().forEach((socket) => socket.close());
  if (slept.some((count) => count < pairs.length)) {
    bench.void = true;
    throw new Stop(`Of ${pairs.length} rooms of each kind only ${slept[0]} and ${slept[1]} had left the memory.`);
  }
  return times;
}

/** The rows by name, in the order in which they are run. */
export const rows = { size, fanout, send, cold };
