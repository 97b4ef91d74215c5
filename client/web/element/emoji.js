// The way to the emoji picker: its box, and the picker itself once somebody opens it.

import { h, word } from "./dom.js";
import { placeBeside } from "./menu.js";

export class Emoji {
  #host;
  /** A promise of it. */
  #picker = null;
  #opener = null;
  #asked = null;
  #opening = false;
  #dismissed = null;

  element = h("div", { class: "emoji-picker", part: "picker", popover: "auto", role: "dialog", "aria-label": word("emoji.label") });

  /** `host` is the element around it, with `words` and `failed(error)`. */
  constructor(host) {
    this.#host = host;
    // The browser closes it before the click that is to close it.
    host.addEventListener("pointerdown", (event) => {
      this.#dismissed = this.#isShown && event.composedPath().includes(this.#opener) ? this.#opener : null;
    });
    host.addEventListener("click", () => (this.#dismissed = null));
    this.element.addEventListener("beforetoggle", ({ newState }) => {
      this.#opener?.setAttribute("aria-expanded", String(newState === "open"));
      // After a click elsewhere the focus is there already.
      if (newState === "closed" && this.element.contains(this.element.getRootNode().activeElement)) this.#opener.focus({ preventScroll: true });
    });
  }

  get #isShown() {
    return this.element.matches(":popover-open");
  }

  get isOpen() {
    return this.#opening || this.#isShown;
  }

  /** Opens it beside `opener`, or closes it; `pick(emoji)` is called with what is chosen, when it is closed again. */
  async open(opener, pick) {
    const close = this.#dismissed === opener || (this.#isShown && this.#opener === opener);
    if (this.#isShown) this.element.hidePopover();
    if (close) return;
    const asked = (this.#asked = {});
    this.#opening = true;
    let picker;
    try {
      picker = await this.#load();
      await picker.speak(this.#host.words);
    } catch {
      if (asked === this.#asked) this.#host.failed({ code: "emoji" });
      return;
    } finally {
      if (asked === this.#asked) this.#opening = false;
    }
    if (asked !== this.#asked || !opener.isConnected) return;
    this.#opener = opener;
    picker.onPick = (emoji) => {
      this.element.hidePopover();
      pick(emoji);
    };
    this.element.showPopover();
    picker.begin();
    placeBeside(this.element, opener);
  }

  #load() {
    this.#picker ??= import("./emoji/picker.js").then(
      ({ Picker }) => new Picker(this.element),
      (error) => {
        this.#picker = null;
        throw error;
      },
    );
    return this.#picker;
  }
}
