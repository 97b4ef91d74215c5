// The one error that the package throws, and rejects with.

import type { ErrorCode } from "./protocol.js";

/** What the client module itself has to say; the service's own codes are in `ErrorCode`. */
export type ClientErrorCode =
  /** `close()` was called, or somebody else is signed in now. */
  | "closed"
  /** No answer came in time. */
  | "timeout"
  /** The service could not be reached. */
  | "offline"
  /** `getToken` failed, or did not answer within 15 s. */
  | "token_unavailable";

/** What only private messages have to say. */
export type PrivateErrorCode =
  /** The part that encrypts could not be loaded. */
  | "crypto_unavailable"
  /** No page over HTTPS, or a browser that keeps nothing. */
  | "insecure_context"
  /** The browser could not keep the keys. */
  | "storage"
  /** What the browser kept cannot be read; `renew` makes a new device. */
  | "state_unreadable"
  /** There is a backup that this device cannot open. */
  | "backup_exists"
  /** There is no backup of one's keys. */
  | "no_backup"
  | "backup_unreadable"
  | "not_a_recovery_key"
  | "wrong_recovery_key"
  /** The other one has no device that could read it. */
  | "no_devices"
  /** The words are too long to be encrypted in one message. */
  | "message_too_large"
  | "bad_signature"
  | "no_randomness"
  | UnreadableCode;

/** Why a message cannot be shown. */
export type UnreadableCode =
  | "no_key"
  | "unknown_device"
  | "device_keys_differ"
  | "key_unreadable"
  | "undecryptable"
  | "replayed"
  | "malformed"
  | "franking_mismatch"
  | "not_of_this_talk"
  | "message_not_found"
  | ErrorCode
  | ClientErrorCode;

/** What was refused, or went wrong: every promise that fails, and every listener that is told of an error, has one of these. */
export declare class ChatError extends Error {
  constructor(said?: {
    code?: ChatError["code"];
    message?: string;
    retry_after_ms?: number;
    field?: string;
    ends_at?: string | null;
    cause?: unknown;
  });
  readonly name: "ChatError";
  /** The word to branch on. */
  code: ErrorCode | ClientErrorCode | PrivateErrorCode;
  /** Milliseconds after which the same may succeed; undefined where waiting does not help. */
  retry_after_ms?: number;
  /** The field that is wrong: a dotted path, over REST a JSON pointer. */
  field?: string;
  /** Of a ban: when it ends, RFC 3339; null where it does not end, undefined where that is not known. */
  ends_at?: string | null;
}
