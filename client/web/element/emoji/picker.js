// The emoji picker: a field to search by name, a tab for each category, and a grid that the arrow keys move through.

import { h } from "../dom.js";
import { fold } from "../text.js";
import GROUPS from "./data.js";

const NAMES = {
  en: () => import("./names-en.js"),
  ar: () => import("./names-ar.js"),
};
const MOST_FOUND = 120;

/** What is called so comes first, then what has it as a whole word of its name, then what begins so. */
function rankOf({ folded }, asked) {
  const [name] = folded.split("|");
  if (name === asked) return 0;
  if (name.split(/[ :,-]+/).includes(asked)) return 1;
  return name.startsWith(asked) ? 2 : folded.split("|").includes(asked) ? 3 : 4;
}

export class Picker {
  onPick = () => {};
  #words;
  #language = null;
  /** All emoji in order: `{emoji, name, group, folded}`. */
  #all = [];
  #group = GROUPS[0][0];
  #search = h("input", { type: "search", autocomplete: "off", spellcheck: "false", enterkeyhint: "done" });
  #tabs = h("div", { class: "emoji-tabs", role: "tablist" });
  #grid = h("div", { class: "emoji-grid", role: "listbox" });
  #panel = h("div", { class: "emoji-panel", role: "tabpanel" }, this.#grid);
  #told = h("p", { class: "emoji-told", role: "status" });

  constructor(element) {
    this.#tabs.append(...GROUPS.map(([name, emoji]) =>
      h("button", { type: "button", role: "tab", "data-group": name, onclick: () => this.#choose(name) }, h("span", { "aria-hidden": "true" }, emoji.split(" ")[0]))));
    element.append(this.#search, this.#tabs, this.#panel, this.#told);
    this.#search.addEventListener("input", () => this.#find());
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.#step(event, 0);
      else if (event.key === "Enter" && !event.isComposing) {
        event.preventDefault();
        if (this.#search.value.trim()) this.#grid.querySelector("button")?.click();
      }
    });
    this.#tabs.addEventListener("keydown", (event) => this.#tabKeyed(event));
    this.#grid.addEventListener("keydown", (event) => this.#gridKeyed(event));
    this.#grid.addEventListener("click", ({ target }) => {
      const emoji = target.closest("button")?.textContent;
      if (emoji) this.onPick(emoji);
    });
  }

  /** The names of that language, English ones where there are none in it. */
  async speak(words) {
    this.#words = words;
    const [base] = words.language.split("-");
    const language = NAMES[base] ? base : "en";
    if (language !== this.#language) await this.#load(language);
    this.#search.placeholder = words.t("emoji.search");
    this.#search.setAttribute("aria-label", words.t("emoji.search"));
    this.#tabs.setAttribute("aria-label", words.t("emoji.categories"));
    for (const tab of this.#tabs.children) {
      const name = words.t(`emoji.${tab.dataset.group}`);
      tab.title = name;
      tab.setAttribute("aria-label", name);
    }
  }

  async #load(language) {
    const names = (await NAMES[language]()).default.split("\n");
    this.#language = language;
    this.#all = GROUPS.flatMap(([group, emoji]) => emoji.split(" ").map((one) => ({ emoji: one, group })))
      .map((one, index) => ({ ...one, name: names[index].split("|")[0], folded: fold(names[index]) }));
  }

  /** It has been opened: nothing is searched for, and the focus is where one types, or on a phone where no keyboard opens. */
  begin() {
    this.#search.value = "";
    this.#choose(this.#group);
    const first = matchMedia("(pointer: coarse)").matches ? this.#grid.firstElementChild : this.#search;
    first.focus();
  }

  #choose(group) {
    this.#group = group;
    this.#search.value = "";
    this.#told.textContent = "";
    for (const tab of this.#tabs.children) {
      const on = tab.dataset.group === group;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
    }
    this.#fill(this.#all.filter((one) => one.group === group), this.#words.t(`emoji.${group}`));
  }

  #find() {
    const words = fold(this.#search.value).split(/\s+/).filter(Boolean);
    if (words.length === 0) {
      this.#choose(this.#group);
      return;
    }
    const found = this.#all.filter(({ folded }) => words.every((one) => folded.includes(one)));
    found.sort((a, b) => rankOf(a, words.join(" ")) - rankOf(b, words.join(" "))).splice(MOST_FOUND);
    for (const tab of this.#tabs.children) tab.setAttribute("aria-selected", "false");
    this.#fill(found, this.#words.t("emoji.search"));
    this.#told.textContent = found.length === 0 ? this.#words.t("emoji.none") : this.#words.t("emoji.found", { count: found.length });
  }

  #fill(some, label) {
    this.#panel.setAttribute("aria-label", label);
    this.#grid.setAttribute("aria-label", label);
    this.#grid.hidden = some.length === 0;
    this.#grid.replaceChildren(...some.map(({ emoji, name }, index) =>
      h("button", { type: "button", role: "option", "aria-selected": "false", tabindex: index === 0 ? "0" : "-1", title: name, "aria-label": name }, emoji)));
    this.#panel.scrollTop = 0;
  }

  #step(event, to) {
    const items = [...this.#grid.children];
    const item = items[Math.max(0, Math.min(to, items.length - 1))];
    if (!item) return;
    event.preventDefault();
    for (const one of items) one.tabIndex = one === item ? 0 : -1;
    item.focus();
  }

  #gridKeyed(event) {
    const items = [...this.#grid.children];
    const at = items.indexOf(event.target.closest("button"));
    const columns = getComputedStyle(this.#grid).gridTemplateColumns.split(" ").length;
    const way = this.#words.dir === "rtl" ? -1 : 1;
    const to = { ArrowRight: at + way, ArrowLeft: at - way, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    if (event.key === "ArrowUp" && to < 0) {
      event.preventDefault();
      this.#search.focus();
    } else if (to >= 0 && to < items.length) this.#step(event, to);
    else event.preventDefault();
  }

  #tabKeyed(event) {
    const tabs = [...this.#tabs.children];
    const at = tabs.indexOf(event.target.closest("button"));
    const way = this.#words.dir === "rtl" ? -1 : 1;
    const to = { ArrowRight: at + way, ArrowLeft: at - way, Home: 0, End: -1 }[event.key];
    if (event.key === "ArrowDown") this.#step(event, 0);
    if (to === undefined) return;
    event.preventDefault();
    const tab = tabs.at(to % tabs.length);
    this.#choose(tab.dataset.group);
    tab.focus();
  }
}
