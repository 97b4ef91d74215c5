// Every check of the project, with one line of counts at the end.
import { readFileSync, readdirSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromiumProgram, pythonWithRedis, pythonWithSocketIo, redisServer, rustSocketIo, throwAwayCluster } from "./cluster.mjs";
import { root } from "./database.mjs";
import { aimOf, figures, percent } from "./moderation.mjs";
import { Stop, run, say, script, start, step } from "./process.mjs";

const totals = { passed: 0, failed: 0 };
const count = (passed, failed) => {
  totals.passed += passed;
  totals.failed += failed;
};

/** One check that passes or fails as a whole; gives whether it passed. */
async function check(label, command, args) {
  try {
    await step(label, () => run(command, args));
    count(1, 0);
    return true;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    say(`✗ ${label}: ${error.message}`);
    count(0, 1);
    return false;
  }
}

async function nativeTests(options = []) {
  const child = start("cargo", ["test", "--all-features", ...options], { stdio: ["ignore", "pipe", 2] });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
    process.stderr.write(chunk);
  });
  const how = await child.gone;
  let failed = 0;
  for (const [, p, f, ignored] of output.matchAll(/^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    count(Number(p), Number(f));
    failed += Number(f);
    if (Number(ignored)) say(`! ${ignored} native tests are ignored`);
  }
  // Not compiled, or ended before its result.
  if (how !== "status 0" && !failed) count(0, 1);
}

/** µs that a message of some 200 bytes may take: five times the aim, since what else the machine does counts too. */
const MOST_US = 1_000;

/** The filters' figures on the half of each set that nothing was tuned to: a check for each aim. */
async function filters() {
  const { rows, p99_us } = await figures({ quick: true });
  const missed = rows.filter((row) => row.met === false).map((row) => `${row.set}: ${percent(row)}, the aim is ${aimOf(row)}`);
  if (p99_us > MOST_US) missed.push(`time of a message: p99 ${p99_us.toFixed(0)} µs, at most ${MOST_US} µs`);
  for (const row of missed) say(`✗ filters: ${row}`);
  count(rows.filter((row) => row.met).length + (p99_us <= MOST_US ? 1 : 0), missed.length);
}

const CRYPTO = ["--manifest-path", "client/crypto/Cargo.toml"];

async function rust() {
  await check("format", "cargo", ["fmt", "--check"]);
  await check("lints, native", "cargo", ["clippy", "--all-targets", "--all-features", "--", "-D", "warnings"]);
  await check("lints, wasm", "cargo", ["clippy", "--lib", "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"]);
  await step("native tests", nativeTests);
  await check("format, encryption", "cargo", ["fmt", ...CRYPTO, "--check"]);
  await check("lints, encryption, native", "cargo", ["clippy", ...CRYPTO, "--all-targets", "--", "-D", "warnings"]);
  await check("lints, encryption, wasm", "cargo", ["clippy", ...CRYPTO, "--lib", "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"]);
  await step("native tests, encryption", () => nativeTests(CRYPTO));
  await filters();
}

/** One check a target; what each ran and covered is printed by the script. */
async function fuzz() {
  for (const target of ["frame", "token", "rest", "content"]) {
    await check(`fuzzing ${target} for 15 s`, join(root, "scripts/fuzz"), [target, "15"]);
  }
}

const testFiles = () =>
  readdirSync(join(root, "tests"), { recursive: true })
    .filter((file) => file.endsWith(".test.mjs"))
    .sort()
    .map((file) => join("tests", file));

/** Files that mostly wait, or that no clock matters to, the longest first: side by side. */
const TOGETHER = ["xss", "socketio-idle", "shards", "doctor", "observe", "socketio-dev", "socketio-others"].map((name) => join("tests", `${name}.test.mjs`));
const AT_ONCE = 3;

async function e2e(files) {
  if (!(await check("build", join(root, "scripts/build"), []))) {
    say("✗ the tests on workerd did not run: there is no build");
    return;
  }
  const env = { ...process.env, CHROMIUM: await chromiumProgram() };
  await redisServer();
  await pythonWithRedis();
  await pythonWithSocketIo();
  await step("building Rust's Socket.IO client (once, about 60 s)", rustSocketIo);
  env.TEST_DATABASE_URL ||= await throwAwayCluster();

  const together = TOGETHER.filter((file) => files.includes(file));
  const alone = files.filter((file) => !TOGETHER.includes(file));
  await step(`tests on workerd, PostgreSQL and Chromium (${files.length} files)`, async () => {
    if (together.length) await nodeTests("together", together, AT_ONCE, env);
    if (alone.length) await nodeTests("alone", alone, 1, env);
  });
}

async function nodeTests(name, files, atOnce, env) {
  const tap = join(root, `.data/${name}.tap`);
  mkdirSync(join(root, ".data"), { recursive: true });
  const args = ["--test", `--test-concurrency=${atOnce}`, "--test-reporter=spec", "--test-reporter-destination=stderr",
    "--test-reporter=tap", `--test-reporter-destination=${tap}`, ...files];
  const how = await start(process.execPath, args, { env, cwd: root }).gone;
  const summary = readFileSync(tap, "utf8");
  const of = (kind) => Number(summary.match(new RegExp(`^# ${kind} (\\d+)`, "m"))?.[1] ?? 0);
  const failed = of("fail") + of("cancelled");
  count(of("pass"), failed);
  if (of("skipped") + of("todo")) say(`! ${of("skipped") + of("todo")} tests are skipped`);
  if (how !== "status 0" && !failed) count(0, 1);
}

await script(async ([part, ...files]) => {
  if (part && !["rust", "fuzz", "e2e"].includes(part)) {
    throw new Stop("usage: scripts/test [rust | fuzz | e2e [file…]]");
  }
  try {
    if (!part || part === "rust") await rust();
    if (!part || part === "fuzz") await fuzz();
    if (!part || part === "e2e") await e2e(files.length ? files : testFiles());
  } catch (error) {
    say(error instanceof Stop ? `✗ ${error.message}` : `✗ ${error.stack}`);
    count(0, 1);
  }
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed ? 1 : 0;
});
