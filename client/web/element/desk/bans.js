// Who is kept out, until when and why, and the way back in.

import { h } from "../dom.js";
import { endOf } from "../room-words.js";
import { plain } from "../text.js";
import { actButton, DeskList } from "./list.js";

export class Bans {
  title = "Bans";
  #host;
  #list = new DeskList("Nobody is banned.");
  element = this.#list.element;

  constructor(host) {
    this.#host = host;
  }

  may(model) {
    return model.can("ban");
  }

  async show() {
    const { chat } = this.#host;
    try {
      const { bans } = await chat.bans();
      if (chat !== this.#host.chat) return;
      const newestFirst = bans.sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
      this.#list.render(newestFirst, ({ user_id }) => user_id, (ban) => this.#rowOf(ban));
    } catch (error) {
      this.#list.fail(error);
    }
  }

  render() {}

  event(name) {
    if (name === "user_banned" || name === "user_unbanned") this.show();
  }

  reset() {
    this.#list.clear();
  }

  #rowOf({ user_id, username, reason, shadow, ends_at, by }) {
    const name = plain(username ?? user_id);
    const unban = actButton("Unban", "small", async () => {
      await this.#host.chat.unban(user_id);
      await this.show();
    });
    unban.setAttribute("aria-label", `Unban ${name}`);
    return h("li", {},
      h("div", { class: "row-head" }, h("bdi", { class: "name" }, name), shadow ? h("span", { class: "tag" }, "Shadow") : null, unban),
      reason ? h("p", { class: "said", dir: "auto" }, reason) : null,
      h("p", { class: "hint" }, ends_at ? `Until ${endOf(ends_at).replace(/^(at|on) /, "")}` : "For good", ", by ", h("bdi", {}, by)));
  }
}
