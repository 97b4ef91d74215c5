// A throw-away Redis, and what the bridge has put there.
import { createClient } from "redis";
import { throwAwayRedis } from "../../scripts/lib/cluster.mjs";

export { throwAwayRedis };

/** Runs `work` with a client of its own, which ends with it; `options` may hold `database`, `username`, `password`. */
export async function withClient(redis, work, options = {}) {
  const client = createClient({ socket: { host: "127.0.0.1", port: redis.port, reconnectStrategy: false }, ...options });
  client.on("error", () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    client.destroy();
  }
}

/** One command's reply. */
export const command = (redis, words, options) => withClient(redis, (client) => client.sendCommand(words.map(String)), options);

/** The entries of a room's stream, oldest first: the id, the fields as they stand, and `data` parsed. */
export async function entries(redis, room, { prefix = "chat:", ...options } = {}) {
  const found = await withClient(redis, (client) => client.xRange(`${prefix}room:${room}:events`, "-", "+"), options);
  return found.map(({ id, message }) => ({ id, fields: { ...message }, event: message.event, seq: Number(message.seq), data: JSON.parse(message.data) }));
}

/** What comes on a room's channel from now on, as it grows; `end()` stops it. */
export async function listen(redis, room, { prefix = "chat:", ...options } = {}) {
  const client = createClient({ socket: { host: "127.0.0.1", port: redis.port }, ...options });
  client.on("error", () => {});
  await client.connect();
  const heard = [];
  await client.subscribe(`${prefix}room:${room}`, (message) => heard.push(JSON.parse(message)));
  return Object.assign(heard, { end: () => client.destroy() });
}
