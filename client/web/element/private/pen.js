// Where a private message is written.

import { h, icon } from "../dom.js";
import { because, say } from "./say.js";

export class Pen {
  #on;
  #editing = null;
  #field = h("textarea", { rows: "1", "aria-label": say("message"), enterkeyhint: "send", autocomplete: "off" });
  #send = h("button", { type: "submit", "aria-label": say("send"), title: say("send"), disabled: true }, icon("send"));
  #about = h("div", { class: "about", hidden: true }, h("span", {}, say("editing")),
    h("button", { type: "button", "aria-label": say("cancel"), title: say("cancel"), onclick: () => this.#cancel() }, icon("close")));
  #notice = h("p", { class: "notice", role: "status", hidden: true });

  element = h("form", { class: "foot" }, this.#notice, this.#about, h("div", { class: "write" }, this.#field, this.#send));

  /** `on`: `send(text)`, `edit(message, text)`, `editLast()`. */
  constructor(name, on) {
    this.#on = on;
    this.#field.placeholder = say("placeholder", { name });
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

  /** Says what was done, or with an error what was not. */
  tell(text) {
    this.#notice.className = "notice done";
    this.#say(text);
  }

  fail(error) {
    this.#notice.className = "notice";
    this.#say(because(error));
  }

  #say(text) {
    this.#notice.textContent = text;
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
