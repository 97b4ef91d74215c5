// Who is here: the count in the header and the list behind it.

import { h, icon, setText, word } from "./dom.js";
import { avatarOf, badgeOf } from "./message-view.js";
import { plain } from "./text.js";

export class People {
  #number = h("span", {});
  #list = h("ul", {});
  #note = h("p", { class: "people-note" });
  #blocked = h("div", { class: "blocked", hidden: true });
  #model = null;
  #asking = false;
  #host;

  panel = h("div", { class: "people", id: "people", hidden: true, role: "group", "aria-label": word("people.label"), part: "people", tabindex: "-1" }, this.#list, this.#note, this.#blocked);
  button = h("button", { class: "people-button", type: "button", "aria-expanded": "false", "aria-controls": "people", onclick: () => this.#toggle() }, icon("people"), this.#number);

  /** `host` has `chat`, `words`, `menu` and `orders`. */
  constructor(host) {
    this.#host = host;
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
    setText(this.#number, this.#host.words.t("people.online", { count: online_users + online_guests }));
    if (!this.panel.hidden) this.#fill();
  }

  /** Names those who are here again, once the room tells of each who comes and goes. */
  async refresh(model) {
    if (model.members || this.#asking || model.leftOut.includes("user_joined")) return;
    this.#asking = true;
    const list = await this.#host.chat?.members({ limit: 100 }).catch(() => null);
    this.#asking = false;
    if (!list || model !== this.#model || model.leftOut.includes("user_joined")) return;
    model.present(list);
    this.#host.redraw();
  }

  /** Makes room for another panel, which takes the focus. */
  close() {
    this.panel.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
  }

  #toggle(open = this.panel.hidden) {
    if (!open) {
      this.close();
      this.button.focus();
      return;
    }
    this.panel.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.#fill();
    this.#loadBlocked();
  }

  #fill() {
    const { words } = this.#host;
    const { members, stats, self } = this.#model;
    const people = [...(members?.values() ?? [])].sort((a, b) => a.username.localeCompare(b.username));
    // While a menu of this list is open its button has to stay.
    if (!this.#host.menu.isOpen) this.#list.replaceChildren(...people.map((user) => this.#personOf(user, user.user_id === self?.user_id)));
    const unnamed = Math.max(0, stats.online_users - people.length);
    const parts = [
      unnamed > 0 ? words.t(people.length > 0 ? "people.others" : "people.signed_in", { count: unnamed }) : null,
      stats.online_guests > 0 ? words.t("people.guests", { count: stats.online_guests }) : null,
    ].filter(Boolean);
    this.#note.textContent = people.length + parts.length === 0 ? words.t("people.nobody") : parts.reduce((before, after) => words.t("comma", { before, after }), parts.shift() ?? "");
    this.#note.hidden = this.#note.textContent === "";
  }

  #personOf(user, isMe) {
    const { orders, words } = this.#host;
    const name = plain(user.username);
    const more = orders.entries({ user }).length > 0
      ? h("button", { class: "more", type: "button", "aria-label": words.t("more_about", { name }), title: words.t("more"), onclick: ({ currentTarget }) => orders.open(currentTarget, { user }) }, icon("more"))
      : null;
    return h("li", { class: "person" }, avatarOf(user), h("bdi", {}, name), isMe ? h("span", { class: "role" }, words.t("people.you")) : badgeOf([user.role], words), more);
  }

  // Whom one has blocked; not there where the server knows of no blocks.
  async #loadBlocked() {
    const { chat, orders, words } = this.#host;
    if (!this.#model.self?.user_id) return;
    const { blocks } = await chat.blocks().catch(() => ({ blocks: [] }));
    this.#model.blocked = new Set(blocks.map(({ user_id }) => user_id));
    const rowOf = ({ user_id }) => {
      const known = this.#model.members?.get(user_id) ?? this.#model.messages.find(({ user }) => user.user_id === user_id)?.user;
      const name = plain(known?.username ?? user_id);
      const unblock = async () => {
        await this.#host.attempt(orders.unblock(user_id, name));
        this.#loadBlocked();
        this.panel.focus();
      };
      return h("li", { class: "person" }, h("bdi", {}, name),
        h("button", { class: "button small", type: "button", "aria-label": words.t("unblock_name", { name }), onclick: unblock }, words.t("unblock")));
    };
    this.#blocked.hidden = blocks.length === 0;
    this.#blocked.replaceChildren(h("h3", {}, words.t("people.blocked")), h("ul", {}, ...blocks.map(rowOf)));
  }
}
