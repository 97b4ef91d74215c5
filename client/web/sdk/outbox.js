// Requests that wait for their answer, kept across reconnects.

import { ChatError } from "./errors.js";
import { Took } from "./took.js";
import { LONGEST_MS } from "./unsent.js";

// A socket that stays open but does not answer is replaced this often before a request is given up.
const MAX_TIMEOUTS = 3;

/**
 * Every request that is safe to repeat stands here from the moment it is asked for until it
 * is answered: acts carry a `client_id` or are idempotent, so sending one again after a
 * reconnect does it once.
 */
export class Outbox {
  #nextId = 1;
  #waiting = new Map();
  /** How long one's messages take. */
  took = new Took();

  takeId() {
    return this.#nextId++;
  }

  /** Adds a request that is made at `now` (ms); the promise settles with its answer. */
  add(event, data, now) {
    const id = this.takeId();
    const promise = new Promise((resolve, reject) => {
      this.#waiting.set(id, { id, event, data, resolve, reject, madeAt: now, sentAt: null, timeouts: 0 });
    });
    return { id, promise };
  }

  /** The frame of one request, noted as sent at `now` (ms); null once it is answered. */
  frame(id, now) {
    const item = this.#waiting.get(id);
    if (!item) return null;
    item.sentAt = now;
    if (item.event === "send_message" && item.data.client_id) {
      this.took.sent(item.data.client_id, now);
      const took = this.took.take();
      if (took) item.data = { ...item.data, took };
    }
    return { id, event: item.event, data: item.data };
  }

  /** All unanswered ids in the order in which they were asked for. */
  ids() {
    return [...this.#waiting.keys()];
  }

  /** The same, without messages so old that the server might not know a repeat: those are rejected. */
  repeatable(now) {
    for (const item of this.#waiting.values()) {
      if (item.event !== "send_message" || now - item.madeAt < LONGEST_MS) continue;
      this.#waiting.delete(item.id);
      item.reject(new ChatError({ code: "timeout", message: "the server did not answer for a day" }));
    }
    return this.ids();
  }

  get size() {
    return this.#waiting.size;
  }

  /** Settles the request that this reply of `now` (ms) answers; false where it is not one of these. */
  settle({ reply, data, error }, now) {
    const item = this.#waiting.get(reply);
    if (!item) return false;
    this.#waiting.delete(reply);
    this.took.answered(item.data?.client_id, now, { shows: !error && !data?.held });
    if (error) item.reject(new ChatError(error));
    else item.resolve(data);
    return true;
  }

  /** True if a request sent `limit` ms ago is unanswered; after several sockets it is rejected. */
  overdue(now, limit) {
    let found = false;
    for (const item of this.#waiting.values()) {
      if (item.sentAt === null || now - item.sentAt < limit) continue;
      found = true;
      item.sentAt = null;
      item.timeouts += 1;
      if (item.timeouts < MAX_TIMEOUTS) continue;
      this.#waiting.delete(item.id);
      item.reject(new ChatError({ code: "timeout", message: "the server did not answer" }));
    }
    return found;
  }

  /** Rejects everything that waits. */
  clear(error) {
    for (const item of this.#waiting.values()) item.reject(error);
    this.#waiting.clear();
  }
}
