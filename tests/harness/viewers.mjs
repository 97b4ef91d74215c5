// Viewers of a room who use the client module: they come back by themselves, and keep all that they saw.
import assert from "node:assert/strict";
import WebSocket from "ws";
import { connect } from "../../client/web/chat.js";
import { until } from "../../scripts/lib/process.mjs";
import { token } from "./server.mjs";

const open = new Set();

/** Lets everybody go: who stays would keep the process alive. */
export const leave = () => open.forEach((one) => one.close());

const memory = () => {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
};

/**
 * Joins `room` as `who` (a token's claims or an id; null is a guest) and stays. The connection of the client module, with:
 *
 * - `from`: the position of the first join; `events`, all with a `seq` that came since; `said`, the ids of the messages
 *   among them; `snapshots`, how often the list was given anew after the first join; `moves`, how often another part of
 *   the room took over; `trouble`, the codes of what else ended a socket; `urls`, of every socket.
 * - `has(message_id, ms)`: waits for that message.
 */
export async function viewer(server, room, who, { ms = 10_000, ...more } = {}) {
  const self = { from: null, events: [], said: [], snapshots: -1, moves: 0, trouble: [], urls: [] };
  class Counted extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols);
      self.urls.push(url);
    }
  }
  const claims = typeof who === "string" ? { sub: who, username: who[0].toUpperCase() + who.slice(1) } : who;
  const signs = claims && { getToken: () => token(claims) };
  const chat = connect({ url: server.url, room, storage: memory(), tabStorage: null, WebSocket: Counted, ...signs, ...more });
  open.add(chat);
  chat.on("snapshot", () => (self.snapshots += 1));
  chat.on("joined", (joined) => {
    self.joined = joined;
    self.from ??= { epoch: joined.epoch, seq: joined.seq };
  });
  chat.on("event", (line) => {
    if (line.event === "goodbye" && line.data.code === "elsewhere") self.moves += 1;
    if (line.seq === undefined) return;
    self.events.push(line);
    if (line.event === "new_message") self.said.push(line.data.message_id);
  });
  chat.on("state", ({ state, error }) => {
    if (error && error.code !== "closed") self.trouble.push(`${state}: ${error.code}`);
    if (state === "ended") open.delete(chat);
  });
  Object.assign(chat, {
    seen: self,
    has: (message_id, wait = 10_000) => until(wait, () => self.said.includes(message_id)),
  });
  if (!(await until(ms, () => chat.state === "online"))) throw new Error(`${JSON.stringify(who)} did not get in: ${self.trouble}`);
  return chat;
}

/** Every viewer has seen, once and in order, what of these (`{message_id, seq}`, all that was said) came after it joined. */
export async function allSaw(viewers, said, ms = 15_000) {
  const inOrder = [...said].sort((a, b) => a.seq - b.seq);
  const due = ({ seen }) => inOrder.filter(({ seq }) => seq > seen.from.seq).map(({ message_id }) => message_id);
  await until(ms, () => viewers.every((one) => one.seen.said.length >= due(one).length));
  for (const [n, one] of viewers.entries()) {
    assert.deepEqual(one.seen.said, due(one), `viewer ${n}, from ${one.seen.from.seq}, trouble ${one.seen.trouble}`);
    const seqs = one.seen.events.map(({ seq }) => seq);
    assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b), `viewer ${n} saw each event once and in order`);
    assert.equal(one.seen.snapshots, 0, `viewer ${n} was given no list anew`);
  }
}
