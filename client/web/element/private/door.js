// The way to private messages: a button with what is not read. All else is loaded when it is used.

import { fill, h, icon, relabel, word } from "../dom.js";
import { plain } from "../text.js";

const AGAIN_MS = 10_000;

export class PrivateDoor {
  #host;
  #inbox = null;
  #panel = null;
  #unread = 0;
  #badge = h("span", { class: "badge", "aria-hidden": "true", hidden: true });

  button = h("button", { class: "private-button", type: "button", hidden: true, "aria-expanded": "false", "aria-controls": "private", title: word("private.label"), onclick: () => this.#toggle() },
    h("span", { class: "quiet" }, word((words) => this.#label(words))), icon("letter"), this.#badge);
  panel = h("section", { class: "private", id: "private", part: "private", hidden: true, "aria-label": word("private.label") });
  news = h("div", { class: "quiet", role: "status" });

  /** `host` is the element: `access`, `chat`, `model`, `words`, `menu`, `dialog`, `orders`, `redraw()` and `closePeople()`. */
  constructor(host) {
    this.#host = host;
  }

  /** A join was answered: whoever is signed in hears of private messages from now on, where the page wants that. */
  async joined() {
    const { chat, model, access } = this.#host;
    if (this.#inbox || !model.self?.user_id || !this.#host.hasAttribute("private")) return;
    const module = await import("../../sdk/inbox.js").catch(() => null);
    if (chat !== this.#host.chat || this.#inbox) return;
    // It could not be fetched; another try may.
    if (!module) return void setTimeout(() => chat === this.#host.chat && this.joined(), AGAIN_MS);
    const inbox = module.openInbox(access);
    this.#inbox = inbox;
    // A server without it never says so much.
    inbox.on("inbox", () => {
      this.button.hidden = false;
      this.#host.redraw();
    });
    inbox.on("unread", (unread) => this.#count(unread));
    inbox.on("direct_message", ({ with: user_id }) => {
      if (this.panel.hidden) fill(this.news, this.#host.words, word("private.news", { name: this.nameOf(user_id) }));
    });
    this.#count(inbox.unread);
  }

  /** Another room, or another user. */
  stop() {
    this.#close(false);
    this.#panel?.then((panel) => panel.end(), () => {});
    this.#panel = null;
    this.#inbox?.close();
    if (this.#inbox) this.#count({ direct: 0, mentions: 0 });
    this.#inbox = null;
    this.button.hidden = true;
    this.news.replaceChildren();
  }

  /** Entries for the menu about a person. */
  entries(user) {
    if (!this.#inbox?.isKnown) return [];
    return [{ label: this.#host.words.t("private.write"), act: () => this.#open(user) }];
  }

  /** The name that this user has in the room, else the id. */
  nameOf(user_id) {
    const { members, messages } = this.#host.model;
    const known = members?.get(user_id) ?? messages.findLast(({ user }) => user.user_id === user_id)?.user;
    return plain(known?.username ?? user_id);
  }

  #count({ direct, mentions }) {
    this.#unread = direct;
    this.#badge.hidden = direct === 0;
    fill(this.#badge, this.#host.words, word((words) => shortNumber(direct, words)));
    relabel(this.button, this.#host.words);
    this.#host.dispatchEvent(new CustomEvent("edge-chat-inbox", { detail: { direct, mentions } }));
  }

  #label(words) {
    return this.#unread > 0 ? words.t("private.unread", { count: this.#unread }) : words.t("private.label");
  }

  #toggle() {
    if (this.panel.hidden) this.#open();
    else this.#close();
  }

  async #open(user) {
    const inbox = this.#inbox;
    this.panel.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.news.replaceChildren();
    this.#host.closePeople();
    this.#cover(true);
    this.panel.parentElement.querySelector("header").addEventListener("click", this.#elsewhere);
    this.#panel ??= import("./panel.js").then(({ PrivatePanel }) => new PrivatePanel(this.#host, { door: this, inbox, close: () => this.#close() }));
    try {
      const panel = await this.#panel;
      if (inbox === this.#inbox) panel.open(user);
    } catch {
      // It could not be fetched; another try may.
      this.#panel = null;
      this.#close();
    }
  }

  #close(focuses = true) {
    if (this.panel.hidden) return;
    this.panel.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    this.#cover(false);
    this.#panel?.then((panel) => panel.hide(), () => {});
    if (focuses) this.button.focus();
  }

  /** Another button of the header shows something else in this place. */
  #elsewhere = ({ target }) => this.button.contains(target) || this.#close(false);

  /** What lies under the panel is not reached by keys. */
  #cover(covered) {
    for (const one of this.panel.parentElement.children) {
      if (one !== this.panel && !one.matches("header, .people, [role=status], [aria-live], [popover], dialog")) one.inert = covered;
    }
  }
}

/** What stands in a badge: at most two digits. */
export const shortNumber = (number, words) => (number > 99 ? `${words.number(99)}+` : words.number(number));
