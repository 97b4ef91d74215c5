// The one error type of the client module.

/**
 * What the server (or the connection) refused.
 * `code` is one of the protocol's codes, or `closed`, `timeout`, `offline`, `token_unavailable` from this module;
 * `retry_after_ms` is set where waiting helps; `field` names the offending field of a request;
 * `ends_at` says when a ban ends, where that is known, and is null where it does not end.
 */
export class ChatError extends Error {
  constructor({ code = "internal", message = "", retry_after_ms, field, ends_at, cause } = {}) {
    super(message || code, { cause });
    this.name = "ChatError";
    this.code = code;
    this.retry_after_ms = retry_after_ms;
    this.field = field;
    this.ends_at = ends_at;
  }
}

/** What a caller is to send, as JSON; a ChatError where it cannot be: a circle, a BigInt. */
export function toJson(value) {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new ChatError({ code: "bad_request", message: "this cannot be sent as JSON", cause });
  }
}

/** `promise`, or after `ms` a rejection with what `late` makes. */
export function within(ms, promise, late) {
  let timer;
  const over = new Promise((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  return Promise.race([promise, over]).finally(() => clearTimeout(timer));
}
