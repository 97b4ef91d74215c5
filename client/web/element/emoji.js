// The way to the emoji picker: its box, and the picker itself once somebody opens it.

import { h, word } from "./dom.js";
import { placeBeside } from "./menu.js";

export class Emoji {
  #host;
  #picker = null;
  #opener = null;
  #opening = false;

  element = h("div", { class: "emoji-picker", part: "picker", popover: "auto", role: "dialog", "aria-label": word("emoji.label") });

  /** `host` has `words` and `failed(error)`. */
  constructor(host) {
    this.#host = host;
    this.element.addEventListener("beforetoggle", ({ newState }) => {
      this.#opener?.setAttribute("aria-expanded", String(newState === "open"));
      // After a click elsewhere the focus is there already.
      if (newState === "closed" && this.element.contains(this.element.getRootNode().activeElement)) this.#opener.focus({ preventScroll: true });
    });
  }

  get isOpen() {
    return this.#opening || this.element.matches(":popover-open");
  }

  /** Opens it beside `opener`, or closes it; `pick(emoji)` is called with what is chosen, when it is closed again. */
  async open(opener, pick) {
    this.#opener = opener;
    this.#opening = true;
    try {
      this.#picker ??= new (await import("./emoji/picker.js")).Picker(this.element);
      await this.#picker.speak(this.#host.words);
    } catch {
      this.#picker = null;
      this.#host.failed({ code: "emoji" });
      return;
    } finally {
      this.#opening = false;
    }
    if (!opener.isConnected) return;
    this.#picker.onPick = (emoji) => {
      this.element.hidePopover();
      pick(emoji);
    };
    this.element.showPopover();
    this.#picker.begin();
    placeBeside(this.element, opener);
  }
}
