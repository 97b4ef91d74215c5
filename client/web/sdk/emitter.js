// Named events with listeners; what the connection speaks through.

export class Emitter {
  #listeners = new Map();

  /** Calls `listener` at each `name`; the returned function stops that. */
  on(name, listener) {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(listener));
    return () => set.delete(listener);
  }

  emit(name, ...values) {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        listener(...values);
      } catch (error) {
        // One listener's fault must not keep the event from the others, nor break the frame.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
