// One socket that stays: it is opened, asked for signs of life, given up when it is dead, and opened again.

import { codeOfClose, delay, ELSEWHERE, verdict } from "./backoff.js";
import { ChatError, toJson } from "./errors.js";
import { parseFrame, PING } from "./frame.js";
import { Outbox } from "./outbox.js";
import { Timers } from "./timers.js";
import { Token } from "./token.js";
import { watch } from "./wake.js";

const PING_EVERY_MS = 15_000;
const PONG_WITHIN_MS = 10_000;
// When something says that the connection may be dead, it has to prove itself sooner.
const PROOF_WITHIN_MS = 5_000;
const WELCOME_WITHIN_MS = 10_000;
export const REPLY_WITHIN_MS = 15_000;
// A socket that lived this long was no failure: the next wait starts from the base again.
const STABLE_MS = 10_000;
// So often in a row another part of the room may be named; then it counts as a failure.
const MOST_MOVES = 5;
export const FIRST_RECONNECT = { base_ms: 500, spread_ms: 1_000 };

/**
 * What a room's connection and an inbox have in common. `on` is whose socket it is:
 * - `address(token)` gives `{path, protocols}` for the next try
 * - `opened()`: the socket is open; `lines(lines)`: a frame came; `released()`: the socket is gone
 * - `state({state, error, retry_in_ms, asked, away_ms, moving})`, as the event of `connect`
 * - `details()` (optional): what the error of a lost socket says besides
 *
 * Who owns it calls `welcomed()` when the server took the socket in, and `online()` when what was missed is there.
 */
export class Staying {
  #options;
  #on;
  #failures = 0;
  #welcomedAt = null;
  #moves = 0;
  #goodbye = null;
  /** Until when the ping that is out has to be answered; null while none is. */
  #pongBy = null;
  /** Until when the server asked to stay away. */
  #notBefore = 0;
  #heardAt = 0;
  #lostAt = null;
  #unwatch;

  state = "connecting";
  socket = null;
  /** What the server refused in words; it says more than the close that follows. */
  error = null;
  reconnect = FIRST_RECONNECT;
  outbox = new Outbox();
  /** Those of the socket: they end with it. */
  timers = new Timers();
  token;

  constructor(options, on) {
    this.#options = options;
    this.#on = on;
    this.origin = new URL(options.url ?? globalThis.location?.origin).origin;
    this.token = new Token(options);
    this.#unwatch = watch({ woken: (why) => this.#woken(why), tick: () => this.#tick() });
    queueMicrotask(() => this.open());
  }

  /** Tries again now where it waits, unless the server asked for that wait; returns whether it does. */
  retry() {
    if (this.state !== "waiting" || Date.now() < this.#notBefore) return false;
    this.timers.cancel("retry");
    this.open();
    return true;
  }

  // ── opening ──────────────────────────────────────────────────────────────

  async open() {
    if (this.state === "ended") return;
    this.#setState("connecting");
    this.error = null;
    this.#goodbye = null;
    try {
      await this.token.take(Date.now());
    } catch (error) {
      this.lost({ ...verdict(0), error });
      return;
    }
    if (this.state === "ended") return;
    const { path, protocols } = this.#on.address(this.token.value);
    const url = new URL(path, this.origin);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    let socket;
    try {
      socket = new (this.#options.WebSocket ?? globalThis.WebSocket)(url.href, ["chat.v1", ...protocols]);
    } catch {
      // Only a token with characters that no subprotocol may have comes here.
      this.lost(verdict(4401));
      return;
    }
    this.socket = socket;
    this.welcomeWithin();
    socket.onopen = () => this.#on.opened();
    socket.onmessage = ({ data }) => this.#frame(data);
    socket.onclose = ({ code, reason }) => this.lost(verdict(code, reason));
    // A close follows and says the same; Node's `ws` throws an error that nobody listens to, also one of a socket that
    // is closed while it connects.
    socket.onerror = () => {};
  }

  /** The server has so long to take the socket in. */
  welcomeWithin() {
    this.timers.after("welcome", WELCOME_WITHIN_MS, () => this.drop());
  }

  welcomed() {
    this.timers.cancel("welcome");
    this.#welcomedAt ??= Date.now();
    this.token.accepted();
    this.#moves = 0;
  }

  /** What is unanswered goes again. */
  online() {
    if (this.state !== "connecting") return;
    const away_ms = this.#lostAt === null ? null : Date.now() - this.#lostAt;
    this.#lostAt = null;
    this.timers.every("ping", PING_EVERY_MS, () => this.#ping(PONG_WITHIN_MS));
    for (const id of this.outbox.repeatable(Date.now())) this.write(this.outbox.frame(id, Date.now()));
    this.#setState("online", { away_ms });
  }

  // ── what is said ─────────────────────────────────────────────────────────

  #frame(text) {
    this.#heardAt = Date.now();
    this.#pongBy = null;
    this.timers.cancel("pong");
    this.#on.lines(parseFrame(text));
  }

  /** Takes what is for the socket itself, and notes a goodbye; true where there is no more to a line than that. */
  took({ event, data }) {
    if (event === "probe") this.write({ event: "probe", data: { nonce: data.nonce } });
    if (event === "goodbye") this.#goodbye = data;
    return event === "pong" || event === "probe";
  }

  /** Asks for something that is safe to repeat; it is asked again after a reconnect until it is answered. */
  async request(event, data) {
    if (this.state === "ended") throw new ChatError({ code: "closed", message: "this connection has ended" });
    // What cannot be sent must not stand in the way of all that comes after it. A copy: the caller may go on with theirs.
    const copy = JSON.parse(toJson(data));
    const { id, promise } = this.outbox.add(event, copy, Date.now());
    if (this.state === "online") this.write(this.outbox.frame(id, Date.now()));
    return promise;
  }

  /** Sends a frame on the socket that is open, if one is; nobody says whether it arrived. */
  write(frame) {
    this.socket?.send(JSON.stringify(frame));
  }

  // ── staying, and coming back ─────────────────────────────────────────────

  /** Asks the socket for a sign of life within `ms`; any frame is one. */
  #ping(ms) {
    this.socket.send(PING);
    // A ping that is out already is not given more time by a later one.
    this.#pongBy = Math.min(this.#pongBy ?? Infinity, Date.now() + ms);
    this.timers.after("pong", this.#pongBy - Date.now(), () => this.drop());
  }

  #tick() {
    if (this.state === "online" && this.outbox.overdue(Date.now(), REPLY_WITHIN_MS)) this.drop();
  }

  #woken(why) {
    if (this.state === "online") this.#ping(PROOF_WITHIN_MS);
    else if (this.state === "waiting" && why !== "offline") this.retry() || this.#tryAfter(this.#notBefore - Date.now());
    else if (why === "network" && this.socket?.readyState === 0) {
      // A connect that began without a network may hang for long.
      this.#release();
      this.open();
    }
  }

  #tryAfter(ms) {
    this.timers.after("retry", ms, () => this.open());
  }

  /** Gives this socket up without waiting for a close that a dead network never brings. */
  drop() {
    this.lost({ ...verdict(0), error: new ChatError({ code: "timeout", message: "the server did not answer" }) });
  }

  lost({ code, retry, afterMs, token, error }) {
    if (this.state === "ended") return;
    const goodbye = this.#goodbye;
    this.#release();
    const why = error ?? this.error ?? new ChatError({ code: goodbye?.code ?? codeOfClose(code), message: goodbye?.reason, ...this.#on.details?.() });
    const now = Date.now();
    if (this.#welcomedAt !== null) {
      if (now - this.#welcomedAt > STABLE_MS) this.#failures = 0;
      // Where nothing was heard for longer than pings allow, it was lost then, and is only noticed now.
      this.#lostAt ??= now - this.#heardAt > PING_EVERY_MS ? this.#heardAt : now;
      this.#welcomedAt = null;
    }
    const asked = goodbye?.after_ms ?? afterMs;
    const renews = token && this.token.refused(now);
    if (!renews && !(goodbye?.retry ?? retry)) return void this.end(why);
    if (renews && !asked) return void this.open();
    if ((goodbye?.code === "elsewhere" || code === ELSEWHERE) && (this.#moves += 1) <= MOST_MOVES) {
      // Nothing went wrong: another part of the room serves this viewer now.
      this.#tryAfter(asked ?? 0);
      this.#setState("connecting", { moving: true });
      return;
    }
    const base = { ...this.reconnect, base_ms: asked ?? this.reconnect.base_ms };
    // Who signed out everywhere is told when a new token is late enough.
    const wait = renews ? (asked ?? 0) : delay(base, this.#failures);
    this.#failures += 1;
    this.#notBefore = asked > 0 ? now + wait : 0;
    this.#tryAfter(wait);
    this.#setState("waiting", { error: why, retry_in_ms: Math.round(wait), asked: asked > 0 });
  }

  end(error) {
    this.#release();
    this.#unwatch();
    this.outbox.clear(error);
    this.#setState("ended", { error });
  }

  #release() {
    this.timers.clear();
    this.#pongBy = null;
    const { socket } = this;
    this.socket = null;
    this.outbox.took.drop();
    this.#on.released();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #setState(state, details = {}) {
    this.state = state;
    this.#on.state({ state, error: null, retry_in_ms: null, asked: false, away_ms: null, moving: false, ...details });
  }
}
