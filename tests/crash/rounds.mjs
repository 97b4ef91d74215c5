// Rounds: people talk, a server dies, everything comes back, and all that was seen and promised is checked.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../scripts/lib/process.mjs";
import { killObject, socketsOf } from "../harness/mortal.mjs";
import { checkAcknowledged, checkGoodbyes, checkLog, checkRows, checkStream, checkTexts, checkViewer } from "./check.mjs";
import { Room, dice } from "./load.mjs";
import { startServers } from "./servers.mjs";

const ROOMS = 4;
/** How many viewers the rooms are told to expect where they are split, and the shards that this makes, above nine of them a relay. */
const SPLIT = [{ expected: 20, shards: 3 }, { expected: 70, shards: 9, relay: "~r0" }];
/** The class of each kind of object that dies by itself. */
const CLASSES = { room: "Room", shard: "Shard", relay: "Shard" };
/** So many rounds happen to the same people in the same rooms. */
const ROUNDS_OF_A_ROOM = 3;
const BACK_MS = 60_000;
const DRAINED_MS = 30_000;
const SHOWN_FAULTS = 20;

/** `p` in 0–1. */
export const percentile = (values, p) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? 0;
};

class Failed extends Error {}

/**
 * Plays `rounds` rounds with the dice of `seed`, in rooms that are `split` into shards or not; `say` gets a line a round. Gives the figures; `faults` of it is empty
 * where everything held, and else the storage is kept in the folder `kept`, with what the last rooms' clients saw.
 */
export async function crash({ rounds, seed, builds, split = false, say = () => {} }) {
  // The talk takes from dice of its own: how often it does depends on the machine.
  const [random, chance] = [dice(seed), dice(seed + 1)];
  const servers = await startServers({ builds, vars: split ? { SHARD_SOCKETS: "10" } : {} });
  const kinds = [...(split ? Object.keys(CLASSES) : ["room"]), ...servers.names];
  const figures = {
    rounds: 0, kills: Object.fromEntries(kinds.map((kind) => [kind, 0])), acts: 0, acknowledged: 0, refusals: {}, goodbyes: {},
    events: 0, resumed: 0, anew: 0, catchUps: 0, back: [], drained: [], faults: [],
  };
  let rooms = [];
  try {
    for (let round = 0; round < rounds; round++) {
      if (round % ROUNDS_OF_A_ROOM === 0) {
        close(rooms, figures);
        const shape = (n) => (split ? SPLIT[n % SPLIT.length] : {});
        rooms = Array.from({ length: ROOMS }, (_, n) => new Room(`video_${seed}_${round}_${n}`, servers.worker, chance, shape(n)));
        await Promise.all(rooms.map((room) => room.enter()));
      }
      const began = performance.now();
      // Each kind once, so that a few rounds have all of them, then by the dice.
      const what = await play(servers, rooms, random, kinds[round] ?? victim(kinds, random), figures);
      figures.rounds += 1;
      say(`round ${round + 1}/${rounds}: ${what}; ${((performance.now() - began) / 1000).toFixed(1)} s`);
    }
  } catch (error) {
    if (!figures.faults.length) figures.faults.push(error instanceof Failed ? error.message : error.stack);
  }
  close(rooms, figures);
  const keep = figures.faults.length > 0;
  await servers.stop({ keep });
  if (keep) {
    figures.kept = servers.storage;
    const seen = rooms.map(({ id, acts, clients }) => ({ id, acts, clients: clients.map(({ name, record }) => ({ name, entries: record.entries })) }));
    writeFileSync(join(servers.storage, "seen.json"), JSON.stringify(seen, null, 1));
  }
  return figures;
}

/** Counts what a room's people went through, and lets them go. */
function close(rooms, figures) {
  for (const room of rooms) {
    figures.acts += room.sent;
    figures.acknowledged += room.acts.length;
    for (const [code, count] of Object.entries(room.refusals)) figures.refusals[code] = (figures.refusals[code] ?? 0) + count;
    for (const { record } of room.clients) {
      const again = record.entries.filter(({ from }) => from);
      figures.resumed += again.filter(({ resumed }) => resumed).length;
      figures.anew += again.filter(({ snapshot }) => snapshot).length;
      figures.catchUps += record.catchUps;
      for (const { code } of record.goodbyes) figures.goodbyes[code] = (figures.goodbyes[code] ?? 0) + 1;
      figures.back.push(...record.absences);
    }
    room.leave();
  }
}

/** The dice say what dies: workerd in half of the rounds. */
function victim(kinds, random) {
  const others = kinds.filter((kind) => kind !== "workerd");
  return random() < 0.5 ? "workerd" : one(others, random);
}

const one = (list, random) => list[Math.floor(random() * list.length)];

/** A single object dies: a room, the relay of one, or of its shards one that somebody is at; its name. */
async function killOne(worker, kind, rooms, random) {
  const room = one(rooms.filter(({ relay }) => kind !== "relay" || relay), random);
  let name = kind === "relay" ? room.id + room.relay : room.id;
  if (kind === "shard") {
    const first = Math.floor(random() * room.shards);
    const names = Array.from({ length: room.shards }, (_, n) => `${room.id}~s${(first + n) % room.shards}`);
    const held = await Promise.all(names.map((shard) => socketsOf(worker, CLASSES.shard, shard)));
    name = names[held.findIndex((sockets) => sockets > 0)];
  }
  room.deaths.push(performance.now());
  await killObject(worker, CLASSES[kind], name);
  return name;
}

async function play(servers, rooms, random, name, figures) {
  const faults = [];
  const fault = (room) => (clause, sentence) => faults.push(`${clause}: ${room.id}: ${sentence}`);
  for (const room of rooms) room.talk();
  await sleep(200 + random() * 1_500);

  const object = name in CLASSES ? await killOne(servers.worker, name, rooms, random) : null;
  if (!object) await servers.kill(name, random);
  figures.kills[name] += 1;
  // What was acknowledged until now has to be there now.
  if (name === "workerd") {
    for (const room of rooms) checkAcknowledged(servers.log(room.id), [...room.acts], fault(room));
  } else await sleep(random() * 1_200);
  if (!object) await servers.start(name);

  const clients = rooms.flatMap((room) => room.clients);
  const back = await until(BACK_MS, () => clients.every(({ online }) => online) || clients.find(({ ended }) => ended));
  if (back !== true) throw new Failed(`${clients.filter(({ online }) => !online).map((client) => `${client.name}${client.ended ? `: ${client.ended}` : ""}`)} did not come back`);
  await sleep(300 + random() * 300);
  const looks = await servers.database.look((query) => rowsOf(query, rooms));

  await Promise.all(rooms.map((room) => room.hush()));
  const marks = await Promise.all(rooms.map((room) => room.mark()));
  const said = performance.now();
  const behind = () => rooms.flatMap((room, i) => room.clients.filter(({ cursor }) => !(cursor?.seq >= marks[i])));
  if (!(await until(BACK_MS, () => behind().length === 0, 20))) throw new Failed(`V4: ${behind().map(({ name: who, cursor }) => `${who} stays at ${JSON.stringify(cursor)}`)}, the marks are ${marks}`);

  const cursors = async () => {
    const rows = await servers.database.look((query) => query("select room_id, seq from room_cursor"));
    const seqs = new Map(rows.map(({ room_id, seq }) => [room_id, Number(seq)]));
    return rooms.every((room, i) => seqs.get(room.id) >= marks[i]);
  };
  if (!(await until(DRAINED_MS, cursors, 100))) throw new Failed(`P1: PostgreSQL was not told everything in ${DRAINED_MS} ms`);
  figures.drained.push(performance.now() - said);

  const after = await servers.database.look((query) => rowsOf(query, rooms));
  for (const [i, room] of rooms.entries()) {
    const found = fault(room);
    const log = servers.log(room.id);
    checkLog(log, found);
    checkAcknowledged(log, room.acts, found);
    checkTexts(log, room.texts.typed, found);
    for (const client of room.clients) {
      checkViewer(log, client.record, client, client.cursor.seq, found, { texts: room.texts });
      checkGoodbyes(client.record, client, room.deaths, found);
    }
    checkRows(log, looks[i], found);
    checkRows(log, after[i], found, { now: true });
    const refused = room.clients.flatMap(({ record }) => record.refused);
    if (refused.length) found("V9", `upgrades were answered ${refused}`);
    figures.events += marks[i] - (room.last ?? 0);
    room.last = marks[i];
  }
  if (servers.bridge) await checkBridge(servers, rooms, marks, fault);
  if (faults.length) {
    figures.faults.push(...faults.slice(0, SHOWN_FAULTS), ...(faults.length > SHOWN_FAULTS ? [`and ${faults.length - SHOWN_FAULTS} more`] : []));
    throw new Failed("faults");
  }
  return `${object ? `${name} ${object}` : name} killed, ${rooms.reduce((sum, { acts }) => sum + acts.length, 0)} acknowledged so far, 0 faults`;
}

async function checkBridge({ bridge, log }, rooms, marks, fault) {
  const key = (room) => `chat:room:${room.id}:events`;
  const told = (room, i) => Number(bridge.stream(key(room)).at(-1)?.fields.seq) >= marks[i];
  if (!(await until(DRAINED_MS, () => rooms.every(told), 200))) throw new Failed(`B1: Redis was not told everything in ${DRAINED_MS} ms`);
  for (const room of rooms) checkStream(log(room.id), room.clients[0].cursor.epoch, room.id, bridge.stream(key(room)), fault(room), { texts: room.texts });
}

/** What PostgreSQL has of each room. */
async function rowsOf(query, rooms) {
  const all = [];
  for (const { id } of rooms) {
    const [cursor] = await query("select seq from room_cursor where room_id = $1", [id]);
    all.push({
      cursor: Number(cursor?.seq ?? 0),
      messages: await query("select id as message_id, no, client_id, seq, user_id, content, edited_at, deleted_at from messages where room_id = $1 order by no", [id]),
      reactions: await query("select r.* from reactions r join messages m on m.id = r.message_id where m.room_id = $1", [id]),
      bans: await query("select user_id from bans where room_id = $1", [id]),
    });
  }
  return all;
}
