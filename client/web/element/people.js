// Who is here: the count in the header and the list behind it.

import { h, icon } from "./dom.js";
import { avatarOf, badgeOf } from "./message-view.js";
import { count, plain } from "./text.js";

export class People {
  #number = h("span", {});
  #list = h("ul", {});
  #note = h("p", { class: "people-note" });
  #model = null;

  panel = h("div", { class: "people", id: "people", hidden: true, role: "group", "aria-label": "People in this room", part: "people", tabindex: "-1" }, this.#list, this.#note);
  button = h("button", { class: "people-button", type: "button", "aria-expanded": "false", "aria-controls": "people", onclick: () => this.#toggle() }, icon("people"), this.#number);

  constructor() {
    this.panel.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.#toggle(false);
    });
    this.button.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && !this.panel.hidden) this.#toggle(false);
    });
  }

  render(model) {
    this.#model = model;
    const { online_users, online_guests } = model.stats;
    this.button.hidden = model.self === null;
    this.#number.textContent = `${online_users + online_guests} online`;
    if (!this.panel.hidden) this.#fill();
  }

  #toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.#fill();
    else this.button.focus();
  }

  #fill() {
    const { members, stats, self } = this.#model;
    const people = [...(members?.values() ?? [])].sort((a, b) => a.username.localeCompare(b.username));
    this.#list.replaceChildren(...people.map((user) => personOf(user, user.user_id === self?.user_id)));
    const unnamed = Math.max(0, stats.online_users - people.length);
    const parts = [
      unnamed > 0 ? `${people.length > 0 ? "and " : ""}${count(unnamed, "other", "others")}` : null,
      stats.online_guests > 0 ? `${count(stats.online_guests, "guest")} watching` : null,
    ].filter(Boolean);
    this.#note.textContent = people.length + parts.length === 0 ? "Nobody is signed in." : parts.join(", ");
    this.#note.hidden = this.#note.textContent === "";
  }
}

const personOf = (user, isMe) =>
  h("li", { class: `person` }, avatarOf(user), h("bdi", {}, plain(user.username)), isMe ? h("span", { class: "role" }, "you") : badgeOf([user.role]));
