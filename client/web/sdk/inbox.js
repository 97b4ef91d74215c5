// One's inbox: new private messages and mentions, wherever in the chat they are said, and how many are not read.

import { Emitter } from "./emitter.js";
import { ChatError } from "./errors.js";
import { Staying } from "./staying.js";

/**
 * @typedef {object} InboxRoom
 * @property {string} room_id
 * @property {string} [type] as of the room; `direct` is a talk of two. Not there where a change tells of a new room first.
 * @property {number} unread private messages of the other, elsewhere mentions; 200 are 200 or more
 * @property {number} last_seq the place in the room's log of the last of them, or of one's own
 * @property {string} [with] the other one's user id, in a direct room
 */

/**
 * Opens the inbox of the signed-in user and keeps it open until `close()`. Options are those of `connect` without `room`
 * and `storage`; a guest has none (`token_required`).
 *
 * @param {object} options `url`, `token` or `getToken`, `WebSocket`, as for `connect`
 * @returns {Inbox}
 */
export function openInbox(options = {}) {
  if (!(options.WebSocket ?? globalThis.WebSocket)) throw new TypeError("openInbox needs a WebSocket");
  return new Inbox(options);
}

/**
 * Events, by `on(name, listener)`:
 * - `state` `{state, error, retry_in_ms, asked, away_ms}`, as of `connect`
 * - `inbox` `{rooms, devices_version}`: all of it, after each connect
 * - `inbox_changed`: an `InboxRoom` and `reason`, "message", "mention" or "read"
 * - `direct_message` and `mention`: the `InboxRoom` where something new was said, also of what came while there was no
 *   connection. A hint: the room itself has the words
 * - `unread` `{direct, mentions}` when one of the numbers changes
 * - `devices_changed` `{user_id, version}`: one's own devices, or those of somebody with whom one talks
 */
export class Inbox extends Emitter {
  #line;
  /** room_id → InboxRoom, the one that changed last at the end; null until the server told. */
  #rooms = null;
  #unread = { direct: 0, mentions: 0 };

  /** Made by `openInbox`. */
  constructor(options) {
    super();
    this.#line = new Staying(options, {
      address: (token) => ({ path: "/api/me/ws", protocols: token ? [`bearer.${token}`] : [] }),
      opened: () => {},
      lines: (lines) => this.#lines(lines),
      state: (state) => this.emit("state", state),
      released: () => {},
    });
  }

  /** "connecting", "online", "waiting" or "ended". */
  get state() {
    return this.#line.state;
  }

  /** Whether the server has told of the inbox; before that nothing is known. */
  get isKnown() {
    return this.#rooms !== null;
  }

  /** @returns {InboxRoom[]} what changed last comes first */
  get rooms() {
    return [...(this.#rooms?.values() ?? [])].reverse();
  }

  /** `{direct, mentions}`: how many private messages and mentions are not read. */
  get unread() {
    return this.#unread;
  }

  /** The `InboxRoom` of this id, or undefined. */
  room(room_id) {
    return this.#rooms?.get(room_id);
  }

  /**
   * What was said up to `seq` (default: all that the inbox knows of) was read. Safe to repeat; asked again after a lost
   * connection. Rejects with a ChatError.
   */
  async markRead(room_id, seq = this.room(room_id)?.last_seq) {
    if (seq !== undefined) await this.#line.request("mark_read", { room_id, seq });
  }

  /** Tries again now where it waits, unless the server asked for that wait; returns whether it does. */
  retry() {
    return this.#line.retry();
  }

  close() {
    if (this.state !== "ended") this.#line.end(new ChatError({ code: "closed", message: "the inbox was closed by this page" }));
  }

  #lines(lines) {
    const { socket } = this.#line;
    for (const line of lines) {
      // Who listens may have closed this inbox.
      if (this.#line.socket !== socket) return;
      this.#take(line);
    }
  }

  /** Nothing is told any more once a listener closed this inbox. */
  #tell(name, data) {
    if (this.state !== "ended") this.emit(name, data);
  }

  #take(line) {
    if (line.reply !== undefined) {
      this.#line.outbox.settle(line, Date.now());
      return;
    }
    if (this.#line.took(line)) return;
    const { event, data } = line;
    if (event === "inbox") this.#began(data);
    else if (event === "inbox_changed" && this.#rooms) this.#changed(data);
    else this.#tell(event, data);
  }

  #began(data) {
    const before = this.#rooms;
    this.#rooms = new Map(data.rooms.toReversed().map((room) => [room.room_id, room]));
    this.#line.welcomed();
    this.#tell("inbox", data);
    this.#count();
    // What was said while nobody listened.
    for (const room of before ? this.#rooms.values() : []) {
      const known = before.get(room.room_id);
      if (room.unread > 0 && room.last_seq > (known?.last_seq ?? 0)) this.#tell(room.with ? "direct_message" : "mention", room);
    }
    this.#line.online();
  }

  #changed({ reason, ...change }) {
    const { room_id } = change;
    const room = { ...this.#rooms.get(room_id), ...change };
    if (room.with) room.type = "direct";
    // What was only read is where it was.
    if (reason !== "read") this.#rooms.delete(room_id);
    this.#rooms.set(room_id, room);
    this.#tell("inbox_changed", { ...room, reason });
    this.#count();
    if (reason === "message") this.#tell("direct_message", room);
    if (reason === "mention") this.#tell("mention", room);
  }

  #count() {
    const unread = { direct: 0, mentions: 0 };
    for (const room of this.#rooms.values()) unread[room.with ? "direct" : "mentions"] += room.unread;
    if (unread.direct === this.#unread.direct && unread.mentions === this.#unread.mentions) return;
    this.#unread = unread;
    this.#tell("unread", unread);
  }
}
