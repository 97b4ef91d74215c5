// The client module: `connect` to a room, and what one does there.

import { Acts } from "./sdk/acts.js";
import { randomName } from "./sdk/guest.js";
import { orOverRest } from "./sdk/rest.js";
import { Timers } from "./sdk/timers.js";
import { staysUnsent, Unsent } from "./sdk/unsent.js";

export { ChatError } from "./sdk/errors.js";
export { RoomModel } from "./sdk/room-model.js";

// The server's 3 s, and some room for frames that travel at unequal speed.
const TYPING_EVERY_MS = 3_200;
const MOST_ROUNDS = 10;

/**
 * Connects to a room and keeps connected until `close()`.
 *
 * Options: `room` (id); `url`, the server's origin (default: the page's); `token`, a string, or
 * `getToken({reason})`, which may be async and is asked before the first connect, when a token was
 * refused and before it ends (`reason`: "connect", "refused", "refresh"); without either the
 * viewer is a guest. `storage` (localStorage, for a guest's id), `tabStorage` (sessionStorage, for
 * messages that were not answered; null keeps none), `WebSocket` and `fetch` stand in for the browser's.
 *
 * It notices a dead socket (a ping every 15 s, and at once when the network, the tab or the machine
 * comes back), waits as the room asked, and then joins again from where it stood. Messages that were
 * not answered go again with their `client_id`, also after the page was loaded anew in the same tab.
 *
 * Events, by `on(name, listener)`:
 * - `state` `{state, error, retry_in_ms, asked, away_ms}`: "connecting", "online" (`away_ms`: after so
 *   long without a connection, null the first time), "waiting" (tries again in `retry_in_ms`, or at
 *   `retry()` unless `asked`: the server asked for the wait), "ended" (will not try again; `error` says why)
 * - `joined`: the reply to each join. Then either `event` for each thing that was missed, or `snapshot`
 *   `{messages, my_reactions, epoch}`: its `messages` are the list from now on, what is between them and
 *   the list before can be had by `history`. State "online" comes after these.
 * - `unsent` `{client_id, content, type, reply_to?, mentions?, metadata?, at, late, reply}`: a message that
 *   this page left unanswered before it was loaded anew. It is sent again and `reply` settles as `send`
 *   does; where it is `late`, older than an hour, it is not: `send` it with its `client_id`, or `forget` it
 * - `left_out` `{count}`: so many messages were said that a large room did not send to this viewer; history has
 *   them. Which events a room of this size does not send at all is in `leftOut`
 * - `event` `{event, data, seq}`: everything that the room says, once and in order; the same
 *   again under its own name (`new_message`, `room_stats`, …) with `data` and the envelope.
 *   What each `data` holds is in docs/protocol.md. Those of keeping order:
 *   - `message_held` `{held_id, user, content, text?, client_id?, reasons: [{code, sentence}], expires_at}`,
 *     `message_released` `{held_id, message_id}`, `message_denied` `{held_id, outcome, reason?}`:
 *     to the author and to moderators
 *   - `message_reported` `{report_id, message_id, reason, details?, quoted, author, reporter_id}`,
 *     `report_resolved` `{report_id, status}`, `terms_updated`: to moderators
 *   - `user_banned` `{user_id, username, ends_at, reason?, by?, shadow?}`, `user_unbanned` `{user_id}`,
 *     `messages_deleted` `{message_ids, user_id?, deleted_at}`, `messages_expired` `{before_no, pinned?}`: those with a
 *     lower `no` are gone for good, `user_erased`
 *     `{message_ids, tombstones, mentioned_in, reactions, erased_at}`, `message_pinned` and `message_unpinned`
 *     `{message_id, pinned}`, `room_updated` `{name, settings, changed}`, `role_set` `{user_id, role}`:
 *     to everyone
 */
export function connect(options) {
  if (!(options?.WebSocket ?? globalThis.WebSocket)) throw new TypeError("connect needs a WebSocket");
  // No address can have half a surrogate pair in it.
  if (/\p{Surrogate}/u.test(options?.room)) throw new TypeError("connect needs a room");
  return new Chat(options);
}

class Chat extends Acts {
  #timers = new Timers();
  #typing = false;
  #typingSentAt = 0;
  #unsent;
  #patience = Promise.resolve();
  #joins = 0;

  /** Names of events that the room does not send now, for there are too many here: `user_joined`, `user_typing` … */
  leftOut = [];

  constructor(options) {
    super(options);
    this.#unsent = new Unsent(options.tabStorage);
    this.on("state", () => this.#typed());
    const counted = ({ left_out = [] }) => (this.leftOut = left_out);
    this.on("room_stats", counted);
    this.on("joined", counted);
    this.on("joined", ({ self }) => {
      this.#joins += 1;
      if (self?.user_id) this.#takeUp(self.user_id);
    });
    // A moderator sees more than a member, also of what was said before.
    this.on("role_set", ({ user_id }) => user_id === this.self?.user_id && this.rejoin());
  }

  /**
   * Sends a message. Resolves with `{message_id, seq, timestamp, held?, client_id}` once it is
   * stored; where `held` is true it waits for a moderator, and `message_id` is its `held_id`. Safe
   * across reconnects: the same `client_id` never makes a second message. Said without a connection,
   * it waits for the room's limits; else `rate_limited` and `slow_mode` are the caller's.
   */
  async send(content, { client_id = randomName(), type = "text", reply_to, mentions, metadata, franking } = {}) {
    this.#typed();
    return this.#deliver({ content, type, client_id, reply_to, mentions, metadata, franking });
  }

  /** A message that was not sent is not to be: it does not come back when the page is loaded anew. */
  forget(client_id) {
    this.#unsent.drop(client_id);
  }

  /** `franking` is the tag of an encrypted `content`. */
  edit(message_id, content, { franking } = {}) {
    return orOverRest(this.request("edit_message", { message_id, content, franking }), () =>
      this.rest.edit(this.room, message_id, content, franking),
    );
  }

  remove(message_id) {
    return orOverRest(this.request("delete_message", { message_id }), () =>
      this.rest.remove(this.room, message_id),
    );
  }

  /** Adds (or with `remove`, takes back) one's reaction; both may be repeated. */
  react(message_id, reaction, { remove = false } = {}) {
    return this.request("react", { message_id, reaction, remove });
  }

  /**
   * Says that the user is typing, at most every 3 s; or that they stopped. Lost when offline, and in a room that
   * shows nobody typing.
   */
  typing(is_typing) {
    if (this.state !== "online" || this.leftOut.includes("user_typing")) return;
    this.#timers.cancel("typing");
    const wait = this.#typingSentAt + TYPING_EVERY_MS - Date.now();
    // The server drops what comes sooner, and nothing is said again unless a key is pressed.
    if (is_typing && wait > 0) this.#timers.after("typing", wait, () => this.typing(true));
    else if (is_typing || this.#typing) {
      this.#typing = is_typing;
      if (is_typing) this.#typingSentAt = Date.now();
      this.write({ event: "typing", data: { room_id: this.room, is_typing } });
    }
  }

  /** Messages before a `no`, newest first: `{messages, total, has_more, …}`. */
  history({ before, after, limit = 50 } = {}) {
    return this.rest.history(this.room, { before, after, limit, mine: 1 });
  }

  members(query) {
    return this.rest.members(this.room, query);
  }

  async #deliver(message, joins = this.#joins) {
    const { client_id } = message;
    const send = () => this.request("send_message", message);
    this.#unsent.keep(message, Date.now());
    try {
      const reply = await send().catch((error) => {
        if (joins === this.#joins || !error.retry_after_ms) throw error;
        // Who typed in their own time was not too fast: one after the other they wait for the room's limits.
        const again = () => this.#patiently(send, error);
        this.#patience = this.#patience.then(again, again);
        return this.#patience;
      });
      this.#unsent.drop(client_id);
      return { ...reply, client_id };
    } catch (error) {
      if (!staysUnsent(error.code)) this.#unsent.drop(client_id);
      throw error;
    }
  }

  /** Tries again as often as the answer is to wait. */
  async #patiently(send, error) {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      await this.#pause(error.retry_after_ms);
      try {
        return await send();
      } catch (next) {
        if (!next.retry_after_ms) throw next;
        error = next;
      }
    }
    throw error;
  }

  /** So many ms, or until the connection has ended. */
  #pause(ms) {
    if (this.state === "ended") return null;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(done, ms);
      const stop = this.on("state", ({ state }) => state === "ended" && done());
    });
  }

  #takeUp(user_id) {
    for (const { late, at, ...message } of this.#unsent.of(this.origin, this.room, user_id, Date.now())) {
      const reply = late ? null : this.#deliver(message, null);
      // Whoever does not listen need not catch it either.
      reply?.catch(() => {});
      this.emit("unsent", { ...message, at, late, reply });
    }
  }

  /** A message, or a lost socket, ends the typing for everyone without a word. */
  #typed() {
    this.#typing = false;
    this.#timers.cancel("typing");
  }
}
