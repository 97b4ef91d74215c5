// From what /metrics says now and said before to what is shown: rates, quantiles, sums. No page, no clock.

/** Rates are of so long, quantiles of so long, ms. */
const RATE_MS = 10_000;
const QUANTILE_MS = 60_000;
const COUNTERS = ["messages", "deliveries", "joins", "frames_in", "frames_out", "resumed", "snapshots", "wakes"];
const TIMES = ["ack", "shown"];

const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);

/** What one drain has counted since it began, as flat numbers. */
function counted({ metrics }) {
  const errors = metrics.errors ?? {};
  const all = { errors: sum(Object.values(errors)), limited: (errors.rate_limited ?? 0) + (errors.slow_mode ?? 0) };
  for (const name of COUNTERS) all[name] = metrics[name] ?? 0;
  for (const name of TIMES) (metrics[name]?.buckets ?? []).forEach((count, index) => (all[`${name}/${index}`] = count));
  return all;
}

/** The time, ms, below which this share of `counts` lies: linear within a bucket; null where there are none. */
export function quantile(share, bounds, counts) {
  const total = sum(counts);
  if (total === 0) return null;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= share * total) {
      const from = bounds[index - 1] ?? 0;
      // Beyond the last bound nothing more is known than that.
      const to = bounds[index] ?? from;
      return from + ((to - from) * (share * total - below)) / count;
    }
    below += count;
  }
  return bounds.at(-1);
}

export class Figures {
  #drains = new Map();
  #total = {};
  #history = [];

  /** Takes in one answer of `/metrics?format=json`; what is to be shown. Rates are null in the first. */
  take({ at, bounds_ms, drains }) {
    const up = drains.filter((drain) => drain.up);
    for (const drain of up) this.#add(drain);
    this.#history.push({ at, total: { ...this.#total } });
    while (this.#history.length > 2 && this.#history[1].at <= at - QUANTILE_MS) this.#history.shift();

    const over = this.#since(at - RATE_MS);
    const rate = (name) => (over ? (this.#grown(over, name) * 1_000) / (at - over.at) : null);
    const long = this.#since(at - QUANTILE_MS);
    const times = (name, share) => {
      const counts = [...bounds_ms, Infinity].map((_, index) => (long ? this.#grown(long, `${name}/${index}`) : 0));
      return quantile(share, bounds_ms, counts);
    };
    const frames = rate("frames_in");
    const sums = (name) => sum(up.map((drain) => drain.sums[name]));
    const both = (name) => [0, 1].map((sink) => up.map((drain) => drain.sums[name][sink]));
    return {
      at,
      up: up.length,
      drains: drains.length,
      rooms: sum(up.map((drain) => drain.rooms)),
      sockets: sums("sockets"),
      users: sums("users"),
      guests: sums("guests"),
      shards: sums("shards"),
      messages: rate("messages"),
      deliveries: rate("deliveries"),
      joins: rate("joins"),
      errors: rate("errors"),
      limited: rate("limited"),
      // Of frames; REST is refused without one.
      error_rate: frames > 0 ? Math.min(1, rate("errors") / frames) : frames,
      ack_p50: times("ack", 0.5),
      ack_p99: times("ack", 0.99),
      shown_p99: times("shown", 0.99),
      lag_ms: both("lag_ms").map((lags) => Math.max(0, ...lags)),
      webhook_lag_ms: Math.max(0, ...up.map((drain) => drain.sums.webhook_lag_ms ?? 0)),
      lag_events: both("lag_events").map(sum),
      queued: sum(up.flatMap((drain) => drain.queued)),
      dead_letters: sum(up.map((drain) => drain.metrics.dead_letters ?? 0)),
      busiest: up.flatMap((drain) => drain.busiest)
        .sort((a, b) => b.deliveries_per_s + b.messages_per_s - a.deliveries_per_s - a.messages_per_s || b.gauges.sockets - a.gauges.sockets)
        .slice(0, 20),
    };
  }

  #add(drain) {
    const now = counted(drain);
    const before = this.#drains.get(drain.drain);
    this.#drains.set(drain.drain, { since: drain.since, now });
    // What it counted before this page was open is no growth; one that was built anew began at 0.
    if (!before) return;
    const from = before.since === drain.since ? before.now : {};
    for (const [name, count] of Object.entries(now)) {
      this.#total[name] = (this.#total[name] ?? 0) + Math.max(0, count - (from[name] ?? 0));
    }
  }

  /** The newest look that is at least as old as `at`, else the oldest; null where there is only this one. */
  #since(at) {
    const before = this.#history.slice(0, -1);
    return before.findLast((look) => look.at <= at) ?? before[0] ?? null;
  }

  #grown(look, name) {
    return (this.#total[name] ?? 0) - (look.total[name] ?? 0);
  }
}
