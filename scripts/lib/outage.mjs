// An outage of PostgreSQL, measured.
import { parseArgs } from "node:util";
import { throwAwayCluster } from "./cluster.mjs";
import { Stop, say, script } from "./process.mjs";

const number = (name, text) => {
  const value = Number(text);
  if (!(value > 0) || (name !== "minutes" && !Number.isInteger(value))) throw new Stop(`--${name} is "${text}"; it must be a ${name === "minutes" ? "" : "whole "}number above 0.`);
  return value;
};

await script(async (args) => {
  const options = { minutes: { type: "string", default: "10" }, rows: { type: "string", default: "300000" }, rooms: { type: "string", default: "8" } };
  let values;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new Stop(`${error.message} (usage: scripts/outage --help)`);
  }
  const [minutes, rows, rooms] = Object.keys(options).map((name) => number(name, values[name]));
  process.env.TEST_DATABASE_URL ||= await throwAwayCluster();
  const { missed, outage } = await import("../../tests/harness/outage.mjs");
  const began = performance.now();
  let last = 0;
  const report = (what, how) => {
    if (what === "drained" && how.ms < last + 2_000) return;
    last = how.ms ?? 0;
    say(`  ${((performance.now() - began) / 1000).toFixed(0)} s: ${what} ${JSON.stringify(how)}`);
  };
  const result = await outage({ rows, seconds: minutes * 60, rooms, report });
  const { before, during } = result;
  console.log(JSON.stringify({ ...result, ratio_p50: during.p50_ms / before.p50_ms, ratio_p99: during.p99_ms / before.p99_ms }, null, 2));
  for (const fault of missed(result)) say(`✗ ${fault}`);
  return missed(result).length ? 1 : 0;
});
