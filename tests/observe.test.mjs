// What operators are given: alerts that fire when they should, a dashboard that shows something, a runbook whose commands work.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, before, describe, test } from "node:test";
import { needed, onPath, prometheusProgram, promtoolProgram } from "../scripts/lib/cluster.mjs";
import { root } from "../scripts/lib/database.mjs";
import { Stop, end, freePort, start } from "../scripts/lib/process.mjs";
import { chat, startServer, testDatabase, throwAwayRedis, token, until } from "./harness/index.mjs";

const METRICS_TOKEN = "operators-eyes-only";
const file = (name) => readFileSync(path(root, name), "utf8");
const [rules, tests, runbook] = ["ops/alerts.yml", "ops/alerts.test.yml", "docs/runbook.md"].map(file);
const dashboard = JSON.parse(file("ops/dashboard.json"));
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, alert]) => alert);
const shown = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
/** As Grafana would fill it in. */
const filled = (expr) => expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "1m");

const folder = mkdtempSync(path(tmpdir(), "edge-chat-observe-"));
let database, redis, server, promtool, why;
before(async () => {
  try {
    promtool = await promtoolProgram();
    await needed(() => onPath("jq"), "jq", "jq");
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    why = error.message;
  }
  [database, redis] = [await testDatabase(), await throwAwayRedis()];
  const vars = { METRICS_TOKEN, RATE_LIMIT_MESSAGES: "3", ENABLE_SPAM_DETECTION: "true", REDIS_URL: `redis://127.0.0.1:${redis.port}` };
  server = await startServer({ databaseUrl: database.url, vars });
  await people();
});
after(async () => {
  await server?.stop();
  await redis?.stop();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** Some who talk: one too fast, one who comes back, one whose message is held. */
async function people(room = "video_123", [first, second] = ["ada", "bob"]) {
  const { join, rest } = chat(server);
  const ada = await join(room, first);
  for (let n = 0; n < 3; n++) await ada.request("send_message", { content: `hello ${n}`, took: { ack_ms: 20, shown_ms: 30 } });
  await assert.rejects(ada.request("send_message", { content: "too many" }));
  await ada.request("catch_up", { epoch: ada.joined.epoch, seq: 2 });
  const terms = await rest("PUT", `/rooms/${room}/terms`, { as: { sub: "mod", roles: ["admin"] }, body: { blocked: ["spoiler"], action: "hold" } });
  assert.equal(terms.status, 200);
  const bob = await join(room, second);
  assert.equal((await bob.request("send_message", { content: "a spoiler" })).held, true);
}

async function metrics() {
  const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
  return answer.text();
}

/** A program's end: its status and what it said. */
const ended = (program, words, options) => new Promise((resolve) => {
  const child = execFile(program, words, options, (error, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr, said: stdout + stderr }));
});

/** promtool's verdict on a text. Its tests write and sync a small database each: in memory where there is a place for that. */
function promtooled(name, text, ...words) {
  writeFileSync(path(folder, name), text);
  const TMPDIR = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  return ended(promtool, [...words, path(folder, name)], { env: { ...process.env, TMPDIR } });
}

describe("rules", () => {
  test("promtool takes them, and each fires and is quiet where it should", async (t) => {
    if (!promtool) return t.skip(why);
    const checked = await promtooled("alerts.yml", rules, "check", "rules");
    assert.deepEqual([checked.status, checked.said.includes(`${alerts.length} rules found`)], [0, true], checked.said);
    const tested = await promtooled("alerts.test.yml", tests, "test", "rules");
    assert.equal(tested.status, 0, tested.said);
    // And it is one that can complain.
    await promtooled("alerts.yml", rules.replace("edge_chat_drain_up == 0", "edge_chat_drain_up == 2"), "check", "rules");
    const [head, ...cases] = tests.split(/^(?=  - name: )/m);
    const one = cases.find((text) => text.includes("alertname: EdgeChatDrainSilent\n        exp_alerts:\n"));
    assert.match((await promtooled("alerts.test.yml", head + one, "test", "rules")).said, /FAILED[\s\S]*EdgeChatDrainSilent/);
  });

  test("each alert is tried on what it should fire on and on what it should not", () => {
    const tried = [...tests.matchAll(/alertname: (\w+)\n +exp_alerts:( \[\])?/g)];
    for (const alert of alerts) {
      const of = tried.filter(([, name]) => name === alert).map(([, , none]) => Boolean(none));
      assert.ok(of.includes(true) && of.includes(false), alert);
    }
    assert.deepEqual(tried.map(([, name]) => name).filter((name) => !alerts.includes(name)), []);
  });

  test("each alert says what is the matter and where to read on, and the runbook has no other sections", () => {
    for (const [, alert, rest] of rules.matchAll(/- alert: (\w+)\n([\s\S]*?)(?=\n\n|\n *#|$)/g)) {
      assert.match(rest, /severity: (critical|warning) \}/, alert);
      assert.match(rest, /\n +summary: \S/, alert);
      assert.match(rest, new RegExp(`\\n +runbook: docs/runbook\\.md#${alert.toLowerCase()}(\\n|$)`), alert);
    }
    const sections = runbook.split(/^## /m).slice(1);
    assert.deepEqual(sections.map((section) => section.split("\n")[0]), alerts);
    for (const section of sections) for (const part of ["People", "Look", "Over"]) assert.ok(section.includes(`**${part}**`), `${part} of ${section.split("\n")[0]}`);
    for (const section of sections) assert.match(section, /\*\*do\*\*|\*\*Do\*\*/, section);
  });
});

describe("dashboard", () => {
  test("it can be imported: panels with ids of their own, beside one another, on a data source that is chosen", () => {
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(dashboard.schemaVersion >= 36 && dashboard.uid && dashboard.title);
    const cells = new Map();
    for (const { title, type, gridPos: { x, y, w, h }, targets = [] } of dashboard.panels) {
      assert.ok(["row", "stat", "timeseries"].includes(type) && x >= 0 && x + w <= 24, title);
      for (let at = 0; at < w * h; at++) {
        const cell = `${x + (at % w)},${y + Math.floor(at / w)}`;
        assert.ok(!cells.has(cell), `${title} lies on ${cells.get(cell)}`);
        cells.set(cell, title);
      }
      assert.equal(targets.length > 0, type !== "row", title);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    }
    const variables = dashboard.templating.list.map(({ name, type }) => `${name}: ${type}`);
    assert.deepEqual(variables, ["datasource: datasource", "instance: query"]);
    const sources = dashboard.panels.filter(({ type }) => type !== "row").flatMap(({ datasource, targets }) => [datasource, ...targets.map((target) => target.datasource)]);
    assert.ok(sources.every(({ type, uid }) => type === "prometheus" && uid === "${datasource}"));
    assert.ok(shown.every(({ expr }) => expr.includes("$instance")));
  });

  test("promtool takes each expression", async (t) => {
    if (!promtool) return t.skip(why);
    const wrapped = JSON.stringify({ groups: [{ name: "dashboard", rules: shown.map(({ expr }, n) => ({ record: `dashboard:${n}`, expr: filled(expr) })) }] });
    const checked = await promtooled("dashboard.yml", wrapped, "check", "rules");
    assert.deepEqual([checked.status, checked.said.includes(`${shown.length} rules found`)], [0, true], checked.said);
    assert.notEqual((await promtooled("dashboard.yml", wrapped.replace("sum (", "sun ("), "check", "rules")).status, 0);
  });
});

test("what rules, dashboard and runbook name is what the service tells", async () => {
  const text = await metrics();
  const families = new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]));
  const samples = new Set(text.split("\n").filter((line) => !line.startsWith("#")).map((line) => line.split(/[{ ]/)[0]));
  const labels = new Set([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => `${name}=${value}`));
  const codes = new Set([...file("docs/protocol.md").matchAll(/^\| `(\w+)` \| \d{3} \|/gm)].map(([, code]) => code));
  for (const [where, source] of [["alerts", rules], ["their tests", tests], ["dashboard", shown.map(({ expr }) => expr).join("\n")], ["runbook", runbook.replaceAll(/\(?[\w|]+\|[\w|]+\)/g, "")]]) {
    for (const [name] of source.matchAll(/edge_chat_\w+[a-z]\b/g)) assert.ok(samples.has(name) || families.has(name), `${name} in ${where}`);
    for (const [, name, , value] of source.matchAll(/\b(sink|outcome|kind|code)=(~?)"([^"]*)"/g)) {
      const known = (one) => (name === "code" ? codes.has(one) : labels.has(`${name}=${one}`));
      for (const one of value.split("|")) assert.ok(known(one), `${name}="${one}" in ${where}`);
    }
  }
  // A histogram is asked by its buckets, and nothing else is.
  for (const [name] of `${rules}${JSON.stringify(shown)}`.matchAll(/edge_chat_\w+_seconds\b(?!_)/g)) assert.notEqual(families.get(name), "histogram", name);
});

test("Prometheus itself loads the rules, and each panel has something to show", async (t) => {
  if (!promtool) return t.skip(why);
  const [port, { host }] = [await freePort(), new URL(server.url)];
  const config = { global: { scrape_interval: "1s", evaluation_interval: "1s" }, rule_files: [path(root, "ops/alerts.yml")],
    scrape_configs: [{ job_name: "edge-chat", authorization: { credentials: METRICS_TOKEN }, static_configs: [{ targets: [host] }] }] };
  writeFileSync(path(folder, "prometheus.yml"), JSON.stringify(config));
  const prometheus = start(await prometheusProgram(), [`--config.file=${path(folder, "prometheus.yml")}`, `--storage.tsdb.path=${path(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`, "--log.level=error"], { cwd: folder });
  try {
    const api = async (what, query = {}) => (await (await fetch(`http://127.0.0.1:${port}/api/v1/${what}?${new URLSearchParams(query)}`)).json()).data;
    const query = async (expr) => (await api("query", { query: filled(expr) })).result;
    const ready = await until(20_000, async () => {
      try {
        return (await query("edge_chat_drain_up")).length;
      } catch {
        return false;
      }
    }, 200);
    assert.ok(ready, "a scrape");
    // A drain that nobody asked for ten seconds has forgotten what it counted.
    await people("video_124", ["ann", "ben"]);
    assert.ok(await until(20_000, async () => (await query("count_over_time(edge_chat_errors_total[1m]) > 2")).length, 200), "three scrapes of what was counted");
    for (const { title, expr } of shown) {
      const result = await query(expr);
      // Errors that nobody made have no series.
      assert.ok(result?.length || /code=~/.test(expr), `${title}: ${expr}`);
    }
    assert.equal((await query("sum by (code) (edge_chat_errors_total)"))[0].metric.code, "rate_limited");
    const { groups } = await api("rules");
    assert.deepEqual(groups[0].rules.map(({ name, health, state }) => [name, health, state]), alerts.map((alert) => [alert, "ok", "inactive"]));
  } finally {
    await end(prometheus);
  }
});

test("the runbook's commands and queries work", async (t) => {
  if (why) return t.skip(why);
  const blocks = [...runbook.matchAll(/^```(sh|sql)\n([\s\S]*?)^```$/gm)].map(([, kind, text]) => ({ kind, text }));
  assert.ok(blocks.length > 20);
  const line = JSON.stringify({ logs: [{ message: [JSON.stringify({ level: "error", msg: "drain: 53300 too many" })] }, { message: ["trap", 5] }] });
  const env = { ...process.env, CHAT: server.url, METRICS_TOKEN, TOKEN: await token({ sub: "ops", roles: ["admin"] }),
    DATABASE_URL: database.url, REDIS_URL: `redis://127.0.0.1:${redis.port}`, TAILED: line };
  const run = (text) => ended("bash", ["--norc", "-euo", "pipefail", "-c", text], { env, cwd: root });
  for (const { kind, text } of blocks) {
    if (kind === "sql") {
      await database.query(text);
      continue;
    }
    const local = text.replace(/^export CHAT=.*$/m, "").replace("npx wrangler tail --format json", "printf '%s\\n' \"$TAILED\"").replace(/^(npx wrangler|\.\/scripts\/deploy) .*$/gm, "");
    const { status, stdout, stderr } = await run(local);
    // Of errors that nobody made there is nothing to be found.
    if (!/errors_total/.test(text)) assert.equal(status, 0, `${text}\n${stdout}${stderr}`);
    assert.doesNotMatch(stdout, /"status":[45]\d\d|^[045]\d\d$/m, text);
    if (text.includes("wrangler tail")) assert.equal(stdout, "drain: 53300 too many\n");
  }
  const { said: help } = await ended(path(root, "node_modules/.bin/wrangler"), ["--help"], { env: { ...env, WRANGLER_SEND_METRICS: "false" } });
  for (const [, word] of runbook.matchAll(/npx wrangler (\w+)/g)) assert.match(help, new RegExp(`wrangler ${word}\\b`), word);
});
