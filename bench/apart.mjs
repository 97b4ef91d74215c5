// What each thing that the chat has of an idle guest costs by itself: a bare object that has one more, beside one that has none.
import { say } from "../scripts/lib/process.mjs";
import { inspector } from "./inspector.mjs";
import { median } from "./report.mjs";
import { load, room } from "./run.mjs";
import { create, files, server } from "./servers.mjs";
import { guests, serve } from "./workerd.mjs";

const ROUNDS = 2;
/** What garbage happens to be there is not what a socket costs: it is collected so often, ms. */
const COLLECT_EVERY = 100;

const things = {
  none: "the bare object",
  tag: "a tag",
  attachment: "an attachment of 100 bytes, written twice",
  numbers: "a map from sockets to numbers",
  promises: "handlers that await",
  request: "a request of the Worker's own to the object",
  reply: "a reply of 900 bytes",
  pings: "a ping each 15 s, answered by the platform",
  stats: "`room_stats`, once a second to all while people come",
  "stats+slices": "the same to 100 in a millisecond",
  "stats+pings": "`room_stats` and pings",
  chat: "edge-chat",
};

/** Idle guests of a server, while its garbage is collected; KiB of each. */
async function measured(target, name, count) {
  const { call, close } = await inspector(target.inspector);
  await call("HeapProfiler.enable");
  let stop = false;
  const collecting = (async () => {
    while (!stop) {
      await call("HeapProfiler.collectGarbage");
      await new Promise((resolve) => setTimeout(resolve, COLLECT_EVERY));
    }
  })();
  // Long enough for each of them to ping, where they do.
  const seconds = name.includes("pings") || name.startsWith("video_") ? 16 : 3;
  const [memory] = await load(target, { job: "idle", room: name, viewers: Array(count).fill(""), first: 500, seconds });
  stop = true;
  await collecting;
  close();
  return memory.kib_each;
}

/** Measures all of it, in rounds, and prints a table. */
export async function apart() {
  const count = Math.min(10_000, Math.floor((files - 1_000) / 2_000) * 1_000);
  const found = Object.fromEntries(Object.keys(things).map((thing) => [thing, []]));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const thing of Object.keys(things)) {
      const isChat = thing === "chat";
      const target = isChat
        ? await server("chat", { fresh: `apart-${round}`, vars: { SHARD_SOCKETS: "32000" }, inspected: true })
        : { ...(await serve(guests(`${thing}-${round}`), { inspected: true })), beside: [], dialect: "chat" };
      try {
        const name = isChat ? room("video_") : thing;
        if (isChat) await create(target, name);
        found[thing].push(await measured(target, name, count));
        say(`  ${round}, ${things[thing]}: ${found[thing].at(-1).toFixed(1)} KiB each`);
      } finally {
        await target.stop();
      }
    }
  }
  const none = median(found.none);
  console.log(`\n| ${count.toLocaleString("en-US")} idle guests | KiB each | more than the bare object |\n| --- | --- | --- |`);
  for (const [thing, all] of Object.entries(found)) {
    console.log(`| ${things[thing]} | ${median(all).toFixed(1)} | ${thing === "none" ? "" : (median(all) - none).toFixed(1)} |`);
  }
}
