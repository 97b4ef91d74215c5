// How fast a room acknowledges, beside how fast it did.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../scripts/lib/process.mjs";

/** Joins a room that nobody made yet: where the machine is busy PostgreSQL may not answer for it in time at once. */
export async function enter(join, room, who) {
  let error;
  const joined = await until(20_000, () => join(room, who).catch((refused) => ((error = refused), null)), 500);
  if (!joined) throw error;
  return joined;
}

/** Says so many messages, one after the other; how long each acknowledgement took, ms, sorted. */
export async function say(socket, count, what) {
  const took = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await socket.request("send_message", { content: `${what} ${i}` });
    took.push(performance.now() - began);
    await sleep(20);
  }
  return took.sort((a, b) => a - b);
}

/** Whether acknowledgements take what they took, other tests beside them. */
export function undisturbed(before, during) {
  const of = (took, part) => took[Math.floor((took.length - 1) * part)];
  const text = `median ${of(before, 0.5)} then ${of(during, 0.5)} ms, longest ${of(during, 1)}`;
  assert.ok(of(during, 0.5) < 3 * of(before, 0.5) + 25, text);
  assert.ok(of(during, 1) < 1_500, text);
}
