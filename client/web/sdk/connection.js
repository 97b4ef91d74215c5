// One connection to one room: it joins, resumes, catches up, comes back, and repeats what is unanswered.

import { closeCodeOf, codeOfClose, delay, verdict } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { ChatError } from "./errors.js";
import { isPositional, parseFrame, PING } from "./frame.js";
import { guestId, keepGuestId } from "./guest.js";
import { Outbox } from "./outbox.js";
import { Position } from "./position.js";
import { createRest } from "./rest.js";
import { Timers } from "./timers.js";

const PING_EVERY_MS = 15_000;
const PONG_WITHIN_MS = 10_000;
const JOIN_WITHIN_MS = 10_000;
const REPLY_WITHIN_MS = 15_000;
// A socket that lived this long was no failure: the next wait starts from the base again.
const STABLE_MS = 10_000;
// setTimeout cannot wait longer than 2^31 ms.
const LONGEST_TIMER_MS = 2_000_000_000;
const FIRST_RECONNECT = { base_ms: 500, spread_ms: 1_000 };

/**
 * The socket's whole life. Options and events are those of `connect` in chat.js, which adds what
 * one does in a room; here are only `request` and `write`, which that is made of.
 */
export class Connection extends Emitter {
  #options;
  #origin;
  #token = null;
  #guest;
  #socket = null;
  #joinId = null;
  #catchUpId = null;
  #catchUpFrom = null;
  #outbox = new Outbox();
  #position = new Position();
  #reconnect = FIRST_RECONNECT;
  #failures = 0;
  #joinedAt = null;
  #askedForFreshToken = false;
  #shardKey = null;
  #goodbye = null;
  #banEndsAt = undefined;
  #error = null;
  #timers = new Timers();
  #heardSincePing = true;
  #wake = () => this.#tryNow();
  #woken = () => {
    if (document.visibilityState === "visible") this.#tryNow();
  };

  state = "connecting";
  /** The last join's `self`, or null before it. */
  self = null;

  constructor(options) {
    super();
    if (!options?.room) throw new TypeError("connect needs a room");
    this.#options = options;
    this.room = options.room;
    this.#origin = new URL(options.url ?? globalThis.location?.origin).origin;
    this.#guest = guestId(options.storage);
    this.rest = createRest({ base: this.#origin, token: () => this.#token, fetch: options.fetch });
    globalThis.window?.addEventListener("online", this.#wake);
    globalThis.document?.addEventListener("visibilitychange", this.#woken);
    queueMicrotask(() => this.#open("connect"));
  }

  /** Where this client stands: `{epoch, seq}`. */
  get position() {
    return this.#position.value;
  }

  /** Asks `getToken` for a newer token of the same user and hands it in on the open socket. */
  async renew() {
    await this.#takeToken("refresh");
    const reply = await this.request("refresh_token", { user_token: this.#token });
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

  /** Leaves for good; what is unanswered is rejected with `closed`. */
  close() {
    if (this.state === "ended") return;
    if (this.state === "online") this.write({ event: "leave_room", data: { room_id: this.room } });
    this.#end(new ChatError({ code: "closed", message: "the connection was closed by this page" }));
  }

  // ── opening ──────────────────────────────────────────────────────────────

  async #open(reason) {
    this.#setState("connecting");
    this.#error = null;
    this.#goodbye = null;
    this.#banEndsAt = undefined;
    try {
      await this.#takeToken(reason);
    } catch (error) {
      this.#lost({ ...verdict(0), error: new ChatError({ code: "token_unavailable", message: error.message }) });
      return;
    }
    if (this.state === "ended") return;
    const url = new URL(`/api/rooms/${encodeURIComponent(this.room)}/ws`, this.#origin);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.#shardKey) url.searchParams.set("k", this.#shardKey);
    const protocols = ["chat.v1", this.#token ? `bearer.${this.#token}` : `guest.${this.#guest}`];
    let socket;
    try {
      socket = new (this.#options.WebSocket ?? globalThis.WebSocket)(url.href, protocols);
    } catch {
      // Only a token with characters that no subprotocol may have comes here.
      this.#lost(verdict(4401));
      return;
    }
    this.#socket = socket;
    this.#joinWithin();
    socket.onopen = () => this.#join();
    socket.onmessage = ({ data }) => this.#frame(data);
    socket.onclose = ({ code, reason }) => this.#lost(verdict(code, reason));
  }

  async #takeToken(reason) {
    const { token, getToken } = this.#options;
    if (!getToken) this.#token = token ?? null;
    else if (this.#token === null || reason !== "connect") this.#token = (await getToken({ reason })) ?? null;
  }

  #joinWithin() {
    this.#timers.after("join", JOIN_WITHIN_MS, () => this.#drop(4408));
  }

  #join({ fresh = false } = {}) {
    this.#joinWithin();
    this.#joinId = this.#outbox.takeId();
    const resume = this.#position.known && !fresh ? this.#position.value : undefined;
    this.write({ id: this.#joinId, event: "join_room", data: { room_id: this.room, resume } });
  }

  #joined({ data, error }) {
    this.#timers.cancel("join");
    this.#joinId = null;
    if (error) {
      this.#error = new ChatError(error);
      const close = verdict(closeCodeOf(error.code));
      this.#lost({ ...close, afterMs: error.retry_after_ms ?? close.afterMs });
      return;
    }
    this.#joinedAt = Date.now();
    this.#askedForFreshToken = false;
    this.#shardKey = null;
    this.#reconnect = data.reconnect ?? FIRST_RECONNECT;
    this.self = data.self;
    if (data.self?.guest_id) {
      this.#guest = data.self.guest_id;
      keepGuestId(this.#guest, this.#options.storage);
    }
    this.emit("joined", data);
    this.#adopt(data);
    this.#refreshBefore(data.self?.expires_at);
    if (this.state === "online") return;
    this.#setState("online");
    this.#heardSincePing = true;
    this.#timers.every("ping", PING_EVERY_MS, () => this.#ping());
    this.#timers.every("overdue", 1_000, () => {
      if (this.#outbox.overdue(Date.now(), REPLY_WITHIN_MS)) this.#drop(4408);
    });
    for (const id of this.#outbox.ids()) this.write(this.#outbox.frame(id, Date.now()));
  }

  // ── what the server says ─────────────────────────────────────────────────

  #frame(text) {
    this.#heardSincePing = true;
    let positional = [];
    const flush = () => {
      if (positional.length > 0) this.#take(positional);
      positional = [];
    };
    const socket = this.#socket;
    for (const line of parseFrame(text)) {
      // A line may have ended this socket.
      if (this.#socket !== socket) return;
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
    else this.#outbox.settle(line);
  }

  #moment(line) {
    const { event, data } = line;
    if (event === "pong") return;
    if (event === "probe") {
      this.write({ event: "probe", data: { nonce: data.nonce } });
      return;
    }
    if (event === "error" && this.#joinId !== null) this.#error = new ChatError(data);
    if (event === "goodbye") {
      this.#goodbye = data;
      if (data.shard_key) this.#shardKey = data.shard_key;
    }
    this.#say(line);
  }

  #take(lines) {
    const before = this.#position.catchingUp;
    for (const line of this.#position.take(lines)) this.#say(line);
    if (this.#position.catchingUp && !before) this.#catchUp();
  }

  #catchUp() {
    const { epoch, seq } = this.#position.value;
    // The answer to a catch_up covers all that was sent before it; the same gap twice means
    // that the two sides disagree, which only a fresh join can settle.
    if (this.#catchUpFrom === `${epoch}/${seq}`) {
      this.#drop(4408);
      return;
    }
    this.#catchUpFrom = `${epoch}/${seq}`;
    this.#catchUpId = this.#outbox.takeId();
    this.write({ id: this.#catchUpId, event: "catch_up", data: { room_id: this.room, epoch, seq } });
    this.#timers.after("catch_up", REPLY_WITHIN_MS, () => this.#drop(4408));
  }

  #caughtUp({ data, error }) {
    this.#timers.cancel("catch_up");
    this.#catchUpId = null;
    if (error) {
      this.#catchUpFrom = null;
      this.#timers.after("catch_up", error.retry_after_ms ?? 1_000, () => this.#catchUp());
      return;
    }
    this.#adopt(data);
  }

  #adopt(reply) {
    // The page's list is replaced before the events that were held back come on top of it.
    if (!reply.resumed) this.emit("snapshot", { messages: reply.messages ?? [], my_reactions: reply.my_reactions ?? {} });
    for (const line of this.#position.adopt(reply)) this.#say(line);
    if (this.#position.catchingUp) this.#catchUp();
    else this.#catchUpFrom = null;
  }

  #say(envelope) {
    // The goodbye that follows does not say when the ban ends.
    if (envelope.event === "user_banned" && envelope.data.user_id === this.self?.user_id) this.#banEndsAt = envelope.data.ends_at;
    this.emit("event", envelope);
    this.emit(envelope.event, envelope.data, envelope);
  }

  // ── staying, and coming back ─────────────────────────────────────────────

  #ping() {
    this.#heardSincePing = false;
    this.#socket.send(PING);
    this.#timers.after("pong", PONG_WITHIN_MS, () => {
      if (!this.#heardSincePing) this.#drop(4408);
    });
  }

  /** Gives this socket up without waiting for a close that a dead network never brings. */
  #drop(code) {
    this.#lost(verdict(code));
  }

  #lost({ code, retry, afterMs, token, error }) {
    if (this.state === "ended") return;
    const goodbye = this.#goodbye;
    this.#release();
    const why = error ?? this.#error ?? new ChatError({ code: goodbye?.code ?? codeOfClose(code), message: goodbye?.reason, ends_at: this.#banEndsAt });
    const stable = this.#joinedAt !== null && Date.now() - this.#joinedAt > STABLE_MS;
    this.#joinedAt = null;
    if (stable) this.#failures = 0;
    if (token && this.#options.getToken && !this.#askedForFreshToken) {
      this.#askedForFreshToken = true;
      // After signing out everywhere a token of the same second would be refused like the last one.
      const wait = goodbye?.after_ms ?? afterMs ?? 0;
      if (wait === 0) this.#open("refused");
      else {
        this.#token = null;
        this.#setState("waiting", { error: why, retry_in_ms: wait });
        this.#timers.after("retry", wait, () => this.#open("refused"));
      }
      return;
    }
    if (!(goodbye?.retry ?? retry)) {
      this.#end(why);
      return;
    }
    const elsewhere = goodbye?.shard_key && this.#failures === 0;
    const base = { ...this.#reconnect, base_ms: goodbye?.after_ms ?? afterMs ?? this.#reconnect.base_ms };
    const wait = elsewhere ? (goodbye.after_ms ?? 0) : delay(base, this.#failures);
    this.#failures += 1;
    this.#setState("waiting", { error: why, retry_in_ms: Math.round(wait) });
    this.#timers.after("retry", wait, () => this.#open("connect"));
  }

  /** The network or the tab came back: waiting any longer helps nobody. */
  #tryNow() {
    if (this.state !== "waiting") return;
    this.#timers.cancel("retry");
    this.#open("connect");
  }

  #end(error) {
    this.#release();
    globalThis.window?.removeEventListener("online", this.#wake);
    globalThis.document?.removeEventListener("visibilitychange", this.#woken);
    this.#outbox.clear(error ?? new ChatError({ code: "closed" }));
    this.#setState("ended", { error });
  }

  #release() {
    this.#timers.clear();
    const socket = this.#socket;
    this.#socket = null;
    this.#joinId = null;
    this.#catchUpId = null;
    this.#catchUpFrom = null;
    this.#position.drop();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #refreshBefore(expiresAt) {
    if (!this.#options.getToken || !expiresAt) return;
    const left = (typeof expiresAt === "number" ? expiresAt : Date.parse(expiresAt)) - Date.now();
    if (!(left > 0)) return;
    // A minute before the end, or half-way where less than two minutes are left: a failed try is repeated.
    const wait = left > 120_000 ? left - 60_000 : left / 2;
    this.#timers.after("refresh", Math.min(wait, LONGEST_TIMER_MS), async () => {
      if (wait > LONGEST_TIMER_MS) return this.#refreshBefore(expiresAt);
      try {
        await this.renew();
      } catch {
        if (left > 5_000) this.#refreshBefore(expiresAt);
      }
    });
  }

  // ── small things ─────────────────────────────────────────────────────────

  /** Asks for something that is safe to repeat; it is asked again after a reconnect until it is answered. */
  request(event, data) {
    if (this.state === "ended") {
      return Promise.reject(new ChatError({ code: "closed", message: "this connection has ended" }));
    }
    const { id, promise } = this.#outbox.add(event, { room_id: this.room, ...data });
    if (this.state === "online") this.write(this.#outbox.frame(id, Date.now()));
    return promise;
  }

  /** Sends a frame on the socket that is open, if one is; nobody says whether it arrived. */
  write(frame) {
    this.#socket?.send(JSON.stringify(frame));
  }

  #setState(state, details = {}) {
    this.state = state;
    this.emit("state", { state, error: null, retry_in_ms: null, ...details });
  }
}
