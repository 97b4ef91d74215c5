// A client by docs/protocol.md alone, nothing shared with the client module: two readings of the protocol have to agree.
import { Record } from "./record.mjs";

const PATIENCE_MS = 30_000;

/**
 * Joins and keeps joined until `close()`. `cursor` is `{epoch, seq}`, null before the first join; `online` whether it is
 * in; `request(event, data)` resolves with the reply's data, repeated after each reconnect until it is answered. `keep`
 * false: only the numbers of events are recorded.
 */
export class Follower {
  record = new Record();
  cursor = null;
  online = false;
  ended = null;
  self = null;
  #options;
  #Socket;
  #socket = null;
  #lastId = 0;
  #joining = null;
  #catching = null;
  #held = [];
  #outbox = new Map();
  #reconnect = { base_ms: 500, spread_ms: 1_000 };
  #failures = 0;
  #retry = null;

  constructor({ url, protocols = [], headers, keep = true, random = Math.random }) {
    this.#options = { url, protocols: ["chat.v1", ...protocols], keep, random };
    this.#Socket = this.record.socket(headers);
    this.#open();
  }

  request(event, data) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#outbox.set(id, { frame: { id, event, data }, resolve, reject });
      if (this.online) this.#write({ id, event, data });
    });
  }

  close() {
    this.ended ??= "closed";
    clearTimeout(this.#retry);
    this.#socket?.terminate();
  }

  #write(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #open() {
    const { url, protocols } = this.#options;
    const socket = new this.#Socket(url, protocols);
    this.#socket = socket;
    this.#held = [];
    this.#catching = null;
    const late = setTimeout(() => socket.terminate(), PATIENCE_MS);
    socket.on("open", () => {
      this.#joining = ++this.#lastId;
      this.#write({ id: this.#joining, event: "join_room", data: this.cursor ? { resume: this.cursor } : {} });
    });
    socket.on("message", (data) => {
      this.#frame(data.toString().split("\n").map((line) => JSON.parse(line)));
      if (this.online) clearTimeout(late);
    });
    socket.on("close", (code, reason) => {
      clearTimeout(late);
      this.#lost(code, reason.toString());
    });
  }

  #lost(code, reason) {
    this.online = false;
    if (this.ended) return;
    let said = {};
    try {
      said = JSON.parse(reason);
    } catch {
      // The close was not the server's.
    }
    if (said.retry === false) {
      this.ended = `${code} ${reason}`;
      return;
    }
    const { base_ms, spread_ms } = this.#reconnect;
    const first = (said.after_ms ?? base_ms) + this.#options.random() * spread_ms;
    const wait = Math.min(Math.max(first, 30_000), first * 2 ** this.#failures);
    this.#failures += 1;
    this.record.lost(wait);
    this.#retry = setTimeout(() => this.#open(), wait);
  }

  #frame(lines) {
    let positional = [];
    for (const line of lines) {
      if ("at" in line || "seq" in line) positional.push(line);
      else {
        // A reply stands where it came: what follows it in the frame is after it.
        this.#follow(positional);
        positional = [];
        if ("reply" in line) this.#reply(line);
        else if (line.event === "probe") this.#write(line);
      }
    }
    this.#follow(positional);
  }

  #reply({ reply, data, error }) {
    if (reply === this.#joining || reply === this.#catching) {
      // Of a refused join the server closes the socket, and says when to come back.
      if (error) return void (reply === this.#catching && this.#socket.terminate());
      if (reply === this.#joining) this.#joined(data);
      this.#catching = null;
      this.#adopt(data);
      return;
    }
    const waiting = this.#outbox.get(reply);
    if (error?.code === "unavailable" && waiting) {
      // Nobody knows whether it was done; repeated, it is done once.
      setTimeout(() => this.online && this.#outbox.has(reply) && this.#write(waiting.frame), error.retry_after_ms ?? 1_000);
      return;
    }
    this.#outbox.delete(reply);
    if (error) waiting?.reject(Object.assign(new Error(`${error.code}: ${error.message}`), { code: error.code, data: error }));
    else waiting?.resolve(data);
  }

  #joined(data) {
    this.#joining = null;
    this.#failures = 0;
    this.#reconnect = data.reconnect;
    this.self = data.self;
    this.online = true;
    this.record.joined();
    for (const { frame } of this.#outbox.values()) this.#write(frame);
  }

  #adopt({ epoch, seq, resumed, events = [] }) {
    if (resumed) for (const line of events) if (line.seq > this.cursor.seq) this.#take(line);
    this.cursor = { epoch, seq: resumed ? Math.max(seq, this.cursor.seq) : seq };
    const held = this.#held;
    this.#held = [];
    for (const lines of held) this.#follow(lines);
  }

  #take(line) {
    this.cursor = { ...this.cursor, seq: line.seq };
    this.record.took(this.#options.keep ? line : { seq: line.seq });
  }

  /** The four rules of "Following the log". */
  #follow(lines) {
    if (!lines.length) return;
    if (this.#catching) return void this.#held.push(lines);
    let at = null;
    const reach = () => {
      if (at) this.cursor = { ...this.cursor, seq: Math.max(this.cursor.seq, at.to) };
    };
    for (const [index, line] of lines.entries()) {
      const gap = "at" in line
        ? (reach(), line.at.epoch !== this.cursor.epoch || line.at.from > this.cursor.seq)
        : line.seq > this.cursor.seq + 1 && !(at && line.seq <= at.to);
      if (gap) {
        this.#held.push(lines.slice(index));
        this.#catching = ++this.#lastId;
        this.#write({ id: this.#catching, event: "catch_up", data: this.cursor });
        return;
      }
      if ("at" in line) at = line.at;
      else if (line.seq > this.cursor.seq) this.#take(line);
    }
    reach();
  }
}
