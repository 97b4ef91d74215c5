// P2: an outage of PostgreSQL under load; scripts/outage is the same, longer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { missed, outage } from "./harness/outage.mjs";

test("P2: sends do not notice that PostgreSQL is away, and 10,000 rows are there, in order, soon after it is back", { timeout: 120_000 }, async () => {
  const { left, before, during, drained_ms, rejected, wrong } = await outage({ rows: 10_000, seconds: 10, rooms: 6, patience: 30_000 });
  assert.deepEqual([rejected, wrong], [[], []]);
  assert.ok(left >= 10_000, `only ${left} were left to be drained`);
  assert.ok(during.p50_ms < 2 * before.p50_ms + 20, `acknowledged in ${during.p50_ms} ms, before in ${before.p50_ms} ms`);
  assert.ok(drained_ms !== null && drained_ms < 20_000, `${drained_ms} ms`);
});

test("P2: scripts/outage fails for slower acknowledgements, a send that is rejected, a row that is missing, a slow drain", () => {
  const good = { before: { p99_ms: 10 }, during: { p99_ms: 17 }, drained_ms: 30_000, rejected: [], wrong: [] };
  assert.deepEqual(missed(good), []);
  for (const bad of [{ during: { p99_ms: 17.1 } }, { drained_ms: 30_001 }, { drained_ms: null }, { rejected: ["a"] }, { wrong: ["a"] }]) {
    assert.equal(missed({ ...good, ...bad }).length, 1, JSON.stringify(bad));
  }
});
