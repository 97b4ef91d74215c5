// Sockets on which nothing is said: memory of a process of their own, beside the bare object's.
import { say } from "../../scripts/lib/process.mjs";
import { compared } from "../report.mjs";
import { load, room } from "../run.mjs";
import { server, viewers } from "../servers.mjs";

export async function idle(bench) {
  const { quick } = bench;
  const count = quick ? 3_000 : 10_000;
  const tokens = await viewers(count);
  const pairs = [];
  for (let round = 1; round <= (quick ? 1 : 3); round++) {
    const pair = {};
    for (const kind of round % 2 ? ["chat", "bare"] : ["bare", "chat"]) {
      const own = await server(kind, { fresh: `idle${round}` });
      const job = { job: "idle", room: room(kind === "bare" ? "broadcast" : "video_"), viewers: tokens, seconds: quick ? 3 : 10 };
      [pair[kind]] = await load(own, job);
      const { kib_each, cpu_us_each } = pair[kind];
      say(`  idle ${round}, ${own.title}: ${kib_each.toFixed(1)} KiB and ${cpu_us_each.toFixed(1)} µs/s a socket`);
      await own.stop();
    }
    pairs.push([pair.chat, pair.bare]);
  }
  const of = (value) => pairs.map((pair) => pair.map(value));
  const what = `idle: ${count.toLocaleString("en-US")} sockets (bare object: broadcasts only)`;
  return [
    compared(`${what}: memory of the process`, "KiB each", "bare object", of((m) => m.kib_each), { most: 3, above: true }),
    compared(`${what}: CPU`, "µs/s each", "bare object", of((m) => m.cpu_us_each)),
  ];
}
