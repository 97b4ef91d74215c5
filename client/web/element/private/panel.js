// The panel of private messages: this browser's device, and one view at a time: the talks, one of them, the keys.

import { openPrivate } from "../../sdk/private.js";
import { fill, h, icon, word } from "../dom.js";
import { sentence } from "../text.js";
import { Keys } from "./keys.js";
import sheet from "./style.js";
import { Talk } from "./talk.js";
import { Talks } from "./talks.js";

// What a new device solves.
const RENEWS = ["device_removed", "state_unreadable"];

export class PrivatePanel {
  #door;
  #opening = null;
  #view = null;
  #names = new Map();
  #offs = [];
  #title = h("h3", { id: "private-title", tabindex: "-1" });
  #back = h("button", { class: "back", type: "button", "aria-label": word("private.back"), title: word("private.back"), onclick: () => this.show(new Talks(this)) }, icon("back"));
  #more = h("button", { class: "more", type: "button", "aria-label": word("talk.more"), title: word("more"), "aria-haspopup": "menu", onclick: () => this.#view.menu(this.#more) }, icon("more"));
  #body = h("div", { class: "private-body" });

  /** The `PrivateMessages` of this user once they are open. */
  mine = null;
  inbox;

  /** `door` knows names; `close()` closes the panel. */
  constructor(host, { door, inbox, close }) {
    this.host = host;
    this.#door = door;
    this.inbox = inbox;
    const root = host.shadowRoot;
    if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
    door.panel.setAttribute("aria-labelledby", "private-title");
    fill(door.panel, host.words,
      h("div", { class: "private-head" }, this.#back, this.#title, this.#more,
        h("button", { class: "close", type: "button", "aria-label": word("private.close"), title: word("desk.close_hint"), onclick: close }, icon("close"))),
      this.#body,
    );
    const keyed = (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) close();
    };
    door.panel.addEventListener("keydown", keyed);
    this.#offs.push(() => door.panel.removeEventListener("keydown", keyed), inbox.on("inbox", () => this.#view?.refresh?.()), inbox.on("inbox_changed", () => this.#view?.refresh?.()));
  }

  get isOpen() {
    return !this.#door.panel.hidden;
  }

  /** The talk with this user, or the list of talks. */
  async open(user) {
    if (user) this.#names.set(user.user_id, user);
    if (!(await this.#ready())) return;
    this.show(user ? new Talk(this, user.user_id) : new Talks(this));
  }

  hide() {
    this.show(null);
  }

  end() {
    this.hide();
    for (const off of this.#offs) off();
    this.mine?.close();
    this.#opening?.then((mine) => mine.close(), () => {});
    this.#door.panel.replaceChildren();
  }

  /** Shows a view; the one before it is ended. `{title` (made by `word`)`, element, show?(), hide?(), refresh?(), menu?(opener), focus?()}` */
  show(view) {
    this.#view?.hide?.();
    this.#view = view;
    // Nothing of it stays in the page of a panel that is closed.
    if (!view) return void this.#body.replaceChildren();
    this.#back.hidden = view instanceof Talks;
    this.#more.hidden = !view.menu;
    fill(this.#title, this.host.words, view.title);
    fill(this.#body, this.host.words, view.element);
    view.show?.();
    if (view.focus) view.focus();
    else this.focus();
  }

  focus() {
    this.#title.focus();
  }

  showTalk(user_id) {
    this.show(new Talk(this, user_id));
  }

  showKeys() {
    this.show(new Keys(this));
  }

  /** What is known of this user: `{user_id, username, avatar?}`, the name as plain text. */
  person(user_id) {
    const { avatar } = this.#names.get(user_id) ?? {};
    const username = this.#door.nameOf(user_id);
    const known = this.#names.get(user_id)?.username;
    return { user_id, avatar, username: username === user_id && known ? known : username };
  }

  /** A message tells what its author is called now. */
  learn(user) {
    if (user.username) this.#names.set(user.user_id, user);
  }

  /** Opens this browser's device; false where that failed or the panel was closed meanwhile. */
  async #ready({ renew = false } = {}) {
    if (this.mine) return true;
    this.show({ title: word("private.label"), element: h("p", { class: "desk-note", role: "status" }, word("private.loading")) });
    const { inbox } = this;
    this.#opening ??= openPrivate({ ...this.host.access, inbox, deviceName: deviceName(), renew });
    try {
      this.mine = await this.#opening;
      return this.isOpen;
    } catch (error) {
      this.#opening = null;
      if (this.isOpen) this.#failed(error);
      return false;
    }
  }

  #failed(error) {
    const renews = RENEWS.includes(error.code);
    const again = async () => {
      if (await this.#ready({ renew: renews })) this.show(new Talks(this));
    };
    this.show({
      title: word("private.label"),
      element: h("div", { class: "private-page" },
        h("p", { class: "problem", role: "alert" }, word((words) => (renews ? words.t(`private.${error.code}`) : words.t("private.failed", { why: sentence(error, words) })))),
        h("button", { class: "button go", type: "button", onclick: again }, word(renews ? "private.add_again" : "pending.retry"))),
    });
  }
}

/** What this browser is called in the list of devices until somebody names it: names alone, which are those of every language. */
function deviceName({ userAgent } = navigator) {
  const find = (names) => names.find(([mark]) => userAgent.includes(mark))?.[1];
  const browser = find([["Edg/", "Edge"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]]) ;
  const system = find([["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"], ["Mac OS", "Mac"], ["Linux", "Linux"]]);
  return [browser, system].filter(Boolean).join(", ") || undefined;
}
