// One talk: its messages, what is written, the safety number, and what can be done about either.

import { within } from "../../sdk/errors.js";
import { randomName } from "../../sdk/guest.js";
import { textField } from "../dialog.js";
import { fill, h, word } from "../dom.js";
import { reasonField } from "../orders.js";
import { sentence } from "../text.js";
import { Letters, whyNot } from "./letters.js";
import { Pen } from "./pen.js";

const PAGE = 50;
// So long a talk that was closed waits for answers; what has none by then goes when the talk is opened again.
const LEAVE_MS = 30_000;

export class Talk {
  #panel;
  #other;
  #direct = null;
  /** The same as a promise, for what is said while it opens. */
  #opened;
  #hidden = false;
  /** What the server has not answered. */
  #asked = new Set();
  /** Up to here it was said to be read. */
  #readTo = 0;
  #messages = [];
  #pending = new Map();
  /** What has a lower number has expired. */
  #firstNo = 0;
  #hasOlder = false;
  #loaded = false;
  #offs = [];
  #frame = null;
  #letters;
  #pen;
  #state = h("p", { class: "state", role: "status", hidden: true });
  #news = h("div", { class: "private-news", role: "status" });
  #safety = h("div", { class: "safety", hidden: true, tabindex: "-1", role: "region", "aria-label": word("safety.label") });

  element;

  constructor(panel, user_id) {
    this.#panel = panel;
    this.#other = panel.person(user_id);
    const { host } = panel;
    this.#letters = new Letters(host, this.#name, {
      older: () => this.#older(),
      has: (message) => this.#entries(message).length > 0,
      menu: (opener, message) => host.menu.open(opener, host.words.t("message.by", { name: this.#nameOf(message.user) }), [this.#entries(message, opener)]),
      again: ({ client_id, body }) => this.#send(body, client_id),
      discard: ({ client_id }) => this.#discard(client_id),
    });
    this.#pen = new Pen(host, this.#name, {
      send: (text) => this.#send(text),
      edit: (message, text) => this.#attempt(this.#direct?.edit(message.message_id, text)),
      editLast: () => this.#editLast(),
    });
    this.element = h("div", { class: "talk" }, this.#state, this.#news, this.#safety, this.#letters.element, this.#pen.element);
  }

  get title() {
    return word("talk.with", { name: this.#name });
  }

  get #name() {
    return this.#other.username;
  }

  #nameOf({ user_id }) {
    return user_id === this.#panel.mine.user_id ? this.#panel.host.words.t("talk.you") : this.#name;
  }

  async show() {
    const { mine } = this.#panel;
    this.#tellState({ state: "connecting" });
    const onAdded = ({ user_id }) => {
      if (user_id === this.#other.user_id) this.#tellNews(word("safety.device_added", { name: this.#name }));
      if (user_id === mine.user_id) this.#tellNews(word("safety.own_device_added"));
    };
    const onNumber = ({ user_id }) => user_id === this.#other.user_id && this.#tellNews(word("safety.changed", { name: this.#name }));
    document.addEventListener("visibilitychange", this.#seen);
    this.#offs.push(
      mine.on("device_added", onAdded), mine.on("safety_number_changed", onNumber), mine.on("keys", () => this.#readAgain()),
      () => document.removeEventListener("visibilitychange", this.#seen),
    );
    this.#opened = mine.openDirect(this.#other.user_id);
    let direct;
    try {
      direct = await this.#opened;
    } catch (error) {
      this.#tellState({ state: "ended", error });
      return;
    }
    // Somebody else may have signed in: what was typed here is not theirs to say.
    direct.on("joined", ({ self }) => self.user_id === mine.user_id || direct.close());
    // The panel shows something else by now.
    if (this.#hidden) return;
    this.#direct = direct;
    this.#offs.push(
      direct.on("state", (state) => {
        this.#tellState(state);
        this.#seen();
      }),
      direct.on("snapshot", (snapshot) => this.#began(snapshot)),
      direct.on("new_message", (message) => this.#came(message)),
      direct.on("message_edited", ({ message_id, content, franking, body, unreadable, encrypted, edited_at }) =>
        this.#change([message_id], { content, franking, body, unreadable, encrypted, edited_at })),
      direct.on("message_deleted", ({ message_id, deleted_at }) => this.#change([message_id], { deleted_at, body: null, unreadable: undefined })),
      direct.on("messages_deleted", ({ message_ids, deleted_at }) => this.#change(message_ids, { deleted_at, body: null, unreadable: undefined })),
      direct.on("messages_expired", ({ before_no }) => this.#expire(before_no)),
      direct.on("user_erased", ({ message_ids, erased_at }) => this.#change(message_ids, { deleted_at: erased_at, body: null, unreadable: undefined })),
      direct.on("unsent", ({ client_id, body, reply, at }) => this.#settle({ client_id, body, timestamp: at }, reply ?? Promise.reject({ code: "timeout" }))),
    );
  }

  hide() {
    this.#hidden = true;
    for (const off of this.#offs) off();
    this.#leave();
  }

  /** The connection stays until what was said is answered, also what was said while it opened. */
  async #leave() {
    const direct = await this.#opened.catch(() => null);
    await within(LEAVE_MS, Promise.allSettled(this.#asked), () => null).catch(() => {});
    direct?.close();
  }

  focus() {
    this.#pen.focus();
  }

  /** The inbox changed: what is in sight is read. */
  refresh() {
    this.#seen();
  }

  /** What can be done with the talk as a whole. */
  menu(opener) {
    const { host } = this.#panel;
    const { user_id } = this.#other;
    const blocked = host.model.blocked.has(user_id);
    const { words } = host;
    host.menu.open(opener, words.t("talk.more"), [
      [{ label: words.t("safety.label"), act: () => this.#showSafety() }, { label: words.t("private.keys"), act: () => this.#panel.showKeys() }],
      [{ label: words.t(blocked ? "unblock" : "order.block"), act: () => this.#attempt(this.#block(!blocked)) }],
    ]);
  }

  // ── what is said ─────────────────────────────────────────────────────────

  #began({ messages }) {
    this.#messages = [...messages];
    this.#readTo = 0;
    this.#hasOlder = (messages[0]?.no ?? 1) > 1;
    for (const { client_id } of messages) this.#pending.delete(client_id);
    for (const [id, { state }] of this.#pending) if (state === "sent") this.#pending.delete(id);
    messages.forEach(({ user }) => this.#panel.learn(user));
    this.#loaded = true;
    this.#draw();
    this.#letters.toBottom();
    this.#letters.readOut();
    this.#seen();
  }

  #came(message) {
    this.#panel.learn(message.user);
    if (message.user.user_id === this.#panel.mine.user_id) this.#pending.delete(message.client_id);
    if (message.no > (this.#messages.at(-1)?.no ?? 0)) this.#messages.push(message);
    else this.#messages = [...this.#messages.filter(({ message_id }) => message_id !== message.message_id), message].sort((a, b) => a.no - b.no);
    this.#render();
    this.#seen();
  }

  #change(ids, patch) {
    this.#messages = this.#messages.map((message) => (ids.includes(message.message_id) ? { ...message, ...patch } : message));
    this.#render();
  }

  #expire(before_no) {
    this.#firstNo = before_no;
    this.#messages = this.#messages.filter(({ no }) => no >= before_no);
    if ((this.#messages[0]?.no ?? 0) <= before_no) this.#hasOlder = false;
    this.#render();
  }

  async #older() {
    try {
      const { messages, has_more } = await this.#direct.history({ before: this.#messages[0]?.no, limit: PAGE });
      const known = new Set(this.#messages.map(({ message_id }) => message_id));
      // Some may have expired since they were asked for.
      const older = messages.filter(({ message_id, no }) => no >= this.#firstNo && !known.has(message_id));
      this.#messages = [...older, ...this.#messages].sort((a, b) => a.no - b.no);
      this.#hasOlder = has_more && messages.every(({ no }) => no > this.#firstNo);
    } catch (error) {
      this.#pen.fail(error);
    }
    this.#render();
  }

  /** Keys came: what could not be read perhaps can be now. */
  async #readAgain() {
    const opened = new Map();
    for (const message of this.#messages.filter(({ unreadable }) => unreadable?.code === "no_key")) {
      const read = await this.#direct.read(message);
      if (!read.unreadable) opened.set(message, read);
    }
    if (opened.size === 0) return;
    // What was edited or deleted meanwhile is another one.
    this.#messages = this.#messages.map((message) => opened.get(message) ?? message);
    this.#render();
  }

  /** What is here is read, and no more than that: the inbox may have heard of a message that has not come yet. */
  #seen = () => {
    const { inbox, isOpen } = this.#panel;
    if (this.#hidden || !this.#loaded || document.hidden || !isOpen) return;
    const { room, chat } = this.#direct;
    const { unread = 0, last_seq } = inbox.room(room) ?? {};
    if (unread === 0 || chat.state !== "online") return;
    const seq = Math.min(last_seq, chat.position.seq);
    if (seq <= this.#readTo) return;
    this.#readTo = seq;
    inbox.markRead(room, seq).catch(() => (this.#readTo = 0));
  };

  // ── what one says ────────────────────────────────────────────────────────

  #send(body, client_id = randomName()) {
    this.#settle({ client_id, body }, this.#opened.then((direct) => direct.send(body, { client_id })));
    this.#draw();
    this.#letters.toBottom();
  }

  async #settle(item, reply) {
    const { client_id } = item;
    const set = (more) => {
      this.#pending.set(client_id, { ...item, ...more });
      this.#render();
    };
    set({ state: "sending" });
    try {
      await this.#answer(reply);
      // Its event may have been here.
      if (this.#pending.has(client_id)) set({ state: "sent" });
    } catch (error) {
      if (this.#pending.has(client_id)) set({ state: "failed", error });
    }
  }

  async #answer(reply) {
    this.#asked.add(reply);
    try {
      return await reply;
    } finally {
      this.#asked.delete(reply);
    }
  }

  #discard(client_id) {
    this.#pending.delete(client_id);
    this.#direct?.chat.forget(client_id);
    this.#render();
    this.#pen.focus();
  }

  #editLast() {
    const last = this.#messages.findLast((message) => this.#isMine(message) && message.body !== null);
    if (last) this.#pen.edit(last);
  }

  #isMine({ user }) {
    return user.user_id === this.#panel.mine.user_id;
  }

  #entries(message, opener) {
    if (message.deleted_at) return [];
    const { message_id } = message;
    const { words } = this.#panel.host;
    if (!this.#isMine(message)) return [{ label: words.t("order.report"), act: () => this.#report(message, opener) }];
    const edit = { label: words.t("tool.edit"), act: () => this.#pen.edit(message) };
    return [...(message.unreadable ? [] : [edit]), { label: words.t("tool.remove"), danger: true, act: () => this.#attempt(this.#direct.remove(message_id)) }];
  }

  #report(message, opener) {
    const { unreadable, body } = message;
    const name = this.#name;
    const { dialog, words } = this.#panel.host;
    dialog.ask({
      title: words.t("talk.report_title", { name }), text: words.t(unreadable ? "talk.report_sealed" : "talk.report_reveals"), yes: words.t("report.yes"),
      back: () => (opener.isConnected ? opener : this.#pen).focus(),
      fields: [
        h("blockquote", { class: "quoted", dir: "auto" }, unreadable ? whyNot(unreadable, name, words) : body.slice(0, 300)),
        reasonField(words),
        textField("details", words.t("report.details"), { rows: 2, maxlength: 1000 }),
      ],
      act: async ({ reason, details }) => {
        await this.#direct.report(message, { reason, details: details || undefined });
        this.#pen.tell(word("report.thanks"));
      },
    });
  }

  async #block(blocks) {
    const { chat, model } = this.#panel.host;
    const { user_id } = this.#other;
    if (blocks) await chat.block(user_id);
    else await chat.unblock(user_id);
    if (blocks) model.blocked.add(user_id);
    else model.blocked.delete(user_id);
    this.#pen.tell(word(blocks ? "talk.blocked" : "talk.unblocked", { name: this.#name }));
    this.#panel.host.redraw();
  }

  // ── safety ───────────────────────────────────────────────────────────────

  async #showSafety() {
    const { mine } = this.#panel;
    const { user_id } = this.#other;
    try {
      const number = await mine.safetyNumber(user_id);
      this.#fill(this.#safety,
        h("p", { class: "digits" }, ...number.split(" ").map((group) => h("span", {}, group, " "))),
        h("p", { class: "hint" }, word("safety.how", { name: this.#name }), " ", word("safety.changes")),
        h("button", { class: "button small", type: "button", onclick: () => this.#hideSafety() }, word("safety.hide")));
      this.#safety.hidden = false;
      this.#news.replaceChildren();
      this.#safety.focus();
    } catch (error) {
      this.#pen.fail(error);
    }
  }

  #hideSafety() {
    this.#safety.hidden = true;
    this.#pen.focus();
  }

  // ── drawing ──────────────────────────────────────────────────────────────

  #fill(element, ...children) {
    fill(element, this.#panel.host.words, ...children);
  }

  #attempt = async (act) => {
    try {
      await this.#answer(act);
    } catch (error) {
      this.#pen.fail(error);
    }
  };

  #tellNews(text) {
    const done = h("button", { class: "button small", type: "button", onclick: () => (this.#news.replaceChildren(), this.#pen.focus()) }, word("safety.understood"));
    this.#fill(this.#news, h("p", {}, text), done);
  }

  #tellState({ state, error }) {
    const text = {
      connecting: word("chat.connecting"),
      waiting: word("talk.waiting"),
      ended: word((words) => words.t("talk.ended", { why: error ? sentence(error, words) : "" })),
    }[state];
    this.#state.hidden = !text;
    this.#fill(this.#state, text);
    this.#state.classList.toggle("ended", state === "ended");
  }

  /** Once a frame, however much comes. */
  #render() {
    this.#frame ??= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    if (this.#hidden) return;
    this.#letters.render({
      messages: this.#messages, pending: this.#pending.values(), me: this.#panel.mine.user_id, hasOlder: this.#hasOlder, loaded: this.#loaded,
    });
  }
}
