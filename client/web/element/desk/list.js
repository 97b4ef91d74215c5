// A list of the desk: rows by key, a line for the empty list or for an error, and a focus that is never lost.

import { h, relabel, word } from "../dom.js";
import { sentence } from "../text.js";

export class DeskList {
  #rows = new Map();
  #items = h("ul", { class: "rows" });
  #note = h("p", { class: "desk-note" });
  #host;
  #empty;
  element = h("div", {}, this.#note, this.#items);

  /** `host` has `words`; `empty` is the key of what is said where there are no rows. */
  constructor(host, empty) {
    this.#host = host;
    this.#empty = empty;
  }

  /** Brings the rows in line with `items`; a row is made anew only where its item, or the language, says something else. */
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
      const said = JSON.stringify([item, this.#host.words.language]);
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
    this.#note.textContent = this.#host.words.t(this.#empty);
  }

  fail(error) {
    this.#note.hidden = false;
    this.#note.textContent = sentence(error, this.#host.words);
  }

  clear() {
    this.#rows.clear();
    this.#items.replaceChildren();
  }
}

/** A button whose act is shown to be under way, and whose error stands under the row. `key` is that of its text, `host` has `words`. */
export function actButton(host, key, className, act) {
  const button = h("button", { class: `button ${className}`, type: "button" }, word(key));
  // Made before the element knows its language, or since.
  if (host.words) relabel(button, host.words);
  button.addEventListener("click", async () => {
    // Not `disabled`, which would take the focus away.
    if (button.ariaBusy === "true") return;
    const box = button.closest("li, form, .act");
    box?.querySelector(":scope > .problem")?.remove();
    button.ariaBusy = "true";
    try {
      await act();
    } catch (error) {
      box?.append(h("p", { class: "problem", role: "alert" }, sentence(error, host.words)));
    }
    button.ariaBusy = null;
  });
  return button;
}
