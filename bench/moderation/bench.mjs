// The filters' figures as one table: what they find, what they wrongly object to, and their time natively and in wasm.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../../scripts/lib/database.mjs";
import { aimOf, figures, percent } from "../../scripts/lib/moderation.mjs";
import { Stop, run, script, step } from "../../scripts/lib/process.mjs";

const options = { tune: { type: "boolean", default: false }, json: { type: "string" } };
/** µs that a message of about 200 bytes may take in wasm, 99 times of 100. */
const AIM_US = 200;

function read(args) {
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new Stop(`${error.message} See scripts/bench --help.`);
  }
}

const sorted = (times) => times.toSorted((a, b) => a - b);
const at = (sorted, share) => sorted[Math.floor(sorted.length * share)];

/** The filters as wasm in V8, which is workerd's engine too. Of what the Worker imports they call nothing. */
async function instance() {
  const home = join(root, "bench/moderation");
  const target = join(home, "target");
  await step("building the filters for wasm, as the Worker is shipped (some minutes the first time)", () =>
    run("cargo", ["build", "--quiet", "--release", "--locked", "--lib", "--target", "wasm32-unknown-unknown",
      "--manifest-path", join(home, "Cargo.toml"), "--target-dir", target]));
  const module = await WebAssembly.compile(readFileSync(join(target, "wasm32-unknown-unknown/release/filters.wasm")));
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    (imports[from] ??= {})[name] = () => {
      throw new Error(`The filters called ${name}.`);
    };
  }
  const { exports } = await WebAssembly.instantiate(module, imports);
  return exports;
}

async function wasm(lines) {
  const filters = await instance();
  const megabytes = () => filters.memory.buffer.byteLength / 1e6;
  const texts = lines.map((line) => Buffer.from(line));
  let said = 0;
  const judge = (text) => {
    const place = filters.text();
    new Uint8Array(filters.memory.buffer, place, text.length).set(text);
    said += 1;
    return filters.objects(text.length, said % 200, said * 1_000);
  };
  const timed = (work) => {
    const began = performance.now();
    work();
    return (performance.now() - began) * 1_000;
  };
  const first = timed(() => judge(Buffer.from("hello there")));
  const before = megabytes();
  const doubtful = timed(() => judge(Buffer.from("an asshat-like thing, you shitheaded one")));
  const lists = { ms: doubtful / 1_000, mb: megabytes() - before };
  for (let n = 0; n < 3_000; n += 1) judge(texts[n % texts.length]);
  const rounds = Array.from({ length: 9 }, () => texts.map((text) => timed(() => judge(text))));
  // Of each text the median, so that what else the machine does hardly counts; of all single calls as they came, of the
  // quietest round. A call takes a thousand times what the clock tells apart, and the batches show what reading it costs.
  const medians = sorted(texts.map((_, n) => at(sorted(rounds.map((times) => times[n])), 0.5)));
  const single = Math.min(...rounds.map((times) => at(sorted(times), 0.99)));
  const batch = Math.min(...rounds.map(() => timed(() => texts.forEach(judge)) / texts.length));
  const clock = at(sorted(Array.from({ length: 1_000 }, () => timed(() => {}))), 0.5);
  return { p50: at(medians, 0.5), p99: at(medians, 0.99), single, batch, clock, first: first / 1_000, lists };
}

await script(async (args) => {
  const { tune, json } = read(args);
  const { rows, p50_us, p99_us, timed } = await figures({ tune });
  const us = await wasm(timed);
  const cells = rows.map((row) => [row.set, row.texts, row.objected, percent(row), aimOf(row), { true: "yes", false: "**no**" }[row.met] ?? ""]);
  const met = us.p99 <= AIM_US;
  const time = (what, us, aim = "", met = "") => cells.push([what, timed.length, "", `${us.toFixed(0)} µs`, aim, met]);
  time("a message of some 200 bytes, as wasm: p99", us.p99, `≤ ${AIM_US} µs`, met ? "yes" : "**no**");
  time("the same: p50", us.p50);
  time("the same natively: p99", p99_us);
  time("the same natively: p50", p50_us);
  const head = ["set", "texts", "objected to", "share", "aim", "met"];
  console.log(`\n${[head, head.map(() => "---"), ...cells].map((row) => `| ${row.join(" | ")} |`).join("\n")}`);
  console.log(`
${tune ? "The half that is tuned to." : "The half of each set that nothing was tuned to."} A time is the median of a text's nine single calls,
after 3,000 calls to warm up; as wasm in V8 ${process.versions.v8}, on a clock that tells ${us.clock.toFixed(2)} µs apart. As they came, with what
else the machine does: p99 of the quietest round ${us.single.toFixed(0)} µs, mean of the quietest batch ${us.batch.toFixed(0)} µs.
Once in a process: the first message ${us.first.toFixed(1)} ms, the first doubtful word ${us.lists.ms.toFixed(0)} ms and ${us.lists.mb.toFixed(1)} MB of memory.`);
  if (json) writeFileSync(json, `${JSON.stringify({ at: new Date().toISOString(), held_out: !tune, rows, native_us: { p50: p50_us, p99: p99_us }, wasm_us: us }, null, 2)}\n`);
  return met && rows.every((row) => row.met !== false) ? 0 : 1;
});
