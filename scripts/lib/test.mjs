// Every check of the project, with one line of counts at the end.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { auditCrates, auditPackages, tool } from "./checks.mjs";
import { chromiumProgram, pythonWithRedis, pythonWithSocketIo, redisServer, rustSocketIo, throwAwayCluster } from "./cluster.mjs";
import { root } from "./database.mjs";
import { installExamples } from "./examples.mjs";
import { aimOf, figures, percent } from "./moderation.mjs";
import { Stop, end, run, say, script, start, step } from "./process.mjs";

const totals = { passed: 0, failed: 0 };
/** Files that passed only when they ran once more. */
const unsteady = [];
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
const LOAD = ["--manifest-path", "bench/load/Cargo.toml"];

async function rust() {
  await check("format", "cargo", ["fmt", "--check"]);
  await check("lints, native", "cargo", ["clippy", "--all-targets", "--all-features", "--", "-D", "warnings"]);
  await check("lints, wasm", "cargo", ["clippy", "--lib", "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"]);
  await step("native tests", nativeTests);
  await check("format, encryption", "cargo", ["fmt", ...CRYPTO, "--check"]);
  await check("lints, encryption, native", "cargo", ["clippy", ...CRYPTO, "--all-targets", "--", "-D", "warnings"]);
  await check("lints, encryption, wasm", "cargo", ["clippy", ...CRYPTO, "--lib", "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"]);
  await step("native tests, encryption", () => nativeTests(CRYPTO));
  await check("format, load generator", "cargo", ["fmt", ...LOAD, "--check"]);
  await check("lints, load generator", "cargo", ["clippy", ...LOAD, "--all-targets", "--", "-D", "warnings"]);
  await step("native tests, load generator", () => nativeTests(LOAD));
  await filters();
  await others();
}

/**
 * What tools of others say of texts and of what is built upon; one that cannot be had here is named and left out. Weaknesses
 * that become known are told and not counted: they come without a change here, and a tool that only tests use may have one.
 */
async function others() {
  const typos = await tool("typos");
  if (typos) await check("spelling", typos, ["--format", "brief"]);
  const deny = await tool("cargo-deny");
  for (const [what, manifest] of deny ? [["crates", "Cargo.toml"], ["crates, encryption", "client/crypto/Cargo.toml"]] : []) {
    const args = ["--locked", "--config", join(root, "deny.toml"), "--manifest-path", manifest, "check", "--hide-inclusion-graph"];
    await check(`licences and sources of ${what}`, deny, [...args, "bans", "licenses", "sources"]);
    if (!auditCrates(deny)) continue;
    const known = await step(`known weaknesses of ${what}`, () => start(deny, [...args, "--disable-fetch", "advisories"]).gone);
    if (known !== "status 0") say(`! RustSec knows something of ${what}: see above`);
  }
  for (const name of auditPackages() ?? []) say(`! npm audit: ${name}`);
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
const TOGETHER = ["xss", "openapi", "socketio-idle", "shards", "webhooks", "erase", "self-hosting", "self-hosting-one", "socketio-return", "inbox", "doctor",
  "observe", "keep", "backup", "upgrade", "docs-examples", "socketio-dev", "socketio-others", "deploy"]
  .map((name) => join("tests", `${name}.test.mjs`));
const AT_ONCE = 3;
/** Those that look at time, memory or CPU so closely that nothing may run beside them. */
const ALONE = ["alive", "crash", "crash-rounds", "dashboard", "filters", "frames", "ladder", "outage", "page-hot", "page-list", "room", "shards-faults",
  "sleep", "slow-readers", "socketio-bounds", "spike"]
  .map((name) => join("tests", `${name}.test.mjs`));
/** A file that takes longer hangs, ms: the longest takes three minutes. */
const MOST_MS = 600_000;

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
  await installExamples();
  env.TEST_DATABASE_URL ||= await throwAwayCluster();

  const together = TOGETHER.filter((file) => files.includes(file));
  const alone = files.filter((file) => ALONE.includes(file));
  const others = files.filter((file) => !together.includes(file) && !alone.includes(file));
  await step(`tests on workerd, PostgreSQL and Chromium (${files.length} files)`, async () => {
    const again = [];
    for (const [lane, atOnce] of [[together, AT_ONCE], [others, 2], [alone, 1]]) again.push(...await inTurn(lane, atOnce, env));
    for (const { file, ...first } of again) {
      say(`! ${file} failed (${first.how}), and is run once more by itself`);
      const second = await testFile(file, env, true);
      tally(second);
      if (!second.failed) unsteady.push(`${file}: ${first.names.join("; ") || first.how}`);
    }
  });
}

/** Runs each of them, `atOnce` side by side, and counts those that pass; gives the others. */
async function inTurn(files, atOnce, env) {
  const waiting = [...files];
  const again = [];
  const lane = async () => {
    for (let file; (file = waiting.shift()); ) {
      const result = await testFile(file, env, atOnce === 1);
      if (result.failed) again.push(result);
      else tally(result);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return again;
}

function tally({ file, passed, failed, skipped }) {
  count(passed, failed);
  if (skipped) say(`! ${skipped} tests of ${file} are skipped`);
}

/** One file, in a process that is ended when it hangs; what it prints is shown as it comes, or with its end. */
async function testFile(file, env, live) {
  const tap = join(root, ".data/tests", `${basename(file)}.tap`);
  mkdirSync(dirname(tap), { recursive: true });
  rmSync(tap, { force: true });
  const args = ["--test", "--test-reporter=spec", "--test-reporter-destination=stderr", "--test-reporter=tap", `--test-reporter-destination=${tap}`, file];
  const began = performance.now();
  const child = start(process.execPath, args, { env, cwd: root, stdio: ["ignore", 2, live ? 2 : "pipe"] });
  let output = "";
  child.stderr?.on("data", (chunk) => (output += chunk));
  let hangs = false;
  const timer = setTimeout(() => {
    hangs = true;
    end(child);
  }, MOST_MS);
  const how = await child.gone;
  clearTimeout(timer);
  await end(child);
  process.stderr.write(output);
  say(`  ${file}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const summary = existsSync(tap) ? readFileSync(tap, "utf8") : "";
  const of = (kind) => Number(summary.match(new RegExp(`^# ${kind} (\\d+)`, "m"))?.[1] ?? 0);
  const failed = of("fail") + of("cancelled");
  return {
    file,
    how: hangs ? `it did not end in ${MOST_MS / 60_000} minutes` : how,
    passed: of("pass"),
    // Not loaded, or ended before its result.
    failed: failed || (how === "status 0" ? 0 : 1),
    skipped: of("skipped") + of("todo"),
    names: [...summary.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name]) => name),
  };
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
  for (const file of unsteady) say(`! failed once, and passed then: ${file}`);
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed ? 1 : 0;
});
