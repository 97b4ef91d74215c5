// The service beside its peers, on one machine in one run: rounds in turns, medians and ranges of ratios.
import { writeFileSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { Stop, say, script, step } from "../scripts/lib/process.mjs";
import { again, document } from "./document.mjs";
import { failed, table } from "./report.mjs";
import { rows } from "./rows/index.mjs";
import { version } from "./workerd.mjs";

const options = { quick: { type: "boolean", default: false }, json: { type: "string" }, docs: { type: "boolean", default: false } };

function read(args) {
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new Stop(`${error.message} See scripts/bench --help.`);
  }
  const { values, positionals } = parsed;
  for (const name of positionals) {
    if (!rows[name]) throw new Stop(`There is no row "${name}"; there are ${Object.keys(rows).join(", ")}.`);
  }
  if (values.docs && values.quick && positionals.length) throw new Stop("The documents' rows are measured in full: --docs with names takes no --quick.");
  return { ...values, names: positionals.length ? positionals : Object.keys(rows) };
}

// What a signal ends is measured no further, and written nowhere.
let stopped = false;
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(name, () => (stopped = true));

await script(async (args) => {
  const { quick, json, docs, names } = read(args);
  const bench = { quick, void: [] };
  const began = performance.now();
  const busy = os.loadavg()[0];
  const lines = [];
  for (const name of names) {
    const voids = bench.void.length;
    try {
      lines.push(...(await step(name, () => rows[name](bench))).map((line) => ({ row: name, ...line })));
    } catch (error) {
      if (stopped) throw error;
      // The other rows are worth having all the same.
      say(`  ✗ ${name}: ${error instanceof Stop ? error.message : error.stack}`);
      bench.void.push(`${name}: ${error.message}`);
      lines.push({ row: name, ...failed(name, error.message) });
    }
    for (let n = voids; n < bench.void.length; n++) if (!bench.void[n].startsWith(name)) bench.void[n] = `${name}, ${bench.void[n]}`;
  }

  const machine = `${os.cpus().length} × ${os.cpus()[0].model}, ${version}, Node ${process.versions.node}; load average ${busy.toFixed(1)} before`;
  const result = { at: new Date().toISOString(), quick, machine, minutes: (performance.now() - began) / 60_000, void: bench.void, lines };
  console.log(`\n${machine}; ${result.minutes.toFixed(1)} minutes\n\n${table(lines)}`);
  if (json) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  if (docs) await document(names.length < Object.keys(rows).length ? again(result, names) : result);
  for (const each of bench.void) say(`✗ void: ${each}`);
  const missed = lines.filter((line) => line.aim && !line.met);
  if (missed.length) say(`! missed its aim: ${missed.map((line) => line.what).join("; ")}`);
  return bench.void.length ? 1 : 0;
});
