// Of a long list only the rows that are in sight, or near it, are in the page; the others are empty space of their height.

import { h } from "./dom.js";

// Drawn beyond what is in sight: as far as a quick scroll gets within a frame or two.
const BEYOND_PX = 800;
// So many rows that nobody has measured are drawn with them, so that scrolling up to them moves nothing.
const MEASURED_AT_ONCE = 100;
const FIRST_GUESS_PX = 30;
// A guess may be wrong: then what is in sight is drawn anew, and known.
const ROUNDS = 4;

export class Sight {
  rows = [];
  /** True while all rows are to be in the page, whatever that costs. */
  whole = false;
  list = h("ol", { class: "messages" });
  /** The message that stays where it is, as `{row, top}`; null at the end, and once the reader has moved. */
  last = null;
  #scroller;
  #draw;
  #drawn = [];
  #spaces = [];
  #guess = { sum: 0, count: 0 };
  /** Scrolling goes by whole pixels, heights do not: what is left is in the first space. */
  #rest = 0;

  /** `scroller` is the element that scrolls `list`; `draw(row)` brings `row.item` in line with its row, or makes it. */
  constructor(scroller, draw) {
    this.#scroller = scroller;
    this.#draw = draw;
  }

  /** The last message that is drawn, or undefined. */
  get lowest() {
    return this.#drawn.findLast(({ kind }) => kind === "message");
  }

  /**
   * Draws what is near `anchor` `{row, top}` and scrolls so that the row stands `top` pixels below the upper edge; null:
   * what is at the end, and scrolls there.
   */
  draw(anchor) {
    const at = anchor && { ...anchor };
    for (let round = 0; round < ROUNDS; round += 1) {
      this.#place(this.#near(at));
      this.#measure();
      this.#scroll(at);
      if (this.covers()) break;
    }
    // What is nearly there is kept as it was meant, so that rounding does not add up.
    this.last = at && Math.abs(this.#off(at)) < 1 ? at : null;
    // There was nothing to scroll to: what is in sight now stays.
    if (at && !this.last) this.last = this.anchors()[0];
  }

  /** After a scroll: draws again where what is drawn ends soon. */
  follow() {
    this.last = this.anchors()[0];
    if (this.last && !this.covers(BEYOND_PX / 2)) this.draw(this.last);
  }

  /** Heights have changed: scrolls so that the end, or else what is read, stands where it stood. Whether all of it is drawn. */
  settle(atEnd) {
    this.last = atEnd ? null : (this.last ?? this.anchors()[0]);
    if (atEnd || this.last?.row.item?.isConnected) this.#scroll(this.last);
    return this.covers();
  }

  /** Whether what is in sight, and so many pixels on, is drawn. */
  covers(beyond = 0) {
    if (this.#drawn.length === 0) return this.rows.length === 0;
    const box = this.#scroller.getBoundingClientRect();
    return this.#spaces.every((space) => {
      if (!space.isConnected || space.px < 1) return true;
      const { top, bottom } = space.getBoundingClientRect();
      return bottom <= box.top - beyond || top >= box.bottom + beyond;
    });
  }

  /**
   * Messages by which the list can be held, as `{row, top}`: the one that stays where it is or is the first in sight, and
   * those after it. No heading of a day: it moves up when an earlier page comes.
   */
  anchors() {
    const edge = this.#scroller.getBoundingClientRect().top;
    const end = edge + this.#scroller.clientHeight;
    const found = this.last ? [this.last] : [];
    for (const row of this.#drawn) {
      if (!row.message) continue;
      const { top, bottom } = row.item.getBoundingClientRect();
      if (bottom > edge && top < end) found.push({ row, top: top - edge });
    }
    if (found.length > 0) return found;
    const guess = this.#guessed(edge - this.list.getBoundingClientRect().top);
    return guess ? [guess] : [];
  }

  /** The message that stands so far down in the list, as far as heights are known. */
  #guessed(px) {
    let top = 0;
    let found = null;
    for (const row of this.rows) {
      if (row.message) found = { row, top: top - px };
      top += this.#heightOf(row);
      if (top > px && found) break;
    }
    return found;
  }

  #heightOf({ height }) {
    const { sum, count } = this.#guess;
    return height ?? (count > 0 ? sum / count : FIRST_GUESS_PX);
  }

  #near(anchor) {
    const { rows } = this;
    if (this.whole) return rows;
    const sight = this.#scroller.clientHeight;
    let from = anchor ? anchor.row.index : rows.length;
    let to = from;
    let above = (anchor ? anchor.top : sight) + BEYOND_PX;
    let below = anchor ? sight - anchor.top + BEYOND_PX : 0;
    let more = anchor ? MEASURED_AT_ONCE : 0;
    // At the end an older row does not come back for a few pixels: to a screen reader it would be news.
    const enough = (row) => !anchor && row === this.#drawn[0] && above <= BEYOND_PX / 2;
    while (from > 0 && !enough(rows[from]) && (above > 0 || (rows[from - 1].height === null && more > 0))) {
      from -= 1;
      above -= this.#heightOf(rows[from]);
      if (above <= 0) more -= 1;
    }
    while (to < rows.length && below > 0) {
      below -= this.#heightOf(rows[to]);
      to += 1;
    }
    const kept = this.#drawn.filter((row) => (row.index < from || row.index >= to) && rows[row.index] === row && this.#inUse(row));
    return [...kept.filter(({ index }) => index < from), ...rows.slice(from, to), ...kept.filter(({ index }) => index >= to)];
  }

  /** The focus stays where it is, and so does what hangs on a row, like its tools. */
  #inUse({ item }) {
    return item.classList.contains("active") || item.contains(item.getRootNode().activeElement);
  }

  #place(wanted) {
    const kept = new Set(wanted);
    for (const row of this.#drawn) {
      if (kept.has(row)) continue;
      row.item.remove();
      row.item = null;
    }
    const nodes = [];
    let index = 0;
    let spaces = 0;
    const space = (until) => {
      let px = spaces === 0 ? this.#rest : 0;
      for (; index < until; index += 1) px += this.#heightOf(this.rows[index]);
      nodes.push(this.#space(spaces++, Math.max(0, px)));
    };
    for (const row of wanted) {
      if (row.index > index || index === 0) space(row.index);
      this.#draw(row);
      nodes.push(row.item);
      index = row.index + 1;
    }
    if (index < this.rows.length) space(this.rows.length);
    for (const left of this.#spaces.slice(spaces)) left.remove();
    this.#drawn = wanted;
    let next = this.list.firstChild;
    for (const node of nodes) {
      if (node === next) next = next.nextSibling;
      else this.list.insertBefore(node, next);
    }
  }

  #space(number, px) {
    const space = (this.#spaces[number] ??= h("li", { "aria-hidden": "true" }));
    if (space.px !== px) space.style.setProperty("block-size", `${px}px`);
    space.px = px;
    return space;
  }

  // From one lower edge to the next: margins between two rows collapse, and are the lower row's.
  #measure() {
    if (this.#scroller.clientHeight === 0) return;
    for (const row of this.#drawn) {
      const { bottom } = row.item.getBoundingClientRect();
      const height = bottom - row.item.previousElementSibling.getBoundingClientRect().bottom;
      if (height === row.height) continue;
      if (row.height === null) {
        this.#guess.sum += height;
        this.#guess.count += 1;
      }
      row.height = height;
    }
  }

  #scroll(anchor) {
    const scroller = this.#scroller;
    if (!anchor) {
      this.#rest = 0;
      scroller.scrollTop = scroller.scrollHeight;
      return;
    }
    const by = this.#off(anchor);
    // Each write would end a smooth scroll.
    if (Math.abs(by) >= 0.5) scroller.scrollTop += by;
    let rest = -this.#off(anchor);
    // Further off is where there is nothing to scroll to.
    if (rest === 0 || Math.abs(rest) >= 1) return;
    const [{ px }] = this.#spaces;
    if (px + rest < 0) {
      rest += 1;
      scroller.scrollTop += 1;
    }
    this.#rest += rest;
    this.#space(0, px + rest);
  }

  /** How far below its place it stands. */
  #off({ row, top }) {
    return row.item.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top - top;
  }
}
