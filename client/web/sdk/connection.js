// One connection to one room: it joins, resumes, catches up, and repeats what is unanswered.

import { closeCodeOf, verdict } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { ChatError } from "./errors.js";
import { isPositional } from "./frame.js";
import { guestId, keepGuestId } from "./guest.js";
import { Position } from "./position.js";
import { createRest } from "./rest.js";
import { FIRST_RECONNECT, REPLY_WITHIN_MS, Staying } from "./staying.js";

// setTimeout cannot wait longer than 2^31 ms.
const LONGEST_TIMER_MS = 2_000_000_000;

/**
 * A room's socket, see staying.js. Options and events are those of `connect` in chat.js, which adds what
 * one does in a room; here are only `request` and `write`, which that is made of.
 */
export class Connection extends Emitter {
  #options;
  #line;
  #guest;
  #joinId = null;
  #catchUpId = null;
  #catchUpFrom = null;
  #position = new Position();
  #shardKey = null;
  #banEndsAt = undefined;

  /** The last join's `self`, or null before it. */
  self = null;

  constructor(options) {
    super();
    if (!options?.room) throw new TypeError("connect needs a room");
    this.#options = options;
    this.room = options.room;
    this.#guest = guestId(options.storage);
    this.#line = new Staying(options, {
      address: (token) => this.#address(token),
      opened: () => this.#join(),
      lines: (lines) => this.#lines(lines),
      state: (state) => this.emit("state", state),
      details: () => ({ ends_at: this.#banEndsAt }),
      released: () => this.#released(),
    });
    this.origin = this.#line.origin;
    this.rest = createRest({ base: this.origin, token: () => this.#line.token.value, fetch: options.fetch });
  }

  /** "connecting", "online", "waiting" or "ended". */
  get state() {
    return this.#line.state;
  }

  /** Where this client stands: `{epoch, seq}`. */
  get position() {
    return this.#position.value;
  }

  /** Asks `getToken` for a newer token of the same user and hands it in on the open socket. */
  async renew() {
    const { token } = this.#line;
    await token.take(Date.now(), "refresh");
    const reply = await this.request("refresh_token", { user_token: token.value });
    const { role } = this.self;
    this.self = { ...this.self, ...reply };
    this.#refreshBefore(reply.expires_at);
    if (reply.role !== role) this.rejoin();
  }

  /**
   * Joins again on the open socket, with a new snapshot: what the viewer may do or see is not what
   * it was. Where no socket is open the next join does that anyway.
   */
  rejoin() {
    if (this.state === "online") this.#join({ fresh: true });
  }

  /** Tries again now where it waits, unless the server asked for that wait; returns whether it does. */
  retry() {
    return this.#line.retry();
  }

  /** Leaves for good; what is unanswered is rejected with `closed`. */
  close() {
    if (this.state === "ended") return;
    if (this.state === "online") this.write({ event: "leave_room", data: { room_id: this.room } });
    this.#line.end(new ChatError({ code: "closed", message: "the connection was closed by this page" }));
  }

  // ── joining ──────────────────────────────────────────────────────────────

  #address(token) {
    this.#banEndsAt = undefined;
    const key = this.#shardKey ? `?k=${encodeURIComponent(this.#shardKey)}` : "";
    const path = `/api/rooms/${encodeURIComponent(this.room)}/ws${key}`;
    return { path, protocols: [token ? `bearer.${token}` : `guest.${this.#guest}`] };
  }

  #join({ fresh = false } = {}) {
    this.#line.welcomeWithin();
    this.#joinId = this.#line.outbox.takeId();
    const resume = this.#position.known && !fresh ? this.#position.value : undefined;
    this.write({ id: this.#joinId, event: "join_room", data: { room_id: this.room, resume } });
  }

  #joined({ data, error }) {
    // The goodbye that follows says where to.
    if (error?.code === "elsewhere") return;
    const line = this.#line;
    this.#joinId = null;
    if (error) {
      line.timers.cancel("welcome");
      line.error = new ChatError(error);
      const close = verdict(closeCodeOf(error.code));
      line.lost({ ...close, afterMs: error.retry_after_ms ?? close.afterMs });
      return;
    }
    line.welcomed();
    this.#shardKey = null;
    line.reconnect = data.reconnect ?? FIRST_RECONNECT;
    const before = this.self?.user_id;
    // What one user asked for is never another's.
    if (before && before !== data.self?.user_id) line.outbox.clear(new ChatError({ code: "closed", message: "somebody else is signed in now" }));
    this.self = data.self;
    if (data.self?.guest_id) {
      this.#guest = data.self.guest_id;
      keepGuestId(this.#guest, this.#options.storage);
    }
    const { socket } = line;
    this.emit("joined", data);
    // Who listens may have closed this connection.
    if (line.socket !== socket) return;
    this.#adopt(data);
    if (line.socket !== socket) return;
    this.#refreshBefore(data.self?.expires_at);
    line.online();
  }

  // ── what the server says ─────────────────────────────────────────────────

  #lines(lines) {
    let positional = [];
    const flush = () => {
      if (positional.length > 0) this.#take(positional);
      positional = [];
    };
    const { socket } = this.#line;
    for (const line of lines) {
      // A line may have ended this socket.
      if (this.#line.socket !== socket) return;
      if (isPositional(line)) {
        positional.push(line);
        continue;
      }
      // A join's or catch_up's reply stands before or after events: order matters.
      flush();
      if (line.reply !== undefined) this.#reply(line);
      else this.#moment(line);
    }
    flush();
  }

  #reply(line) {
    if (line.reply === this.#joinId) this.#joined(line);
    else if (line.reply === this.#catchUpId) this.#caughtUp(line);
    else this.#line.outbox.settle(line, Date.now());
  }

  #moment(line) {
    if (this.#line.took(line)) return;
    const { event, data } = line;
    if (event === "error" && this.#joinId !== null) this.#line.error = new ChatError(data);
    if (event === "goodbye" && data.shard_key) this.#shardKey = data.shard_key;
    this.#say(line);
  }

  #take(lines) {
    const before = this.#position.catchingUp;
    for (const line of this.#position.take(lines)) this.#say(line);
    this.#sayLeftOut();
    if (this.#position.catchingUp && !before) this.#catchUp();
  }

  #catchUp() {
    const { epoch, seq } = this.#position.value;
    // The answer to a catch_up covers all that was sent before it; the same gap twice means
    // that the two sides disagree, which only a fresh join can settle.
    if (this.#catchUpFrom === `${epoch}/${seq}`) {
      this.#line.drop();
      return;
    }
    this.#catchUpFrom = `${epoch}/${seq}`;
    this.#catchUpId = this.#line.outbox.takeId();
    this.write({ id: this.#catchUpId, event: "catch_up", data: { room_id: this.room, epoch, seq } });
    this.#line.timers.after("catch_up", REPLY_WITHIN_MS, () => this.#line.drop());
  }

  #caughtUp({ data, error }) {
    const { timers } = this.#line;
    timers.cancel("catch_up");
    this.#catchUpId = null;
    if (error) {
      this.#catchUpFrom = null;
      timers.after("catch_up", error.retry_after_ms ?? 1_000, () => this.#catchUp());
      return;
    }
    this.#adopt(data);
  }

  #adopt(reply) {
    // The page's list is replaced before the events that were held back come on top of it.
    if (!reply.resumed) {
      const { messages = [], my_reactions = {}, epoch } = reply;
      const { socket } = this.#line;
      this.emit("snapshot", { messages, my_reactions, epoch });
      if (this.#line.socket !== socket) return;
    }
    for (const line of this.#position.adopt(reply)) this.#say(line);
    this.#sayLeftOut();
    if (this.#position.catchingUp) this.#catchUp();
    else this.#catchUpFrom = null;
  }

  #sayLeftOut() {
    const count = this.#position.takeLeftOut();
    if (count > 0) this.emit("left_out", { count });
  }

  #say(envelope) {
    // The goodbye that follows does not say when the ban ends.
    if (envelope.event === "user_banned" && envelope.data.user_id === this.self?.user_id) this.#banEndsAt = envelope.data.ends_at;
    if (envelope.event === "new_message" && envelope.data.client_id) this.#line.outbox.took.shown(envelope.data.client_id, Date.now());
    this.emit("event", envelope);
    this.emit(envelope.event, envelope.data, envelope);
  }

  #released() {
    this.#joinId = null;
    this.#catchUpId = null;
    this.#catchUpFrom = null;
    this.#position.drop();
  }

  #refreshBefore(expiresAt) {
    const { token, timers } = this.#line;
    const wait = token.dueIn(expiresAt, Date.now());
    if (wait === null) return;
    timers.after("refresh", Math.min(wait, LONGEST_TIMER_MS), async () => {
      if (wait > LONGEST_TIMER_MS) return this.#refreshBefore(expiresAt);
      try {
        await this.renew();
      } catch {
        if (wait > 2_500 && this.state !== "ended") this.#refreshBefore(expiresAt);
      }
    });
  }

  // ── small things ─────────────────────────────────────────────────────────

  /** Asks for something that is safe to repeat; it is asked again after a reconnect until it is answered. */
  request(event, data) {
    return this.#line.request(event, { room_id: this.room, ...data });
  }

  /** Sends a frame on the socket that is open, if one is; nobody says whether it arrived. */
  write(frame) {
    this.#line.write(frame);
  }
}
