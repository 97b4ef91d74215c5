// The line that says who is typing.

import { h, setText } from "./dom.js";
import { plain, typingLine } from "./text.js";

export class TypingLine {
  #timer = null;
  #host;

  element = h("p", { class: "typing", part: "typing" });

  /** `host` has `words`. */
  constructor(host) {
    this.#host = host;
  }

  render(model) {
    this.stop();
    this.element.hidden = model.leftOut.includes("user_typing");
    const now = Date.now();
    const typing = model.typing(now);
    setText(this.element, typingLine(typing.map(({ username }) => plain(username)), this.#host.words));
    if (typing.length === 0) return;
    // The first of them lapses without a word.
    this.#timer = setTimeout(() => this.render(model), Math.min(...typing.map(({ until }) => until)) - now);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
