// The messages of a talk as a list: what was said, why something is not shown, what is on its way.

import { h, icon } from "../dom.js";
import { fullTimeOf, segments, timeOf } from "../text.js";
import { because, say, whyNot } from "./say.js";

const NEAR_BOTTOM_PX = 60;

export class Letters {
  #on;
  #rows = new Map();
  #items = h("ol", {});
  #older = h("button", { class: "button small older", type: "button", hidden: true, onclick: () => this.#on.older() }, say("older"));
  #first = h("p", { class: "top", hidden: true });
  #log = h("div", { role: "log", "aria-live": "off" }, this.#items);

  element = h("div", { class: "letters", tabindex: "0", role: "group" }, this.#older, this.#first, this.#log);

  /** `on`: `older()`, `menu(opener, message)`, `has(message)` whether there is one, `again(item)`, `discard(item)`. */
  constructor(on) {
    this.#on = on;
    this.element.addEventListener("keydown", (event) => this.#keyed(event));
  }

  /** `messages` and what is `pending`, of this talk with `name`; `me` is one's own id. */
  render({ messages, pending, me, name, hasOlder, loaded }) {
    const { element } = this;
    const stick = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_BOTTOM_PX;
    const fromEnd = element.scrollHeight - element.scrollTop;
    const top = this.#items.firstElementChild?.dataset.id;
    element.setAttribute("aria-label", say("messages", { name }));
    this.#older.hidden = !hasOlder;
    this.#first.hidden = hasOlder || !loaded;
    this.#first.textContent = say("first", { name });
    const wanted = [
      ...messages.map((message) => this.#row(message.message_id, message, () => this.#messageOf(message, me, name))),
      ...[...pending].map((item) => this.#row(item.client_id, item, () => this.#pendingOf(item))),
    ];
    const kept = new Set(wanted);
    for (const [key, row] of this.#rows) {
      if (kept.has(row)) continue;
      row.item.remove();
      this.#rows.delete(key);
    }
    let next = this.#items.firstElementChild;
    for (const { item } of wanted) {
      if (item === next) next = next.nextElementSibling;
      else this.#items.insertBefore(item, next);
    }
    if (stick) this.toBottom();
    else if (top !== this.#items.firstElementChild?.dataset.id) element.scrollTop = element.scrollHeight - fromEnd;
  }

  toBottom() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** What comes from now on is read out. */
  readOut() {
    this.#log.setAttribute("aria-live", "polite");
  }

  #row(key, shown, fill) {
    let row = this.#rows.get(key);
    if (row?.shown === shown) return row;
    row ??= { item: h("li", { tabindex: "-1", "data-id": key }) };
    this.#rows.set(key, row);
    row.shown = shown;
    const focused = row.item.contains(row.item.getRootNode().activeElement);
    const { className, children } = fill();
    row.item.className = className;
    row.item.replaceChildren(...children.filter(Boolean));
    if (focused) row.item.focus();
    return row;
  }

  #messageOf(message, me, name) {
    const mine = message.user.user_id === me;
    const by = mine ? say("you") : name;
    const time = h("time", { class: "time", datetime: message.timestamp, title: fullTimeOf(message.timestamp) }, timeOf(message.timestamp));
    const edited = message.edited_at && !message.deleted_at ? h("span", { class: "edited" }, say("edited")) : null;
    const more = this.#on.has(message)
      ? h("button", { class: "more", type: "button", tabindex: "-1", "aria-label": say("more_message"), title: say("more_message"), "aria-haspopup": "menu", onclick: ({ currentTarget }) => this.#on.menu(currentTarget, message) }, icon("more"))
      : null;
    const open = message.encrypted === false && !message.deleted_at ? h("p", { class: "problem" }, say("open")) : null;
    return {
      className: mine ? "letter mine" : "letter",
      children: [h("div", { class: "paper" }, h("span", { class: "quiet" }, `${by}: `), wordsOf(message, name), open, h("div", { class: "when" }, edited, time)), more],
    };
  }

  #pendingOf(item) {
    const { body, state, error } = item;
    const button = (text, act) => h("button", { type: "button", onclick: act }, text);
    const word = state === "failed"
      ? h("p", { class: "failure", role: "alert" }, say("not_sent", { why: because(error) }), button(say("try_again"), () => this.#on.again(item)), button(say("discard"), () => this.#on.discard(item)))
      : h("span", { class: "time" }, say("sending"));
    return {
      className: state === "failed" ? "letter mine" : "letter mine pending",
      children: [h("div", { class: "paper" }, h("span", { class: "quiet" }, `${say("you")}: `), textOf(body ?? ""), h("div", { class: "when" }, word))],
    };
  }

  // Up and down move by messages, right to what a message offers.
  #keyed(event) {
    const item = event.target.closest("li");
    const items = [...this.#items.children];
    const at = item ? items.indexOf(item) : items.length;
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: items.length - 1 }[event.key];
    const more = item?.querySelector("button");
    if (to !== undefined) {
      items[to]?.focus();
      items[to]?.scrollIntoView({ block: "nearest" });
    } else if (item && event.key === "ArrowRight") more?.focus();
    else if (item && event.key === "ArrowLeft") item.focus();
    else if (event.target === item && event.key === "Enter") more?.click();
    else return;
    event.preventDefault();
  }
}

function wordsOf(message, name) {
  const { deleted_at, unreadable, body } = message;
  if (deleted_at) return h("p", { class: "content gone" }, say("deleted"));
  if (unreadable) return h("p", { class: "content gone", "data-code": unreadable.code }, whyNot(unreadable, name));
  return textOf(body ?? "");
}

/** What others wrote, as text and links only. */
const textOf = (body) =>
  h("p", { class: "content", dir: "auto" },
    ...segments(body).map(({ kind, text }) => (kind === "link" ? h("a", { href: text, target: "_blank", rel: "noopener noreferrer nofollow ugc", tabindex: "-1" }, text) : text)));
