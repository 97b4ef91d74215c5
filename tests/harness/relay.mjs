// A TCP relay in front of a server, with the faults that a network has: slow, silent, cut, gone without a word.
import { connect, createServer } from "node:net";

/** What one direction of one connection holds before it stops reading, bytes. */
const MOST_HELD = 1 << 20;

/**
 * Relays to the server of `to`, any URL with a host and a port. Of the two ways, "up" leads to that server.
 *
 * - `url`, `port`: where to connect instead; `accepted`: connections so far.
 * - `slow({delay, jitter, rate})`: every byte comes that many ms later (and up to `jitter` more, in order), `rate` bytes a
 *   second at most; for what comes from now on.
 * - `silence(way)`: connections are accepted and held, nothing passes that way ("up", "down", else both), not even an end.
 * - `heal()`: ends both; what was held comes late, as on a network that lost packets.
 * - `forget()`: the clients of all connections there are now vanish for their server, or the server for its clients: both
 *   ends stay open, what either says is dropped, for good.
 * - `reset()`: ends all connections by RST; `cut()` also refuses new ones, until `open()`.
 */
export async function relay(to) {
  const target = new URL(to);
  const pairs = new Set();
  let weather = { delay: 0, jitter: 0, rate: Infinity };
  let silent = { up: false, down: false };
  let accepted = 0;

  function pump(from, into, way, pair) {
    const queue = [];
    let held = 0, last = 0, free = 0, timer;
    const push = (what) => {
      last = Math.max(last, performance.now() + weather.delay + Math.random() * weather.jitter);
      queue.push({ ...what, due: last });
    };
    const move = () => {
      clearTimeout(timer);
      while (queue.length && !silent[way] && !into.writableNeedDrain) {
        const wait = Math.max(queue[0].due, free) - performance.now();
        if (wait > 0) {
          timer = setTimeout(move, wait);
          return;
        }
        const { chunk, end } = queue.shift();
        if (pair.forgotten) continue;
        if (end) {
          into[end]();
          continue;
        }
        held -= chunk.length;
        free = Math.max(free, performance.now()) + (chunk.length / weather.rate) * 1000;
        into.write(chunk);
      }
      if (held < MOST_HELD || pair.forgotten) from.resume();
    };
    from.on("data", (data) => {
      // A slow line is slow evenly.
      const most = weather.rate === Infinity ? data.length : Math.max(1, Math.floor(weather.rate / 20));
      for (let at = 0; at < data.length; at += most) push({ chunk: data.subarray(at, at + most) });
      held += data.length;
      if (held >= MOST_HELD) from.pause();
      move();
    });
    from.on("end", () => (push({ end: "end" }), move()));
    from.on("error", () => (push({ end: "resetAndDestroy" }), move()));
    into.on("drain", move);
    pair.moves.push(move);
    pair.timers.push(() => clearTimeout(timer));
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    accepted += 1;
    // One that was on its way when it was cut.
    if (!server.listening) return near.destroy();
    const far = connect({ port: Number(target.port || 5432), host: target.hostname, allowHalfOpen: true, noDelay: true });
    const pair = { near, far, moves: [], timers: [], forgotten: false };
    pairs.add(pair);
    pump(near, far, "up", pair);
    pump(far, near, "down", pair);
    for (const socket of [near, far]) {
      socket.on("close", () => {
        if (near.destroyed && far.destroyed) pairs.delete(pair);
      });
    }
  });
  const listen = (port) => new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const each = (work) => [...pairs].forEach(work);
  const move = () => each(({ moves }) => moves.forEach((one) => one()));
  const reset = () =>
    each(({ near, far, timers }) => {
      timers.forEach((clear) => clear());
      near.resetAndDestroy();
      far.resetAndDestroy();
    });

  await listen(0);
  const { port } = server.address();
  return {
    url: Object.assign(new URL(to), { hostname: "127.0.0.1", port }).href,
    port,
    get accepted() {
      return accepted;
    },
    slow({ delay = 0, jitter = 0, rate = Infinity }) {
      weather = { delay, jitter, rate };
    },
    silence(way) {
      silent = { up: way !== "down", down: way !== "up" };
    },
    heal() {
      weather = { delay: 0, jitter: 0, rate: Infinity };
      silent = { up: false, down: false };
      move();
    },
    forget() {
      each((pair) => (pair.forgotten = true));
      move();
    },
    reset,
    cut: () =>
      new Promise((resolve) => {
        server.close(resolve);
        reset();
      }),
    open: () => listen(port),
  };
}
