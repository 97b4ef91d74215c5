// A few rounds of scripts/crash, and a small herd.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { herd } from "./crash/herd.mjs";
import { crash } from "./crash/rounds.mjs";

const ROUNDS = 5;

test("V1, V2, V3, V4, P1: servers die under load, and nothing is lost, doubled, reordered or different", { timeout: 150_000 }, async () => {
  const seed = randomInt(1, 1_000_000);
  const { faults, kept, rounds, kills, acknowledged, resumed, anew } = await crash({ rounds: ROUNDS, seed });
  assert.deepEqual(faults, [], `again with: ./scripts/crash --rounds ${ROUNDS} --seed ${seed}; the objects' storage is in ${kept}`);
  assert.equal(rounds, ROUNDS);
  assert.ok(acknowledged > 500, `${acknowledged} acknowledged`);
  // Twenty-four people; on a slow machine somebody may have to try twice.
  assert.ok(resumed >= kills.workerd * 24 && anew === 0, `${resumed} resumed and ${anew} began anew after ${kills.workerd} kills`);
});

test("V1, V2, V3, V4, P1: the same in rooms that are split into shards, with relays above them", { timeout: 150_000 }, async () => {
  const [seed, some] = [randomInt(1, 1_000_000), 3];
  const { faults, kept, rounds, acknowledged } = await crash({ rounds: some, seed, split: true });
  assert.deepEqual(faults, [], `again with: ./scripts/crash --rounds ${some} --seed ${seed} --split; the objects' storage is in ${kept}`);
  assert.equal(rounds, some);
  assert.ok(acknowledged > 200, `${acknowledged} acknowledged`);
});

test("V4, V9: 1,000 sockets cut at once are back, resumed and complete within 15 s of their waits", { timeout: 120_000 }, async () => {
  const { faults, resumed, anew, refused } = await herd({ sockets: 1_000 });
  assert.deepEqual(faults, []);
  assert.deepEqual([resumed, anew, refused], [1_000, 0, {}]);
});
