// Where this client stands in the room's log, and which events are new to it.

/**
 * The log has one order; a socket may repeat a part of it or, after a fault, miss one.
 * `take` lets each event through once and in order. At a gap it holds everything back
 * until `adopt` is given the answer to a `catch_up` (or a join).
 */
export class Position {
  epoch = null;
  seq = 0;
  #held = null;
  #leftOut = 0;

  get known() {
    return this.epoch !== null;
  }

  /** True from a gap until the answer to the `catch_up` that it asks for. */
  get catchingUp() {
    return this.#held !== null;
  }

  /** The `{epoch, seq}` to send in `resume` or `catch_up`. */
  get value() {
    return { epoch: this.epoch, seq: this.seq };
  }

  /**
   * Takes the positional lines of a frame. Returns the events that are new, in order.
   * When `catchingUp` turns true by it, the caller sends `catch_up` with `value`.
   */
  take(lines) {
    if (this.#held) {
      this.#held.push(lines);
      return [];
    }
    return this.#apply(lines);
  }

  /**
   * Takes the reply to a join or a `catch_up`. Returns the events that are new: those of a
   * resumed reply and then those held back meanwhile.
   */
  adopt({ epoch, seq, resumed, events = [] }) {
    const fresh = [];
    if (resumed) {
      for (const event of events) {
        if (event.seq <= this.seq) continue;
        fresh.push(event);
        this.seq = event.seq;
      }
      this.seq = Math.max(this.seq, seq);
    } else {
      this.seq = seq;
    }
    this.epoch = epoch;
    const held = this.#held ?? [];
    this.#held = null;
    for (const lines of held) fresh.push(...this.take(lines));
    return fresh;
  }

  /** How many messages the server says it left out since this was last asked: there are too many to show them all. */
  takeLeftOut() {
    const count = this.#leftOut;
    this.#leftOut = 0;
    return count;
  }

  /** A new socket starts with nothing held: what the old one held comes again. */
  drop() {
    this.#held = null;
  }

  #apply(lines) {
    const fresh = [];
    let at = null;
    const close = () => {
      if (at) this.seq = Math.max(this.seq, at.to);
    };
    for (const [index, line] of lines.entries()) {
      if (line.at) {
        close();
        at = line.at;
        if (at.epoch !== this.epoch || at.from > this.seq) return this.#gap(lines.slice(index), fresh);
        // Who stands at the frame's end was given them by a `catch_up`.
        if (at.to > this.seq) this.#leftOut += at.left_out ?? 0;
        continue;
      }
      if (line.seq <= this.seq) continue;
      if (line.seq > this.seq + 1 && !(at && line.seq <= at.to)) {
        close();
        return this.#gap(lines.slice(index), fresh);
      }
      this.seq = line.seq;
      fresh.push(line);
    }
    close();
    return fresh;
  }

  #gap(rest, fresh) {
    this.#held = [rest];
    return fresh;
  }
}
