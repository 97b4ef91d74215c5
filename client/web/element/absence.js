// What was said while nobody looked: from which message on, and how much. No page in it.

// Who was away for less than this missed nothing that needs a word.
const FEW_MS = 5_000;

/**
 * Feed it `left`, `replaced` and `back`; `mark` is then what was missed: messages with a `no` above `from` and up to
 * `until`. `seen` once the reader has been there; `broken` where the room's log is another one now, so that nobody can
 * say how much it was. Null while nothing was missed.
 */
export class Absence {
  mark = null;
  #since = null;
  #from = null;

  /** The reader is no longer there: the connection is lost, or the page is hidden. */
  left(now, model) {
    if (this.#since !== null) return;
    this.#since = now;
    this.#from = model.self === null ? null : (lastOf(model)?.no ?? 0);
  }

  /**
   * The reader is there again; `away_ms`, where the connection knows better how long that was. Returns whether there
   * is something new to tell.
   */
  back(now, model, away_ms = 0) {
    if (this.#since === null) return false;
    const away = Math.max(now - this.#since, away_ms);
    const from = this.#from;
    this.#since = this.#from = null;
    if (from === null || away < FEW_MS || !model.messages.some((message) => isNews(message, from, Infinity, model))) return false;
    this.#put(from, model);
    return true;
  }

  /** The list was replaced by a snapshot; `before` is the last message until then. Returns as `back`. */
  replaced(before, model, { sameLog }) {
    const first = model.messages[0];
    if (!before) return false;
    if (!sameLog) {
      this.#from = null;
      this.mark = { from: first ? first.no - 1 : before.no, until: Infinity, seen: false, broken: true };
    } else if (!first) return false;
    else if (first.no > before.no + 1) this.#put(before.no, model);
    else return false;
    return true;
  }

  forget() {
    this.mark = null;
  }

  /** Whether it was seen and is further up now than a list of `most` messages reaches. */
  outgrown(model, most) {
    return this.mark?.seen === true && (lastOf(model)?.no ?? 0) - this.mark.from >= most;
  }

  /** How many messages of others were missed; of those that are not loaded all count. Null where nobody can say. */
  count(model) {
    const { from, until, broken } = this.mark;
    if (broken) return null;
    const forgotten = [...model.gaps].filter(([id]) => model.find(id)?.no - 1 > from && model.find(id).no <= until);
    const told = model.shown.filter((message) => isNews(message, from, until, model));
    return this.unloaded(model) + told.length + forgotten.reduce((sum, [, number]) => sum + number, 0);
  }

  /** How many of them stand between what the reader had and the first message that is loaded. */
  unloaded(model) {
    return Math.max(0, (model.messages[0]?.no ?? 0) - this.mark.from - 1);
  }

  // What was missed before and not seen yet is missed still.
  #put(from, model) {
    const unseen = this.mark && !this.mark.seen && !this.mark.broken;
    this.mark = { from: unseen ? Math.min(this.mark.from, from) : from, until: lastOf(model).no, seen: false, broken: false };
  }
}

const lastOf = (model) => model.messages.at(-1);

const isNews = ({ no, user, deleted_at }, from, until, { self }) =>
  no > from && no <= until && !deleted_at && user.user_id !== self?.user_id;
