// Messages that a filter held: what they say, why they wait, how long yet, and the decision.

import { h, icon } from "../dom.js";
import { avatarOf } from "../message-view.js";
import { left, reasonOf } from "../room-words.js";
import { plain, textOf } from "../text.js";
import { actButton, DeskList } from "./list.js";

const TICK_MS = 1_000;

export class Held {
  title = "desk.held";
  #host;
  #list;
  #ticking = null;

  constructor(host) {
    this.#host = host;
    this.#list = new DeskList(host, "held.none");
    this.element = this.#list.element;
  }

  may(model) {
    return model.can("review_held");
  }

  count(model) {
    return model.held.size;
  }

  show() {
    clearInterval(this.#ticking);
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  hide() {
    clearInterval(this.#ticking);
  }

  render(model) {
    this.#list.render([...model.held.values()], ({ held_id }) => held_id, (item) => this.#rowOf(item));
  }

  #tick() {
    for (const time of this.element.querySelectorAll("time")) time.textContent = left(time.dateTime, Date.now(), this.#host.words);
  }

  #rowOf(held) {
    const { chat, orders, words } = this.#host;
    const { held_id, user, reasons = [], expires_at } = held;
    const name = plain(user.username ?? user.user_id);
    const more = h("button", { class: "more", type: "button", "aria-label": words.t("more_about", { name }), title: words.t("more"), onclick: () => orders.open(more, { user }) }, icon("more"));
    return h("li", { class: `hue-of ${avatarOf(user).className.split(" ").at(-1)}` },
      h("div", { class: "row-head" }, avatarOf(user), h("bdi", { class: "name" }, name), h("time", { datetime: expires_at }, left(expires_at, Date.now(), words))),
      h("p", { class: "said", dir: "auto" }, textOf(held)),
      h("ul", { class: "reasons" }, ...reasons.map((reason) => h("li", {}, reasonOf(reason, words)))),
      h("div", { class: "buttons" }, more,
        actButton(this.#host, "held.deny", "small", () => chat.deny(held_id)), actButton(this.#host, "held.allow", "small go", () => chat.allow(held_id))));
  }
}
