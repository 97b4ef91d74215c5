// A list of the desk: rows by key, a line for the empty list or for an error, and a focus that is never lost.

import { h } from "../dom.js";
import { sentence } from "../text.js";

export class DeskList {
  #rows = new Map();
  #items = h("ul", { class: "rows" });
  #note = h("p", { class: "desk-note" });
  #empty;
  element = h("div", {}, this.#note, this.#items);

  constructor(empty) {
    this.#empty = empty;
  }

  /** Brings the rows in line with `items`; a row is made anew only where its item says something else. */
  render(items, keyOf, rowOf) {
    const wanted = new Map(items.map((item) => [keyOf(item), item]));
    for (const [key, row] of this.#rows) {
      if (wanted.has(key)) continue;
      const focused = row.element.contains(row.element.getRootNode().activeElement);
      const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
      row.element.remove();
      this.#rows.delete(key);
      if (focused) (next?.querySelector("button") ?? this.element.closest("[role=tabpanel]"))?.focus();
    }
    let place = this.#items.firstElementChild;
    for (const [key, item] of wanted) {
      let row = this.#rows.get(key);
      const said = JSON.stringify(item);
      if (row?.said !== said) {
        const element = rowOf(item);
        row?.element.replaceWith(element);
        if (row?.element === place) place = element;
        row = { said, element };
        this.#rows.set(key, row);
      }
      if (row.element === place) place = place.nextElementSibling;
      else this.#items.insertBefore(row.element, place);
    }
    this.#note.hidden = items.length > 0;
    this.#note.textContent = this.#empty;
  }

  fail(error) {
    this.#note.hidden = false;
    this.#note.textContent = sentence(error);
  }

  clear() {
    this.#rows.clear();
    this.#items.replaceChildren();
  }
}

/** A button whose act is shown to be under way, and whose error stands under the row. */
export function actButton(text, className, act) {
  const button = h("button", { class: `button ${className}`, type: "button" }, text);
  button.addEventListener("click", async () => {
    // Not `disabled`, which would take the focus away.
    if (button.ariaBusy === "true") return;
    const box = button.closest("li, form, .act");
    box?.querySelector(":scope > .problem")?.remove();
    button.ariaBusy = "true";
    try {
      await act();
    } catch (error) {
      box?.append(h("p", { class: "problem", role: "alert" }, sentence(error)));
    }
    button.ariaBusy = null;
  });
  return button;
}
