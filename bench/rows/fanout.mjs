// Fan-out: one room that is calm, one that is hot, many small ones, and a big one.
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "../../scripts/lib/process.mjs";
import { alone, beside, ours, share, sized } from "../report.mjs";
import { alternate, cores, load, ms, perMillion, perMillionInAll, perSecond, room } from "../run.mjs";
import { create, files, renew, server, settled, token, viewers } from "../servers.mjs";

const sender = token("sender", ["service"]);

/** Names of rooms as each server tells its objects apart by them. */
const prefix = (kind, bare) => ({ bare, gathered: "gathered" })[kind] ?? "video_";

/** A job in one room, of the bare object that only broadcasts. */
const oneRoom = (count, phase, more) => async (kind) => ({
  job: "fanout",
  rooms: [room(prefix(kind, "broadcast"))],
  token: await sender,
  viewers: await viewers(count),
  phases: [phase],
  patience: 10,
  ...more,
});

const linesPerFrame = ({ deliveries, frames }) => (deliveries / frames).toFixed(1);
const shown = (m) => `${perMillion(m).toFixed(1)} CPU-s per million deliveries, p50 ${ms(m.p50_ms)}, p99 ${ms(m.p99_ms)}, ${linesPerFrame(m)} messages a frame`;
const CPU = "CPU-s per million deliveries";

/** 1,000 viewers, 20 messages a second. */
export async function steady(bench) {
  const { quick } = bench;
  const peers = quick ? ["bare", "socketio"] : ["bare", "party", "socketio", "native"];
  const phase = { pace: { rate: 20 }, warm_up: 1, seconds: quick ? 3 : 5 };
  const rounds = await alternate(bench, "steady", quick ? 2 : 5, ["chat", ...peers], oneRoom(1000, phase), shown);
  const what = "steady: 1,000 viewers, 20 messages/s";
  return [
    ...beside(rounds, peers, `${what}: CPU (bare object: broadcasts only)`, CPU, perMillion, { bare: { most: 1.1 } }),
    ...beside(rounds, peers, `${what}: p99`, "ms", (m) => m.p99_ms, { bare: { most: 15, above: true } }),
  ];
}

/** 1,000 viewers, 200 messages a second; then as fast as each goes. */
export async function hot(bench) {
  const { quick } = bench;
  const phase = { pace: { rate: 200 }, warm_up: 0.5, seconds: quick ? 1.5 : 3 };
  const easy = { pace: { rate: 40 }, warm_up: 1, seconds: quick ? 2 : 4 };
  const peers = quick ? ["socketio"] : ["socketio", "native"];
  // Who cannot keep up is given the time to send what gathered, and its CPU counts until then.
  const more = { patience: 60, saturating: true };
  const job = (kind) => oneRoom(1000, phase, { ...more, phases: kind === "chat" ? [phase] : [easy, phase] })(kind);
  const rounds = await alternate(bench, "hot", quick ? 2 : 4, ["chat", ...peers], job, shown);
  const what = "hot: 1,000 viewers, 200 messages/s";

  const rivals = quick ? ["bare", "socketio"] : ["bare", "party", "socketio", "native"];
  const tilt = { pace: { window: 200 }, warm_up: 1, seconds: quick ? 2 : 4 };
  const told = (m) => `${Math.round(perSecond(m))} deliveries/s, p99 ${ms(m.p99_ms)}, ${linesPerFrame(m)} messages a frame`;
  const full = await alternate(bench, "full tilt", quick ? 1 : 3, ["chat", ...rivals], oneRoom(1000, tilt, { patience: 30, saturating: true }), told);
  return [
    ...beside(rounds, peers, `${what}: CPU, beside a peer at 40 messages/s, which it keeps up with`, CPU, perMillion, { socketio: { most: 0.3 } }),
    ...beside(rounds, peers, `${what}: CPU, beside a peer at 200 messages/s, however late it is`, CPU, perMillion, { socketio: { most: 0.3 } }, 1),
    ...beside(rounds, peers, `${what}: CPU, PostgreSQL and Redis included, beside a peer at 40`, CPU, perMillionInAll),
    ours(rounds, `${what}: p99`, "ms", (m) => m.p99_ms, { most: 150 }),
    ...beside(rounds, peers, `${what}: p99 of both at 200`, "ms", (m) => m.p99_ms, {}, 1),
    ours(full, "full tilt: 1,000 viewers, 200 messages under way", "deliveries/s", perSecond, { least: 200_000 }),
    ...beside(full, rivals, "full tilt (bare object: broadcasts only)", "deliveries/s", perSecond),
  ];
}

/** Clients of Socket.IO's alone: 1,000 viewers, 20 messages a second and then 200. */
export async function socketio(bench) {
  const { quick } = bench;
  const peers = quick ? ["socketio", "gathered"] : ["socketio", "events", "gathered"];
  const turns = (label, phase) =>
    alternate(bench, `socketio ${label}`, quick ? 1 : 3, ["gateway", ...peers], oneRoom(1000, phase, { patience: 60, saturating: true }), shown);
  const calm = { pace: { rate: 20 }, warm_up: 1, seconds: quick ? 3 : 5 };
  const much = { pace: { rate: 200 }, warm_up: 0.5, seconds: quick ? 1.5 : 3 };
  const [steady, hot] = [await turns("steady", calm), await turns("hot", much)].map((rounds) =>
    rounds.map(({ gateway, ...others }) => ({ chat: gateway, ...others })),
  );
  const what = "Socket.IO's clients alone, 1,000 viewers (bare object: an event a frame, broadcasts only)";
  return [
    ...beside(steady, peers, `${what}, 20 messages/s: CPU`, CPU, perMillion),
    ...beside(steady, peers, `${what}, 20 messages/s: p99`, "ms", (m) => m.p99_ms),
    ...beside(hot, peers, `${what}, 200 messages/s: CPU`, CPU, perMillion, { socketio: { most: 1 } }),
    ...beside(hot, peers, `${what}, 200 messages/s: p99`, "ms", (m) => m.p99_ms),
  ];
}

/** 500 rooms with 10 viewers, 2 messages a second in each. */
export async function many(bench) {
  const { quick } = bench;
  const job = async (kind) => {
    const rooms = Array.from({ length: 500 }, () => room(prefix(kind, "room")));
    // Guests: each user would have an object of their own, which in production is not in this process.
    if (kind === "chat") for (const name of rooms) await create(await server(kind), name);
    const phase = { pace: { rate: 2 }, warm_up: quick ? 1 : 2, seconds: quick ? 3 : 6 };
    return { job: "fanout", rooms, token: await sender, viewers: Array(5000).fill(""), phases: [phase], patience: 10 };
  };
  const rounds = await alternate(bench, "many", quick ? 1 : 4, ["chat", "bare"], job, shown, { anew: true });
  const what = "many: 500 rooms × 10 viewers × 2 messages/s (bare object: inserts, replies and broadcasts)";
  return [
    ...beside(rounds, ["bare"], `${what}: CPU`, CPU, perMillion, { bare: { most: 1.25 } }),
    ...beside(rounds, ["bare"], `${what}: p99`, "ms", (m) => m.p99_ms),
  ];
}

/** Makes a room that expects so many; false where the deployment knows no such setting. */
async function expecting({ url }, name, count) {
  const headers = { authorization: `Bearer ${await sender}`, "content-type": "application/json" };
  await fetch(`${url}/api/rooms`, { method: "POST", headers, body: JSON.stringify({ room_id: name, name, type: "video" }) });
  const settings = { expect_viewers: count, sample_above: null };
  const tried = [settings, { expect_viewers: count }];
  for (const each of tried) {
    const answer = await fetch(`${url}/api/rooms/${name}`, { method: "PATCH", headers, body: JSON.stringify({ settings: each }) });
    if (answer.ok) return true;
  }
  return false;
}

/** 15,000 viewers, 5 messages a second and then 50. */
export async function big(bench) {
  const { quick } = bench;
  const count = Math.min(quick ? 5_000 : 15_000, Math.floor((files - 2_000) / 2_000) * 1_000);
  const lines = [];
  const rates = [5, 50];
  const all = rates.map(() => []);
  for (let round = 1; round <= (quick ? 1 : 2); round++) {
    await renew();
    const target = await server("chat");
    const name = room("video_big");
    const warmed = await expecting(target, name, count);
    say(`  big ${round}: ${warmed ? `expect_viewers ${count} is set` : "this build knows no expect_viewers: one object"}`);
    // Shards are made meanwhile.
    await sleep(1_000);
    const phases = rates.map((rate) => ({ pace: { rate }, warm_up: 1, seconds: quick ? 3 : 8 }));
    const job = { job: "fanout", rooms: [name], token: await sender, viewers: Array(count).fill(""), phases, patience: 30, saturating: true };
    const measured = await load(target, job);
    measured.forEach((each, n) => {
      say(`  big ${round}, ${rates[n]} messages/s: ${shown(each)}; ${cores(each)}`);
      all[n].push(each);
    });
    await settled(target);
  }
  rates.forEach((rate, n) => {
    const what = `big: ${count.toLocaleString("en-US")} viewers, ${rate} messages/s, complete and in order`;
    const generator = [share(all[n])];
    const p99s = all[n].map((each) => each.p99_ms / 1000);
    lines.push(alone(`${what}: p99`, "s", p99s, sized({ most: 2 }, count, 15_000), generator), alone(`${what}: CPU`, CPU, all[n].map(perMillion), undefined, generator));
  });
  return lines;
}
