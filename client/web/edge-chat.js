// The custom element <edge-chat>: one room in a box, for any page.

import { connect, RoomModel } from "./chat.js";
import { Actions } from "./element/actions.js";
import { Composer } from "./element/composer.js";
import { Desk } from "./element/desk/desk.js";
import { Dialog } from "./element/dialog.js";
import { h, icon, relabel, setText, word } from "./element/dom.js";
import { Emoji } from "./element/emoji.js";
import { Language } from "./element/language.js";
import { ListView } from "./element/list-view.js";
import { Menu } from "./element/menu.js";
import { Missed } from "./element/missed.js";
import { Orders } from "./element/orders.js";
import { People } from "./element/people.js";
import { Pins } from "./element/pins.js";
import { PrivateDoor } from "./element/private/door.js";
import { modesOn } from "./element/room-words.js";
import { Sending } from "./element/sending.js";
import { Strip } from "./element/strip.js";
import moderationStyle from "./element/style-moderation.js";
import style from "./element/style.js";
import { TypingLine } from "./element/typing-line.js";
import { translate } from "./element/words.js";
import { randomName } from "./sdk/guest.js";

const QUIET_MS = 1_000;
// setTimeout cannot wait longer than 2^31 ms.
const LONGEST_RETURN_MS = 2_000_000_000;
// A page that is not in sight is given no frames; what comes is taken in all the same.
const LATE_MS = 1_000;
// Two frames: of what comes faster nobody sees more, and it is half of the work.
const DRAWN_EVERY_MS = 30;
// A number on a button that goes up five times a second goes up fast enough.
const UNSEEN_MS = 200;

/**
 * `<edge-chat room="video_123" token="…">`. Attributes: `room`; `token` (without it the viewer is a
 * guest; a newer one may be set at any time); `url`, the server's origin (default: where this module came from); `theme`, `light` or
 * `dark` (default: the system's). The property `getToken`, a function as in `connect`, takes the
 * place of `token` where tokens end and are renewed; it may be set whenever one likes, another function starts afresh. `lang`, here or on anything around it, says which language is spoken.
 * With the attribute `private` whoever is signed in has private messages here too, encrypted from end to end; a page under a
 * strict Content-Security-Policy allows `'wasm-unsafe-eval'` for that.
 *
 * How it is embedded, themed and translated, with all parts and properties: docs/element.md. Events: `edge-chat-state` `{state, error}`, `edge-chat-stats` `{online_users, online_guests,
 * message_count}`, `edge-chat-unread` `{unread}`, with `private` also `edge-chat-inbox` `{direct, mentions}`: what is not
 * read, anywhere in the chat.
 *
 * Who comes back after more than a few seconds finds a line where the news begins and how much it is. What was typed
 * meanwhile is sent once, also where the page was loaded anew in between.
 */
export class EdgeChat extends HTMLElement {
  static observedAttributes = ["room", "token", "url", "lang"];

  /** Adds a language, or changes words: see docs/element.md. */
  static translate = translate;

  #getToken = null;
  #starts = 0;
  model = new RoomModel();
  #chat = null;
  #unread = 0;
  #toldUnread = 0;
  #frame = null;
  #late = null;
  #unseen = null;
  #drawnAt = 0;
  #epoch = null;
  #aloud = null;
  #returning = null;
  // Nothing is shown in one language until another one is loaded.
  #language = new Language(this, { wait: () => this.#box.classList.toggle("wordless", this.#chat?.state !== "online"), speak: (words) => this.#speak(words) });

  list = new ListView({
    loadOlder: () => this.loadOlder(), scrolled: () => this.#seen(), redraw: () => this.redraw(), say: (text) => this.#strip.say(text),
  });
  menu = new Menu();
  dialog = new Dialog(this);
  emoji = new Emoji(this);
  orders = new Orders(this);
  door = new PrivateDoor(this);
  #actions = new Actions(this);
  #people = new People(this);
  #pins = new Pins(this);
  #desk = new Desk(this);
  #composer = new Composer({
    host: this,
    send: (text, { reply_to, mentions }) => this.#send({ client_id: randomName(), content: text, reply_to, mentions, timestamp: new Date().toISOString() }),
    edit: (message, text) => this.attempt(this.#chat.edit(message.message_id, text)),
    announce: (text) => this.attempt(this.#chat.announce(text)),
    typing: (is_typing) => this.model.can("type") && this.#chat.typing(is_typing),
    editLast: () => this.#editLast(),
  });
  #title = h("h2", { class: "title", part: "title" });
  #strip = new Strip({ host: this, retry: () => this.#chat?.retry(), leave: () => this.list.scroller.focus({ preventScroll: true }) });
  #missed = new Missed(this);
  #sending = new Sending(this);
  #empty = h("p", { class: "empty", hidden: true }, h("b", {}, word("chat.empty")), word("chat.empty_hint"));
  #jumpText = h("span", {});
  #jump = h("button", { class: "jump", part: "jump", type: "button", hidden: true, onclick: () => this.#toLatest() }, this.#jumpText, icon("down"));
  #notShown = h("p", { class: "not-shown", hidden: true });
  #typing = new TypingLine(this);
  #modes = h("ul", { class: "modes", part: "modes", "aria-label": word("chat.modes"), hidden: true });
  #box;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style, moderationStyle];
    root.append(
      h("section", { class: "chat", part: "chat", "aria-label": word("chat.label") },
        h("header", { class: "head", part: "header" }, this.#title, this.door.button, this.#desk.button, this.#people.button),
        this.#people.panel,
        this.#strip.element, this.#strip.live,
        this.#pins.element,
        h("div", { class: "middle" }, this.#missed.pill, this.list.scroller, this.#empty, this.#jump),
        this.#notShown, this.#typing.element,
        this.#modes,
        this.#composer.element,
        this.#desk.panel, this.door.panel, this.door.news,
        this.#actions.picker, this.emoji.element, this.menu.element, this.dialog.element),
    );
    this.#box = root.firstElementChild;
    // Set by a page that was there before the element was.
    if (Object.hasOwn(this, "getToken")) {
      this.#getToken = this.getToken;
      delete this.getToken;
    }
    this.#composer.enable("chat.connecting");
  }

  connectedCallback() {
    document.addEventListener("visibilitychange", this.#shown);
    document.addEventListener("keydown", this.#searched);
    this.#language.start();
    this.#start();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#shown);
    document.removeEventListener("keydown", this.#searched);
    this.#language.stop();
    this.#stop();
  }

  attributeChangedCallback(name, before, now) {
    if (!this.isConnected || before === now) return;
    if (name === "lang") {
      this.#language.look();
      return;
    }
    // A newer token for the same user goes in on the open socket; anything else starts afresh.
    const renewed = name === "token" && before && now && this.#chat?.state === "online";
    const chat = this.#chat;
    if (renewed) chat.renew().catch(() => chat === this.#chat && this.#start());
    else this.#start();
  }

  /** The language that is spoken, see element/words.js. */
  get words() {
    return this.#language.words;
  }

  #speak(words) {
    this.#box.classList.remove("wordless");
    this.#box.setAttribute("lang", words.language);
    this.#box.setAttribute("dir", words.dir);
    relabel(this.#box, words);
    if (!this.hasAttribute("room")) this.#title.textContent = words.t("chat.label");
    this.#composer.speak();
    this.#strip.speak();
    this.redraw();
  }

  /** A function as in `connect`, in place of the attribute `token`; another one starts afresh. */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    if (getToken === this.#getToken) return;
    this.#getToken = getToken;
    const starts = this.#starts;
    // Where the room is set along with it, it starts once.
    queueMicrotask(() => this.isConnected && starts === this.#starts && this.hasAttribute("room") && this.#start());
  }

  /** The connection in use, as `connect` returns it; null while no room is set. */
  get chat() {
    return this.#chat;
  }

  get unread() {
    return this.#unread;
  }

  /** What every connection of this element is opened with: the server, and whose token. */
  get access() {
    return {
      url: this.getAttribute("url") ?? new URL(import.meta.url).origin,
      getToken: (asked) => (this.getToken ? this.getToken(asked) : this.getAttribute("token")),
    };
  }

  // ── the connection ───────────────────────────────────────────────────────

  #start() {
    this.#stop();
    this.#starts += 1;
    const room = this.getAttribute("room");
    this.model = new RoomModel();
    this.#epoch = null;
    this.#missed.forget();
    this.#pins.forget();
    this.#desk.reset();
    this.menu.close();
    this.dialog.close();
    this.#title.textContent = room ?? this.words.t("chat.label");
    this.#setUnread(0);
    this.#render();
    if (!room) return;
    const chat = connect({ ...this.access, room });
    this.#chat = chat;
    chat.on("state", (state) => this.#showState(state));
    chat.on("joined", (reply) => {
      // Somebody else now: what the list says of one's own is no longer true.
      if (this.model.self && this.model.self.user_id !== reply.self.user_id) {
        this.#start();
        return;
      }
      this.model.joined(reply);
      this.#stats();
      this.#desk.joined();
      this.door.joined();
      this.redraw();
    });
    chat.on("snapshot", (snapshot) => {
      const before = this.model.messages.at(-1);
      this.model.snapshot(snapshot);
      this.#missed.replaced(before, { sameLog: this.#epoch === snapshot.epoch });
      this.#epoch = snapshot.epoch;
      this.redraw();
    });
    chat.on("unsent", (item) => this.#sending.takeUp(item));
    chat.on("left_out", (said) => {
      this.model.sampled(said);
      this.redraw();
    });
    chat.on("event", (envelope) => this.#event(envelope));
  }

  #stop() {
    this.#strip.stop();
    this.door.stop();
    clearTimeout(this.#aloud);
    this.#typing.stop();
    clearTimeout(this.#returning);
    const chat = this.#chat;
    this.#chat = null;
    chat?.close();
  }

  #event(envelope) {
    this.model.apply(envelope, Date.now());
    const { event, data } = envelope;
    if (event === "room_stats") {
      this.#stats();
      this.#people.refresh(this.model);
    }
    if (/^messages?_(deleted|edited)$/.test(event)) this.#pins.forget(data.message_ids ?? [data.message_id]);
    if (event === "room_updated") this.#composer.release();
    this.#desk.event(event);
    if (event === "new_message" && data.user.user_id !== this.model.self?.user_id && (!this.list.atBottom || document.hidden)) {
      // Told with the next drawing: a page may have much to do with it.
      this.#unread += 1;
    }
    this.redraw({ unseen: event === "new_message" && !this.list.atBottom });
  }

  #showState(event) {
    const { state, error, away_ms } = event;
    const over = this.#strip.show(event, this.model.self !== null);
    const news = this.#present(away_ms);
    if (over) this.#strip.say([this.words.t("chat.back"), news && this.words.t("full_stop", { text: news })].filter(Boolean).join(" "));
    // What comes in one go on joining is not read out line by line.
    clearTimeout(this.#aloud);
    if (state !== "online") this.list.readOut(false);
    else this.#aloud = setTimeout(() => this.list.readOut(true), QUIET_MS);
    this.dataset.state = state;
    if (state === "ended") this.#ended(error);
    this.dispatchEvent(new CustomEvent("edge-chat-state", { detail: { state, error } }));
    this.redraw();
  }

  #present(away_ms) {
    return this.#missed.present(this.#chat?.state === "online" && !document.hidden, away_ms ?? 0);
  }

  /** The browser's own search finds what is in the page. */
  #searched = ({ key, code, ctrlKey, metaKey }) => {
    // By its place too: on Arabic or Cyrillic keyboards the key is another letter.
    if ((ctrlKey || metaKey) && (key.toLowerCase() === "f" || code === "KeyF")) this.list.drawWhole();
  };

  #shown = () => {
    const news = this.#present();
    if (news) this.#strip.say(this.words.t("full_stop", { text: news }));
    this.redraw();
    this.#seen();
  };

  #ended(error) {
    const banned = error?.code === "banned";
    this.#composer.enable(banned ? "chat.cannot_write" : "chat.not_connected");
    const wait = banned && error.ends_at ? Date.parse(error.ends_at) - Date.now() : Infinity;
    // Nobody has to reload the page after a time-out; where this clock is ahead, the server says no a few times more.
    if (wait < LONGEST_RETURN_MS) this.#returning = setTimeout(() => this.#start(), Math.max(5_000, wait + 500));
  }

  // ── acts ─────────────────────────────────────────────────────────────────

  /** Whether the viewer may do this with a message; the server decides in the end. */
  may(act, message) {
    if (message.deleted_at || this.#chat?.state === "ended") return false;
    const { self } = this.model;
    const mine = Boolean(self?.user_id) && message.user.user_id === self.user_id;
    if (act === "react" || act === "reply") return this.model.can(act === "react" ? "react" : "send");
    if (act === "edit") return mine && this.model.can("edit");
    if (act === "more") return this.orders.entries({ user: message.user, message }).length > 0;
    return mine || (this.model.can("delete") && this.orders.above(message.user));
  }

  act(name, message, { reaction, to, client_id, button } = {}) {
    if (name === "reply") this.#composer.reply(message);
    else if (name === "edit") this.#composer.edit(message);
    else if (name === "remove") this.attempt(this.#chat.remove(message.message_id));
    else if (name === "more") this.orders.open(button, { user: message.user, message });
    else if (name === "react") this.#react(message, reaction, false);
    else if (name === "toggle") this.#react(message, reaction, message.mine.includes(reaction));
    else if (name === "jump") this.#jumpTo(to);
    else if (name === "leave") this.#composer.focus();
    else if (name === "retry") this.#send(this.#sending.again(this.model.pending.get(client_id)));
    else if (name === "discard") this.#sending.discard(client_id);
  }

  /** Waits for an act; what goes wrong is told as a sentence at the composer. */
  attempt = async (act) => {
    try {
      await act;
    } catch (error) {
      this.#composer.fail(error);
    }
    this.redraw();
  };

  /** Says that something was done; `undo` takes it back. */
  tell = (text, undo) => {
    this.#composer.tell(text, undo && (() => this.attempt(undo())));
    this.redraw();
  };

  focus() {
    this.#composer.focus();
  }

  closePeople() {
    this.#people.close();
  }

  #send(item) {
    this.#sending.send(item);
    this.#missed.forget({ seen: true });
    this.#toLatest();
  }

  failed(error) {
    this.#composer.fail(error);
  }

  async #react(message, reaction, remove) {
    await this.attempt(
      this.#chat.react(message.message_id, reaction, { remove }).then((data) => {
        // Its event may come a little later.
        this.model.apply({ event: "reaction_updated", data }, Date.now());
        this.model.setMine(message.message_id, reaction, !remove);
        this.redraw();
      }),
    );
  }

  #editLast() {
    const last = this.model.messages.findLast((message) => this.may("edit", message));
    if (last) this.#composer.edit(last);
  }

  #jumpTo(message_id) {
    const item = this.list.show(message_id);
    if (!item) {
      this.#composer.fail({ code: "message_not_found", message: "", retry_after_ms: undefined });
      return;
    }
    item.focus({ preventScroll: true });
    item.classList.add("flash");
    setTimeout(() => item.classList.remove("flash"), 1_600);
  }

  /** Fetches and draws the page of history before what is loaded. */
  async loadOlder(limit = 50) {
    const chat = this.#chat;
    if (!chat) return;
    const before = this.model.messages[0]?.no;
    const page = await chat.history({ before, limit });
    if (chat !== this.#chat) return;
    if (this.model.prepend(page, before) === 0) this.model.hasMore = false;
    this.#render();
  }

  // ── drawing ──────────────────────────────────────────────────────────────

  /** Draws with a next frame of the page, once for all that came until then; `unseen`, what is not in sight may wait. */
  redraw({ unseen = false } = {}) {
    if (this.#frame !== null) return;
    if (unseen) {
      this.#unseen ??= setTimeout(() => this.redraw(), UNSEEN_MS);
      return;
    }
    this.#frame = requestAnimationFrame(this.#framed);
    this.#late = setTimeout(this.#render, LATE_MS);
  }

  #framed = () => {
    if (performance.now() - this.#drawnAt < DRAWN_EVERY_MS) this.#frame = requestAnimationFrame(this.#framed);
    else this.#render();
  };

  #render = () => {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#late);
    clearTimeout(this.#unseen);
    this.#frame = this.#unseen = null;
    this.#drawnAt = performance.now();
    const { model } = this;
    const online = this.#chat?.state === "online";
    this.list.render(model, { canReact: model.can("react"), missed: this.#missed.line, words: this.words });
    this.#missed.render();
    this.#actions.refresh();
    this.#people.render(model);
    this.#pins.render(model);
    this.#desk.render(model);
    if (model.room) setText(this.#title, model.room.name);
    this.#empty.hidden = !(online && model.messages.length + model.pending.size === 0 && model.can("send"));
    if (model.self && this.#chat && this.#chat.state !== "ended") {
      const why = model.can("send") ? null : model.self.role === "guest" ? "chat.guest" : "chat.moderators_write";
      this.#composer.enable(why, model.can("announce"));
    }
    this.#drawModes();
    this.#notShown.hidden = model.notShown === 0;
    setText(this.#notShown, this.words.t("chat.not_shown", { count: model.notShown }));
    this.#typing.render(model);
    this.#drawJump();
    this.#tellUnread();
  };

  #drawModes() {
    const modes = modesOn(this.model.room?.settings, this.words);
    const text = modes.join("\n");
    if (this.#modes.dataset.shown === text) return;
    this.#modes.dataset.shown = text;
    this.#modes.hidden = modes.length === 0;
    this.#modes.replaceChildren(...modes.map((mode) => h("li", {}, mode)));
  }

  #drawJump() {
    this.#jump.hidden = this.list.atBottom;
    setText(this.#jumpText, this.words.t(this.#unread > 0 ? "chat.new" : "chat.jump", { count: this.#unread }));
  }

  #toLatest() {
    this.list.toBottom();
    this.#composer.focus();
  }

  #seen = () => {
    if (this.list.atBottom && !document.hidden) this.#setUnread(0);
    this.#missed.render();
    this.#drawJump();
    this.#tellUnread();
  };

  #setUnread(unread) {
    this.#unread = unread;
    this.#tellUnread();
  }

  #tellUnread() {
    const unread = this.#unread;
    if (unread === this.#toldUnread) return;
    this.#toldUnread = unread;
    this.dispatchEvent(new CustomEvent("edge-chat-unread", { detail: { unread } }));
  }

  #stats() {
    this.dispatchEvent(new CustomEvent("edge-chat-stats", { detail: this.model.stats }));
  }
}

customElements.define("edge-chat", EdgeChat);
