// The moderators' desk: a button with what waits, and a panel with a tab for each of their tasks.

import { h, icon, setText, word } from "../dom.js";
import { Bans } from "./bans.js";
import { Held } from "./held.js";
import { Modes } from "./modes.js";
import { Reports } from "./reports.js";
import { Terms } from "./terms.js";

/**
 * Each tab is an object with `title` (a key of the words), `may(model)`, `count(model)`, `element`, `show()` (it comes into sight: load),
 * `render(model)` and, where it wants them, `hide()`, `event(name)` and `reset()` (another room).
 */
export class Desk {
  #host;
  #tabs;
  #current = null;
  #badge = h("span", { class: "badge", hidden: true });
  #tablist = h("div", { class: "tabs", role: "tablist", "aria-label": word("desk.label") });
  #body = h("div", { class: "desk-body" });

  button = h("button", { class: "desk-button", type: "button", hidden: true, "aria-expanded": "false", "aria-controls": "desk", title: word("desk.label"), onclick: () => this.#toggle() }, icon("shield"), this.#badge);
  panel = h("section", { class: "desk", id: "desk", part: "desk", hidden: true, "aria-label": word("desk.label") },
    h("div", { class: "desk-head" }, this.#tablist,
      h("button", { class: "close", type: "button", "aria-label": word("desk.close"), title: word("desk.close_hint"), onclick: () => this.#toggle(false) }, icon("close"))),
    this.#body);

  /** `host` has `chat`, `model`, `words`, `orders`, `menu`, `dialog`, `attempt`, `tell`, `redraw` and `focus()`. */
  constructor(host) {
    this.#host = host;
    this.#tabs = [new Held(host), new Reports(host), new Modes(host), new Terms(host), new Bans(host)].map((section, index) => {
      const number = h("span", { class: "number", hidden: true });
      const tab = h("button", { type: "button", role: "tab", id: `tab-${index}`, "aria-controls": `tabpanel-${index}`, "aria-selected": "false", tabindex: "-1", onclick: () => this.#select(entry) }, word(section.title), number);
      const box = h("div", { role: "tabpanel", id: `tabpanel-${index}`, "aria-labelledby": `tab-${index}`, tabindex: "0", hidden: true }, section.element);
      const entry = { section, tab, box, number };
      return entry;
    });
    this.#tablist.append(...this.#tabs.map(({ tab }) => tab));
    this.#body.append(...this.#tabs.map(({ box }) => box));
    this.#tablist.addEventListener("keydown", (event) => this.#keyed(event));
    this.panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#toggle(false);
    });
  }

  get #possible() {
    return this.#tabs.filter(({ section }) => section.may(this.#host.model));
  }

  /** A join was answered: what waits may be other than what is shown. */
  async joined() {
    const { chat, model } = this.#host;
    const ask = async (may, list) => (model.can(may) ? list().catch(() => ({})) : {});
    const [held, reports] = await Promise.all([ask("review_held", () => chat.held()), ask("review_reports", () => chat.reports({ status: "open" }))]);
    if (chat !== this.#host.chat) return;
    model.queues({ ...held, ...reports });
    if (!this.panel.hidden) this.#current?.section.show();
    this.#host.redraw();
  }

  event(name) {
    if (!this.panel.hidden) this.#current?.section.event?.(name);
  }

  reset() {
    if (!this.panel.hidden) this.#toggle(false);
    for (const { section } of this.#tabs) section.reset?.();
  }

  render(model) {
    const { words } = this.#host;
    const possible = this.#possible;
    this.button.hidden = possible.length === 0 || this.#host.chat?.state === "ended";
    if (this.button.hidden && !this.panel.hidden) this.#toggle(false);
    let waiting = 0;
    for (const { section, tab, number } of this.#tabs) {
      const count = section.count?.(model) ?? 0;
      waiting += section.may(model) ? count : 0;
      tab.hidden = !section.may(model);
      number.hidden = count === 0;
      setText(number, count ? words.number(count) : "");
    }
    this.#badge.hidden = waiting === 0;
    setText(this.#badge, waiting > 99 ? `${words.number(99)}+` : words.number(waiting));
    this.button.setAttribute("aria-label", waiting > 0 ? words.t("desk.waiting", { count: waiting }) : words.t("desk.label"));
    if (this.panel.hidden) return;
    if (!possible.includes(this.#current)) this.#select(possible[0]);
    this.#current.section.render(model);
  }

  #toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) {
      this.#current?.section.hide?.();
      if (this.button.hidden) this.#host.focus();
      else this.button.focus();
      return;
    }
    const waiting = this.#possible.find(({ section }) => section.count?.(this.#host.model) > 0);
    this.#select(waiting ?? this.#current ?? this.#possible[0]);
    this.#current.tab.focus();
  }

  #select(entry) {
    this.#current?.section.hide?.();
    this.#current = entry;
    for (const { tab, box } of this.#tabs) {
      const on = tab === entry.tab;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      box.hidden = !on;
    }
    entry.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    entry.section.show();
    entry.section.render(this.#host.model);
  }

  #keyed(event) {
    const tabs = this.#possible;
    const at = tabs.indexOf(this.#current);
    const way = this.#host.words.dir === "rtl" ? -1 : 1;
    const to = { ArrowRight: at + way, ArrowLeft: at - way, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#select(tabs.at(to % tabs.length));
    this.#current.tab.focus();
  }
}
