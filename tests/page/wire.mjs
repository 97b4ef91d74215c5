// A connection over a socket whose other end the test plays: what no real server does on demand.

import { connect } from "../../client/web/chat.js";

export const EPOCH = 1732380000000;
export const event = (seq) => ({ seq, event: "new_message", data: { no: seq } });

export class Wire {
  static open = [];
  sent = [];
  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    Wire.open.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  says(...lines) {
    this.onmessage({ data: lines.map((line) => JSON.stringify(line)).join("\n") });
  }
  last(event) {
    return this.sent.findLast((frame) => frame.event === event);
  }
  joins(more = {}) {
    this.onopen();
    const reply = {
      room: { room_id: "r", name: "R", message_count: 0 }, self: { user_id: "ada", role: "member", can: ["send"] },
      epoch: EPOCH, seq: 10, online_users: 1, online_guests: 0, members: [], reconnect: { base_ms: 1000, spread_ms: 0 },
      resumed: false, messages: [], ...more,
    };
    this.says({ reply: this.last("join_room").id, data: reply });
  }
}

export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** The memory of a browser. */
export function memory() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key), kept };
}

/** Time goes on by so much, a second at a time: a larger step would be a machine that slept. */
export async function pass(t, ms) {
  for (let left = ms; left > 0; left -= 1_000) {
    t.mock.timers.tick(Math.min(1_000, left));
    await settled();
  }
}

export async function connected(t, options = {}) {
  if (Wire.test !== t) t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.now() });
  Wire.test = t;
  Wire.open = [];
  const chat = connect({ url: "https://chat.example", room: "r", token: "t.o.k", storage: memory(), tabStorage: null, WebSocket: Wire, ...options });
  const heard = [];
  const states = [];
  chat.on("event", ({ seq }) => heard.push(seq));
  chat.on("state", ({ state, error }) => states.push(error ? `${state}: ${error.code}` : state));
  t.after(() => chat.close());
  await settled();
  return { chat, heard, states, wire: () => Wire.open.at(-1) };
}
