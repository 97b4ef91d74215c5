// The messages of a talk as a list: what was said, why something is not shown, what is on its way.

import { fill, h, icon, word } from "../dom.js";
import { fullTimeOf, segments, sentence, timeOf } from "../text.js";

const NEAR_BOTTOM_PX = 60;

/** Why a message is not shown, as a sentence; `name` is who wrote it. */
export function whyNot({ code, message }, name, words) {
  const key = `unreadable.${code}`;
  return words.has(key) ? words.t(key, { name }) : message;
}

export class Letters {
  #host;
  #name;
  #on;
  #rows = new Map();
  #items = h("ol", {});
  #older = h("button", { class: "button small older", type: "button", hidden: true, onclick: () => this.#on.older() }, word("talk.older"));
  #first = h("p", { class: "top", hidden: true }, word((words) => words.t("talk.first", { name: this.#name })));
  #log = h("div", { role: "log", "aria-live": "off" }, this.#items);

  element = h("div", { class: "letters", tabindex: "0", role: "group", "aria-label": word((words) => words.t("talk.messages", { name: this.#name })) }, this.#older, this.#first, this.#log);

  /** `host` has `words`; the talk is with `name`. `on`: `older()`, `menu(opener, message)`, `has(message)` whether there is one, `again(item)`, `discard(item)`. */
  constructor(host, name, on) {
    this.#host = host;
    this.#name = name;
    this.#on = on;
    this.element.addEventListener("keydown", (event) => this.#keyed(event));
  }

  /** `messages` and what is `pending`; `me` is one's own id. */
  render({ messages, pending, me, hasOlder, loaded }) {
    const { element } = this;
    const stick = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_BOTTOM_PX;
    const fromEnd = element.scrollHeight - element.scrollTop;
    const top = this.#items.firstElementChild?.dataset.id;
    this.#older.hidden = !hasOlder;
    this.#first.hidden = hasOlder || !loaded;
    const wanted = [
      ...messages.map((message) => this.#row(message.message_id, message, () => this.#messageOf(message, me))),
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

  #row(key, shown, make) {
    let row = this.#rows.get(key);
    if (row?.shown === shown) return row;
    row ??= { item: h("li", { tabindex: "-1", "data-id": key }) };
    this.#rows.set(key, row);
    row.shown = shown;
    const focused = row.item.contains(row.item.getRootNode().activeElement);
    const { className, children } = make();
    row.item.className = className;
    fill(row.item, this.#host.words, ...children);
    if (focused) row.item.focus();
    return row;
  }

  #messageOf(message, me) {
    const { timestamp } = message;
    const mine = message.user.user_id === me;
    const time = h("time", { class: "time", datetime: timestamp, title: word((words) => fullTimeOf(timestamp, words)) }, word((words) => timeOf(timestamp, words)));
    const edited = message.edited_at && !message.deleted_at ? h("span", { class: "edited" }, word("message.edited")) : null;
    const more = this.#on.has(message)
      ? h("button", { class: "more", type: "button", tabindex: "-1", "aria-label": word("talk.more_message"), title: word("more"), "aria-haspopup": "menu", onclick: ({ currentTarget }) => this.#on.menu(currentTarget, message) }, icon("more"))
      : null;
    const open = message.encrypted === false && !message.deleted_at ? h("p", { class: "problem" }, word("talk.open")) : null;
    return {
      className: mine ? "letter mine" : "letter",
      children: [h("div", { class: "paper" }, by(mine ? null : this.#name), wordsOf(message, this.#name), open, h("div", { class: "when" }, edited, time)), more],
    };
  }

  #pendingOf(item) {
    const { body, state, error } = item;
    const button = (key, act) => h("button", { type: "button", onclick: act }, word(key));
    const how = state === "failed"
      ? h("p", { class: "failure", role: "alert" }, word((words) => words.t("pending.failed", { why: sentence(error, words) })), button("pending.retry", () => this.#on.again(item)), button("pending.discard", () => this.#on.discard(item)))
      : h("span", { class: "time" }, word("talk.sending"));
    return {
      className: state === "failed" ? "letter mine" : "letter mine pending",
      children: [h("div", { class: "paper" }, by(null), textOf(body ?? ""), h("div", { class: "when" }, how))],
    };
  }

  // Up and down move by messages, sidewards in and out of what a message offers.
  #keyed(event) {
    const item = event.target.closest("li");
    const items = [...this.#items.children];
    const at = item ? items.indexOf(item) : items.length;
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: items.length - 1 }[event.key];
    const more = item?.querySelector("button");
    const [into, out] = this.#host.words.dir === "rtl" ? ["ArrowLeft", "ArrowRight"] : ["ArrowRight", "ArrowLeft"];
    if (to !== undefined) {
      items[to]?.focus();
      items[to]?.scrollIntoView({ block: "nearest" });
    } else if (item && event.key === into) more?.focus();
    else if (item && event.key === out) item.focus();
    else if (event.target === item && event.key === "Enter") more?.click();
    else return;
    event.preventDefault();
  }
}

/** Who said it, for those who listen; null is oneself. */
const by = (name) => h("span", { class: "quiet" }, word((words) => `${name ?? words.t("talk.you")}: `));

function wordsOf(message, name) {
  const { deleted_at, unreadable, body } = message;
  if (deleted_at) return h("p", { class: "content gone" }, word("message.deleted"));
  if (unreadable) return h("p", { class: "content gone", "data-code": unreadable.code }, word((words) => whyNot(unreadable, name, words)));
  return textOf(body ?? "");
}

/** What others wrote, as text and links only. */
const textOf = (body) =>
  h("p", { class: "content", dir: "auto" },
    ...segments(body).map(({ kind, text }) => (kind === "link" ? h("a", { href: text, target: "_blank", rel: "noopener noreferrer nofollow ugc", tabindex: "-1" }, text) : text)));
