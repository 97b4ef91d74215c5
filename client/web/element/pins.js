// The pinned messages at the top: the newest in one line, the others behind a button.

import { h, icon, word } from "./dom.js";
import { plain, textOf } from "./text.js";

export class Pins {
  #host;
  #list = h("ul", { id: "pinned-list" });
  #toggle = h("button", { class: "pins-more", type: "button", "aria-expanded": "false", "aria-controls": "pinned-list", onclick: () => this.#setOpen(!this.#open) });
  #open = false;
  #fetched = new Map();
  #shown = "";

  element = h("section", { class: "pins", part: "pins", "aria-label": word("pins.label"), hidden: true }, icon("pin"), this.#list, this.#toggle);

  /** `host` has `chat`, `model`, `words`, `act("jump", …)`, `attempt` and `redraw()`. */
  constructor(host) {
    this.#host = host;
  }

  /** These may not be what they were; all of them without `ids`. */
  forget(ids) {
    if (!ids) this.#fetched.clear();
    for (const id of ids ?? []) this.#fetched.delete(id);
  }

  render(model) {
    const pins = (model.room?.pinned ?? []).map((id) => this.#message(id)).filter((message) => message && !message.deleted_at && !model.hides(message.user.user_id));
    const canUnpin = model.can("pin");
    const key = JSON.stringify([pins.map(({ message_id, edited_at }) => [message_id, edited_at]), canUnpin, this.#open, this.#host.words.language]);
    if (key === this.#shown) return;
    this.#shown = key;
    this.element.hidden = pins.length === 0;
    this.#list.replaceChildren(...pins.slice(0, this.#open ? undefined : 1).map((message) => this.#rowOf(message, canUnpin)));
    this.#toggle.hidden = pins.length < 2;
    const { words } = this.#host;
    this.#toggle.textContent = this.#open ? words.t("pins.less") : `+${words.number(pins.length - 1)}`;
    this.#toggle.setAttribute("aria-label", words.t(this.#open ? "pins.less_hint" : "pins.all_hint", { count: pins.length }));
    this.#toggle.setAttribute("aria-expanded", String(this.#open));
    this.element.classList.toggle("open", this.#open);
  }

  #setOpen(open) {
    this.#open = open;
    this.render(this.#host.model);
  }

  /** The message as it is loaded; else as it is fetched once from history. */
  #message(id) {
    const { chat, model } = this.#host;
    const loaded = model.find(id);
    if (loaded) {
      this.#fetched.set(id, loaded);
      return loaded;
    }
    if (!this.#fetched.has(id) && chat?.state === "online") {
      this.#fetched.set(id, null);
      chat.find(id).then((message) => {
        this.#fetched.set(id, message ?? null);
        this.#host.redraw();
      }, () => this.#fetched.delete(id));
    }
    return this.#fetched.get(id);
  }

  /** To the message in the list; one that is not loaded is shown here in full. */
  #goTo(message) {
    if (this.#host.model.find(message.message_id)) this.#host.act("jump", message, { to: message.message_id });
    else this.#setOpen(!this.#open);
  }

  #rowOf(message, canUnpin) {
    const { message_id, user } = message;
    const { words } = this.#host;
    const name = plain(user.username ?? "");
    const text = textOf(message);
    const unpin = () => {
      const { chat, attempt } = this.#host;
      attempt(chat.unpin(message_id));
      this.#host.focus();
    };
    return h("li", {},
      h("button", { class: "pinned", type: "button", title: text, onclick: () => this.#goTo(message) },
        h("span", { class: "quiet" }, words.t("pins.pinned"), " "), h("b", {}, h("bdi", {}, name)), " ", h("bdi", {}, text.slice(0, 300))),
      canUnpin ? h("button", { class: "unpin", type: "button", "aria-label": words.t("pins.unpin_hint", { name }), title: words.t("pins.unpin"), onclick: unpin }, icon("close")) : null);
  }
}
