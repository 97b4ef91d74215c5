// One connection to one room: it joins, resumes, catches up, comes back, and repeats what is unanswered.

import { closeCodeOf, codeOfClose, delay, ELSEWHERE, verdict } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { ChatError, toJson } from "./errors.js";
import { isPositional, parseFrame, PING } from "./frame.js";
import { guestId, keepGuestId } from "./guest.js";
import { Outbox } from "./outbox.js";
import { Position } from "./position.js";
import { createRest } from "./rest.js";
import { Timers } from "./timers.js";
import { Token } from "./token.js";
import { watch } from "./wake.js";

const PING_EVERY_MS = 15_000;
const PONG_WITHIN_MS = 10_000;
// When something says that the connection may be dead, it has to prove itself sooner.
const PROOF_WITHIN_MS = 5_000;
const JOIN_WITHIN_MS = 10_000;
const REPLY_WITHIN_MS = 15_000;
// A socket that lived this long was no failure: the next wait starts from the base again.
const STABLE_MS = 10_000;
// setTimeout cannot wait longer than 2^31 ms.
const LONGEST_TIMER_MS = 2_000_000_000;
// So often in a row another part of the room may be named; then it counts as a failure.
const MOST_MOVES = 5;
const FIRST_RECONNECT = { base_ms: 500, spread_ms: 1_000 };

/**
 * The socket's whole life. Options and events are those of `connect` in chat.js, which adds what
 * one does in a room; here are only `request` and `write`, which that is made of.
 */
export class Connection extends Emitter {
  #options;
  #token;
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
  #shardKey = null;
  #moves = 0;
  #goodbye = null;
  #banEndsAt = undefined;
  #error = null;
  #timers = new Timers();
  /** Until when the ping that is out has to be answered; null while none is. */
  #pongBy = null;
  /** Until when the server asked to stay away. */
  #notBefore = 0;
  #heardAt = 0;
  #lostAt = null;
  #unwatch;

  state = "connecting";
  /** The last join's `self`, or null before it. */
  self = null;

  constructor(options) {
    super();
    if (!options?.room) throw new TypeError("connect needs a room");
    this.#options = options;
    this.#token = new Token(options);
    this.room = options.room;
    this.origin = new URL(options.url ?? globalThis.location?.origin).origin;
    this.#guest = guestId(options.storage);
    this.rest = createRest({ base: this.origin, token: () => this.#token.value, fetch: options.fetch });
    this.#unwatch = watch({ woken: (why) => this.#woken(why), tick: () => this.#tick() });
    queueMicrotask(() => this.#open());
  }

  /** Where this client stands: `{epoch, seq}`. */
  get position() {
    return this.#position.value;
  }

  /** Asks `getToken` for a newer token of the same user and hands it in on the open socket. */
  async renew() {
    await this.#token.take(Date.now(), "refresh");
    const reply = await this.request("refresh_token", { user_token: this.#token.value });
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
    if (this.state !== "waiting" || Date.now() < this.#notBefore) return false;
    this.#timers.cancel("retry");
    this.#open();
    return true;
  }

  /** Leaves for good; what is unanswered is rejected with `closed`. */
  close() {
    if (this.state === "ended") return;
    if (this.state === "online") this.write({ event: "leave_room", data: { room_id: this.room } });
    this.#end(new ChatError({ code: "closed", message: "the connection was closed by this page" }));
  }

  // ── opening ──────────────────────────────────────────────────────────────

  async #open() {
    if (this.state === "ended") return;
    this.#setState("connecting");
    this.#error = null;
    this.#goodbye = null;
    this.#banEndsAt = undefined;
    try {
      await this.#token.take(Date.now());
    } catch (error) {
      this.#lost({ ...verdict(0), error: new ChatError({ code: "token_unavailable", message: error.message }) });
      return;
    }
    if (this.state === "ended") return;
    const url = new URL(`/api/rooms/${encodeURIComponent(this.room)}/ws`, this.origin);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.#shardKey) url.searchParams.set("k", this.#shardKey);
    const protocols = ["chat.v1", this.#token.value ? `bearer.${this.#token.value}` : `guest.${this.#guest}`];
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
    // A close follows and says the same; Node's `ws` throws an error that nobody listens to, also one of a socket that
    // is closed while it connects.
    socket.onerror = () => {};
  }

  #joinWithin() {
    this.#timers.after("join", JOIN_WITHIN_MS, () => this.#drop());
  }

  #join({ fresh = false } = {}) {
    this.#joinWithin();
    this.#joinId = this.#outbox.takeId();
    const resume = this.#position.known && !fresh ? this.#position.value : undefined;
    this.write({ id: this.#joinId, event: "join_room", data: { room_id: this.room, resume } });
  }

  #joined({ data, error }) {
    // The goodbye that follows says where to.
    if (error?.code === "elsewhere") return;
    this.#timers.cancel("join");
    this.#joinId = null;
    if (error) {
      this.#error = new ChatError(error);
      const close = verdict(closeCodeOf(error.code));
      this.#lost({ ...close, afterMs: error.retry_after_ms ?? close.afterMs });
      return;
    }
    this.#joinedAt ??= Date.now();
    this.#token.accepted();
    this.#shardKey = null;
    this.#moves = 0;
    this.#reconnect = data.reconnect ?? FIRST_RECONNECT;
    const before = this.self?.user_id;
    // What one user asked for is never another's.
    if (before && before !== data.self?.user_id) this.#outbox.clear(new ChatError({ code: "closed", message: "somebody else is signed in now" }));
    this.self = data.self;
    if (data.self?.guest_id) {
      this.#guest = data.self.guest_id;
      keepGuestId(this.#guest, this.#options.storage);
    }
    const socket = this.#socket;
    this.emit("joined", data);
    // Who listens may have closed this connection.
    if (this.#socket !== socket) return;
    this.#adopt(data);
    if (this.#socket !== socket) return;
    this.#refreshBefore(data.self?.expires_at);
    if (this.state === "online") return;
    const away_ms = this.#lostAt === null ? null : Date.now() - this.#lostAt;
    this.#lostAt = null;
    this.#timers.every("ping", PING_EVERY_MS, () => this.#ping(PONG_WITHIN_MS));
    for (const id of this.#outbox.repeatable(Date.now())) this.write(this.#outbox.frame(id, Date.now()));
    this.#setState("online", { away_ms });
  }

  // ── what the server says ─────────────────────────────────────────────────

  #frame(text) {
    this.#heardAt = Date.now();
    this.#pongBy = null;
    this.#timers.cancel("pong");
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
    else this.#outbox.settle(line, Date.now());
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
    this.#sayLeftOut();
    if (this.#position.catchingUp && !before) this.#catchUp();
  }

  #catchUp() {
    const { epoch, seq } = this.#position.value;
    // The answer to a catch_up covers all that was sent before it; the same gap twice means
    // that the two sides disagree, which only a fresh join can settle.
    if (this.#catchUpFrom === `${epoch}/${seq}`) {
      this.#drop();
      return;
    }
    this.#catchUpFrom = `${epoch}/${seq}`;
    this.#catchUpId = this.#outbox.takeId();
    this.write({ id: this.#catchUpId, event: "catch_up", data: { room_id: this.room, epoch, seq } });
    this.#timers.after("catch_up", REPLY_WITHIN_MS, () => this.#drop());
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
    if (!reply.resumed) {
      const { messages = [], my_reactions = {}, epoch } = reply;
      const socket = this.#socket;
      this.emit("snapshot", { messages, my_reactions, epoch });
      if (this.#socket !== socket) return;
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
    if (envelope.event === "new_message" && envelope.data.client_id) this.#outbox.took.shown(envelope.data.client_id, Date.now());
    this.emit("event", envelope);
    this.emit(envelope.event, envelope.data, envelope);
  }

  // ── staying, and coming back ─────────────────────────────────────────────

  /** Asks the socket for a sign of life within `ms`; any frame is one. */
  #ping(ms) {
    this.#socket.send(PING);
    // A ping that is out already is not given more time by a later one.
    this.#pongBy = Math.min(this.#pongBy ?? Infinity, Date.now() + ms);
    this.#timers.after("pong", this.#pongBy - Date.now(), () => this.#drop());
  }

  #tick() {
    if (this.state === "online" && this.#outbox.overdue(Date.now(), REPLY_WITHIN_MS)) this.#drop();
  }

  #woken(why) {
    if (this.state === "online") this.#ping(PROOF_WITHIN_MS);
    else if (this.state === "waiting" && why !== "offline") this.retry() || this.#tryAfter(this.#notBefore - Date.now());
    else if (why === "network" && this.#socket?.readyState === 0) {
      // A connect that began without a network may hang for long.
      this.#release();
      this.#open();
    }
  }

  #tryAfter(ms) {
    this.#timers.after("retry", ms, () => this.#open());
  }

  /** Gives this socket up without waiting for a close that a dead network never brings. */
  #drop() {
    this.#lost({ ...verdict(0), error: new ChatError({ code: "timeout", message: "the server did not answer" }) });
  }

  #lost({ code, retry, afterMs, token, error }) {
    if (this.state === "ended") return;
    const goodbye = this.#goodbye;
    this.#release();
    const why = error ?? this.#error ?? new ChatError({ code: goodbye?.code ?? codeOfClose(code), message: goodbye?.reason, ends_at: this.#banEndsAt });
    const now = Date.now();
    if (this.#joinedAt !== null) {
      if (now - this.#joinedAt > STABLE_MS) this.#failures = 0;
      // Where nothing was heard for longer than pings allow, it was lost then, and is only noticed now.
      this.#lostAt ??= now - this.#heardAt > PING_EVERY_MS ? this.#heardAt : now;
      this.#joinedAt = null;
    }
    const asked = goodbye?.after_ms ?? afterMs;
    const renews = token && this.#token.refused(now);
    if (!renews && !(goodbye?.retry ?? retry)) return void this.#end(why);
    if (renews && !asked) return void this.#open();
    if ((goodbye?.code === "elsewhere" || code === ELSEWHERE) && (this.#moves += 1) <= MOST_MOVES) {
      // Nothing went wrong: another part of the room serves this viewer now.
      this.#tryAfter(asked ?? 0);
      this.#setState("connecting", { moving: true });
      return;
    }
    const base = { ...this.#reconnect, base_ms: asked ?? this.#reconnect.base_ms };
    // Who signed out everywhere is told when a new token is late enough.
    const wait = renews ? (asked ?? 0) : delay(base, this.#failures);
    this.#failures += 1;
    this.#notBefore = asked > 0 ? now + wait : 0;
    this.#tryAfter(wait);
    this.#setState("waiting", { error: why, retry_in_ms: Math.round(wait), asked: asked > 0 });
  }

  #end(error) {
    this.#release();
    this.#unwatch();
    this.#outbox.clear(error ?? new ChatError({ code: "closed" }));
    this.#setState("ended", { error });
  }

  #release() {
    this.#timers.clear();
    this.#pongBy = null;
    const socket = this.#socket;
    this.#socket = null;
    this.#joinId = null;
    this.#catchUpId = null;
    this.#catchUpFrom = null;
    this.#position.drop();
    this.#outbox.took.drop();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #refreshBefore(expiresAt) {
    const wait = this.#token.dueIn(expiresAt, Date.now());
    if (wait === null) return;
    this.#timers.after("refresh", Math.min(wait, LONGEST_TIMER_MS), async () => {
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
  async request(event, data) {
    if (this.state === "ended") throw new ChatError({ code: "closed", message: "this connection has ended" });
    // What cannot be sent must not stand in the way of all that comes after it. A copy: the caller may go on with theirs.
    const copy = JSON.parse(toJson({ room_id: this.room, ...data }));
    const { id, promise } = this.#outbox.add(event, copy, Date.now());
    if (this.state === "online") this.write(this.#outbox.frame(id, Date.now()));
    return promise;
  }

  /** Sends a frame on the socket that is open, if one is; nobody says whether it arrived. */
  write(frame) {
    this.#socket?.send(JSON.stringify(frame));
  }

  #setState(state, details = {}) {
    this.state = state;
    this.emit("state", { state, error: null, retry_in_ms: null, asked: false, away_ms: null, moving: false, ...details });
  }
}
