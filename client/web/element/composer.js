// Where one writes: the text field, what it answers or edits, and why it may have to wait.

import { h, icon, setText } from "./dom.js";
import { duration, plain, sentence, textOf } from "./text.js";

export class Composer {
  #on;
  #about = null;
  #heldUntil = 0;
  #ticking = null;
  #field = h("textarea", { rows: "1", "aria-label": "Message", placeholder: "Say something…", enterkeyhint: "send", autocomplete: "off" });
  #announce = h("button", { class: "announce", type: "button", hidden: true, "aria-label": "Announce", title: "Announce in the room's name", onclick: () => this.announce() }, icon("announce"));
  #send = h("button", { class: "send", type: "submit", "aria-label": "Send", title: "Send" }, icon("send"));
  #aboutText = h("span", {});
  #aboutBar = h("div", { class: "about", hidden: true }, this.#aboutText,
    h("button", { type: "button", "aria-label": "Cancel", title: "Cancel (Escape)", onclick: () => this.cancel() }, icon("close")));
  #notice = h("p", { class: "notice", role: "status", hidden: true });
  #form = h("form", { part: "composer" }, this.#aboutBar, h("div", { class: "write" }, this.#field, this.#announce, this.#send));
  #watching = h("p", { class: "watching", hidden: true });

  element = h("div", { class: "foot" }, this.#notice, this.#form, this.#watching);

  /** `on`: `send(text, {reply_to})`, `edit(message, text)`, `announce(text)`, `typing(bool)`, `editLast()`. */
  constructor(on) {
    this.#on = on;
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

  /** Writing is possible, or `why` says in a sentence that it is not; `canAnnounce`: in the room's name too. */
  enable(why = null, canAnnounce = false) {
    this.#announce.hidden = !canAnnounce;
    this.#form.hidden = why !== null;
    this.#watching.hidden = why === null;
    setText(this.#watching, why ?? "");
  }

  reply(message) {
    this.#setAbout({ message }, `Replying to ${plain(message.user.username)}: ${textOf(message)}`);
  }

  edit(message) {
    this.#setAbout({ message, edit: true }, "Editing your message");
    this.#field.value = textOf(message);
    this.#refresh();
  }

  announce() {
    if (this.#about?.announce) this.cancel();
    else this.#setAbout({ announce: true }, "Announcing in the room's name");
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
    this.#notice.replaceChildren(sentence(error), left);
    this.#notice.className = "notice";
    this.#notice.hidden = false;
    const tick = () => {
      const ms = this.#heldUntil - Date.now();
      left.textContent = ms > 0 ? ` You can send again in ${duration(ms)}.` : "";
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
    const button = undo ? h("button", { type: "button", onclick: () => (this.#clearNotice(), undo()) }, "Undo") : null;
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
    this.#about = about;
    this.#aboutText.textContent = text;
    this.#aboutBar.hidden = false;
    this.focus();
  }

  #refresh() {
    this.#send.disabled = this.#held || this.#field.value.trim() === "";
  }

  #submit() {
    const text = this.#field.value.trim();
    if (text === "" || this.#held) return;
    const about = this.#about;
    this.#field.value = "";
    this.cancel();
    if (about?.edit) this.#on.edit(about.message, text);
    else if (about?.announce) this.#on.announce(text);
    else this.#on.send(text, { reply_to: about?.message?.message_id });
  }

  #keyed(event) {
    // Enter also ends an input method's composition, which is not yet a message.
    if (event.isComposing) return;
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
