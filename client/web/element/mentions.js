// Completes names after an `@` in the text field: those who wrote lately, then those who are here.

import { h, word } from "./dom.js";
import { avatarOf } from "./message-view.js";
import { fold, plain } from "./text.js";

const MOST = 8;
const LONGEST_NAME = 64;
// As the server has it: an `@` right after what may be an e-mail address mentions nobody.
const BEGUN = new RegExp(`(?:^|[^A-Za-z0-9._+-])@([^@\\n]{0,${LONGEST_NAME}})$`, "u");

/**
 * The focus stays in the field, which names the chosen entry by `aria-activedescendant`: a text area may not have the
 * role of a combobox, so it keeps its own and the rest of that pattern.
 */
export class Mentions {
  #host;
  #field;
  #found = [];
  #at = -1;
  #from = 0;
  #chosen = new Map();

  element = h("ul", { class: "mentions", part: "mentions", id: "mentions", role: "listbox", "aria-label": word("mention.label"), hidden: true });
  live = h("div", { class: "quiet", role: "status" });

  /** `field` is the text area; `host` has `model` and `words`. */
  constructor(field, host) {
    this.#host = host;
    this.#field = field;
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-haspopup", "listbox");
    field.setAttribute("aria-controls", "mentions");
    field.addEventListener("input", (event) => this.#look(event));
    field.addEventListener("compositionend", () => this.#look({ isComposing: false }));
    field.addEventListener("click", () => this.close());
    field.addEventListener("blur", () => this.close());
    // The field keeps the focus.
    this.element.addEventListener("pointerdown", (event) => event.preventDefault());
    this.element.addEventListener("click", ({ target }) => {
      const item = target.closest("li");
      if (item) this.#take(this.#found[[...this.element.children].indexOf(item)]);
    });
  }

  /** Whom a text mentions of those who were completed in it: `[{user_id, username}]`. */
  in(text) {
    const low = text.toLowerCase();
    const still = [...this.#chosen.values()].filter(({ username }) => low.includes(`@${plain(username).toLowerCase()}`));
    this.#chosen.clear();
    return still;
  }

  close() {
    this.#found = [];
    this.#draw(-1);
  }

  /** Whether the key was for the list. */
  keyed(event) {
    const { key } = event;
    if (this.#found.length === 0 || event.ctrlKey || event.altKey || event.metaKey) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (step) this.#draw((this.#at + step + this.#found.length) % this.#found.length);
    else if (key === "Escape") this.close();
    else if (key === "Tab" && !event.shiftKey) this.#take(this.#found[Math.max(0, this.#at)]);
    else if (key === "Enter" && !event.shiftKey && this.#at >= 0 && !this.#isWhole()) this.#take(this.#found[this.#at]);
    else {
      if (key === "Enter" || /^(Arrow(Left|Right)|Home|End|Page)/.test(key)) this.close();
      return false;
    }
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #look({ isComposing }) {
    const { value, selectionStart, selectionEnd } = this.#field;
    const begun = !isComposing && selectionStart === selectionEnd ? value.slice(0, selectionStart).match(BEGUN) : null;
    if (!begun) {
      if (this.#found.length > 0) this.close();
      return;
    }
    const asked = fold(begun[1]);
    this.#from = selectionStart - begun[1].length - 1;
    this.#found = this.#people().filter(({ folded }) => folded.startsWith(asked) || (asked !== "" && folded.split(/\s+/).some((part) => part.startsWith(asked)))).slice(0, MOST);
    // A bare @ may be meant as it stands: Enter sends it.
    this.#draw(asked === "" ? -1 : 0);
    if (this.#found.length > 0) this.live.textContent = this.#host.words.t("mention.found", { count: this.#found.length });
  }

  /** Whether what is written is the name already, so that Enter sends it. */
  #isWhole() {
    const { value, selectionStart } = this.#field;
    return this.#found.some(({ name }) => name.toLowerCase() === value.slice(this.#from + 1, selectionStart).toLowerCase());
  }

  #people() {
    const { model } = this.#host;
    const wrote = model.shown.toReversed().map(({ user }) => user);
    const here = [...(model.members?.values() ?? [])].sort((a, b) => a.username.localeCompare(b.username));
    const people = new Map();
    for (const user of [...wrote, ...here]) {
      if (!user.user_id || user.user_id === model.self?.user_id || people.has(user.user_id) || model.hides(user.user_id)) continue;
      const name = plain(user.username ?? "");
      if (name) people.set(user.user_id, { user, name, folded: fold(name) });
    }
    return [...people.values()];
  }

  #take({ user, name }) {
    const { value, selectionEnd } = this.#field;
    const space = /^\s/.test(value.slice(selectionEnd)) ? "" : " ";
    this.#chosen.set(user.user_id, { user_id: user.user_id, username: user.username });
    this.#field.focus();
    this.#field.setRangeText(`@${name}${space}`, this.#from, selectionEnd, "end");
    this.close();
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
    this.close();
  }

  #draw(at) {
    this.#at = at;
    const shown = this.#found.length > 0;
    this.element.hidden = !shown;
    this.element.replaceChildren(...this.#found.map(({ user, name }, index) =>
      h("li", { role: "option", id: `mention-${index}`, "aria-selected": String(index === at) }, avatarOf(user), h("bdi", {}, name))));
    this.element.children[at]?.scrollIntoView({ block: "nearest" });
    if (shown && at >= 0) this.#field.setAttribute("aria-activedescendant", `mention-${at}`);
    else this.#field.removeAttribute("aria-activedescendant");
    if (!shown) this.live.textContent = "";
  }
}
