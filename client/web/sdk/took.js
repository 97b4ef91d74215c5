// How long one's own messages take, for the operator's figures: measured here, since a server cannot.

/** Messages that are followed at once. */
const MOST = 32;

/**
 * Of each message: from its sending to its answer, and to its sight among the room's events. What
 * was measured goes with the next message. What a lost connection is to blame for is not measured.
 */
export class Took {
  /** By `client_id`: when it went out, and which of the two is not known yet. */
  #sent = new Map();
  #measured = {};

  /** A message under this `client_id` goes out now (ms). */
  sent(client_id, now) {
    // A repeat says nothing of how long the first took.
    if (this.#sent.has(client_id)) return;
    this.#sent.set(client_id, { at: now, open: new Set(["ack_ms", "shown_ms"]) });
    if (this.#sent.size > MOST) this.#sent.delete(this.#sent.keys().next().value);
  }

  /** It was answered; `shows` is false where nothing of it will be seen now: refused, or held. */
  answered(client_id, now, { shows }) {
    if (shows) this.#note("ack_ms", client_id, now);
    else this.#sent.delete(client_id);
  }

  /** It was seen among the events. */
  shown(client_id, now) {
    this.#note("shown_ms", client_id, now);
  }

  /** What was measured since this was asked last; undefined where that is nothing. */
  take() {
    const measured = this.#measured;
    this.#measured = {};
    return Object.keys(measured).length ? measured : undefined;
  }

  /** The connection was lost. */
  drop() {
    this.#sent.clear();
  }

  #note(name, client_id, now) {
    const sent = this.#sent.get(client_id);
    if (!sent?.open.delete(name)) return;
    this.#measured[name] = Math.max(0, Math.round(now - sent.at));
    if (sent.open.size === 0) this.#sent.delete(client_id);
  }
}
