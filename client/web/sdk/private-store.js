// Where a device's keys are kept: in this browser, or in memory for programs that keep them elsewhere.

/*
 * A store has `lock(work)`, which runs `work` while no other page of this user runs one; `generation()`, a number that
 * each write changes; `read()`, `{key, records}` or null where nothing is kept; `write(changes, key)`, all of the changes
 * or none, which gives the new generation; `clear()`. Records are `[[name, value], …]`, texts that are sealed already
 * under `key`, 32 bytes.
 */

import { ChatError } from "./errors.js";

/** As long as this object. */
export class MemoryStore {
  #records = new Map();
  #key = null;
  #generation = 0;
  #last = Promise.resolve();

  lock(work) {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  async generation() {
    return this.#generation;
  }

  async read() {
    return this.#key && { key: this.#key, records: [...this.#records] };
  }

  async write(changes, key) {
    for (const [name, value] of changes) this.#records.set(name, value);
    this.#key = key;
    return (this.#generation += 1);
  }

  async clear() {
    this.#records.clear();
    this.#key = null;
    this.#generation += 1;
  }
}

/**
 * The browser's IndexedDB, one database a server and user. The records' key lies there under a key that the browser
 * hands to no script: a copy of the records alone opens nothing.
 */
export class BrowserStore {
  #name;
  #open = null;
  #wrap = null;

  constructor(origin, user_id) {
    if (!globalThis.crypto?.subtle || !globalThis.indexedDB) {
      throw new ChatError({ code: "insecure_context", message: "Private messages need a page over HTTPS in a browser that keeps data." });
    }
    this.#name = `edge-chat private ${origin} ${user_id}`;
  }

  lock(work) {
    return navigator.locks.request(this.#name, work);
  }

  async generation() {
    const found = await this.#transact("readonly", ({ meta }) => meta.get("generation"));
    return found ?? 0;
  }

  async read() {
    const [names, values, wrap, sealed] = await this.#transact("readonly", ({ meta, records }) => [
      records.getAllKeys(), records.getAll(), meta.get("wrap"), meta.get("key"),
    ]);
    // Another page may have cleared it: the next write makes a new key, and keeps that one.
    this.#wrap = null;
    if (!wrap || !sealed) return null;
    const key = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: sealed.iv }, wrap, sealed.data).catch(unreadable));
    this.#wrap = wrap;
    return { key, records: names.map((name, at) => [name, values[at]]) };
  }

  async write(changes, key) {
    const first = this.#wrap === null;
    const wrap = this.#wrap ?? (await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]));
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const data = first ? await crypto.subtle.encrypt({ name: "AES-GCM", iv }, wrap, key) : null;
    const generation = (await this.generation()) + 1;
    await this.#transact("readwrite", ({ meta, records }) => {
      for (const [name, value] of changes) records.put(value, name);
      if (first) {
        meta.put(wrap, "wrap");
        meta.put({ iv, data }, "key");
      }
      return meta.put(generation, "generation");
    });
    this.#wrap = wrap;
    return generation;
  }

  async clear() {
    const generation = (await this.generation()) + 1;
    await this.#transact("readwrite", ({ meta, records }) => {
      records.clear();
      meta.clear();
      return meta.put(generation, "generation");
    });
    this.#wrap = null;
  }

  /** Runs `work` in one transaction, which is on the disk when this resolves; gives what its requests gave. */
  async #transact(mode, work) {
    const database = await (this.#open ??= this.#connect());
    return new Promise((resolve, reject) => {
      let transaction, asked;
      try {
        transaction = database.transaction(["meta", "records"], mode, { durability: "strict" });
        asked = work({ meta: transaction.objectStore("meta"), records: transaction.objectStore("records") });
      } catch (error) {
        // Closed meanwhile, or a value that it cannot keep.
        return void reject(kept(error));
      }
      transaction.oncomplete = () => resolve(Array.isArray(asked) ? asked.map(({ result }) => result) : asked.result);
      transaction.onabort = transaction.onerror = () => reject(kept(transaction.error));
    });
  }

  #connect() {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(this.#name, 1);
      request.onupgradeneeded = () => ["meta", "records"].forEach((name) => request.result.createObjectStore(name));
      request.onerror = () => {
        this.#open = null;
        reject(kept(request.error));
      };
      request.onsuccess = () => {
        const database = request.result;
        // Another page that deletes or upgrades it must not wait for this one.
        database.onversionchange = database.onclose = () => {
          database.close();
          this.#open = null;
        };
        resolve(database);
      };
    });
  }
}

const kept = (error) => new ChatError({ code: "storage", message: `This browser could not keep the keys (${error?.name ?? "unknown"}).` });

function unreadable(cause) {
  throw new ChatError({ code: "state_unreadable", message: "The keys that this browser kept cannot be read.", cause });
}
