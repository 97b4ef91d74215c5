// docs/cost.md: what rooms cost at list prices, from what the built Worker writes and calls.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../scripts/lib/database.mjs";
import { Stop, say, script, step } from "../scripts/lib/process.mjs";
import { load, room } from "./run.mjs";
import { server, token, viewers } from "./servers.mjs";

const prices = JSON.parse(readFileSync(join(root, "bench/prices.json"), "utf8"));

/** Seconds that an object stays awake after the last thing that happened. */
const AWAKE = 10;
/** Wakes and rows of a day in which nothing is said, as the test `q1_…` holds them. */
const DAY = { wakes: 25, rows: 50, seconds: 2 };
/** Calls to objects that a join makes: the room, the user's blocks and sign-out, the user's list of rooms. */
const JOIN_CALLS = 3;
const WORKER_CPU_MS = 2;

/** Rooms: viewers, messages a second while they are measured, messages an hour that are reckoned with. */
const scenarios = [
  { name: "quiet", what: "50 viewers, 12 messages an hour", viewers: 50, rate: 0.25, seconds: 20, hourly: 12 },
  { name: "steady", what: "1,000 viewers, 20 messages a second", viewers: 1000, rate: 20, seconds: 6, hourly: 72_000 },
  { name: "hot", what: "1,000 viewers, 200 messages a second", viewers: 1000, rate: 200, seconds: 4, hourly: 720_000 },
];

async function counters({ url }, name, bearer) {
  const answer = await fetch(`${url}/api/rooms/${name}/stats`, { headers: { authorization: `Bearer ${bearer}` } });
  if (!answer.ok) throw new Stop(`The counters of ${name} are answered ${answer.status}.`);
  return (await answer.json()).counters;
}

/** What a message takes in a scenario: rows written, batches to PostgreSQL. */
async function measure({ name, viewers: count, rate, seconds }) {
  const target = await server("chat");
  const bearer = await token("sender", ["service"]);
  const id = room(`video_${name}`);
  const headers = { authorization: `Bearer ${bearer}`, "content-type": "application/json" };
  await fetch(`${target.url}/api/rooms`, { method: "POST", headers, body: JSON.stringify({ room_id: id, name, type: "video" }) });
  // What making the room took is drained first.
  await sleep(3_000);
  const before = await counters(target, id, bearer);
  const phases = [{ pace: { rate }, warm_up: 0, seconds }];
  await load(target, { job: "fanout", rooms: [id], token: bearer, viewers: await viewers(count), phases, patience: 60, saturating: true });
  await sleep(3_000);
  const after = await counters(target, id, bearer);
  const messages = Math.round(rate * seconds);
  const each = (key) => (after[key] - before[key]) / messages;
  say(`  ${name}: ${each("rows_written").toFixed(3)} rows and ${each("drains").toFixed(3)} batches a message`);
  return { rows: each("rows_written"), drains: each("drains") };
}

/** Dollars of an hour of a room, by what they are for. */
function hour({ viewers: count, hourly }, { rows, drains }) {
  const p = prices.cloudflare;
  const idle = hourly < 360;
  // A message wakes a quiet room; one in which something is always said is awake all the time, and a drain with it.
  const awake = idle ? hourly * AWAKE + DAY.seconds / 24 : 3600;
  const wakes = idle ? DAY.wakes / 24 : 0;
  const calls = hourly * (2 * drains) + wakes + count * JOIN_CALLS;
  // A viewer comes once an hour; what the platform answers, as pings, is not billed.
  const requests = calls + (hourly + count) / p.socket_messages_per_request;
  // Each row is deleted again when the log lets go of it, and each batch arms the alarm.
  const written = hourly * (2 * rows + drains) + (idle ? DAY.rows / 24 : 0);
  return {
    rows: (written * p.rows_written_per_million) / 1e6,
    requests: (requests * p.object_requests_per_million + count * (p.worker_requests_per_million + WORKER_CPU_MS * p.worker_cpu_ms_per_million)) / 1e6,
    duration: (2 * awake * p.object_gb * p.object_gb_seconds_per_million) / 1e6,
  };
}

function vendorHour(vendor, { viewers: count, hourly }) {
  const messages = hourly * (1 + count);
  if (vendor.plan_per_month) {
    const share = Math.max((messages * 24) / vendor.plan_messages_per_day, count / vendor.plan_connections);
    return (share * vendor.plan_per_month) / 720;
  }
  const { messages_per_million, connection_minutes_per_million, channel_minutes_per_million } = vendor;
  return (messages * messages_per_million + count * 60 * connection_minutes_per_million + 60 * channel_minutes_per_million) / 1e6;
}

const dollars = (value) =>
  `$${value >= 100 ? Math.round(value).toLocaleString("en-US") : value >= 0.01 ? value.toFixed(2) : value.toPrecision(2)}`;

function document(measured, left) {
  const lines = measured.flatMap(([scenario, cost]) => {
    const { rows, requests, duration } = hour(scenario, cost);
    const sum = rows + requests + duration;
    const line = (who, an_hour, parts) =>
      `| ${scenario.name} | ${who} | ${dollars(an_hour)} | ${parts} | ${dollars((an_hour / scenario.hourly) * 1e6)} | ${dollars((an_hour / scenario.viewers) * 1000)} |`;
    const part = (value) => `${Math.round((100 * value) / sum)} %`;
    return [
      line("**edge-chat**", sum, `rows ${part(rows)}, requests ${part(requests)}, duration ${part(duration)}`),
      ...prices.vendors.map((vendor) => line(vendor.name, vendorHour(vendor, scenario), "")),
    ];
  });
  const p = prices.cloudflare;
  return `# What it costs

Computed by \`./scripts/bench cost\` from the rows and batches of the built Worker, measured while it was loaded, from what is [assumed](#what-is-assumed), and from list prices in [bench/prices.json](../bench/prices.json). ${prices.note} PostgreSQL and Redis are not in it.

| room | | an hour | of which | a million messages | a thousand viewer-hours |
| --- | --- | --- | --- | --- | --- |
${lines.join("\n")}

| room | | rows a message | batches to PostgreSQL a message |
| --- | --- | --- | --- |
${measured.map(([{ name, what }, { rows, drains }]) => `| ${name} | ${what} | ${rows.toFixed(3)} | ${drains.toFixed(3)} |`).join("\n")}
${left.map((why) => `\nNot measured: ${why}\n`).join("")}
## What is reckoned with

- **Rows written** ($${p.rows_written_per_million.toFixed(2)} a million): those of the room's log and state, each deleted again when the log lets go of it, and the alarm armed once a batch. In an hour without a word a room writes ${(DAY.rows / 24).toFixed(1)}.
- **Requests** ($${p.object_requests_per_million} a million): an alarm and a call to the drain for each batch, ${JOIN_CALLS} calls a join, one join a viewer and hour. Frames from clients count one in ${p.socket_messages_per_request}: messages, and one join. A ping each 15 s is answered by the platform (\`setWebSocketAutoResponse\`), which by its documentation is not billed; nor are frames to clients. The Worker: one request a join ($${p.worker_requests_per_million} a million).
- **Duration** ($${p.object_gb_seconds_per_million} a million GB-s at ${p.object_gb * 1000} MB): the room and one drain, all the time where something is said all the time; in a quiet room ${AWAKE} s for each message, which is the most that it can be. One object up to 4,000 viewers; each further shard is ${dollars((3600 * p.object_gb * p.object_gb_seconds_per_million) / 1e6)} an hour.
- ${p.sources.join(", ")}: as of ${p.as_of}.
${prices.vendors.map((v) => `- **${v.name}** (${v.source}, as of ${v.as_of}, unverified): ${v.rule}.`).join("\n")}

## What is assumed

Measured are rows and batches a message alone, the second table. Constants of \`bench/cost.mjs\` are:

- **${JOIN_CALLS} calls a join** (\`JOIN_CALLS\`), read from the code: the room; the user's blocks and sign-out; the user's list of rooms, which who was there a minute ago does not need. A guest makes one.
- **${AWAKE} s awake** after the last thing that happened (\`AWAKE\`): when the platform lets an object hibernate, by its documentation and on the local workerd. It bills no time in which an object could hibernate and has not yet, so it is too much if anything.
- **A day without a word** (\`DAY\`): ${DAY.wakes} wakes, ${DAY.rows} rows, ${DAY.seconds} s, about what the simulated one of the test \`q1_…\` in \`tests/it/alive.rs\` has; that holds the room to 100, 200 and 60 s.
- **${WORKER_CPU_MS} ms of the Worker's CPU a join** (\`WORKER_CPU_MS\`): a guess; only production tells.
- **One join a viewer and hour**: how long people stay is the rooms' matter.
`;
}

await script(async () => {
  const [measured, left] = [[], []];
  for (const scenario of scenarios) {
    try {
      measured.push([scenario, await step(scenario.name, () => measure(scenario))]);
    } catch (error) {
      left.push(`${scenario.name}, ${scenario.what}: ${error.message}`);
      say(`  ✗ ${scenario.name} is left out: ${error.message}`);
    }
  }
  if (!measured.length) throw new Stop("Nothing could be measured.");
  const text = document(measured, left);
  writeFileSync(join(root, "docs/cost.md"), text);
  console.log(text);
  return measured.length < scenarios.length ? 1 : 0;
});
