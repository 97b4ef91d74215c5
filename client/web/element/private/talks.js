// The list of one's talks, newest first, with what is not read; and what one should do about one's keys.

import { fill, h, word } from "../dom.js";
import { avatarOf } from "../message-view.js";
import { shortNumber } from "./door.js";

export class Talks {
  #panel;
  #list = h("ul", { class: "talks", "aria-label": word("private.talks") });
  #none = h("p", { class: "desk-note" }, word("private.none"));
  #advice = h("div", { class: "advice", hidden: true });
  #shown = "";

  title = word("private.label");
  element = h("div", { class: "private-page" }, h("p", { class: "hint" }, word("private.promise")), this.#advice, this.#none, this.#list);

  constructor(panel) {
    this.#panel = panel;
    this.element.append(h("button", { class: "button", type: "button", onclick: () => panel.showKeys() }, word("private.keys")));
  }

  show() {
    this.refresh();
    this.#advise();
  }

  refresh() {
    const talks = this.#panel.inbox.rooms.filter((room) => room.with);
    const people = talks.map((room) => ({ room, person: this.#panel.person(room.with) }));
    // Rows that are made anew would lose the focus.
    const shown = JSON.stringify(people.map(({ room, person }) => [person, room.unread]));
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = this.#list.getRootNode().activeElement?.closest?.(".talks button")?.dataset.user;
    this.#none.hidden = talks.length > 0;
    fill(this.#list, this.#panel.host.words, ...people.map(({ room, person }) => this.#rowOf(room, person)));
    if (focused) [...this.#list.querySelectorAll("button")].find(({ dataset }) => dataset.user === focused)?.focus();
  }

  #rowOf({ unread }, person) {
    const name = person.username;
    const isNew = unread > 0;
    return h("li", {},
      h("button", {
        type: "button", "data-user": person.user_id, class: avatarOf(person).className.split(" ").at(-1),
        onclick: () => this.#panel.showTalk(person.user_id),
      },
      avatarOf(person), h("bdi", { class: "name", "aria-hidden": String(isNew) }, name),
      isNew ? h("span", { class: "number", "aria-hidden": "true" }, word((words) => shortNumber(unread, words))) : null,
      isNew ? h("span", { class: "quiet" }, word("private.talk_unread", { name, count: unread })) : null));
  }

  async #advise() {
    const { there, opens } = await this.#panel.mine.backupState().catch(() => ({ there: true, opens: true }));
    this.#advice.hidden = there && opens;
    fill(this.#advice, this.#panel.host.words,
      h("p", { class: "hint" }, word(there ? "private.restore_offer" : "private.backup_offer")),
      h("button", { class: "button small", type: "button", onclick: () => this.#panel.showKeys() }, word(there ? "recovery.restore" : "recovery.make")));
  }
}
