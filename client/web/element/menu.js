// A menu of acts beside the button that opened it.

import { h } from "./dom.js";

export class Menu {
  #opener = null;
  element = h("div", { class: "menu", part: "menu", popover: "auto", role: "menu" });

  constructor() {
    this.element.addEventListener("keydown", (event) => this.#keyed(event));
    this.element.addEventListener("beforetoggle", ({ newState }) => {
      // After a click elsewhere the focus is there already.
      if (newState === "closed" && this.element.contains(this.#focused)) this.#opener.focus({ preventScroll: true });
    });
  }

  get isOpen() {
    return this.element.matches(":popover-open");
  }

  get #focused() {
    return this.element.getRootNode().activeElement;
  }

  get #items() {
    return [...this.element.querySelectorAll("[role=menuitem]")];
  }

  /** `groups` are lists of entries `{label, act, danger?}` or `{label, row: [{label, name, act}]}`, several in a line. */
  open(opener, label, groups) {
    this.#opener = opener;
    const item = ({ label: text, name, act, danger }) =>
      h("button", {
        type: "button", role: "menuitem", tabindex: "-1", class: danger ? "danger" : null, "aria-label": name ?? null,
        onclick: () => {
          this.element.hidePopover();
          act();
        },
      }, text);
    const entry = (one) => (one.row ? h("div", { class: "row", role: "group", "aria-label": one.label }, h("span", { "aria-hidden": "true" }, one.label), ...one.row.map(item)) : item(one));
    this.element.setAttribute("aria-label", label);
    this.element.replaceChildren(...groups.map((group) => h("div", { class: "group", role: "group" }, ...group.map(entry))));
    this.element.showPopover();
    placeBeside(this.element, opener);
    this.#items[0].focus();
  }

  close() {
    if (this.isOpen) this.element.hidePopover();
  }

  #keyed(event) {
    const items = this.#items;
    const at = items.indexOf(this.#focused);
    const side = getComputedStyle(this.element).direction === "rtl" ? -1 : 1;
    const to = { ArrowDown: at + 1, ArrowRight: at + side, ArrowUp: at - 1, ArrowLeft: at - side, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") this.element.hidePopover();
    if (to === undefined) return;
    event.preventDefault();
    items.at(to % items.length).focus();
  }
}

/** Above its opener where there is room, else below, and always in sight. */
export function placeBeside(element, opener) {
  const at = opener.getBoundingClientRect();
  const size = element.getBoundingClientRect();
  const start = getComputedStyle(element).direction === "rtl" ? at.left : at.right - size.width;
  const left = Math.max(8, Math.min(start, innerWidth - size.width - 8));
  const top = at.top - size.height - 6 > 8 ? at.top - size.height - 6 : at.bottom + 6;
  element.style.setProperty("left", `${left}px`);
  element.style.setProperty("top", `${Math.max(8, Math.min(top, innerHeight - size.height - 8))}px`);
}
