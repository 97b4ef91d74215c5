// Where a private message is written.

import { fill, h, icon, word } from "../dom.js";
import { sentence } from "../text.js";

export class Pen {
  #host;
  #name;
  #on;
  #editing = null;
  #field = h("textarea", { part: "field", rows: "1", "aria-label": word("talk.field"), placeholder: word((words) => words.t("talk.placeholder", { name: this.#name })), enterkeyhint: "send", autocomplete: "off" });
  #send = h("button", { class: "send", part: "send", type: "submit", "aria-label": word("composer.send"), title: word("composer.send"), disabled: true }, icon("send"));
  #about = h("div", { class: "about", hidden: true }, h("span", {}, word("composer.editing")),
    h("button", { type: "button", "aria-label": word("cancel"), title: word("composer.cancel_hint"), onclick: () => this.#cancel() }, icon("close")));
  #notice = h("p", { class: "notice", role: "status", hidden: true });

  element = h("form", { class: "foot", part: "composer" }, this.#notice, this.#about, h("div", { class: "write" }, this.#field, this.#send));

  /** `host` has `words`; the talk is with `name`. `on`: `send(text)`, `edit(message, text)`, `editLast()`. */
  constructor(host, name, on) {
    this.#host = host;
    this.#name = name;
    this.#on = on;
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("input", () => this.#refresh());
    this.#field.addEventListener("keydown", (event) => this.#keyed(event));
  }

  focus() {
    this.#field.focus();
  }

  edit(message) {
    this.#editing = message;
    this.#about.hidden = false;
    this.#field.value = message.body;
    this.#refresh();
    this.focus();
  }

  /** Says what was done, a text made by `word`. */
  tell(text) {
    this.#notice.className = "notice done";
    this.#say(text);
  }

  /** Says what went wrong. */
  fail(error) {
    this.#notice.className = "notice";
    this.#say(word((words) => sentence(error, words)));
  }

  #say(text) {
    fill(this.#notice, this.#host.words, text);
    this.#notice.hidden = false;
  }

  #cancel() {
    this.#editing = null;
    this.#about.hidden = true;
    this.#field.value = "";
    this.#refresh();
    this.focus();
  }

  #refresh() {
    this.#send.disabled = this.#field.value.trim() === "";
  }

  #submit() {
    const text = this.#field.value.trim();
    if (text === "") return;
    const editing = this.#editing;
    this.#notice.hidden = true;
    this.#cancel();
    if (editing) this.#on.edit(editing, text);
    else this.#on.send(text);
  }

  #keyed(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape" && this.#editing) {
      // The panel would close by it.
      event.preventDefault();
      this.#cancel();
    } else if (event.key === "ArrowUp" && this.#field.value === "") {
      event.preventDefault();
      this.#on.editLast();
    }
  }
}
