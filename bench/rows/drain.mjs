// What many rooms hand to PostgreSQL a second: it is set back to nothing, and they fill it again out of their logs.
import pg from "pg";
import { Stop, say, until } from "../../scripts/lib/process.mjs";
import { alone } from "../report.mjs";
import { load, room } from "../run.mjs";
import { database, server, token } from "../servers.mjs";

const ROOMS = 100;

export async function drain(bench) {
  const { quick } = bench;
  const each = quick ? 200 : 1_000;
  const total = ROOMS * each;
  const target = await server("chat");
  const rooms = Array.from({ length: ROOMS }, () => room("video_drain"));
  const service = await token("sender", ["service"]);
  const client = new pg.Client({ connectionString: (await database()).url });
  client.on("error", () => {});
  await client.connect();
  const stored = async () => Number((await client.query("select count(*) from messages where room_id like 'video_drain%'")).rows[0].count);
  const job = { job: "send", rooms, token: service, window: 4, warm_up: 0, seconds: 200, saturating: true };
  try {
    say(`  drain: ${total.toLocaleString("en-US")} messages are said in ${ROOMS} rooms`);
    await load(target, { ...job, at_most: each });
    if (!(await until(60_000, async () => (await stored()) >= total))) throw new Stop(`PostgreSQL has ${await stored()} of ${total} messages.`);
    const rates = [];
    for (let round = 1; round <= (quick ? 1 : 3); round++) {
      await client.query("begin; delete from messages where room_id like 'video_drain%'; update room_cursor set seq = 0 where room_id like 'video_drain%'; commit");
      await client.query("vacuum messages");
      // A message in each room has it hand in its batch, whose answer says where PostgreSQL is.
      const due = total + round * ROOMS;
      const began = performance.now();
      const said = load(target, { ...job, at_most: 1 });
      const done = await until(90_000, async () => (await stored()) >= due, 20);
      const seconds = (performance.now() - began) / 1000;
      await said;
      if (!done) throw new Stop(`Set back to nothing, PostgreSQL had ${await stored()} of ${due} messages after ${seconds.toFixed(0)} s.`);
      rates.push(due / seconds);
      say(`  drain ${round}: ${due.toLocaleString("en-US")} rows in ${seconds.toFixed(1)} s, ${Math.round(due / seconds).toLocaleString("en-US")}/s`);
    }
    return [alone(`drain: ${ROOMS} rooms to PostgreSQL, ${each.toLocaleString("en-US")} messages each`, "rows/s", rates, { least: 20_000 })];
  } finally {
    await client.end();
  }
}
