// The way to Cloudflare without Cloudflare: a dry run by the real wrangler, and the walk itself with one that only notes.
import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SECRETS, VARS } from "../scripts/lib/deploy/settings.mjs";
import { root } from "../scripts/lib/database.mjs";
import { start } from "../scripts/lib/process.mjs";
import { startServer, testDatabase } from "./harness/index.mjs";

const JWT_SECRET = "9a1f0e5b7c3d48e2a6b4c8d0e1f2a3b4c5d6e7f8";
const METRICS_TOKEN = "5d1c7e9b3f2a4d6c8e0b";
const PASSWORD = "hunter22%2Fhunter";
const ID = "0123456789abcdef0123456789abcdef";
const HIDDEN = [JWT_SECRET, METRICS_TOKEN, PASSWORD, decodeURIComponent(PASSWORD)];

/** What `wrangler` is here: notes each call, answers as `replies` of the folder says, fails where `fails` names it. */
const FAKE = `#!${process.execPath}
const { appendFileSync, readFileSync } = require("node:fs");
const folder = require("node:path").dirname(__filename);
const args = process.argv.slice(2);
const file = args[args.indexOf("--secrets-file") + 1];
const call = { args };
if (file === "/dev/stdin") call.stdin = readFileSync(file, "utf8");
if (args.includes("--config")) call.config = JSON.parse(readFileSync(args[args.indexOf("--config") + 1], "utf8"));
appendFileSync(folder + "/calls", JSON.stringify(call) + "\\n");
const name = args.filter((arg) => arg === "--dry-run" || !arg.startsWith("-")).join(" ");
const is = (start) => (name + " ").startsWith(start + " ");
if (is(readFileSync(folder + "/fails", "utf8")) && !args.includes("--dry-run")) {
  console.error("no, said wrangler: " + (call.stdin ?? ""));
  process.exit(3);
}
const replies = JSON.parse(readFileSync(folder + "/replies", "utf8"));
console.log(replies[Object.keys(replies).find(is)] ?? "");
`;

const REPLIES = {
  whoami: JSON.stringify({ loggedIn: true, email: "ada@example.org", accounts: [{ id: "acc1", name: "Ada" }] }),
  "auth token": JSON.stringify({ type: "api_token", token: "api-token" }),
  "secret list": JSON.stringify([{ name: "JWT_SECRET", type: "secret_text" }, { name: "REDIS_URL", type: "secret_text" }]),
  deploy: "Uploaded edge-chat-staging\nCurrent Version ID: v2",
  "deployments list": JSON.stringify([
    { created_on: "2026-11-03", versions: [{ version_id: "v1", percentage: 100 }] },
    { created_on: "2026-11-01", versions: [{ version_id: "v0", percentage: 100 }] },
    { created_on: "2026-11-02", versions: [{ version_id: "v1", percentage: 100 }] },
  ]),
};

let clone, bin, database, server, api;
before(async () => {
  clone = mkdtempSync(join(tmpdir(), "edge-chat-deploy-"));
  bin = join(clone, "bin");
  mkdirSync(bin);
  const ours = (path) => !/\/(target|node_modules)(\/|$)/.test(path.slice(root.length)) || path.endsWith("/client/crypto/target");
  for (const path of ["scripts", "src", "docs/openapi.json", "Cargo.toml", "Cargo.lock", "package.json", "package-lock.json", "build", "client", "migrations", "wrangler.toml"]) {
    cpSync(join(root, path), join(clone, path), { recursive: true, filter: ours, preserveTimestamps: true });
  }
  // By it the build knows that it is up to date.
  cpSync(join(root, "client/crypto/target/.inputs"), join(clone, "client/crypto/target/.inputs"));
  symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
  writeFileSync(join(bin, "package.json"), "{}");
  writeFileSync(join(bin, "wrangler"), FAKE);
  chmodSync(join(bin, "wrangler"), 0o755);
  database = await testDatabase({ empty: true });
  server = await startServer({ databaseUrl: database.url, vars: { JWT_SECRET, METRICS_TOKEN, JWT_ISSUER: "us", AUTO_CREATE_ROOMS: "false" } });
  api = await listening(({ method, url }, body) => {
    api.asked.push([method, url, body]);
    if (url.endsWith("/workers/domains")) return { success: true, result: [{ hostname: "chat.example.org", service: "old-chat" }] };
    if (method === "POST") api.configs.push({ id: ID, ...body });
    return { success: true, result: method === "GET" ? api.configs : api.configs.at(-1) };
  });
  Object.assign(api, { asked: [], configs: [] });
});
after(async () => {
  await server?.stop();
  await database?.drop();
  api?.close();
  rmSync(clone, { recursive: true, force: true });
});

/** A server on this machine that answers by `answer(request, body)`: JSON, or `{status, text}`. */
async function listening(answer) {
  const own = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const given = answer(request, text && JSON.parse(text));
    response.writeHead(given.status ?? 200).end(given.text ?? JSON.stringify(given));
  });
  await new Promise((resolve) => own.listen(0, "127.0.0.1", resolve));
  return Object.assign(own, { url: `http://127.0.0.1:${own.address().port}` });
}

/** Runs the command in the copy; no secret is in what it prints, in what wrangler is called with, or in what it keeps. */
async function deploy(args, { env = {}, fails = "nothing", replies = {} } = {}) {
  writeFileSync(join(bin, "replies"), JSON.stringify({ ...REPLIES, ...replies }));
  writeFileSync(join(bin, "fails"), fails);
  writeFileSync(join(bin, "calls"), "");
  const { CLOUDFLARE_ACCOUNT_ID: _, CLOUDFLARE_API_TOKEN: __, DATA: ___, ...rest } = process.env;
  const child = start(join(clone, "scripts/deploy"), args, {
    cwd: clone,
    env: { ...rest, WRANGLER: join(bin, "wrangler"), CLOUDFLARE_API_BASE_URL: api.url, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
  await new Promise((resolve) => child.once("close", resolve));
  const how = await child.gone;
  const calls = readFileSync(join(bin, "calls"), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const kept = existsSync(join(clone, ".data")) ? readdirSync(join(clone, ".data"), { recursive: true, withFileTypes: true }) : [];
  const texts = kept.filter((file) => file.isFile()).map((file) => readFileSync(join(file.parentPath, file.name), "utf8"));
  for (const secret of HIDDEN) {
    assert.ok(!said.includes(secret), `a secret is shown:\n${said}`);
    assert.ok(!calls.some(({ args }) => args.some((arg) => arg.includes(secret))), "a secret is an argument");
    assert.ok(!texts.some((text) => text.includes(secret)), "a secret is kept");
  }
  assert.ok(!/\n    at /.test(said), said);
  return { how, said, calls, names: calls.map(({ args }) => args.filter((arg) => arg === "--dry-run" || !/^[-/]|^scripts|^edge-chat|^json$/.test(arg)).join(" ")) };
}

function vars(env, lines) {
  const text = typeof lines === "string" ? lines : Object.entries(lines).map(([name, value]) => `${name}=${value}`).join("\n");
  writeFileSync(join(clone, `.deploy.${env}.vars`), text);
}
const settings = { DATABASE_URL: `postgres://chat:${PASSWORD}@db.invalid:5432/chat`, JWT_SECRET, METRICS_TOKEN, JWT_ISSUER: "us" };

test("both lists of settings are all that the service reads", () => {
  const files = ["settings.rs", "settings/bridge.rs", "settings/metrics.rs", "settings/webhook.rs", "auth/keys.rs"];
  const text = files.map((file) => readFileSync(join(root, "src", file), "utf8").split("#[cfg(test)]")[0]).join("");
  const read = new Set([...text.matchAll(/"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|DRAINS|GATEWAYS)"/g)].map(([, name]) => name));
  assert.deepEqual([...SECRETS, ...VARS, "DEV_TOKENS"].sort(), [...read].sort());
});

test("a dry run goes all the way with the real wrangler, and asks nobody", async () => {
  const fresh = await deploy(["--env", "staging", "--dry-run"]);
  assert.equal(fresh.how, "status 1");
  assert.match(fresh.said, /\.deploy\.staging\.vars is written, with new secrets/);
  const file = join(clone, ".deploy.staging.vars");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const own = readFileSync(file, "utf8").match(/^JWT_SECRET=(.{64})$/m)[1];
  vars("staging", `${readFileSync(file, "utf8").replace("DATABASE_URL=", `DATABASE_URL=${settings.DATABASE_URL}`)}\nSHARD_SOCKETS=2000\nSOCKET_IO_PATH=/live/`);

  const asked = api.asked.length;
  const { how, said } = await deploy(["--env", "staging", "--dry-run"], { env: { WRANGLER: "" } });
  assert.equal(how, "status 0", said);
  assert.ok(!said.includes(own));
  const order = ["settings of staging", "build/ is up to date", "settings by the service itself", "--secrets-file /dev/stdin --dry-run",
    /env\.SHARD_SOCKETS \("2000"\)/, /env\.JWT_SECRET \("\(hidden\)"\)/, "--dry-run: exiting now", "wrangler whoami", "/hyperdrive/configs {\"name\":\"edge-chat-staging\"",
    "dbmate", ...readdirSync(join(root, "migrations")), "--message", "secret list", "nothing was"];
  let from = 0;
  for (const part of order) {
    const rest = said.slice(from);
    const found = typeof part === "string" ? rest.indexOf(part) : rest.search(part);
    assert.ok(found >= 0, `${part} in its place in\n${said}`);
    from += found;
  }
  assert.match(said, /"password":"•••"/);
  assert.equal(api.asked.length, asked);
  const config = JSON.parse(readFileSync(join(clone, ".data/deploy/staging/wrangler.json"), "utf8"));
  assert.deepEqual([config.name, config.workers_dev, config.vars.DRAINS], ["edge-chat-staging", true, undefined]);
  assert.ok(config.assets.run_worker_first.includes("/live/*"));
  assert.deepEqual(config.migrations, [{ tag: "v1", new_sqlite_classes: ["Room", "Shard", "Drain", "User", "Gateway"] }]);
  assert.ok(!existsSync(join(clone, ".data/deploy/staging/state.json")));
});

test("what is wrong with the settings is a sentence, before anything is asked", async () => {
  for (const [wrong, why] of [
    [{ ...settings, RATE_LIMIT_MESSAGE: "3" }, /RATE_LIMIT_MESSAGE, which is no setting/],
    [{ ...settings, DATABASE_URL: "postgres://chat:pw@localhost/chat" }, /localhost, which Cloudflare cannot reach/],
    [{ ...settings, DOMAIN: "https://chat.example.org" }, /DOMAIN .* has to be a host name/],
    // The service's own words.
    [{ ...settings, SHARD_SOCKETS: "3" }, /SHARD_SOCKETS has to be a whole number from 10 to 32000/],
  ]) {
    vars("staging", wrong);
    const { how, said, calls } = await deploy(["--env", "staging"]);
    assert.match(said, why);
    assert.deepEqual([how, calls], ["status 1", []], said);
  }
  assert.match((await deploy(["--env", "prod"])).said, /--env has to be one of staging, production/);
});

/** wrangler.toml's settings with these lines more, while `work` runs. */
async function base(lines, work) {
  const file = join(clone, "wrangler.toml");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace("[vars]\n", `[vars]\n${lines}\n`));
  try {
    await work();
  } finally {
    writeFileSync(file, text);
  }
}

test("what stands in wrangler.toml is looked at as the file is", async () => {
  vars("staging", settings);
  for (const [line, why] of [
    ['DEV_TOKENS = "true"', /wrangler\.toml sets DEV_TOKENS/],
    ['RATE_LIMIT_MESSAGE = "3"', /wrangler\.toml sets RATE_LIMIT_MESSAGE, which is no setting/],
    [`METRICS_TOKEN = "${"0".repeat(20)}"`, /wrangler\.toml sets METRICS_TOKEN, where everybody/],
  ]) {
    await base(line, async () => {
      const { how, said, calls } = await deploy(["--env", "staging"]);
      assert.match(said, why);
      assert.deepEqual([how, calls], ["status 1", []], said);
    });
  }
});

test("two environments share nothing that would open one to the other", async () => {
  const theirs = { DATABASE_URL: `postgres://chat:${PASSWORD}@other.invalid/chat`, JWT_SECRET: "f".repeat(40), METRICS_TOKEN: "f".repeat(20) };
  const refused = async (ours, why) => {
    vars("staging", { ...settings, ...ours });
    // The service's own complaint is the next one, so nothing is asked.
    const { said, calls } = await deploy(["--env", "staging"]);
    assert.match(said, why);
    assert.deepEqual(calls, []);
  };
  vars("production", theirs);
  await refused({ JWT_SECRET: theirs.JWT_SECRET }, /staging and production have the same JWT_SECRET/);
  await refused({ JWT_SECRETS: JSON.stringify({ old: theirs.JWT_SECRET }) }, /the same JWT_SECRET/);
  await refused({ METRICS_TOKEN: theirs.METRICS_TOKEN }, /the same METRICS_TOKEN/);
  // Another user of the same database, and its port written out.
  await refused({ DATABASE_URL: `postgres://staging:${PASSWORD}@other.invalid:5432/chat?sslmode=require` }, /the same DATABASE_URL/);
  await base('REDIS_HOST = "redis.invalid"', async () => {
    await refused({}, /the same Redis/);
    await refused({ REDIS_PREFIX: "chat:" }, /the same Redis/);
    await refused({ REDIS_PREFIX: "staging:", SHARD_SOCKETS: "3" }, /SHARD_SOCKETS has to be/);
  });
  vars("production", { ...theirs, REDIS_URL: `rediss://:${PASSWORD}@redis.invalid/1` });
  await refused({ REDIS_HOST: "redis.invalid" }, /the same Redis/);
  rmSync(join(clone, ".deploy.production.vars"));
});

test("Hyperdrive is made once, without its cache; a domain that serves something else is left alone", async () => {
  vars("staging", { ...settings, DOMAIN: "chat.example.org" });
  const taken = await deploy(["--env", "staging"]);
  assert.match(taken.said, /chat\.example\.org is the domain of the Worker old-chat/);
  assert.equal(taken.how, "status 1");
  assert.ok(!taken.names.includes("deploy"));

  api.asked = [];
  // This database is not there, so the migrations fail.
  const first = await deploy(["--env", "staging", "--take-domain"]);
  assert.deepEqual([first.how, first.names.at(-1)], ["status 1", "auth token"], first.said);
  const origin = { scheme: "postgres", host: "db.invalid", port: 5432, database: "chat", user: "chat", password: decodeURIComponent(PASSWORD) };
  assert.deepEqual(api.asked, [
    ["GET", "/accounts/acc1/hyperdrive/configs", ""],
    ["POST", "/accounts/acc1/hyperdrive/configs", { name: "edge-chat-staging", origin, caching: { disabled: true } }],
  ]);
  api.asked = [];
  const again = await deploy(["--env", "staging", "--take-domain"]);
  assert.match(again.said, /Hyperdrive's edge-chat-staging, without its query cache: done before/);
  assert.deepEqual([again.how, api.asked], ["status 1", []]);

  api.configs = [{ id: ID, name: "edge-chat-staging", origin: { ...origin, host: "db.elsewhere" }, caching: { disabled: true } }];
  vars("staging", settings);
  const moved = await deploy(["--env", "staging"]);
  assert.match(moved.said, /points at db\.elsewhere:5432\/chat, DATABASE_URL at db\.invalid:5432\/chat/);
  assert.ok(!api.asked.some(([method]) => method !== "GET"));
});

test("a deployment goes on where it failed, and ends with people who can talk; the way back too", async () => {
  // The database of this machine, which is Hyperdrive's own affair where its id is given.
  const reached = new URL(database.url);
  const lines = readFileSync(join(clone, "wrangler.toml"), "utf8");
  // A token without it is refused.
  writeFileSync(join(clone, "wrangler.toml"), lines.replace("[vars]\n", '[vars]\nJWT_ISSUER = "us"\n'));
  vars("staging", { DATABASE_URL: reached.href, HYPERDRIVE_ID: ID, JWT_SECRET, METRICS_TOKEN, DRAINS: "3" });
  api.configs = { caching: { disabled: true } };
  const place = ["--env", "staging", "--url", server.url];
  const check = ["deploy --dry-run", "whoami"];

  const first = await deploy(place, { fails: "deploy" });
  assert.equal(first.how, "status 1");
  assert.match(first.said, /wrangler deploy failed \(status 3\)\.\n *no, said wrangler: \{"JWT_SECRET":"•••"/);
  assert.deepEqual(first.names, [...check, "auth token", "deploy"]);
  const [{ count }] = await database.query("select count(*)::int from schema_migrations");
  assert.equal(count, readdirSync(join(root, "migrations")).length);

  // Uploaded, while the version before, which refuses to serve, still answers; and then there is no room to be had.
  let asked = 0;
  const broken = await listening(({ url }) => (url === "/healthz" && ++asked > 2 ? {} : { status: 503, text: JSON.stringify({ code: "misconfigured", detail: "DRAINS …" }) }));
  const second = await deploy(["--env", "staging", "--url", broken.url], { replies: { deploy: `${REPLIES.deploy}\n  https://edge-chat-staging.ada.workers.dev` } });
  assert.match(second.said, /migrating the database: done before/);
  assert.match(second.said, /It could not be made: 503/);
  assert.deepEqual([second.how, second.names], ["status 1", [...check, "deploy", "secret list"]]);
  const upload = second.calls.find(({ args }) => args[0] === "deploy" && !args.includes("--dry-run"));
  assert.deepEqual(JSON.parse(upload.stdin), { JWT_SECRET, METRICS_TOKEN });
  assert.deepEqual([upload.config.hyperdrive, upload.config.vars.DRAINS], [[{ binding: "DB", id: ID }], "3"]);
  assert.match(second.said, /REDIS_URL is still set there: npx wrangler secret delete REDIS_URL/);

  // What refuses to serve and was not put there just now goes on doing so.
  const live = { "deployments list": JSON.stringify([{ created_on: "2026-11-04", versions: [{ version_id: "v2", percentage: 100 }] }, ...JSON.parse(REPLIES["deployments list"])]) };
  asked = -Infinity;
  const still = await deploy(["--env", "staging", "--url", broken.url], { replies: live });
  broken.close();
  assert.match(still.said, /uploading edge-chat-staging with its secrets: done before[\s\S]*The service refuses to serve/);

  const third = await deploy(place, { replies: live });
  assert.match(third.said, /uploading edge-chat-staging with its secrets: done before/);
  assert.match(third.said, /staging is deployed: http.*version v2/);
  assert.deepEqual([third.how, third.names], ["status 0", [...check, "deployments list", "secret list"]], third.said);
  const [{ content }] = await database.query("select content from messages where room_id = 'deploy-check'");
  assert.equal(content, "deployed");

  // Which version is the one before: not the newest of another number of deployments, and none that was live later.
  const back = await deploy([...place, "--rollback"]);
  assert.deepEqual([back.how, back.names], ["status 0", ["whoami", "deployments list", "rollback v0 immediate"]], back.said);
  const { args } = back.calls.at(-1);
  assert.ok(args.includes("--yes") && args.join(" ").includes("--durable-objects-code-update-mode immediate"));
  assert.match(back.said, /staging runs version v0 again/);
  // Or the next deployment would take the upload for done.
  assert.ok(!existsSync(join(clone, ".data/deploy/staging/state.json")));

  // It asks where wrangler said that it is; here somebody else's answer stands there.
  const known = join(clone, ".data/deploy/staging/url");
  assert.equal(readFileSync(known, "utf8"), "https://edge-chat-staging.ada.workers.dev");
  let answer = 'edge_chat_lag_seconds{sink="postgres",drain="0"} 99\n';
  const late = await listening(({ url }) => (url === "/metrics" ? { text: answer } : { status: 503, text: "misconfigured" }));
  writeFileSync(known, late.url);
  const refused = await deploy(["--env", "staging", "--rollback", "--to", "v1"]);
  assert.match(refused.said, /PostgreSQL is 99 s behind/);
  assert.deepEqual([refused.how, refused.names], ["status 1", ["whoami"]]);
  // A drain that is silent may be the one that is behind: said, and no reason to stay with what is broken.
  answer = 'edge_chat_drain_up{drain="1"} 0\nedge_chat_lag_seconds{sink="postgres",drain="0"} 0\n';
  const blind = await deploy(["--env", "staging", "--rollback", "--to", "v1"], { fails: "rollback" });
  late.close();
  assert.match(blind.said, /! Nobody knows whether PostgreSQL lacks anything/);
  assert.deepEqual(blind.names, ["whoami", "rollback v1 immediate"]);
  rmSync(known);
  const lost = await deploy(["--env", "staging", "--rollback"]);
  assert.match(lost.said, /Where edge-chat-staging is served is not known here.*--url/);
  assert.deepEqual([lost.how, lost.names], ["status 1", []]);
});

test("an upload that somebody took back by hand is done again", async () => {
  const place = ["--env", "staging", "--url", server.url];
  vars("staging", { DATABASE_URL: database.url, HYPERDRIVE_ID: ID, JWT_SECRET, METRICS_TOKEN, DRAINS: "2" });
  assert.match((await deploy(place, { fails: "secret list" })).said, /wrangler secret failed/);
  // Live is v1, and v2 was uploaded.
  const again = await deploy(place, { fails: "deploy" });
  assert.match(again.said, /migrating the database: done before[\s\S]*wrangler deploy failed/);
  assert.deepEqual(again.names.slice(-2), ["deployments list", "deploy"]);
});
