// What a reader who comes back is told: a line in the list where the news begins, and a pill that leads there.

import { Absence } from "./absence.js";
import { h, icon, setText, word } from "./dom.js";
import { KEEP, MOST_KEPT } from "./list-view.js";

// As long as a page of history can be.
const PAGE = 100;

export class Missed {
  #host;
  #absence = new Absence();
  #loading = false;
  #replaced = false;
  #text = h("span", {});
  #jump = h("button", { class: "missed-jump", type: "button", onclick: () => this.#goThere() }, icon("up"), this.#text);

  pill = h("div", { class: "missed-pill", hidden: true }, this.#jump,
    h("button", { class: "missed-close", type: "button", "aria-label": word("missed.close"), title: word("missed.close"), onclick: () => this.#close() }, icon("close")));

  /** `host` has `model`, `words`, `list`, `loadOlder(limit)` and `redraw()`. */
  constructor(host) {
    this.#host = host;
  }

  /** The reader came or went. Returns a sentence where there is something to tell. */
  present(here, away_ms) {
    const { model } = this.#host;
    if (!here) {
      this.#absence.left(Date.now(), model);
      return "";
    }
    const news = this.#absence.back(Date.now(), model, away_ms) || this.#replaced;
    this.#replaced = false;
    return news ? this.#sentence() : "";
  }

  replaced(before, how) {
    this.#replaced = this.#absence.replaced(before, this.#host.model, how);
  }

  /** Another room, or the reader has answered: what was seen needs no line any more. */
  forget({ seen = false } = {}) {
    if (!seen || this.#absence.mark?.seen) this.#absence.forget();
  }

  /** For the list: `{from, text, unseen}` of the line, or null. `from` is the `no` before the first that is new. */
  get line() {
    const { list, model } = this.#host;
    if (list.atBottom && this.#absence.outgrown(model, KEEP)) this.#absence.forget();
    const { mark } = this.#absence;
    if (!mark) return null;
    const number = this.#absence.count(model);
    if (number === 0) return null;
    const gap = this.#absence.unloaded(model) > 0;
    const text = this.#host.words.t(mark.broken ? "missed.broken_line" : gap ? "missed.gap_line" : "missed.line", { count: number ?? 0 });
    return { from: mark.from, text, unseen: !mark.seen };
  }

  /** After the list was drawn or moved. */
  render() {
    const { mark } = this.#absence;
    const { list } = this.#host;
    if (mark && !mark.seen && list.shows("missed")) mark.seen = true;
    const hidden = !mark || mark.seen || !list.has("missed");
    // Not to the field: on a phone that would open the keyboard.
    if (hidden && this.pill.contains(this.pill.getRootNode().activeElement)) list.scroller.focus({ preventScroll: true });
    this.pill.hidden = hidden;
    if (!hidden) setText(this.#text, this.#loading ? this.#host.words.t("loading") : this.#sentence());
  }

  #sentence() {
    const { model, words } = this.#host;
    const number = this.#absence.count(model);
    if (number === null) return words.t("missed.broken");
    return number === 0 ? "" : words.t("missed.new", { count: number });
  }

  async #goThere() {
    if (this.#loading) return;
    this.#loading = true;
    this.render();
    try {
      await this.#loadAll();
    } catch {
      // The list goes on trying where the reader scrolls.
    } finally {
      this.#loading = false;
    }
    // Another room, or read meanwhile.
    if (!this.#host.list.has("missed")) return;
    this.#absence.mark.seen = true;
    this.#host.list.goTo("missed");
    this.#host.redraw();
  }

  /** Loads what stands between, where it is not more than the list can hold. */
  async #loadAll() {
    const { mark } = this.#absence;
    const { model } = this.#host;
    if (model.messages.at(-1).no - mark.from > MOST_KEPT) return;
    for (let page = 0; page < MOST_KEPT / PAGE && this.#absence.mark === mark && this.#absence.unloaded(model) > 0; page += 1) {
      await this.#host.loadOlder(PAGE);
    }
  }

  #close() {
    this.#absence.forget();
    this.#host.redraw();
  }
}
