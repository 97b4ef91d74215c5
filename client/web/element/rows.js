// Which rows the list has, in order; what did not change keeps its row, and so its height and its place in the page.

import { dayOf } from "./text.js";

const GROUP_MS = 5 * 60_000;

/**
 * A row is `{key, kind, index, height, item}`. `kind` is `message` or `pending`, with `message`; `day`, with `timestamp`;
 * `gap` and `missed`, with `text`. `height` is in CSS pixels, null until it was drawn once; `item` is the element, null
 * where the row is not in the page.
 */
export class Rows {
  all = [];
  #byKey = new Map();
  #messages = [];
  #missed = rowOf("missed", "missed");

  get(key) {
    return this.#byKey.get(key);
  }

  /**
   * `messages`, oldest first; `gaps`, message_id → what is said of those missing before it; `missed` `{from, text}`, a line
   * before the first message with a `no` above `from`, or null; `pending`, one's own on their way.
   */
  update({ messages, gaps, missed, pending }) {
    const before = this.all;
    const known = this.#messages;
    this.all = [];
    this.#messages = messages.map(aligned(known, messages, (message) => this.#byKey.get(message.message_id)));
    let last = null;
    let news = missed;
    for (const row of this.#messages) {
      const { message } = row;
      if (row.after !== last || row.judged !== message) judge(row, last);
      const isNews = news !== null && message.no > news.from;
      const gap = gaps.get(message.message_id);
      if (row.newDay) this.#push((row.day ??= Object.assign(rowOf(`day ${row.key}`, "day"), { timestamp: message.timestamp })));
      if (gap) this.#push(Object.assign((row.gap ??= rowOf(`gap ${row.key}`, "gap")), { text: gap }));
      if (isNews) this.#push(Object.assign(this.#missed, { text: news.text }));
      row.first = row.newDay || isNews || gap !== undefined || !row.follows;
      this.#push(row);
      if (isNews) news = null;
      last = message;
    }
    for (const item of pending) this.#push(Object.assign(this.#byKey.get(item.client_id) ?? rowOf(item.client_id, "pending"), { message: item }));
    for (const row of before) if (this.all[row.index] !== row) this.#byKey.delete(row.key);
  }

  #push(row) {
    row.index = this.all.length;
    this.all.push(row);
    this.#byKey.set(row.key, row);
  }
}

const rowOf = (key, kind) => ({ key, kind, index: -1, height: null, item: null });

// From one drawing to the next messages go at the front and come at the end: each mostly finds its row in its old place.
function aligned(known, messages, find) {
  const begin = messages[0]?.no ?? Infinity;
  let gone = 0;
  while (gone < known.length && known[gone].message.no < begin) gone += 1;
  return (message, index) => {
    const there = known[gone + index];
    if (there?.message === message) return there;
    const row = (there?.key === message.message_id ? there : find(message)) ?? rowOf(message.message_id, "message");
    row.message = message;
    return row;
  };
}

function judge(row, last) {
  const { message } = row;
  row.after = last;
  row.judged = message;
  row.newDay = !last || dayOf(last.timestamp) !== dayOf(message.timestamp);
  row.follows = follows(last, message);
}

/** Whether a message stands under the one before it without a heading of its own. */
const follows = (before, message) =>
  before?.user.user_id === message.user.user_id &&
  before.type === message.type &&
  !message.reply_to &&
  Date.parse(message.timestamp) - Date.parse(before.timestamp) < GROUP_MS;
