// From nothing to the first answer: a process, and an object that has left the memory.
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { Stop, say } from "../../scripts/lib/process.mjs";
import { compared } from "../report.mjs";
import { ms, room } from "../run.mjs";
import { chatWorker, server, token } from "../servers.mjs";
import { empty, serve } from "../workerd.mjs";

/** Objects leave the memory after 10 s without work. */
const ASLEEP = 13_000;

export async function cold(bench) {
  const starts = [];
  const workers = [await chatWorker("cold"), empty()];
  for (let round = 1; round <= (bench.quick ? 3 : 7); round++) {
    const pair = [];
    for (const each of workers) {
      const started = await serve(each);
      await started.stop();
      pair.push(started.ms);
    }
    say(`  cold ${round}: edge-chat ${ms(pair[0])}, empty Worker ${ms(pair[1])}`);
    starts.push(pair);
  }
  return [
    compared("cold: start of the process to the first answer", "ms", "empty Worker", starts, { most: 1.5 }),
    compared("cold: first acknowledgement after eviction (bare object: inserts and echoes)", "ms", "bare object", await wakes(bench), { most: 1.5 }),
  ];
}

/** Opens a socket and joins; what it gives sends one message and resolves with the ms to its acknowledgement. */
async function sleeper({ host }, room, token) {
  const socket = new WebSocket(`ws://${host}/api/rooms/${room}/ws`, ["chat.v1", `bearer.${token}`]);
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
  const [chat, bare] = [await server("chat"), await server("bare")];
  const service = await token("sender", ["service"]);
  const pairs = [];
  for (let n = 0; n < (bench.quick ? 5 : 15); n++) {
    pairs.push([await sleeper(chat, room("video_wake"), service), await sleeper(bare, room("echo"), service)]);
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
    throw new Stop(`Of ${pairs.length} rooms of each kind only ${slept[0]} and ${slept[1]} had left the memory.`);
  }
  return times;
}
