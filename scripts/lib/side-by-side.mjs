// The replaced service and this one in the same rooms: what is said in one is shown in the other.
import { setTimeout as sleep } from "node:timers/promises";
import { createAdapter } from "@socket.io/redis-adapter";
import pg from "pg";
import { createClient } from "redis";
import { Server } from "socket.io";
import { Stop, say, script } from "./process.mjs";

const needed = (name) => {
  if (!process.env[name]) throw new Stop(`${name} is not set; scripts/side-by-side --help says what it is.`);
  return process.env[name];
};

/** How often both are looked at, ms, and how far back in its table, for what is late. */
const EVERY = 500;
const BACK = 60_000;
/** The same where a room was not known to be open, since what it said after it was taken over is not here: an hour. */
const BACK_AT_FIRST = 3_600_000;

await script(async () => {
  const [database, old, ours, chat, token] = ["DATABASE_URL", "OLD_REDIS_URL", "REDIS_URL", "CHAT_URL", "CHAT_TOKEN"].map(needed);
  const prefix = process.env.REDIS_PREFIX ?? "chat:";
  const places = `${prefix}side-by-side`;
  const pool = new pg.Pool({ connectionString: database, max: 2 });
  // What is said to nobody in particular would end the process.
  pool.on("error", (error) => say(`PostgreSQL: ${error.message}`));
  const schema = process.env.OLD_SCHEMA ?? "public";
  const table = `${pg.escapeIdentifier(schema)}.messages`;
  const client = (url) => createClient({ url, RESP: 2 }).on("error", (error) => say(`Redis: ${error.message}`));
  const [reader, publisher, subscriber] = [client(ours), client(old), client(old)];
  await Promise.all([reader, publisher, subscriber].map((redis) => redis.connect()));
  // It has no sockets of its own: what it emits goes to those of the other servers.
  const io = new Server({ adapter: createAdapter(publisher, subscriber) });
  const rows = async (sql, values) => (await pool.query(sql, values)).rows;
  const openRooms = async () => (await rows("select room_id from room_cursor")).map(({ room_id }) => room_id);

  // What was said there has another id here; whose it is is looked at, since any client may name its messages so.
  async function theirIds(ids) {
    const found = await rows(
      `select m.id, o.id as old from messages m join ${table} o on o.id = chat_old_id(substr(m.client_id, 10)) and o.user_id = m.user_id
       where m.id = any($1) and m.client_id like 'replaced:%'`, [ids]);
    const there = new Map(found.map(({ id, old }) => [id, old]));
    return ids.map((id) => there.get(id) ?? id);
  }
  const change = (ids, set, content, at) => pool.query(
    `update ${table} set ${set}, content = $2 where id = any($1) and deleted_at is null`.replace("$3", "$3::timestamptz at time zone 'UTC'"),
    [ids, content, at]);

  async function tellThere(room, event, data) {
    if (event === "new_message") {
      // Said there first.
      if (data.client_id?.startsWith("replaced:")) return;
      // The mark keeps `sayHere` from taking it for theirs.
      const { rowCount } = await pool.query(
        `insert into ${table} (id, room_id, user_id, content, type, metadata, created_at)
         values ($1, $2, $3, $4, $5, $6, $7::timestamptz at time zone 'UTC') on conflict do nothing`,
        [data.message_id, room, data.user.user_id, data.content, data.type, { ...data.metadata, edge_chat: true }, data.timestamp]);
      // It was told before the script was killed.
      if (rowCount === 0) return;
    } else if (data.message_ids) {
      data.message_ids = await theirIds(data.message_ids);
    } else if (data.message_id) {
      [data.message_id] = await theirIds([data.message_id]);
    }
    const ids = data.message_ids ?? [data.message_id];
    if (event === "message_edited") await change(ids, "edited_at = $3", data.content, data.edited_at);
    if (event === "message_deleted" || event === "messages_deleted") await change(ids, "deleted_at = $3", "", data.deleted_at);
    // What is older is no news, but history.
    if (Date.parse(data.edited_at ?? data.deleted_at ?? data.timestamp) < Date.now() - BACK) return;
    io.to(room).emit(event, data);
  }

  async function follow() {
    const rooms = await openRooms();
    if (rooms.length === 0) return;
    const kept = await reader.hmGet(places, rooms);
    const streams = rooms.map((room, i) => ({ key: `${prefix}room:${room}:events`, id: kept[i] ?? "0-0" }));
    let failed;
    for (const { messages } of (await reader.xRead(streams, { COUNT: 100 })) ?? []) {
      try {
        for (const { id, message: { room, event, data } } of messages) {
          if (event !== "gap") await tellThere(room, event, JSON.parse(data)).catch((error) => refused(error, room, id));
          await reader.hSet(places, room, id);
        }
      } catch (error) {
        // The other rooms go on.
        failed = error;
      }
    }
    if (failed) throw failed;
  }

  // Bad data, a constraint or a trigger says no to this event alone, and always; anything else may pass.
  function refused(error, room, id) {
    if (!/^(22|23|P0001)/.test(error.code)) throw error;
    say(`${id} of ${room} was refused by the table: ${error.code}`);
  }

  const names = new Map();
  const learn = async (user = null) => {
    const found = await rows(
      `select j ->> 'id' as id, coalesce(j ->> 'username', j ->> 'name') as name from chat_old_rows($1, 'users') j
       where $2::text is null or j ->> 'id' = $2`, [schema, user]);
    for (const { id, name } of [{ id: user }, ...found]) names.set(id, name);
  };
  await learn();
  // Open rooms, and since when what is said there is looked at.
  let known = new Map();
  let since = Number((await reader.get(`${places}:since`)) ?? Date.now());
  // edge-chat remembers for 24 hours what was said; a longer pause is covered by this.
  const key = ({ id, user_id }) => `${id} ${user_id}`;
  const carried = "select substr(client_id, 10) as id, user_id from messages where client_id like 'replaced:%' and created_at > $1";
  let said = new Set((await rows(carried, [new Date(since - BACK_AT_FIRST)])).map(key));

  async function sayHere() {
    const began = Date.now();
    const rooms = await openRooms();
    const from = (room) => known.get(room) ?? Math.min(since, began - BACK_AT_FIRST);
    const fresh = await rows(
      `select chat_old_id(o.id::text) as id, o.room_id, o.user_id, chat_old_plain(o.content) as content
       from unnest($1::text[], $2::timestamptz[]) open(id, since) join ${table} o on o.room_id = open.id
       where o.created_at > open.since at time zone 'UTC' and o.deleted_at is null and o.user_id <> '' and o.content <> ''
         and (o.metadata -> 'edge_chat') is null and not exists (select from messages m where m.id = chat_old_id(o.id::text))
       order by o.created_at, o.id`, [rooms, rooms.map((room) => new Date(from(room)))]);
    const late = new Set();
    for (const row of fresh) {
      const { id, room_id, user_id, content } = row;
      if (said.has(key(row)) || late.has(room_id)) continue;
      if (!names.has(user_id)) await learn(user_id);
      const answer = await fetch(`${chat}/api/rooms/${encodeURIComponent(room_id)}/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "idempotency-key": `replaced:${id}` },
        body: JSON.stringify({ content, as_user: { user_id, username: (names.get(user_id) ?? user_id).slice(0, 64) } }),
        signal: AbortSignal.timeout(10_000),
      });
      if (answer.status === 401) throw new Error("edge-chat answered 401");
      if (answer.status === 429 || answer.status >= 500) {
        // This room later, from this one on.
        say(`${room_id} waits: edge-chat answered ${answer.status}`);
        late.add(room_id);
        continue;
      }
      if (!answer.ok) say(`${id} was refused: ${(await answer.json().catch(() => ({}))).code ?? answer.status}`);
      said.add(key(row));
    }
    // All that the next look finds again is in this one's.
    said = new Set(fresh.map(key).filter((one) => said.has(one)));
    known = new Map(rooms.map((room) => [room, late.has(room) ? from(room) : began - BACK]));
    since = Math.min(began - BACK, ...[...late].map(from));
    await reader.set(`${places}:since`, String(since));
  }

  // One after the other, so that each room keeps its order.
  const forever = async (work) => {
    for (;;) {
      try {
        await work();
      } catch (error) {
        say(`again in a second: ${error.message}`);
        await sleep(1_000);
      }
      await sleep(EVERY);
    }
  };
  say("• side by side (Ctrl-C ends it)");
  await Promise.all([forever(follow), forever(sayHere)]);
});
