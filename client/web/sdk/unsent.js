// Messages that were said and are not answered yet, kept for this tab: a reload or a crash loses none of them.

const KEY = "edge-chat.unsent";
// Sent by itself only while the moment has not passed; later the user decides.
const FRESH_MS = 3_600_000;
// The server knows a `client_id` for 24 h: within that a repeat makes no second message.
export const LONGEST_MS = 23 * 3_600_000;

/** Errors that say nothing about the message itself: it may still be sent by whoever comes back. */
const LEAVES_OPEN = /^(closed|timeout|token_.*)$/;

/** Whether a message that was rejected with this code stays kept. */
export const staysUnsent = (code) => LEAVES_OPEN.test(code);

/** `storage` is a `Storage`; without one (forbidden, or none there) messages are kept as long as the page only. */
export class Unsent {
  #storage;
  #key = null;
  #items = new Map();

  constructor(storage = tabStorage()) {
    this.#storage = storage;
  }

  /** A repeat keeps the time of the first. */
  keep(data, now) {
    this.#items.set(data.client_id, { ...data, at: this.#items.get(data.client_id)?.at ?? now });
    this.#write();
  }

  drop(client_id) {
    if (this.#items.delete(client_id)) this.#write();
  }

  /**
   * From now on what is kept is this user's in this room of this server. Returns what an earlier life of the page left,
   * oldest first: each what `keep` was given, `at`, and `late` where it is too old to be sent unasked.
   */
  of(origin, room, user_id, now) {
    const key = `${KEY} ${origin} ${room} ${user_id}`;
    // Another user's stays where it is, for when that one is back.
    if (this.#key !== null && this.#key !== key) this.#items = new Map();
    this.#key = key;
    const left = this.#read().filter(({ client_id, at }) => now - at < LONGEST_MS && !this.#items.has(client_id));
    this.#items = new Map([...left.map((item) => [item.client_id, item]), ...this.#items]);
    this.#write();
    return left.map((item) => ({ ...item, late: now - item.at > FRESH_MS }));
  }

  #read() {
    try {
      const list = JSON.parse(this.#storage?.getItem(this.#key) ?? "[]");
      return list.filter(({ client_id, content, at }) => typeof client_id === "string" && typeof content === "string" && at > 0);
    } catch {
      return [];
    }
  }

  #write() {
    if (this.#key === null) return;
    try {
      if (this.#items.size === 0) this.#storage?.removeItem(this.#key);
      else this.#storage?.setItem(this.#key, JSON.stringify([...this.#items.values()]));
    } catch {
      // A full or forbidden storage: the page itself still has them.
    }
  }
}

function tabStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}
