// Messages that a filter held: what they say, why they wait, how long yet, and the decision.

import { h, icon } from "../dom.js";
import { avatarOf } from "../message-view.js";
import { left } from "../room-words.js";
import { plain, textOf } from "../text.js";
import { actButton, DeskList } from "./list.js";

const TICK_MS = 1_000;

export class Held {
  title = "Held";
  #host;
  #list = new DeskList("Nothing waits for a decision.");
  #ticking = null;
  element = this.#list.element;

  constructor(host) {
    this.#host = host;
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
    for (const time of this.element.querySelectorAll("time")) time.textContent = left(time.dateTime);
  }

  #rowOf(held) {
    const { chat, orders } = this.#host;
    const { held_id, user, reasons = [], expires_at } = held;
    const name = plain(user.username ?? user.user_id);
    const more = h("button", { class: "more", type: "button", "aria-label": `More about ${name}`, title: "More", onclick: () => orders.open(more, { user }) }, icon("more"));
    return h("li", { class: `hue-of ${avatarOf(user).className.split(" ").at(-1)}` },
      h("div", { class: "row-head" }, avatarOf(user), h("bdi", { class: "name" }, name), h("time", { datetime: expires_at }, left(expires_at))),
      h("p", { class: "said", dir: "auto" }, textOf(held)),
      h("ul", { class: "reasons" }, ...reasons.map(({ sentence, code }) => h("li", {}, sentence ?? code))),
      h("div", { class: "buttons" }, more,
        actButton("Deny", "small", () => chat.deny(held_id)), actButton("Allow", "small go", () => chat.allow(held_id))));
  }
}
