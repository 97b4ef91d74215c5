// P2: an outage of PostgreSQL under load; scripts/outage is the same, longer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outage } from "./harness/outage.mjs";

test("P2: sends do not notice that PostgreSQL is away, and 10,000 rows are there, in order, soon after it is back", { timeout: 120_000 }, async () => {
  const { left, before, during, drained_ms, wrong } = await outage({ rows: 10_000, seconds: 10, rooms: 6, patience: 30_000 });
  assert.deepEqual(wrong, []);
  assert.ok(left >= 10_000, `only ${left} were left to be drained`);
  assert.ok(during.p50_ms < 2 * before.p50_ms + 20, `acknowledged in ${during.p50_ms} ms, before in ${before.p50_ms} ms`);
  assert.ok(drained_ms !== null && drained_ms < 20_000, `${drained_ms} ms`);
});
