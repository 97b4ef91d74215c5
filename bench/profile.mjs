// Where the Worker's time goes under a row's load: workerd's profiler, read over its inspector; and what deliveries wait for.
import { parseArgs } from "node:util";
import { Stop, script, step } from "../scripts/lib/process.mjs";
import { apart } from "./apart.mjs";
import { inspector } from "./inspector.mjs";
import { load, perMillion, room } from "./run.mjs";
import { create, server, token, viewers } from "./servers.mjs";
import { waits } from "./waits.mjs";

/** A few seconds of each row's load. */
const jobs = {
  steady: async () => fanout(1, 1000, { rate: 20 }),
  hot: async () => fanout(1, 1000, { rate: 200 }),
  // Slower than "hot": it sends each event by itself, and is to keep up.
  socketio: async () => fanout(1, 1000, { rate: 40 }),
  // Guests, as in the row: an object of each user's would be in this process.
  many: async (target) => {
    const job = { ...(await fanout(500, 0, { rate: 2 })), viewers: Array(5000).fill("") };
    for (const name of job.rooms) await create(target, name);
    return job;
  },
  send: async () => ({ job: "send", rooms: [room("video_profile")], window: 16, warm_up: 0.5, seconds: 6 }),
  join: async () => ({ job: "join", room: room("video_profile"), viewers: await viewers(2000), missed: 50 }),
};

const fanout = async (rooms, each, pace) => ({
  job: "fanout",
  rooms: Array.from({ length: rooms }, () => room("video_profile")),
  viewers: await viewers(rooms * each),
  phases: [{ pace, warm_up: WARM_UP, seconds: 6 }],
  patience: 60,
  messages: rooms === 1,
});

/** Seconds of a row's load that are not measured. */
const WARM_UP = 1;

/** Samples by function: those that ended in it, and those that passed through it. */
function summed({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])));
  const name = ({ callFrame: { functionName, url } }) => functionName || url || "(anonymous)";
  const [own, all] = [new Map(), new Map()];
  const add = (to, key, us) => to.set(key, (to.get(key) ?? 0) + us);
  samples.forEach((id, n) => {
    const us = timeDeltas[n];
    add(own, name(byId.get(id)), us);
    const seen = new Set();
    for (let at = id; at !== undefined; at = parents.get(at)) seen.add(name(byId.get(at)));
    for (const each of seen) add(all, each, us);
  });
  return { own, all, us: timeDeltas.reduce((sum, us) => sum + us, 0) };
}

await script(async (args) => {
  const { positionals } = parseArgs({ args, allowPositionals: true });
  if (positionals[0] === "idle") return apart();
  const job = jobs[positionals[0]];
  if (!job) throw new Stop(`Which row? ${[...Object.keys(jobs), "idle"].join(", ")}.`);
  const target = await server(positionals[0] === "socketio" ? "gateway" : "chat", { fresh: "profile", inspected: true });
  const { call, close } = await inspector(target.inspector);
  await call("Profiler.enable");
  await call("Profiler.setSamplingInterval", { interval: 500 });
  const measuring = () => call("Profiler.start");
  const [measured] = (await step("load", async () => load(target, { ...(await job(target)), token: await token("sender", ["service"]), saturating: true, measuring }))).slice(-1);
  const { profile } = await call("Profiler.stop");
  close();
  const { own, all, us } = summed(profile);
  const idle = own.get("(idle)") ?? 0;
  console.log(`\n${perMillion(measured).toFixed(1)} CPU-s per million; ${((us - idle) / 1e6).toFixed(1)} s sampled as busy\n`);
  if (measured.messages) console.log(`${waits(measured, WARM_UP)}\n`);
  const top = (title, map) => {
    console.log(`| ${title} | share of busy time |\n| --- | --- |`);
    const busy = [...map].filter(([name]) => !["(idle)", "(root)"].includes(name)).sort((a, b) => b[1] - a[1]).slice(0, 30);
    for (const [name, each] of busy) console.log(`| \`${name.slice(0, 110)}\` | ${((100 * each) / (us - idle)).toFixed(1)} % |`);
    console.log();
  };
  top("by itself", own);
  top("with what it calls", all);
});
