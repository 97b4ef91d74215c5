// Clients of Socket.IO, unmodified, as they are out there.
import { io } from "socket.io-client";
import { io as oldest } from "socket.io-client-4.0";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../scripts/lib/process.mjs";
import { token } from "./server.mjs";

const open = new Set();

/** Ends all that are open: who stays would keep the process alive. */
export const hangUp = () => open.forEach((socket) => socket.disconnect());

/** The clients that tests run with, by name. */
export const CLIENTS = { "socket.io-client of today": io, "socket.io-client 4.0": oldest };

/** A token of a user with that id, or with these claims. */
export const tokenOf = (who) => token(typeof who === "string" ? { sub: who, username: who[0].toUpperCase() + who.slice(1) } : who);

/**
 * A client of the service. All that comes is kept:
 *
 * - `heard`: `{event, args}` in the order in which it came; `of(event)`: the first arguments of those of that name.
 * - `next(event, ms)`: the first argument of the next one not yet taken that has this name (or that a function accepts).
 * - `ask(event, data, ms)`: emits, and resolves to what the acknowledgement brings.
 * - `on`, `emit` and the rest are the client's own.
 */
export function client(server, { connect = io, ...options } = {}) {
  const socket = connect(server.url, { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500, ...options });
  open.add(socket);
  const heard = [];
  const untaken = [];
  socket.onAny((event, ...args) => {
    heard.push({ event, args });
    untaken.push({ event, args });
  });
  const accepting = (event) => (typeof event === "function" ? event : (one) => one.event === event);
  return Object.assign(socket, {
    heard,
    of: (event) => heard.filter((one) => one.event === event).map(({ args }) => args[0]),
    async next(event, ms = 5_000) {
      const accepts = accepting(event);
      const found = await until(ms, () => untaken.some(accepts), 10);
      if (!found) throw new Error(`event ${event} did not come within ${ms} ms; came: ${untaken.map((one) => one.event)}`);
      return untaken.splice(untaken.findIndex(accepts), 1)[0].args[0];
    },
    async ask(event, data, ms = 5_000) {
      const late = new AbortController();
      const timer = sleep(ms, undefined, { signal: late.signal }).then(() => {
        throw new Error(`no acknowledgement of ${event} within ${ms} ms`);
      });
      try {
        return await Promise.race([timer, new Promise((resolve) => socket.emit(event, data, resolve))]);
      } finally {
        late.abort();
        timer.catch(() => {});
      }
    },
    connects: (ms = 5_000) => until(ms, () => socket.connected, 10),
  });
}

/** The same, connected and in a room by its token; `joined` is what the acknowledgement brought. */
export async function member(server, room, who, options = {}) {
  const socket = client(server, options);
  if (!(await socket.connects())) throw new Error("no connection");
  const user_token = who === null ? undefined : await tokenOf(who);
  const joined = await socket.ask("join_room", { room_id: room, user_token }, 10_000);
  if (joined.error) throw Object.assign(new Error(joined.error.code), { code: joined.error.code });
  return Object.assign(socket, { joined });
}
