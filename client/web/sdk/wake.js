// Notices what timers alone learn late: the network, the tab or the machine went away or came back.

const TICK_MS = 1_000;
// A tick later than this means that the machine slept, or that the tab was frozen.
const LATE_MS = 5_000;

/**
 * Calls `woken(why)`: "network" (it is there again), "offline" (it went), "seen" (the tab is shown again, or came out of
 * the page cache), "late" (the clock jumped); and `tick()` each second.
 */
export function watch({ woken, tick }) {
  const stops = [];
  const listen = (target, event, run) => {
    target?.addEventListener(event, run);
    stops.push(() => target?.removeEventListener(event, run));
  };
  const { window, document } = globalThis;
  listen(window, "online", () => woken("network"));
  listen(window, "offline", () => woken("offline"));
  listen(window, "pageshow", ({ persisted }) => persisted && woken("seen"));
  listen(document, "resume", () => woken("seen"));
  listen(document, "visibilitychange", () => document.visibilityState === "visible" && woken("seen"));
  let last = Date.now();
  const timer = setInterval(() => {
    const late = Date.now() - last - TICK_MS > LATE_MS;
    last = Date.now();
    if (late) woken("late");
    tick();
  }, TICK_MS);
  stops.push(() => clearInterval(timer));
  return () => stops.forEach((stop) => stop());
}
