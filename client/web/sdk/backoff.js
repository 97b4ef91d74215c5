// When to connect again after a socket was lost, and whether to.

const CAP_MS = 30_000;

// Coming back changes nothing for these unless the close reason says otherwise.
const FINAL = new Set([4400, 4401, 4403, 4404]);

/**
 * Milliseconds to wait before the next try: base + uniform(0, spread), doubled for each
 * failure up to 30 s. A spread that is longer than that by itself stays as the room asked.
 */
export function delay({ base_ms, spread_ms }, failures, random = Math.random) {
  const first = base_ms + random() * spread_ms;
  return Math.max(first, Math.min(CAP_MS, first * 2 ** failures));
}

/**
 * What a close code and its JSON reason `{"retry": bool, "after_ms": N}` ask for.
 * `token` is true where a fresh token may help.
 */
export function verdict(code, reason = "") {
  let said = {};
  try {
    said = JSON.parse(reason) ?? {};
  } catch {
    // Closes that the server did not make (network, proxy) have no JSON in them.
  }
  return {
    code,
    retry: typeof said.retry === "boolean" ? said.retry : !FINAL.has(code),
    afterMs: Number.isFinite(said.after_ms) ? said.after_ms : null,
    token: code === 4401,
  };
}

/** The close code that stands for a refused join, where the reply came and the close did not yet. */
export function closeCodeOf(errorCode) {
  if (/^token_/.test(errorCode)) return 4401;
  if (["banned", "forbidden"].includes(errorCode)) return 4403;
  if (["room_not_found", "room_deleted"].includes(errorCode)) return 4404;
  if (["bad_frame", "bad_request", "invalid_room_id", "wrong_room"].includes(errorCode)) return 4400;
  return 4429;
}

/** The close code of a room that serves this viewer in another of its parts. */
export const ELSEWHERE = 4409;

const CODE_OF_CLOSE = {
  4400: "bad_frame",
  4401: "token_invalid",
  4403: "forbidden",
  4404: "room_not_found",
  4408: "too_slow",
  [ELSEWHERE]: "elsewhere",
  4413: "frame_too_large",
  4429: "overloaded",
};

/** The error code that a close code alone stands for; `offline` where it is not one of ours. */
export const codeOfClose = (code) => CODE_OF_CLOSE[code] ?? "offline";
