// How busy a page's main thread is: what Chromium's own trace says of each of its tasks.

const CATEGORIES = ["disabled-by-default-devtools.timeline"];

/**
 * Traces `page` while `work()` goes on. Resolves to `{seconds, wall, cpu, frames}`. `wall` and `cpu` are `{busy, longest,
 * over50}`: the share of the time in tasks of the main thread, the longest of them in ms, and how many took more than 50 ms;
 * `cpu` counts the thread's own time alone, which is less where others have the processor. `frames` is `{rate, longest}`:
 * how many frames the page was given a second, and the longest time between two, ms.
 */
export async function traced(page, work) {
  const cdp = await page.context().newCDPSession(page);
  const events = [];
  cdp.on("Tracing.dataCollected", ({ value }) => events.push(...value.filter(({ name }) => name === "RunTask" || name === "thread_name")));
  const frames = await page.evaluateHandle(() => {
    const all = [];
    const next = (at) => all.push(at) && requestAnimationFrame(next);
    requestAnimationFrame(next);
    return all;
  });
  await cdp.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: CATEGORIES } });
  await work();
  const times = await frames.evaluate((all) => [...all]);
  const done = new Promise((resolve) => cdp.once("Tracing.tracingComplete", resolve));
  await cdp.send("Tracing.end");
  await done;
  await cdp.detach();
  const main = new Set(events.filter(({ args }) => args.name === "CrRendererMain").map(({ pid, tid }) => `${pid}/${tid}`));
  const tasks = events.filter(({ name, ph, pid, tid }) => name === "RunTask" && ph === "X" && main.has(`${pid}/${tid}`));
  const ms = (Math.max(...tasks.map(({ ts, dur }) => ts + dur)) - Math.min(...tasks.map(({ ts }) => ts))) / 1_000;
  const of = (key) => {
    const took = tasks.map((task) => (task[key] ?? 0) / 1_000);
    return { busy: took.reduce((sum, one) => sum + one, 0) / ms, longest: Math.max(0, ...took), over50: took.filter((one) => one > 50).length };
  };
  const gaps = times.slice(1).map((at, index) => at - times[index]);
  return { seconds: ms / 1_000, wall: of("dur"), cpu: of("tdur"), frames: { rate: (gaps.length * 1_000) / (times.at(-1) - times[0]), longest: Math.max(...gaps) } };
}

/** The same as one line of text. */
export function told({ seconds, wall, cpu, frames }) {
  const of = ({ busy, longest, over50 }) => `${(busy * 100).toFixed(0)} % busy, longest task ${longest.toFixed(1)} ms, ${over50} over 50 ms`;
  return `${seconds.toFixed(1)} s: ${of(wall)} (own time: ${of(cpu)}); ${frames.rate.toFixed(0)} frames a second, longest wait ${frames.longest.toFixed(0)} ms`;
}
