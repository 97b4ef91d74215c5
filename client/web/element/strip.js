// The strip that says how the connection is, for as long as it is not well.

import { h } from "./dom.js";
import { banSentence } from "./room-words.js";
import { duration, sentence } from "./text.js";

export class Strip {
  #ticking = null;
  #trouble = false;
  #text = h("span", { role: "status", "aria-live": "off" });
  #retry = h("button", { class: "retry", type: "button", onclick: () => this.#on.retry() }, "Retry now");
  #on;

  element = h("div", { class: "state", hidden: true }, this.#text, this.#retry);
  /** Read out, and not seen: the strip itself counts down, which nobody wants to hear; only its last word is read. */
  live = h("p", { class: "quiet", role: "status" });

  /** `on`: `retry()`, and `leave()` where the focus was on what goes. */
  constructor(on) {
    this.#on = on;
  }

  stop() {
    clearInterval(this.#ticking);
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
      const left = until - Date.now();
      this.#text.textContent = {
        connecting: known || this.#trouble ? "Reconnecting…" : "Connecting…",
        online: "",
        waiting: `${why(error)} Trying again${left > 0 ? ` in ${duration(left)}` : ""}.`,
        ended: error?.code === "closed" ? "" : error?.code === "banned" ? banSentence(error) : sentence(error ?? {}),
      }[state];
    };
    draw();
    if (state === "waiting") this.#ticking = setInterval(draw, 500);
    this.#offer(state, asked);
    const over = state === "online" && this.#trouble;
    if (state === "waiting" && !this.#trouble) this.say(`${why(error)} Trying to reconnect.`);
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
const why = (error) => (globalThis.navigator?.onLine === false ? "You are offline." : sentence(error ?? { code: "offline" }));
