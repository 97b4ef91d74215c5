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
  for (const kind of ["room", "workerd", "PostgreSQL", "Redis"]) assert.ok(kills[kind] > 0, `${kind} was not killed: ${JSON.stringify(kills)}`);
  // Six people in each of four rooms; on a slow machine somebody may have to try twice.
  const lost = kills.workerd * 24 + kills.room * 6;
  assert.ok(resumed >= lost && anew === 0, `${resumed} resumed and ${anew} began anew after ${JSON.stringify(kills)}`);
});

test("V1, V2, V3, V4, P1: the same in rooms that are split into shards, with relays above them", { timeout: 150_000 }, async () => {
  const [seed, some] = [randomInt(1, 1_000_000), 4];
  const { faults, kept, rounds, kills, acknowledged } = await crash({ rounds: some, seed, split: true });
  assert.deepEqual(faults, [], `again with: ./scripts/crash --rounds ${some} --seed ${seed} --split; the objects' storage is in ${kept}`);
  assert.equal(rounds, some);
  assert.ok(acknowledged > 200, `${acknowledged} acknowledged`);
  assert.deepEqual(kills, { room: 1, shard: 1, relay: 1, workerd: 1, PostgreSQL: 0, Redis: 0 });
});

test("V4, V9: 1,000 sockets cut at once are back, resumed and complete within 15 s of their waits", { timeout: 120_000 }, async () => {
  const { faults, resumed, anew, refused } = await herd({ sockets: 1_000 });
  assert.deepEqual(faults, []);
  assert.deepEqual([resumed, anew, refused], [1_000, 0, {}]);
});
