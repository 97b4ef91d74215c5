// What only production can tell, measured with an account of one's own: a throw-away Worker, load from here, a table.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { root } from "../../scripts/lib/database.mjs";
import { Stop, atEnd, say, script, step, until } from "../../scripts/lib/process.mjs";

const own = (file) => fileURLToPath(new URL(file, import.meta.url));
const THREADS = 4;
const BYTES = 400;

/** How much is asked for; a dry run shows that all of it works, and its figures say nothing. */
const SIZES = {
  real: { sockets: [1_000, 4_000, 10_000], rates: [12_000, 24_000, 48_000], seconds: 10, mb: 256, calls: 200, hold: 500, alarms: 20, alarm_ms: 5_000 },
  dry: { sockets: [20, 60], rates: [200, 600], seconds: 0.5, mb: 16, calls: 20, hold: 100, alarms: 2, alarm_ms: 300 },
};

const quantile = (values, part) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? null;
const about = (value, digits = 0) => (value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits }));

async function wrangler(...args) {
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_LOG_PATH: join(root, ".data/logs"), CI: "true" };
  try {
    const { stdout, stderr } = await promisify(execFile)(join(root, "node_modules/.bin/wrangler"), args, { env, cwd: own("."), maxBuffer: 1 << 24 });
    return stdout + stderr;
  } catch (error) {
    const why = `${error.stdout}${error.stderr}`.trim().split("\n").slice(-8).join("\n");
    throw new Stop(`wrangler ${args[0]} failed. It needs an account: npx wrangler login, or CLOUDFLARE_API_TOKEN.\n${why}`);
  }
}

/** The Worker on the local workerd; its configuration for Cloudflare is checked too. */
async function local() {
  const out = mkdtempSync(join(tmpdir(), "edge-chat-spike-"));
  atEnd(() => rmSync(out, { recursive: true, force: true }));
  await step("checking what would be deployed", () => wrangler("deploy", "--dry-run", "--config", own("wrangler.toml"), "--outdir", out));
  const { serve, spike } = await import("../workerd.mjs");
  const key = randomBytes(16).toString("hex");
  const server = await serve(spike(key));
  const rss = () => Number(readFileSync(`/proc/${server.pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]) / 1024;
  return { url: `${server.url}/${key}`, rss };
}

async function deployed() {
  const name = `edge-chat-spike-${randomBytes(4).toString("hex")}`;
  const key = randomBytes(16).toString("hex");
  atEnd(() => step(`deleting ${name}`, () => wrangler("delete", "--name", name, "--force")).catch((error) => {
    say(`✗ ${name} is still there: npx wrangler delete --name ${name}\n${error.message}`);
  }));
  const said = await step(`deploying ${name}`, () => wrangler("deploy", "--config", own("wrangler.toml"), "--name", name, "--var", `KEY:${key}`));
  const url = said.match(/https:\/\/\S+\.workers\.dev/)?.[0];
  if (!url) throw new Stop(`wrangler did not say where ${name} is; the account needs a workers.dev subdomain.`);
  const ready = await until(60_000, () => fetch(`${url}/healthz`).then(({ ok }) => ok, () => false), 1_000);
  if (!ready) throw new Stop(`${url} did not answer within a minute.`);
  return { url: `${url}/${key}` };
}

const spikeCalls = (url) => async (name, verb, options = {}) => {
  const response = await fetch(`${url}/${name}/${verb}?${new URLSearchParams(options)}`);
  if (!response.ok) throw new Stop(`${verb} of ${name}: ${response.status} ${(await response.text()).slice(0, 200)}`);
  return response.json();
};

/** Viewers of one object, in threads of their own. */
function viewers(url, count) {
  const threads = Array.from({ length: Math.min(THREADS, count) }, (_, n) => {
    const thread = new Worker(own("viewers.mjs"), { workerData: { url } });
    thread.count = Math.floor(count / THREADS) + (n < count % THREADS ? 1 : 0);
    return thread;
  });
  const ask = async (what) => {
    const answers = await Promise.all(threads.map((thread) => new Promise((done, fail) => {
      thread.once("message", done).once("error", fail);
      thread.postMessage({ ask: what, count: thread.count });
    })));
    const sum = (field) => answers.reduce((total, answer) => total + answer[field], 0);
    return { open: sum("open"), failed: sum("failed"), closed: sum("closed"), frames: sum("frames"), bytes: sum("bytes"), lags: answers.flatMap(({ lags }) => lags) };
  };
  return { ask, end: () => Promise.all(threads.map((thread) => thread.terminate())) };
}

/** How much more memory an object takes before it is reset, MB; at most `most`. */
async function ballast(call, name, most) {
  const { instance } = await call(name, "hold", { ms: 0 });
  for (let mb = 4; mb <= most; mb += 4) {
    const grown = await call(name, "grow", { mb: 4 }).catch(() => null);
    if (grown?.instance !== instance) return mb - 4;
  }
  return null;
}

async function crowd({ url, rss }, call, size, count, empty) {
  const name = `crowd-${count}`;
  const before = rss?.();
  const all = viewers(`${url.replace(/^http/, "ws")}/${name}/socket`, count);
  const rows = [];
  await all.ask("look"); // the threads run
  const began = performance.now();
  const { open, failed } = await step(`${count} sockets`, () => all.ask("open"));
  rows.push([`${count} sockets: opened, a second`, `${about(open / ((performance.now() - began) / 1000))}${failed ? `, ${failed} failed` : ""}`, "RATE_LIMIT_JOINS, and how fast clients come back"]);
  if (rss) rows.push([`${count} sockets: process memory each`, `${about(((rss() - before) * 1024) / open, 1)} KB`, "SHARD_SOCKETS"]);
  for (const rate of size.rates) {
    await all.ask("reset");
    const label = `${count} sockets, ${about(rate)} frames/s asked for`;
    const sent = await step(label, () => call(name, "broadcast", { rate, seconds: size.seconds, bytes: BYTES }));
    const at_end = await all.ask("look");
    const drains = performance.now();
    const came = await until(60_000, async () => {
      const now = await all.ask("look");
      return (now.frames >= sent.frames || now.closed > at_end.closed) && now;
    });
    const lags = came?.lags ?? [];
    const least = lags.reduce((a, b) => Math.min(a, b), Infinity);
    rows.push([`${label}: sent a second`, about((sent.frames * 1000) / sent.ms), "FRAME_BUDGET: two thirds of what is still sent as asked"]);
    rows.push([`${label}: bytes on their way at the end`, about((sent.frames - at_end.frames) * BYTES), "FRAME_BUDGET, SHARD_BYTES, sample_above: has to stay small"]);
    rows.push([`${label}: behind the quickest, p50 / p99`, `${about((quantile(lags, 0.5) ?? NaN) - least)} / ${about((quantile(lags, 0.99) ?? NaN) - least)} ms`, "the window of src/audience/pace.rs"]);
    if (!came) rows.push([`${label}: lost`, about(sent.frames - (await all.ask("look")).frames), "–"]);
    else say(`  all there ${((performance.now() - drains) / 1000).toFixed(1)} s later`);
  }
  const mb = await step(`memory beside ${count} sockets`, () => ballast(call, name, size.mb));
  const each = mb !== null && empty !== null ? `, so ${about(((empty - mb) * 1024) / open, 1)} KB a socket` : "";
  rows.push([`${count} sockets: memory left until the object is reset`, mb === null ? `more than ${size.mb} MB` : `${mb} MB${each}`, "SHARD_SOCKETS, SHARD_BYTES"]);
  await all.ask("close");
  await all.end();
  return rows;
}

async function calls(call, size) {
  const rows = [];
  await call("caller", "latency", { calls: 3, to: "callee" });
  const { times } = await call("caller", "latency", { calls: size.calls, to: "callee" });
  rows.push(["a call between objects, p50 / p99", `${quantile(times, 0.5)} / ${quantile(times, 0.99)} ms`, "PUSH_EVERY, RELAY_ABOVE"]);
  for (const count of [6, 16]) {
    const { ms } = await call("caller", "fan", { calls: count, ms: size.hold });
    const rounds = Math.max(1, Math.round(ms / size.hold));
    rows.push([`${count} calls at once, each ${size.hold} ms`, `${about(ms)} ms: ${rounds === 1 ? "all at once" : `about ${Math.ceil(count / rounds)} at once`}`, "RELAY_DEGREE, RELAY_ABOVE"]);
  }
  const seconds = Math.max(1, size.seconds / 2);
  const callers = Array.from({ length: 8 }, (_, n) => call(`press-${n}`, "press", { seconds, at_once: 6, to: "pressed" }));
  const pressed = await Promise.all(callers);
  const [answers, refused] = ["answers", "refused"].map((field) => pressed.reduce((sum, each) => sum + each[field], 0));
  rows.push(["calls that one object answers, a second", `${about(answers / seconds)}${refused ? `, ${refused} refused` : ""}`, "CROWD_EVERY and AT_ONCE of src/host/up.rs; MOST_SHARDS"]);
  return rows;
}

async function alarms(call, size) {
  const names = Array.from({ length: size.alarms }, (_, n) => `alarm-${n}`);
  await Promise.all(names.map((name) => call(name, "arm", { ms: size.alarm_ms })));
  await new Promise((done) => setTimeout(done, size.alarm_ms));
  const late = await until(60_000, async () => {
    const all = await Promise.all(names.map((name) => call(name, "late")));
    return all.every(({ late }) => late !== null) && all.map(({ late }) => late);
  }, 500);
  if (!late) return [["alarms", "some have not rung after a minute", "LOST of src/host/leader.rs"]];
  return [["alarms: late, p50 / worst", `${quantile(late, 0.5)} / ${Math.max(...late)} ms`, "LOST of src/host/leader.rs; how promptly tokens end"]];
}

await script(async (args) => {
  let values;
  try {
    ({ values } = parseArgs({ args, options: { "dry-run": { type: "boolean" }, sockets: { type: "string" }, json: { type: "string" } } }));
  } catch (error) {
    throw new Stop(`${error.message} (usage: scripts/spike-cloudflare --help)`);
  }
  const dry = values["dry-run"] ?? false;
  const size = { ...SIZES[dry ? "dry" : "real"] };
  if (values.sockets) size.sockets = values.sockets.split(",").map(Number);
  if (!size.sockets.every((count) => Number.isInteger(count) && count > 0 && count <= 32_000)) {
    throw new Stop(`--sockets is "${values.sockets}"; it must be numbers from 1 to 32000 with commas between them.`);
  }
  const target = await (dry ? local() : deployed());
  const call = spikeCalls(target.url);
  const rows = [...(await step("calls", () => calls(call, size))), ...(await step("alarms", () => alarms(call, size)))];
  const empty = await step("memory of an object alone", () => ballast(call, "alone", size.mb));
  rows.push(["memory until an object is reset", empty === null ? `more than ${size.mb} MB` : `${empty} MB`, "–"]);
  for (const count of size.sockets) rows.push(...(await crowd(target, call, size, count, empty)));

  console.log(`| ${dry ? "on the local workerd: shows that it works, no figure to go by" : "on Cloudflare"} | measured | what should follow from it |\n| --- | --- | --- |`);
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
  if (values.json) writeFileSync(values.json, `${JSON.stringify(rows.map(([figure, measured, setting]) => ({ figure, measured, setting })), null, 2)}\n`);
});
