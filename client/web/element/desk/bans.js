// Who is kept out, until when and why, and the way back in.

import { h } from "../dom.js";
import { endOf } from "../room-words.js";
import { plain } from "../text.js";
import { actButton, DeskList } from "./list.js";

export class Bans {
  title = "desk.bans";
  #host;
  #list;
  #bans = null;

  constructor(host) {
    this.#host = host;
    this.#list = new DeskList(host, "bans.none");
    this.element = this.#list.element;
  }

  may(model) {
    return model.can("ban");
  }

  async show() {
    const { chat } = this.#host;
    try {
      const { bans } = await chat.bans();
      if (chat !== this.#host.chat) return;
      this.#bans = bans.sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
      this.render();
    } catch (error) {
      this.#list.fail(error);
    }
  }

  render() {
    if (this.#bans) this.#list.render(this.#bans, ({ user_id }) => user_id, (ban) => this.#rowOf(ban));
  }

  event(name) {
    if (name === "user_banned" || name === "user_unbanned") this.show();
  }

  reset() {
    this.#bans = null;
    this.#list.clear();
  }

  #rowOf({ user_id, username, reason, shadow, ends_at, by }) {
    const { words } = this.#host;
    const name = plain(username ?? user_id);
    const unban = actButton(this.#host, "bans.unban", "small", async () => {
      await this.#host.chat.unban(user_id);
      await this.show();
    });
    unban.setAttribute("aria-label", words.t("bans.unban_name", { name }));
    return h("li", {},
      h("div", { class: "row-head" }, h("bdi", { class: "name" }, name), shadow ? h("span", { class: "tag" }, words.t("bans.shadow")) : null, unban),
      reason ? h("p", { class: "said", dir: "auto" }, reason) : null,
      h("p", { class: "hint" }, ...words.parts(ends_at ? "bans.until" : "bans.for_good", { time: ends_at && endOf(ends_at, words), name: h("bdi", {}, by) })));
  }
}
