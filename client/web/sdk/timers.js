// Timers by name, so that a lost socket takes all of its own with it.

export class Timers {
  #stops = new Map();

  /** Runs once after `ms`; a timer of the same name is replaced. */
  after(name, ms, run) {
    this.cancel(name);
    const timer = setTimeout(() => {
      this.#stops.delete(name);
      run();
    }, ms);
    this.#stops.set(name, () => clearTimeout(timer));
  }

  every(name, ms, run) {
    this.cancel(name);
    const timer = setInterval(run, ms);
    this.#stops.set(name, () => clearInterval(timer));
  }

  cancel(name) {
    this.#stops.get(name)?.();
    this.#stops.delete(name);
  }

  clear() {
    for (const name of [...this.#stops.keys()]) this.cancel(name);
  }
}
