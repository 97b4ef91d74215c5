// This browser's device: the wasm that knows its keys, its state kept before anything that was made leaves.

import { ChatError } from "./errors.js";
import { randomName } from "./guest.js";

let loading = null;

/** The module, loaded when it is used first. `wasm`: its bytes, where it cannot be fetched beside this file (Node). */
export function loadCrypto(wasm) {
  loading ??= import("../crypto/crypto.js").then(async (module) => {
    await module.default(wasm && { module_or_path: wasm });
    return module;
  });
  // Offline once is not offline for good.
  loading.catch(() => (loading = null));
  return loading.catch((error) => {
    throw new ChatError({ code: "crypto_unavailable", message: `The part that encrypts could not be loaded: ${error.message}` });
  });
}

/** What the wasm, the browser or a store throws, as the client's one error type. */
function typed(error) {
  if (error instanceof ChatError) return error;
  const code = typeof error?.code === "string" ? error.code : "internal";
  return new ChatError({ code, message: error?.message, cause: error });
}

export class PrivateDevice {
  #module;
  #store;
  #user_id;
  #device = null;
  #key = null;
  #generation = null;

  constructor(module, store, user_id) {
    this.#module = module;
    this.#store = store;
    this.#user_id = user_id;
  }

  /**
   * Runs `work(device)` alone among all pages of this user, with the state as the last of them left it. What became of
   * that is kept before this resolves, also where `work` fails.
   */
  use(work) {
    return this.#alone(async () => {
      const device = await this.#current();
      try {
        return await work(device);
      } finally {
        await this.#keep(device);
      }
    });
  }

  /** Forgets the device: the next use makes another one. */
  forget() {
    return this.#alone(async () => {
      await this.#store.clear();
      this.#drop();
    });
  }

  async #alone(work) {
    try {
      return await this.#store.lock(work);
    } catch (error) {
      throw typed(error);
    }
  }

  async #current() {
    const generation = await this.#store.generation();
    if (this.#device && generation === this.#generation) return this.#device;
    this.#drop();
    const kept = await this.#store.read();
    this.#key = kept?.key ?? crypto.getRandomValues(new Uint8Array(32));
    this.#device = kept
      ? this.#module.Device.load(this.#key, JSON.stringify(kept.records))
      : new this.#module.Device(this.#user_id, randomName(), this.#key);
    this.#generation = generation;
    return this.#device;
  }

  async #keep(device) {
    try {
      const changes = JSON.parse(device.take_changes());
      if (changes.length > 0) this.#generation = await this.#store.write(changes, this.#key);
    } catch (error) {
      // What is in memory is ahead of what is kept: go on from there.
      this.#drop();
      throw error;
    }
  }

  #drop() {
    this.#device?.free();
    this.#device = null;
  }
}
