// A herd: all sockets are cut at once, as a deploy does it, and everybody comes back.
import { existsSync } from "node:fs";
import { until } from "../../scripts/lib/process.mjs";
import { token } from "../harness/server.mjs";
import { checkGoodbyes, checkLog, checkViewer } from "./check.mjs";
import { Follower } from "./follower.mjs";
import { startServers } from "./servers.mjs";

/**
 * In memory where that can be had: here one process with one thread waits for the disk for each of the rooms and users,
 * in production nobody waits for another's.
 */
const FOLDER = existsSync("/dev/shm") ? "/dev/shm" : undefined;
const SMALL_ROOMS = 20;
/** One of so many has a token. */
const MEMBERS = 5;
/** Messages in each room before the cut, and again while everybody is away. */
const SAID = 20;
const AT_ONCE = 200;
/** How long anybody may take beyond the wait that was handed out. */
const BACK_MS = 15_000;

/** Half of the herd is in one room, the other half in 20. Gives the figures; `faults` is empty where all held. */
export async function herd({ sockets }) {
  const servers = await startServers({ folder: FOLDER });
  const { worker } = servers;
  const ids = ["video_big", ...Array.from({ length: SMALL_ROOMS }, (_, n) => `video_${n}`)];
  const bot = await token({ sub: "bot", roles: ["service"] });
  const figures = { sockets, back: [], resumed: 0, anew: 0, refused: {}, failed: 0, faults: [] };
  const fault = (clause, sentence) => figures.faults.length < 20 && figures.faults.push(`${clause}: ${sentence}`);
  const say = async (room, content) => {
    const headers = { authorization: `Bearer ${bot}`, "content-type": "application/json" };
    const response = await fetch(`${worker.url}/api/rooms/${room}/messages`, { method: "POST", headers, body: JSON.stringify({ content }) });
    if (response.status !== 201) fault("V9", `a message over REST was answered ${response.status}`);
    return (await response.json()).seq;
  };
  /** So many messages in each room; the last one's `seq`, by room. */
  const talk = async (count) => {
    const last = {};
    for (let i = 0; i < count; i++) await Promise.all(ids.map(async (room) => (last[room] = await say(room, `message ${i} of ${count}`))));
    return last;
  };

  const clients = [];
  const enter = async (n, room) => {
    const protocols = n % MEMBERS ? [] : [`bearer.${await token({ sub: `viewer-${n}` })}`];
    // Everybody comes from elsewhere.
    const headers = { "cf-connecting-ip": `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` };
    const name = `viewer ${n} in ${room}`;
    const client = new Follower({ url: worker.socketUrl(room), protocols, headers, keep: false });
    clients.push(Object.assign(client, { name, room, user: n % MEMBERS ? null : `viewer-${n}` }));
    return client;
  };
  const all = (ms, holds) => until(ms, () => clients.every(holds));
  const at = (seqs) => ({ room, cursor }) => cursor?.seq >= seqs[room];

  try {
    for (const room of ids) await enter(0, room);
    if (!(await all(20_000, ({ online }) => online))) throw new Error("the rooms could not be made");
    for (let n = 1; n <= sockets - ids.length; n++) {
      await enter(n, n % 2 ? ids[0] : ids[1 + ((n / 2) % SMALL_ROOMS)]);
      if (n % AT_ONCE === 0 && !(await all(60_000, ({ online }) => online))) throw new Error(`${n} sockets are too many to open`);
    }
    if (!(await all(60_000, ({ online }) => online))) throw new Error("not everybody got in");
    const before = await talk(SAID);
    if (!(await all(60_000, at(before)))) throw new Error("not everybody was told before the cut");

    await servers.kill("workerd");
    await servers.start("workerd");
    await talk(SAID);
    const waits = Math.max(...clients.map(({ record }) => record.wait));
    if (!(await all(waits + BACK_MS, ({ online }) => online))) fault("V9", `${clients.filter(({ online }) => !online).length} are not back ${BACK_MS} ms after the last one's wait`);
    const last = await talk(1);
    if (!(await all(BACK_MS, at(last)))) fault("V4", `${clients.filter((client) => !at(last)(client)).length} were not told everything`);

    const logs = Object.fromEntries(ids.map((room) => [room, servers.log(room)]));
    for (const [room, log] of Object.entries(logs)) checkLog(log, (clause, sentence) => fault(clause, `${room}: ${sentence}`));
    for (const client of clients) {
      const { record, room, cursor } = client;
      const segments = checkViewer(logs[room], record, client, cursor?.seq ?? 0, fault);
      figures.anew += segments - 1;
      figures.resumed += record.entries.filter(({ resumed }) => resumed).length;
      figures.failed += record.unreached;
      figures.back.push(...record.absences);
      for (const status of record.refused) if (status >= 500) fault("V9", `an upgrade was answered ${status}`);
      checkGoodbyes(record, client, [], fault);
      for (const why of [...record.refused, ...record.goodbyes.map(({ code }) => code)]) figures.refused[why] = (figures.refused[why] ?? 0) + 1;
      for (const { back, wait } of record.absences) if (back - wait > BACK_MS) fault("V9", `${client.name} was back ${Math.round(back - wait)} ms after its wait`);
    }
  } catch (error) {
    figures.faults.push(error.stack);
  }
  for (const client of clients) client.close();
  await servers.stop();
  return figures;
}
