// What can be done with one message: the tools beside it, the reaction picker, the keys.

import { h, icon, word } from "./dom.js";
import { placeBeside } from "./menu.js";
import { firstGrapheme, plain } from "./text.js";

const QUICK = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "🔥", "👏", "🤔", "👀", "✅"];
const ASK_AGAIN_MS = 4_000;
const NAMES = { react: "tool.react", reply: "tool.reply", edit: "tool.edit", remove: "tool.remove", more: "more" };

const toolOf = (act, name) => h("button", { type: "button", "data-act": act, "aria-label": name, title: name }, icon(act));

/**
 * One set of tools for the whole list: it stands in the message that is pointed at or focused.
 * `host` has `list` (the ListView), `words`, `model`, `menu`, `dialog`, `emoji`, `may(act, message)` and
 * `act(name, message, details)` for what the user chose.
 */
export class Actions {
  #host;
  #key = null;
  #opener = null;
  #tools = h("div", { class: "tools", part: "tools", role: "group" });
  #input = h("input", { type: "text", maxlength: "32", "aria-label": word("reaction.other"), placeholder: word("reaction.any"), autocomplete: "off" });

  picker = h("div", { class: "picker", part: "picker", popover: "auto", role: "dialog", "aria-label": word("reaction.label") });

  constructor(host) {
    this.#host = host;
    const { log, scroller } = host.list;
    this.#buildPicker();
    log.addEventListener("pointerover", ({ target }) => this.#attach(target.closest?.(".message")));
    log.addEventListener("focusin", ({ target }) => this.#attach(target.closest(".message")));
    scroller.addEventListener("pointerleave", ({ pointerType }) => {
      // A finger "leaves" whenever it is lifted, before the click that it makes.
      if (pointerType !== "mouse" || this.#tools.contains(this.#focused) || this.#isOpen) return;
      this.#attach(null);
    });
    log.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !log.contains(relatedTarget)) this.#attach(null);
    });
    log.addEventListener("click", (event) => this.#clicked(event));
    scroller.addEventListener("keydown", (event) => this.#keyed(event));
  }

  get #focused() {
    return this.picker.getRootNode().activeElement;
  }

  get #isOpen() {
    const { menu, dialog, emoji } = this.#host;
    return this.picker.matches(":popover-open") || menu.isOpen || dialog.isOpen || emoji.isOpen;
  }

  /** What can be done with the message may have changed. */
  refresh() {
    const at = this.#tools.closest(".message");
    // Its message is not in the list any more.
    const item = at?.isConnected ? at : null;
    const inside = this.#tools.contains(this.#focused);
    this.#attach(item);
    if (inside && !this.#tools.isConnected) item?.focus({ preventScroll: true });
  }

  #attach(item) {
    const message = item && this.#host.model.find(item.dataset.id);
    const acts = message ? Object.keys(NAMES).filter((act) => this.#host.may(act, message)) : [];
    const { words } = this.#host;
    const key = `${item?.dataset.id} ${acts} ${words.language}`;
    if ((this.#key === key && this.#tools.parentElement === (acts.length > 0 ? item : null)) || this.#isOpen) return;
    this.#key = key;
    this.#tools.closest(".message")?.classList.remove("active");
    this.#tools.remove();
    if (acts.length === 0) return;
    this.#tools.setAttribute("aria-label", words.t("message.by", { name: plain(message.user.username) }));
    this.#tools.replaceChildren(...acts.map((act) => toolOf(act, words.t(NAMES[act]))));
    item.classList.add("active");
    item.append(this.#tools);
    // Above the message's first line, but never above the edge of what is in sight.
    const hidden = this.#host.list.scroller.getBoundingClientRect().top - item.getBoundingClientRect().top;
    this.#tools.style.setProperty("top", `${Math.max(hidden + 4, -this.#tools.offsetHeight / 2)}px`);
  }

  #clicked({ target }) {
    const button = target.closest("[data-act]");
    if (!button) return;
    const item = button.closest("li");
    const { act, reaction, to } = button.dataset;
    const message = this.#host.model.find(item.dataset.id);
    if (act === "react") this.#openPicker(button);
    else if (act === "remove") this.#askThenRemove(button, message);
    else this.#host.act(act, message, { reaction, to, client_id: item.dataset.id, button });
  }

  #askThenRemove(button, message) {
    if (button.classList.contains("sure")) {
      button.closest("li").focus();
      this.#host.act("remove", message);
      return;
    }
    button.classList.add("sure");
    button.removeAttribute("aria-label");
    button.textContent = this.#host.words.t("tool.sure");
    setTimeout(() => {
      button.classList.remove("sure");
      button.setAttribute("aria-label", this.#host.words.t(NAMES.remove));
      button.replaceChildren(icon("remove"));
    }, ASK_AGAIN_MS);
  }

  #buildPicker() {
    const pick = (reaction) => {
      const message = this.#host.model.find(this.#opener.closest(".message")?.dataset.id);
      this.picker.hidePopover();
      if (reaction && message) this.#host.act("react", message, { reaction });
    };
    this.picker.addEventListener("beforetoggle", ({ newState }) => {
      // Closed by a key or a choice the focus goes back; after a click elsewhere it is there already.
      if (newState === "closed" && this.picker.contains(this.#focused)) this.#opener.focus({ preventScroll: true });
    });
    const other = h(
      "form",
      {
        class: "other",
        onsubmit: (event) => {
          event.preventDefault();
          pick(firstGrapheme(this.#input.value));
        },
      },
      this.#input,
      h("button", { type: "submit" }, word("tool.react")),
    );
    const buttons = QUICK.map((emoji) => h("button", { type: "button", "aria-label": word((words) => words.t("reaction.with", { emoji })), onclick: () => pick(emoji) }, emoji));
    const all = h("button", { class: "all", type: "button", onclick: () => this.#openAll() }, word("reaction.all"));
    this.picker.append(h("div", { class: "emoji" }, ...buttons), other, all);
  }

  /** Any emoji, in place of the few. */
  async #openAll() {
    const item = this.#opener.closest(".message");
    this.picker.hidePopover();
    await this.#host.emoji.open(this.#opener, (reaction) => {
      const message = this.#host.model.find(item?.dataset.id);
      if (message) this.#host.act("react", message, { reaction });
    });
  }

  #openPicker(button) {
    this.#input.value = "";
    this.#opener = button;
    this.picker.showPopover();
    placeBeside(this.picker, button);
    this.picker.querySelector("button").focus();
  }

  // Up and down move by messages, left and right through what a message offers.
  #keyed(event) {
    const { list } = this.#host;
    const item = event.target.closest(".message");
    const steps = { ArrowUp: -1, ArrowDown: 1, Home: "first", End: "last" };
    if (event.key in steps) {
      event.preventDefault();
      list.move(item, steps[event.key]);
      return;
    }
    if (!item) return;
    if (event.key === "Escape") this.#host.act("leave");
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key] * (this.#host.words.dir === "rtl" ? -1 : 1);
    if (!way) return;
    event.preventDefault();
    const stops = [item, ...item.querySelectorAll("a, button:not(:disabled)")];
    stops[(stops.indexOf(event.target) + way + stops.length) % stops.length].focus();
  }
}
