// PostgreSQL goes away while rooms talk, and comes back: how fast sends are acknowledged, how long until it has it all.
import { setTimeout as sleep } from "node:timers/promises";
import { chat, relay, startServer, testDatabase, until } from "./index.mjs";

/** Sends on their way at once, over all sockets. */
const WIDTH = 64;

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
const times = (ms) => {
  const sorted = ms.toSorted((a, b) => a - b);
  const rounded = (n) => Math.round(n * 100) / 100;
  return { p50_ms: rounded(quantile(sorted, 0.5)), p99_ms: rounded(quantile(sorted, 0.99)), most_ms: rounded(sorted.at(-1)) };
};

/** Until PostgreSQL has everything again, ms. */
const DRAINED_WITHIN = 30_000;

/** What of a result is not as it is promised: nobody who sends notices the outage, and soon nothing is left of it. */
export function missed({ before, during, drained_ms, rejected, wrong }) {
  const most = 1.2 * before.p99_ms + 5;
  return [
    ...rejected,
    ...wrong,
    ...(during.p99_ms > most ? [`acknowledged in ${during.p99_ms} ms (p99), before in ${before.p99_ms} ms: at most ${most.toFixed(1)} ms`] : []),
    ...(drained_ms === null || drained_ms > DRAINED_WITHIN ? [`PostgreSQL had everything after ${drained_ms ?? "more than the patience,"} ms: at most ${DRAINED_WITHIN} ms`] : []),
  ];
}

/**
 * Says `rows` messages over `rooms` rooms in `seconds` of an outage, after a quarter of them at the same rate before it.
 * The result: the times of acknowledgements `before` and `during`, how long until PostgreSQL had everything
 * (`drained_ms`, null after `patience` ms), `rejected`, the sends that were, and `wrong`, what PostgreSQL has otherwise than it
 * was acknowledged.
 */
export async function outage({ rows, seconds, rooms = 8, patience = 300_000, report = () => {} }) {
  const database = await testDatabase();
  const link = await relay(database.url);
  const vars = { RATE_LIMIT_SERVICE_MESSAGES: "100000" };
  const server = await startServer({ databaseUrl: link.url, vars });
  try {
    const { join } = chat(server);
    const names = Array.from({ length: rooms }, (_, i) => `video_outage_${i}`);
    const sockets = await Promise.all(names.map((room) => join(room, { sub: "backend", roles: ["service"] })));
    const acknowledged = names.map(() => []);
    const rejected = [];

    /** `count` messages, evenly over `ms`; the times of their acknowledgements. */
    const say = async (count, ms) => {
      const taken = [];
      const began = performance.now();
      let next = 0;
      const lane = async () => {
        while (next < count) {
          const i = next++;
          const early = began + (i * ms) / count - performance.now();
          if (early > 1) await sleep(early);
          const room = i % rooms;
          const content = `message ${i} in room ${room}, of about the length that people say`;
          const sent = performance.now();
          try {
            const { message_id } = await sockets[room].request("send_message", { content }, 20_000);
            taken.push(performance.now() - sent);
            acknowledged[room].push({ id: message_id, content });
          } catch (error) {
            rejected.push(`message ${i} in room ${room}: ${error.message}`);
          }
        }
      };
      await Promise.all(Array.from({ length: WIDTH }, lane));
      return times(taken);
    };

    const before = await say(Math.ceil(rows / 4), (seconds * 1_000) / 4);
    report("before", before);
    await link.cut();
    const during = await say(rows, seconds * 1_000);
    report("during", during);

    const total = acknowledged.flat().length;
    const count = async () => Number((await database.query("select count(*) from messages"))[0].count);
    const left = total - (await count());
    await link.open();
    const opened = performance.now();
    let had;
    const done = await until(patience, async () => {
      had = await count();
      report("drained", { ms: Math.round(performance.now() - opened), rows: had });
      return had >= total;
    }, 250);
    const drained_ms = done ? Math.round(performance.now() - opened) : null;

    const wrong = [];
    for (const [i, room] of names.entries()) {
      const stored = await database.query("select id, no::int, content from messages where room_id = $1 order by no", [room]);
      const said = acknowledged[i].toSorted((a, b) => (a.id.slice(-10) < b.id.slice(-10) ? -1 : 1));
      if (stored.length !== said.length) wrong.push(`${room}: ${stored.length} rows of ${said.length}`);
      const other = stored.findIndex((row, n) => row.no !== n + 1 || row.id !== said[n]?.id || row.content !== said[n]?.content);
      if (other >= 0) wrong.push(`${room}: number ${stored[other].no} is not as it was acknowledged`);
    }
    for (const socket of sockets) socket.terminate();
    return { rows: total, left, before, during, drained_ms, rejected, wrong };
  } finally {
    await server.stop();
    await link.cut();
    await database.drop();
  }
}
