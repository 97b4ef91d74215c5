// The token in use: where it comes from, and when a newer one helps.

import { ChatError, within } from "./errors.js";

// One that was asked for this recently and is refused all the same: another one helps no more.
const FRESH_MS = 60_000;
// Who is asked for a token and never answers must not keep the page from coming back.
const ANSWER_MS = 15_000;

/** Of the options `token` and `getToken` of `connect`. */
export class Token {
  value = null;
  #options;
  #reason = "connect";
  #freshUntil = 0;

  constructor({ token, getToken }) {
    this.#options = { token, getToken };
  }

  get canRenew() {
    return Boolean(this.#options.getToken);
  }

  /** The token was refused; true where `take` will ask for a newer one. */
  refused(now) {
    if (!this.canRenew || now < this.#freshUntil) return false;
    this.#reason = "refused";
    return true;
  }

  /** The token was good. */
  accepted() {
    this.#freshUntil = 0;
  }

  /** Takes the token for the next connect, or with `reason` "refresh" a newer one; `token_unavailable` where `getToken` fails. */
  async take(now, reason = this.#reason) {
    const { token, getToken } = this.#options;
    if (!getToken) this.value = token ?? null;
    else if (this.value === null || reason !== "connect") this.value = await asked(getToken, reason);
    if (reason === "refused") this.#freshUntil = now + FRESH_MS;
    this.#reason = "connect";
  }

  /** Milliseconds until a token that ends then wants a newer one: a minute before, or half-way; null where none is to be had. */
  dueIn(expiresAt, now) {
    const left = Date.parse(expiresAt) - now;
    if (!this.canRenew || !(left > 0)) return null;
    return left > 120_000 ? left - 60_000 : left / 2;
  }
}

async function asked(getToken, reason) {
  try {
    return (await within(ANSWER_MS, getToken({ reason }), () => new Error("getToken did not answer"))) ?? null;
  } catch (cause) {
    throw new ChatError({ code: "token_unavailable", message: cause?.message, cause });
  }
}
