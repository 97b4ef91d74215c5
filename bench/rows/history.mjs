// Pages of a long history, through the Worker out of PostgreSQL.
import pg from "pg";
import { say } from "../../scripts/lib/process.mjs";
import { alone, compared, median } from "../report.mjs";
import { ms, room } from "../run.mjs";
import { database, server } from "../servers.mjs";

/** Rows of one statement of the filling. */
const CHUNK = 250_000;
const PAGE = 50;

/** Says `count` messages in a room that nobody has opened yet: its object learns of them from PostgreSQL. */
async function fill(client, name, count) {
  await client.query(
    "insert into rooms (id, name, type, created_at, updated_at) values ($1, $1, 'video', now() - interval '1 year', now())", [name]);
  let told = performance.now();
  for (let first = 1; first <= count; first += CHUNK) {
    // Ids as the room makes them: the time, then the place in the log.
    await client.query(`
      insert into messages (id, room_id, no, user_id, username, content, type, visible_at, created_at, epoch, seq)
      select (lpad(to_hex(1700000000000 + n), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid, $1, n,
        'user-' || n % 1000, 'user ' || n % 1000, 'message ' || n || ' ' || repeat('said and heard ', 12), 'text', t, t, 1, n
      from generate_series($2::bigint, $3::bigint) n, lateral (select to_timestamp((1700000000000 + n) / 1000.0) as t) at`,
      [name, first, Math.min(count, first + CHUNK - 1)]);
    if (performance.now() - told > 10_000) {
      told = performance.now();
      say(`  history: ${Math.min(count, first + CHUNK - 1).toLocaleString("en-US")} of ${count.toLocaleString("en-US")} rows`);
    }
  }
  await client.query("insert into room_cursor values ($1, 1, $2)", [name, count]);
  await client.query("vacuum analyze messages");
}

export async function history(bench) {
  const { quick } = bench;
  const count = quick ? 600_000 : 10_000_000;
  const name = room("video_history");
  const client = new pg.Client({ connectionString: (await database()).url });
  client.on("error", () => {});
  await client.connect();
  try {
    const began = performance.now();
    await fill(client, name, count);
    say(`  history: ${count.toLocaleString("en-US")} rows in ${((performance.now() - began) / 1000).toFixed(0)} s`);
    return await pages(await server("chat"), name, count, quick);
  } finally {
    // The other rows find the tables as small as before.
    await client.query("delete from rooms where id = $1", [name]).catch(() => {});
    await client.query("truncate messages").catch(() => {});
    await client.end();
  }
}

async function pages({ url }, name, count, quick) {
  const deep = Math.min(10_000, Math.floor(count / PAGE) - 1);
  const ask = async (page) => {
    const began = performance.now();
    const answer = await fetch(`${url}/api/rooms/${name}/messages?page=${page}&limit=${PAGE}`);
    const { messages } = await answer.json();
    const took = performance.now() - began;
    if (messages?.length !== PAGE) throw new Error(`page ${page} answers ${answer.status} with ${messages?.length} messages`);
    return took;
  };
  for (let n = 0; n < 20; n++) await ask(n % 2 ? 1 : deep);
  const p99 = (times) => times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)];
  const [pairs, all] = [[], []];
  for (let round = 1; round <= (quick ? 3 : 7); round++) {
    const times = { 1: [], [deep]: [] };
    for (let n = 0; n < (quick ? 100 : 300); n++) for (const page of n % 2 ? [1, deep] : [deep, 1]) times[page].push(await ask(page));
    pairs.push([median(times[deep]), median(times[1])]);
    all.push(p99([...times[1], ...times[deep]]));
    say(`  history ${round}: page 1 ${ms(median(times[1]))}, page ${deep} ${ms(median(times[deep]))}, p99 of both ${ms(all.at(-1))}`);
  }
  const what = `history: ${count.toLocaleString("en-US")} rows`;
  return [
    compared(`${what}: page ${deep.toLocaleString("en-US")}, beside page 1, p50`, "ms", "page 1", pairs, { most: 1.15 }),
    alone(`${what}: p99 through the Worker, one reader`, "ms", all, { most: 10 }),
  ];
}
