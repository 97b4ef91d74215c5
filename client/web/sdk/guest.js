// The random id by which a guest is led to the same shard again; it is no identity and grants nothing.

const KEY = "edge-chat.guest";
const FORM = /^[A-Za-z0-9_-]{22}$/;

/** The kept id, or a new one of 22 base64url characters. */
export function guestId(storage = browserStorage()) {
  const kept = storage?.getItem(KEY);
  if (kept && FORM.test(kept)) return kept;
  const id = randomName();
  keepGuestId(id, storage);
  return id;
}

/** 22 base64url characters; unlike `crypto.randomUUID` also in a page over plain HTTP. */
export function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").slice(0, 22);
}

export function keepGuestId(id, storage = browserStorage()) {
  try {
    storage?.setItem(KEY, id);
  } catch {
    // A full or forbidden storage only means another shard next time.
  }
}

function browserStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
