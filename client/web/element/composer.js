// Where one writes: the text field, what it answers or edits, and why it may have to wait.

import { h, icon, setText, word } from "./dom.js";
import { Mentions } from "./mentions.js";
import { duration, plain, sentence, textOf } from "./text.js";

export class Composer {
  #on;
  #why = null;
  #about = null;
  #heldUntil = 0;
  #ticking = null;
  #field = h("textarea", { part: "field", rows: "1", "aria-label": word("composer.field"), placeholder: word("composer.placeholder"), enterkeyhint: "send", autocomplete: "off" });
  #mentions;
  #emoji = h("button", { class: "emoji-button", type: "button", "aria-label": word("emoji.open"), title: word("emoji.open"), "aria-haspopup": "dialog", "aria-expanded": "false", onclick: () => this.#on.host.emoji.open(this.#emoji, (emoji) => this.#insert(emoji)) }, icon("smile"));
  #announce = h("button", { class: "announce", type: "button", hidden: true, "aria-label": word("composer.announce"), title: word("composer.announce_hint"), onclick: () => this.announce() }, icon("announce"));
  #send = h("button", { class: "send", part: "send", type: "submit", "aria-label": word("composer.send"), title: word("composer.send") }, icon("send"));
  #aboutText = h("span", {});
  #aboutBar = h("div", { class: "about", hidden: true }, this.#aboutText,
    h("button", { type: "button", "aria-label": word("cancel"), title: word("composer.cancel_hint"), onclick: () => this.cancel() }, icon("close")));
  #notice = h("p", { class: "notice", role: "status", hidden: true });
  #form = h("form", { part: "composer" }, this.#aboutBar, h("div", { class: "write" }, this.#field, this.#emoji, this.#announce, this.#send));
  #watching = h("p", { class: "watching", hidden: true });

  element = h("div", { class: "foot" }, this.#notice, this.#form, this.#watching);

  /** `on`: `send(text, {reply_to, mentions})`, `edit(message, text)`, `announce(text)`, `typing(bool)`, `editLast()`, and `host`, which has `words`, `model` and `emoji`. */
  constructor(on) {
    this.#on = on;
    this.#mentions = new Mentions(this.#field, on.host);
    this.element.append(this.#mentions.element, this.#mentions.live);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("keydown", (event) => this.#keyed(event));
    this.#field.addEventListener("input", () => {
      this.#refresh();
      if (!this.#about?.edit && !this.#about?.announce) this.#on.typing(this.#field.value.trim() !== "");
    });
    this.#refresh();
  }

  focus() {
    this.#field.focus();
  }

  get #words() {
    return this.#on.host.words;
  }

  /** Writing is possible, or `why`, a key of the words, says that it is not; `canAnnounce`: in the room's name too. */
  enable(why = null, canAnnounce = false) {
    this.#why = why;
    this.#announce.hidden = !canAnnounce;
    this.#form.hidden = why !== null;
    this.#watching.hidden = why === null;
    setText(this.#watching, why === null ? "" : this.#words.t(why));
  }

  /** The language is another one. */
  speak() {
    if (this.#why !== null) this.#watching.textContent = this.#words.t(this.#why);
    if (this.#about) this.#aboutText.textContent = this.#about.text();
  }

  reply(message) {
    this.#setAbout({ message }, () => this.#words.t("composer.replying", { name: plain(message.user.username), text: textOf(message) }));
  }

  edit(message) {
    this.#setAbout({ message, edit: true }, () => this.#words.t("composer.editing"));
    this.#field.value = textOf(message);
    this.#refresh();
  }

  announce() {
    if (this.#about?.announce) this.cancel();
    else this.#setAbout({ announce: true }, () => this.#words.t("composer.announcing"));
  }

  cancel() {
    if (this.#about?.edit) this.#field.value = "";
    this.#about = null;
    this.#aboutBar.hidden = true;
    this.#refresh();
    this.focus();
  }

  /** Shows an error as a sentence; where waiting helps, holds the send button back until then. */
  fail(error) {
    this.#heldUntil = Date.now() + (error.retry_after_ms ?? 0);
    clearInterval(this.#ticking);
    const left = h("span", { "aria-hidden": "true" });
    this.#notice.replaceChildren(sentence(error, this.#words), left);
    this.#notice.className = "notice";
    this.#notice.hidden = false;
    const tick = () => {
      const ms = this.#heldUntil - Date.now();
      left.textContent = ms > 0 ? ` ${this.#words.t("composer.again", { time: duration(ms, this.#words) })}` : "";
      if (ms <= 0 && error.retry_after_ms) this.#clearNotice();
      this.#refresh();
    };
    this.#ticking = setInterval(tick, 250);
    tick();
    if (!error.retry_after_ms) {
      clearInterval(this.#ticking);
      this.#ticking = setTimeout(() => this.#clearNotice(), 8_000);
    }
  }

  /** Says what has been done, and offers to take it back. */
  tell(text, undo) {
    clearInterval(this.#ticking);
    const button = undo ? h("button", { type: "button", onclick: () => (this.#clearNotice(), undo()) }, this.#words.t("undo")) : null;
    this.#notice.replaceChildren(h("span", {}, text), ...(button ? [" ", button] : []));
    this.#notice.className = "notice done";
    this.#notice.hidden = false;
    this.#ticking = setTimeout(() => this.#clearNotice(), undo ? 12_000 : 6_000);
  }

  /** The room's modes are others now: what one had to wait for may be over. */
  release() {
    if (!this.#held) return;
    this.#heldUntil = 0;
    this.#clearNotice();
  }

  #clearNotice() {
    clearInterval(this.#ticking);
    this.#notice.hidden = true;
    this.#refresh();
  }

  get #held() {
    return Date.now() < this.#heldUntil;
  }

  #setAbout(about, text) {
    this.#about = { ...about, text };
    this.#aboutText.textContent = text();
    this.#aboutBar.hidden = false;
    this.focus();
  }

  #refresh() {
    this.#send.disabled = this.#held || this.#field.value.trim() === "";
  }

  #insert(emoji) {
    const { selectionStart, selectionEnd } = this.#field;
    this.#field.focus();
    this.#field.setRangeText(emoji, selectionStart, selectionEnd, "end");
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #submit() {
    const text = this.#field.value.trim();
    if (text === "" || this.#held) return;
    const about = this.#about;
    const mentions = this.#mentions.in(text);
    this.#mentions.close();
    this.#field.value = "";
    this.cancel();
    if (about?.edit) this.#on.edit(about.message, text);
    else if (about?.announce) this.#on.announce(text);
    else this.#on.send(text, { reply_to: about?.message?.message_id, mentions });
  }

  #keyed(event) {
    // Enter also ends an input method's composition, which is not yet a message.
    if (event.isComposing || this.#mentions.keyed(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape" && this.#about) {
      event.stopPropagation();
      this.cancel();
    } else if (event.key === "ArrowUp" && this.#field.value === "") {
      event.preventDefault();
      this.#on.editLast();
    }
  }
}
