// The one error type of the client module.

/**
 * What the server (or the connection) refused.
 * `code` is one of the protocol's codes, or `closed`, `timeout`, `offline`, `token_unavailable` from this module;
 * `retry_after_ms` is set where waiting helps; `field` names the offending field of a request;
 * `ends_at` says when a ban ends, where that is known, and is null where it does not end.
 */
export class ChatError extends Error {
  constructor({ code = "internal", message = "", retry_after_ms, field, ends_at } = {}) {
    super(message || code);
    this.name = "ChatError";
    this.code = code;
    this.retry_after_ms = retry_after_ms;
    this.field = field;
    this.ends_at = ends_at;
  }
}
