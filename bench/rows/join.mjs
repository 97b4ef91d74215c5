// Everybody is cut off and comes back with a token and a position, having missed 50 messages.
import { beside, ours, sized } from "../report.mjs";
import { alternate, ms, perSecond, room } from "../run.mjs";
import { files, renew, token, viewers } from "../servers.mjs";

export async function join(bench) {
  const { quick } = bench;
  await renew();
  const count = Math.min(quick ? 2_000 : 10_000, Math.floor((files - 2_000) / 5_000) * 1_000);
  const job = async (kind) => ({
    job: "join",
    room: room(kind === "bare" ? "broadcast" : "video_"),
    token: await token("sender", ["service"]),
    viewers: await viewers(count),
    missed: kind === "bare" ? 0 : 50,
    saturating: true,
  });
  const shown = (m) => `${perSecond(m).toFixed(0)} joins/s, p50 ${ms(m.p50_ms)}, p99 ${ms(m.p99_ms)}`;
  const rounds = await alternate(bench, "join", quick ? 1 : 3, ["chat", "bare"], job, shown);
  const what = `join: ${count.toLocaleString("en-US")} come back, token and resume of 50`;
  return [
    ours(rounds, `${what}: 100 at a time`, "joins/s", perSecond, sized({ least: 1500 }, count, 10_000)),
    ...beside(rounds, ["bare"], `${what} (bare object: accepts the socket, nothing else)`, "joins/s", perSecond),
    ours(rounds, `${what}: p99 from the handed-out wait`, "ms", (m) => m.p99_ms, sized({ most: 3000 }, count, 10_000), 1),
  ];
}
