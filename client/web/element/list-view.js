// The list of messages: drawn where it is in sight, scrolled so that what one reads stays, paged back.

import { h, setText, word } from "./dom.js";
import { drawRow } from "./row-view.js";
import { Rows } from "./rows.js";
import { sentence } from "./text.js";
import { Sight } from "./sight.js";
import { english } from "./words.js";

/** So many messages stay while one reads along; of what comes while one reads further up, so many at either end. */
export const KEEP = 500;
/** What was missed stays beyond that until it was read, up to this many messages in all. */
export const MOST_KEPT = 1_500;
const NEAR_BOTTOM_PX = 40;
const LOAD_ABOVE_PX = 300;
// What comes in one go with a scroll is not news.
const QUIET_MS = 1_000;
// Somebody who searches the page is done by then, or begins again.
const SEARCHED_MS = 60_000;
// More messages a second than anybody can listen to.
const LISTENABLE = 4;

export class ListView {
  #rows = new Rows();
  #sight;
  #stick = true;
  /** Where the list stood last; a reader who has moved since is noticed before the browser tells of the scroll. */
  #stood = 0;
  /** The model that older messages are loaded of. */
  #loading = null;
  #whole = null;
  #details = null;
  #aloud = { wanted: true, timer: null, cooling: null, since: 0, count: 0, hot: false };
  #words = english;
  #on;

  top = h("p", { class: "top" });
  log = h("div", { role: "log", "aria-live": "polite", "aria-label": word("list.label") });
  scroller = h("div", { class: "scroller", part: "messages", tabindex: "0", role: "group", "aria-label": word("list.scroller") }, this.top, this.log);

  /**
   * `on`: `loadOlder()` fetches and renders a page; `scrolled()` is told about each move; `redraw()` asks for a `render`;
   * `say(text)` reads out something about the list.
   */
  constructor(on) {
    this.#on = on;
    this.#sight = new Sight(this.scroller, (row) => drawRow(row, this.#details));
    this.log.append(this.#sight.list);
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.scroller.addEventListener("scrollend", () => this.#rested());
    // Whatever changes height (a phone's keyboard, a wrapped line), the newest stays in sight, or what is read.
    const settle = new ResizeObserver(() => this.#settle());
    settle.observe(this.scroller);
    settle.observe(this.#sight.list);
  }

  /** Whether it follows what comes. While it does not, what is in sight stays where it is. */
  get atBottom() {
    return this.#stick;
  }

  toBottom() {
    this.#put(true, null);
    this.#on.scrolled();
  }

  /**
   * Brings the list in line with the model. `canReact` enables the chips; `missed` `{from, text, unseen}` is a line
   * before the first message with a `no` above `from`; `words` is the language.
   */
  render(model, { canReact, missed, words }) {
    this.#words = words;
    this.#moved();
    if (this.#stick) model.trim(keepOf(model, missed));
    else this.#shed(model);
    const anchors = this.#stick ? [] : this.#sight.anchors();
    const focused = this.#focused();
    this.#details = {
      self: model.self, canReact, words,
      quoted: ({ reply_to }) => (reply_to ? this.#rows.get(reply_to)?.message : undefined),
    };
    const newest = this.#rows.all.at(-1);
    const gaps = new Map([...model.gaps].map(([id, number]) => [id, words.t("list.gap", { count: number })]));
    this.#rows.update({ messages: model.shown, gaps, missed, pending: model.pending.values() });
    this.#pace(newest);
    this.#sight.rows = this.#rows.all;
    const anchor = anchors.find(({ row }) => this.#rows.get(row.key) === row);
    // What was read is not loaded any more: what is there begins after it.
    const begin = this.#rows.all[0] ? { row: this.#rows.all[0], top: 0 } : null;
    this.#put(this.#stick, anchor ?? begin);
    focused?.restore();
    setText(this.top, model.messages.length === 0 ? "" : words.t(model.hasMore ? "list.older" : "list.beginning"));
    this.#maybeLoad(model);
  }

  /** Whether there is such a row, in sight or not; `key` is a message's id, a pending one's `client_id`, or "missed". */
  has(key) {
    return this.#rows.get(key) !== undefined;
  }

  /** Whether that row is in sight. */
  shows(key) {
    const item = this.#rows.get(key)?.item;
    if (!item?.isConnected || this.scroller.clientHeight === 0) return false;
    const [row, box] = [item, this.scroller].map((element) => element.getBoundingClientRect());
    return row.top >= box.top && row.bottom <= box.bottom;
  }

  /** Scrolls to a row, `part` of the list's height from its top; returns its element, or undefined where there is none. */
  show(key, part = 0.5) {
    const row = this.#rows.get(key);
    if (!row) return undefined;
    this.#put(false, { row, top: (this.scroller.clientHeight - (row.height ?? 0)) * part });
    return row.item;
  }

  /** Shows a row near the top, with the focus on the message there. */
  goTo(key) {
    this.show(key, 0.25);
    const { index, kind } = this.#rows.get(key);
    const row = kind === "message" ? this.#rows.all[index] : this.#rows.all[index + 1];
    row?.item?.focus({ preventScroll: true });
  }

  /** All that is loaded is in the page for a while, to be searched. */
  drawWhole() {
    clearTimeout(this.#whole);
    this.#sight.whole = true;
    this.#whole = setTimeout(() => {
      this.#sight.whole = false;
      this.#on.redraw();
    }, SEARCHED_MS);
    this.#on.redraw();
  }

  /** Whether what is added is read out. */
  readOut(aloud) {
    this.#aloud.wanted = aloud;
    this.#listen();
  }

  /** Moves the focus by messages; from the list itself, up begins at the newest. */
  move(from, step) {
    const { all } = this.#rows;
    const steps = { first: 1, last: -1 }[step] ?? step;
    let index = { first: -1, last: all.length }[step] ?? (from && this.#rows.get(from.dataset.id)?.index) ?? all.length;
    do index += steps;
    while (all[index] && !all[index].message);
    const row = all[index];
    if (!row) return;
    if (!row.item) this.show(row.key);
    row.item.focus();
    row.item.scrollIntoView({ block: "nearest" });
  }

  // ── where it stands ──────────────────────────────────────────────────────

  /** Draws around `anchor` `{row, top}`, which then stands so far below the list's upper edge; null: at the end. */
  #put(stick, anchor) {
    this.#sight.draw(stick ? null : anchor);
    this.#stood = this.scroller.scrollTop;
    this.#stick = stick || this.#below() <= 1;
    this.#listen();
  }

  #settle() {
    this.#moved();
    // Drawing here would change the heights that are just being told.
    if (!this.#sight.settle(this.#stick)) this.#on.redraw();
    this.#stood = this.scroller.scrollTop;
  }

  /** Notices that the reader has moved. A step up is enough to leave the end, however fast it moves on. */
  #moved() {
    const { scrollTop } = this.scroller;
    const by = scrollTop - this.#stood;
    this.#stood = scrollTop;
    if (by !== 0) this.#sight.last = null;
    if (this.#stick && by < -1) this.#stick = this.#below() <= 1;
    else if (!this.#stick && by > 0) this.#stick = this.#below() < NEAR_BOTTOM_PX;
  }

  #below() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  #scrolled() {
    this.#moved();
    if (this.#stick && !this.#sight.covers()) this.#put(true, null);
    else if (!this.#stick) this.#sight.follow();
    this.#stood = this.scroller.scrollTop;
    this.#listen();
    this.#on.scrolled();
    if (this.model) this.#maybeLoad(this.model);
  }

  /** Who stopped just above the end goes on reading along. */
  #rested() {
    if (!this.#stick && this.#below() < NEAR_BOTTOM_PX) this.toBottom();
  }

  /** Who reads further up stays there for long, and what comes meanwhile does not. */
  #shed(model) {
    if (model.messages.length <= 3 * KEEP) return;
    const last = this.#sight.lowest;
    if (last) model.shed(last.message.no, KEEP);
  }

  /** Where the focus is within the list, and how to bring it back after rows were drawn again. */
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
        const to = element.isConnected ? element : (same ?? item);
        (to.isConnected ? to : this.scroller).focus({ preventScroll: true });
      },
    };
  }

  // ── what is read out ─────────────────────────────────────────────────────

  /** Only what comes at the end is news; a row that a scroll brings is none. */
  #listen() {
    const aloud = this.#aloud;
    const news = aloud.wanted && this.#stick && !aloud.hot;
    if (!news) {
      clearTimeout(aloud.timer);
      aloud.timer = null;
      setAttribute(this.log, "aria-live", "off");
    } else if (this.log.getAttribute("aria-live") === "off") {
      aloud.timer ??= setTimeout(() => {
        aloud.timer = null;
        setAttribute(this.log, "aria-live", "polite");
      }, QUIET_MS);
    }
  }

  /** Counts what came since `newest`: so much of it may be too much to be read out. */
  #pace(newest) {
    const aloud = this.#aloud;
    const now = performance.now();
    const came = newest && this.#rows.all[newest.index] === newest ? this.#rows.all.length - 1 - newest.index : 0;
    if (came > 0) {
      aloud.count += came;
      // Where nothing comes nothing is drawn, and what comes next is read out.
      clearTimeout(aloud.cooling);
      aloud.cooling = setTimeout(() => {
        Object.assign(aloud, { hot: false, count: 0, since: performance.now() });
        this.#listen();
      }, QUIET_MS);
    }
    if (now - aloud.since < QUIET_MS) return;
    const hot = (aloud.count * 1_000) / (now - aloud.since) > LISTENABLE;
    if (hot && !aloud.hot && aloud.wanted && this.#stick) this.#on.say(this.#words.t("list.hot"));
    Object.assign(aloud, { hot, count: 0, since: now });
  }

  // ── older messages ───────────────────────────────────────────────────────

  async #maybeLoad(model) {
    this.model = model;
    if (this.#loading === model || !model.hasMore || this.scroller.scrollTop > LOAD_ABOVE_PX) return;
    // In a list that is not shown, or grows as it likes, nobody scrolls.
    if (this.scroller.clientHeight === 0 || (this.#stick && model.messages.length >= KEEP)) return;
    this.#loading = model;
    // Old messages come as reading matter, not as news to be read out.
    this.log.setAttribute("aria-busy", "true");
    this.top.textContent = this.#words.t("list.loading");
    try {
      await this.#on.loadOlder();
    } catch (error) {
      // Of a room that was left nobody wants to know.
      if (model === this.model) {
        this.top.textContent = this.#words.t("list.failed", { why: sentence(error, this.#words) });
        await new Promise((resolve) => setTimeout(resolve, error.retry_after_ms ?? 3_000));
      }
    }
    if (this.#loading !== model) return;
    this.#loading = null;
    this.log.removeAttribute("aria-busy");
    this.#maybeLoad(this.model);
  }
}

const setAttribute = (element, name, value) => {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

function keepOf({ messages }, missed) {
  if (!missed?.unseen) return KEEP;
  const since = (messages.at(-1)?.no ?? 0) - missed.from + 1;
  return Math.max(KEEP, Math.min(since, MOST_KEPT));
}
