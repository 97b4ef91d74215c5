// The list of messages: keyed rows, scrolling that stays where the reader is, paging back.

import { h, word } from "./dom.js";
import { fillMessage, fillReactions } from "./message-view.js";
import { dayOf, dayTitle, sentence } from "./text.js";
import { english } from "./words.js";

/** So many messages stay while one reads along. */
export const KEEP = 500;
/** What was missed stays beyond that until it was read, up to this many messages in all. */
export const MOST_KEPT = 1_500;
const NEAR_BOTTOM_PX = 40;
const LOAD_ABOVE_PX = 300;
const GROUP_MS = 5 * 60_000;

export class ListView {
  #rows = new Map();
  #items = h("ol", {});
  #stick = true;
  /** Where the list was put last; a reader who has moved since is noticed before the browser tells of the scroll. */
  #putAt = 0;
  #loading = false;
  #settle;
  #words = english;

  top = h("p", { class: "top" });
  log = h("div", { role: "log", "aria-live": "polite", "aria-label": word("list.label") }, this.#items);
  scroller = h("div", { class: "scroller", part: "messages", tabindex: "0", role: "group", "aria-label": word("list.scroller") }, this.top, this.log);

  /** `loadOlder()` fetches and renders a page; `onScroll(atBottom)` is told about each move. */
  constructor({ loadOlder, onScroll }) {
    this.loadOlder = loadOlder;
    this.onScroll = onScroll;
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // Whatever changes height (a phone's keyboard, a wrapped line), the newest stays in sight.
    this.#settle = new ResizeObserver(() => this.#sticks() && this.toBottom());
    this.#settle.observe(this.scroller);
    this.#settle.observe(this.#items);
  }

  get atBottom() {
    return this.#stick;
  }

  toBottom() {
    this.#stick = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#putAt = this.scroller.scrollTop;
    this.onScroll(true);
  }

  #sticks() {
    if (this.#stick && this.scroller.scrollTop < this.#putAt) this.#stick = this.#nearBottom();
    return this.#stick;
  }

  #nearBottom() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
  }

  /**
   * Brings the list in line with the model. `canReact` enables the chips; `missed` `{from, text, unseen}` is a line
   * before the first message with a `no` above `from`; `words` is the language.
   */
  render(model, { canReact, missed, words }) {
    this.#words = words;
    if (this.#sticks()) model.trim(keepOf(model, missed));
    const anchor = this.#stick ? null : this.#anchor();
    const focused = this.#focused();
    const me = model.self?.user_id ?? null;
    const messages = model.shown;
    const byId = new Map(messages.map((message) => [message.message_id, message]));
    const wanted = [];
    let before = null;
    let news = missed;
    for (const message of messages) {
      const newDay = !before || dayOf(before.timestamp) !== dayOf(message.timestamp);
      if (newDay) wanted.push(this.#dayRow(message.timestamp));
      const isNews = news && message.no > news.from;
      if (isNews) wanted.push(this.#missedRow(news.text));
      if (isNews) news = null;
      const first = newDay || isNews || !follows(before, message);
      const quoted = message.reply_to ? byId.get(message.reply_to) : undefined;
      wanted.push(this.#messageRow(message, { first, quoted, me, canReact, words }));
      before = message;
    }
    for (const item of model.pending.values()) wanted.push(this.#pendingRow(item, model.self));
    this.#place(wanted);
    focused?.restore();
    this.top.textContent = model.messages.length === 0 ? "" : words.t(model.hasMore ? "list.older" : "list.beginning");
    if (this.#stick) this.toBottom();
    else if (anchor?.item.isConnected) this.scroller.scrollTop += anchor.item.getBoundingClientRect().top - anchor.top;
    // What was read is not loaded any more: what is there begins after it.
    else if (anchor) this.scroller.scrollTop = 0;
    this.#maybeLoad(model);
  }

  item(key) {
    return this.#rows.get(key)?.item;
  }

  /** Whether that row is in sight. */
  shows(key) {
    const item = this.item(key);
    if (!item?.isConnected || this.scroller.clientHeight === 0) return false;
    const [row, box] = [item, this.scroller].map((element) => element.getBoundingClientRect());
    return row.top >= box.top && row.bottom <= box.bottom;
  }

  /** Shows a row near the top, with the focus on the message there. */
  goTo(key) {
    const item = this.item(key);
    const message = item.matches(".message") ? item : item.nextElementSibling;
    this.#stick = false;
    this.scroller.scrollTop += item.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - this.scroller.clientHeight / 4;
    message?.focus({ preventScroll: true });
  }

  /** Whether what is added is read out. */
  readOut(aloud) {
    this.log.setAttribute("aria-live", aloud ? "polite" : "off");
  }

  /** Moves the focus by messages; from the list itself, up begins at the newest. */
  move(from, step) {
    const items = [...this.#items.querySelectorAll(":scope > .message")];
    const index = from ? items.indexOf(from) : items.length;
    const to = items[step === "first" ? 0 : step === "last" ? items.length - 1 : index + step];
    to?.focus();
    to?.scrollIntoView({ block: "nearest" });
  }

  #messageRow(message, details) {
    const row = this.#row(message.message_id);
    const was = row.shown;
    row.shown = { message, ...details };
    if (was && Object.keys(details).every((name) => was[name] === details[name])) {
      if (was.message === message) return row;
      if (onlyReactions(was.message, message)) {
        fillReactions(row.item.querySelector(".reactions"), message, details.canReact, details.words);
        return row;
      }
    }
    const tools = row.item.querySelector(".tools");
    fillMessage(row.item, message, details);
    if (tools) {
      row.item.classList.add("active");
      row.item.append(tools);
    }
    return row;
  }

  #pendingRow(item, self) {
    const row = this.#row(item.client_id);
    if (row.shown === item && row.words === this.#words) return row;
    row.shown = item;
    row.words = this.#words;
    const message = { ...item, user: { ...self, roles: [] }, type: "text", timestamp: item.timestamp };
    fillMessage(row.item, message, { first: true, me: self?.user_id, canReact: false, words: this.#words });
    row.item.classList.add("pending");
    // Not faint where there is something to read about it.
    row.item.classList.toggle("told", item.state !== "sending" && item.state !== "sent");
    const word = pendingWord(item, this.#words);
    if (word) row.item.querySelector(".body").append(word);
    return row;
  }

  #dayRow(timestamp) {
    const row = this.#row(`day ${dayOf(timestamp)}`);
    row.item.className = "day";
    setText(row.item, dayTitle(timestamp, this.#words));
    row.item.removeAttribute("tabindex");
    return row;
  }

  #missedRow(text) {
    const row = this.#row("missed");
    row.item.className = "missed";
    setText(row.item, text);
    row.item.removeAttribute("tabindex");
    return row;
  }

  #row(key) {
    let row = this.#rows.get(key);
    if (!row) {
      row = { key, item: h("li", { tabindex: "-1", "data-id": key }), shown: null };
      this.#rows.set(key, row);
    }
    return row;
  }

  #place(wanted) {
    const kept = new Set(wanted);
    for (const [key, row] of this.#rows) {
      if (kept.has(row)) continue;
      row.item.remove();
      this.#rows.delete(key);
    }
    let next = this.#items.firstChild;
    for (const { item } of wanted) {
      if (item === next) next = next.nextSibling;
      else this.#items.insertBefore(item, next);
    }
  }

  /** Where the focus is within the list, and how to bring it back after rows were built again. */
  #focused() {
    const root = this.log.getRootNode();
    const element = root.activeElement;
    if (!element || !this.log.contains(element)) return null;
    const item = element.closest("li");
    const { act, reaction } = element.dataset;
    return {
      restore: () => {
        if (root.activeElement === element) return;
        const same = [...item.querySelectorAll("[data-act]")].find(({ dataset }) => dataset.act === act && dataset.reaction === reaction);
        (element.isConnected ? element : (same ?? item)).focus({ preventScroll: true });
      },
    };
  }

  /** The first message in sight, and where it stands; a day's heading moves up when an earlier page comes. */
  #anchor() {
    const edge = this.scroller.getBoundingClientRect().top;
    for (const item of this.#items.querySelectorAll(":scope > .message")) {
      const { top, bottom } = item.getBoundingClientRect();
      if (bottom > edge) return { item, top };
    }
    return null;
  }

  #scrolled() {
    this.#stick = this.#nearBottom();
    this.onScroll(this.#stick);
    if (this.model) this.#maybeLoad(this.model);
  }

  async #maybeLoad(model) {
    this.model = model;
    if (this.#loading || !model.hasMore || this.scroller.scrollTop > LOAD_ABOVE_PX) return;
    // In a list that is not shown, or grows as it likes, nobody scrolls.
    if (this.scroller.clientHeight === 0 || (this.#stick && model.messages.length >= KEEP)) return;
    this.#loading = true;
    // Old messages come as reading matter, not as news to be read out.
    this.log.setAttribute("aria-busy", "true");
    this.top.textContent = this.#words.t("list.loading");
    try {
      await this.loadOlder();
    } catch (error) {
      this.top.textContent = this.#words.t("list.failed", { why: sentence(error, this.#words) });
      await new Promise((resolve) => setTimeout(resolve, error.retry_after_ms ?? 3_000));
    } finally {
      this.#loading = false;
      this.log.removeAttribute("aria-busy");
    }
    this.#maybeLoad(model);
  }
}

/** Writing the same text anew would be news to a screen reader. */
const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/** What is to be said of one's own message that is not in the room yet; null while it is on its way. */
function pendingWord({ state, error, outcome, reason }, words) {
  const button = (act, text) => h("button", { type: "button", "data-act": act }, text);
  if (state === "failed") return h("p", { class: "failure" }, words.t("pending.failed", { why: sentence(error, words) }), button("retry", words.t("pending.retry")), button("discard", words.t("pending.discard")));
  if (state === "held") return h("p", { class: "waiting" }, words.t("pending.held"));
  if (state !== "denied") return null;
  const why = words.t(outcome === "expired" ? "pending.expired" : "pending.denied");
  return h("p", { class: "failure" }, reason ? `${why} ${reason}` : why, button("discard", words.t("pending.discard")));
}

function keepOf({ messages }, missed) {
  if (!missed?.unseen) return KEEP;
  const since = (messages.at(-1)?.no ?? 0) - missed.from + 1;
  return Math.max(KEEP, Math.min(since, MOST_KEPT));
}

/** Whether a message stands under the one before it without a heading of its own. */
function follows(before, message) {
  return (
    before?.user.user_id === message.user.user_id &&
    before.type === message.type &&
    !message.reply_to &&
    Date.parse(message.timestamp) - Date.parse(before.timestamp) < GROUP_MS
  );
}

const onlyReactions = (a, b) =>
  Object.keys({ ...a, ...b }).every((name) => name === "reactions" || name === "mine" || a[name] === b[name]);
