// The strip that says how the connection is, for as long as it is not well.

import { h, word } from "./dom.js";
import { banSentence } from "./room-words.js";
import { duration, sentence } from "./text.js";

export class Strip {
  #ticking = null;
  #trouble = false;
  #draw = () => {};
  #text = h("span", { role: "status", "aria-live": "off" });
  #retry = h("button", { class: "retry", type: "button", onclick: () => this.#on.retry() }, word("strip.retry"));
  #on;

  element = h("div", { class: "state", part: "state", hidden: true }, this.#text, this.#retry);
  /** Read out, and not seen: the strip itself counts down, which nobody wants to hear; only its last word is read. */
  live = h("p", { class: "quiet", role: "status" });

  /** `on`: `host`, which has `words`, `retry()`, and `leave()` where the focus was on what goes. */
  constructor(on) {
    this.#on = on;
  }

  stop() {
    clearInterval(this.#ticking);
  }

  /** The language is another one. */
  speak() {
    this.#draw();
  }

  /** Says it once to those who listen. */
  say(text) {
    this.live.textContent = text;
  }

  /** A `state` event of the connection; `known`: it was there before. Returns whether a loss is over by it. */
  show({ state, error, retry_in_ms, asked, moving }, known) {
    // Nothing is wrong.
    if (moving) return false;
    clearInterval(this.#ticking);
    this.#text.setAttribute("aria-live", state === "ended" ? "polite" : "off");
    const until = Date.now() + (retry_in_ms ?? 0);
    const draw = () => {
      const { words } = this.#on.host;
      const left = until - Date.now();
      this.#text.textContent = {
        connecting: words.t(known || this.#trouble ? "strip.reconnecting" : "chat.connecting"),
        online: "",
        waiting: words.t(left > 0 ? "strip.again_in" : "strip.again", { why: why(error, words), time: duration(left, words) }),
        ended: error?.code === "closed" ? "" : error?.code === "banned" ? banSentence(error, words) : sentence(error ?? {}, words),
      }[state];
    };
    this.#draw = draw;
    draw();
    if (state === "waiting") this.#ticking = setInterval(draw, 500);
    this.#offer(state, asked);
    const over = state === "online" && this.#trouble;
    if (state === "waiting" && !this.#trouble) this.say(this.#on.host.words.t("strip.lost", { why: why(error, this.#on.host.words) }));
    this.#trouble = state === "waiting" || (state === "connecting" && this.#trouble);
    this.element.hidden = this.#text.textContent === "";
    this.element.classList.toggle("ended", state === "ended");
    return over;
  }

  // The button stays while it tries, so that who pressed it is still on it if that fails.
  #offer(state, asked) {
    const offered = (state === "waiting" && !asked) || (state === "connecting" && this.#trouble && !this.#retry.hidden);
    if (!offered && this.#retry.getRootNode().activeElement === this.#retry) this.#on.leave();
    this.#retry.hidden = !offered;
    this.#retry.setAttribute("aria-disabled", String(state === "connecting"));
  }
}

/** Why there is no connection; a browser that knows of no network is believed. */
const why = (error, words) => (globalThis.navigator?.onLine === false ? words.t("strip.offline") : sentence(error ?? { code: "offline" }, words));
