// A question before something is done: a title, a sentence, perhaps fields, and two buttons.

import { h } from "./dom.js";
import { sentence } from "./text.js";

export class Dialog {
  #host;
  #back = () => {};
  element = h("dialog", { class: "dialog", part: "dialog", "aria-labelledby": "dialog-title", closedby: "any" });

  /** `host` has `words`. */
  constructor(host) {
    this.#host = host;
    this.element.addEventListener("close", () => {
      // The browser gives the focus back at once, and by now it may be in a menu that was opened since.
      const { activeElement } = this.element.getRootNode();
      if (!activeElement || this.element.contains(activeElement)) this.#back();
    });
  }

  get isOpen() {
    return this.element.open;
  }

  /**
   * `act(values)` is given the fields by name; what it throws is shown and the dialog stays. `back()` takes the focus
   * when it is closed. `danger` is for what cannot be undone.
   */
  ask({ title, text, fields = [], yes, danger = false, act, back }) {
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const confirm = h("button", { class: danger ? "button danger" : "button go", type: "submit" }, yes);
    const form = h("form", { method: "dialog" },
      h("h3", { id: "dialog-title" }, title), text ? h("p", { class: "hint" }, text) : null, ...fields, problem,
      h("div", { class: "buttons" },
        h("button", { class: "button", type: "button", onclick: () => this.element.close() }, this.#host.words.t("cancel")), confirm));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      confirm.disabled = true;
      problem.hidden = true;
      try {
        await act(Object.fromEntries(new FormData(form)));
        if (form.isConnected) this.element.close();
      } catch (error) {
        problem.textContent = sentence(error, this.#host.words);
        problem.hidden = false;
        confirm.disabled = false;
      }
    });
    this.#back = back;
    this.element.replaceChildren(form);
    this.element.showModal();
  }

  close() {
    if (this.element.open) this.element.close();
  }
}

/** A labelled line of text, or with `rows` a field of several. */
export const textField = (name, label, { rows, ...more } = {}) =>
  h("label", { class: "field" }, label, rows ? h("textarea", { name, rows, ...more }) : h("input", { name, type: "text", autocomplete: "off", ...more }));

export const checkField = (name, label) => h("label", { class: "check" }, h("input", { type: "checkbox", name }), h("span", {}, label));
