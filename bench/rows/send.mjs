// One sender whose messages are acknowledged, beside an object that inserts and echoes.
import { beside, ours } from "../report.mjs";
import { alternate, ms, perSecond, room } from "../run.mjs";
import { token } from "../servers.mjs";

export async function send(bench) {
  const { quick } = bench;
  const lines = [];
  const service = await token("sender", ["service"]);
  for (const window of [1, 16]) {
    const job = (kind) => ({
      job: "send",
      rooms: [room(kind === "bare" ? "echo" : "video_")],
      token: service,
      window,
      warm_up: quick ? 0.5 : 1,
      seconds: quick ? 1.5 : 3,
      saturating: true,
    });
    const shown = (m) => `${perSecond(m).toFixed(0)} acknowledged/s, p50 ${ms(m.p50_ms)}, p99 ${ms(m.p99_ms)}`;
    const rounds = await alternate(bench, `send, window ${window}`, quick ? 2 : 5, ["chat", "bare"], job, shown, { disk: true });
    const what = `send: one sender, ${window} outstanding (bare object: inserts and echoes)`;
    lines.push(...beside(rounds, ["bare"], what, "acknowledged/s", perSecond, { bare: { least: 0.9 } }));
    if (window > 1) lines.push(ours(rounds, what, "acknowledged/s", perSecond, { least: 4000 }));
    lines.push(...beside(rounds, ["bare"], `${what}: CPU`, "µs a message", (m) => (m.server_cpu_s / m.deliveries) * 1e6));
  }
  return lines;
}
