// Which language the element speaks: the nearest `lang`, also when it changes.

import { english, onTranslate, wordsOf } from "./words.js";

// A catalogue that does not come by then is not waited for.
const LONGEST_SILENCE_MS = 4_000;

export class Language {
  #element;
  #on;
  #tag = undefined;
  #untold = null;
  // A language may be set on the page, on the element, or on anything between.
  #told = new MutationObserver(() => this.look());

  /** What is spoken now. */
  words = english;

  /** `on`: `wait()` while a language is loaded, and `speak(words)` with each one, the first too. */
  constructor(element, on) {
    this.#element = element;
    this.#on = on;
  }

  start() {
    for (const root of [document, this.#element.getRootNode()]) this.#told.observe(root, { subtree: true, attributeFilter: ["lang"] });
    this.#untold = onTranslate(() => this.look({ anew: true }));
    // Words may have been added while nobody listened.
    this.look({ anew: true });
  }

  stop() {
    this.#told.disconnect();
    this.#untold?.();
  }

  /** `anew`: words of the language may be others now. */
  async look({ anew = false } = {}) {
    const tag = nearest(this.#element);
    if (tag === this.#tag && !anew) return;
    this.#tag = tag;
    let words = wordsOf(tag, navigator.languages);
    if (words instanceof Promise) {
      this.#on.wait();
      const late = setTimeout(() => tag === this.#tag && this.#on.speak(this.words), LONGEST_SILENCE_MS);
      words = await words;
      clearTimeout(late);
      // Another one since.
      if (tag !== this.#tag) return;
    }
    this.words = words;
    this.#on.speak(words);
  }
}

/** The `lang` of the element or of the nearest that is around it, also outside of the shadow tree it may stand in. */
function nearest(element) {
  for (let at = element; at; at = at.getRootNode().host) {
    const found = at.closest("[lang]");
    if (found) return found.getAttribute("lang");
  }
  return "en";
}
