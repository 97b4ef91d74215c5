// The chat without Cloudflare: one instance, its settings, and compose.yaml.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseEnv } from "node:util";
import { parse } from "yaml";
import { root } from "../scripts/lib/database.mjs";
import { freePort, until } from "../scripts/lib/process.mjs";
import { chat, endHosted, hosted, leave, testDatabase, viewer } from "./harness/index.mjs";

const home = mkdtempSync(join(tmpdir(), "edge-chat-hosted-"));
const database = await testDatabase();
const folder = (name) => {
  mkdirSync(join(home, name), { recursive: true });
  return join(home, name);
};
after(async () => {
  leave();
  await endHosted();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

const WEB = join(root, "client/web");
const files = readdirSync(WEB, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== "_headers")
  .map((entry) => join(entry.parentPath, entry.name).slice(WEB.length));

test("one instance serves the page and the chat, ends when it is asked to, and has everything afterwards", async () => {
  const data = folder("one");
  const port = await freePort();
  let one = await hosted({ data, port, databaseUrl: database.url });
  assert.equal(one.answers.status, 200);
  const healthy = () => spawnSync(join(root, "self-hosting/start"), ["healthy"], { env: { ...process.env, PORT: port } }).status;
  assert.equal(healthy(), 0);

  const policy = readFileSync(join(WEB, "_headers"), "utf8").match(/Content-Security-Policy: (.*)/)[1];
  for (const path of ["/", "/dashboard/", "/embed", ...files]) {
    const response = await fetch(one.url + path);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get("content-security-policy"), policy, path);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(response.headers.get("access-control-allow-origin"), /^\/(chat\.js|edge-chat\.js|(sdk|crypto|element)\/.*)$/.test(path) ? "*" : null, path);
    if (path.endsWith(".js")) assert.match(response.headers.get("content-type"), /^text\/javascript/, path);
    assert.equal((await fetch(one.url + path, { headers: { "if-none-match": response.headers.get("etag") } })).status, 304, path);
  }
  for (const path of ["/_headers", "/nothing.html", "/sdk/", "/sdk", "/..%2f..%2fCargo.toml", "//dashboard"]) {
    assert.equal((await fetch(one.url + path, { redirect: "manual" })).status, 404, path);
  }
  assert.equal((await fetch(`${one.url}/dashboard`, { redirect: "manual" })).headers.get("location"), "/dashboard/");

  const other = await hosted({ data, databaseUrl: database.url });
  assert.deepEqual([other.answers.ended, /Another process serves/.test(other.log())], ["status 1", true]);

  const ada = await viewer(one, "video_one", "ada");
  const said = await ada.send("hello");
  await until(10_000, async () => (await database.query("select 1 from messages where id = $1", [said.message_id])).length);
  const began = performance.now();
  assert.equal(await one.end(), "status 0", "with a socket open");
  assert.ok(performance.now() - began < 10_000);
  assert.notEqual(healthy(), 0);

  one = await hosted({ data, port, databaseUrl: database.url });
  assert.ok(await until(15_000, () => ada.state === "online"), "ada comes back");
  assert.deepEqual([ada.seen.snapshots, ada.seen.said], [0, [said.message_id]]);
  const { body } = await chat(one).rest("GET", "/rooms/video_one/messages");
  assert.deepEqual(body.messages.map(({ content }) => content), ["hello"]);
  leave();
  await one.end();
});

test("what is not set as it has to be is refused with a sentence", async () => {
  const all = { INSTANCES: "a:1,b:1", INSTANCE: "a:1", INSTANCES_SECRET: "x".repeat(32) };
  const cases = [
    [{ DATABASE_URL: "" }, /DATABASE_URL is not set/],
    [{ DATABASE_URL: "mysql://a/b" }, /DATABASE_URL is to be/],
    [{ DATABASE_URL: "postgres://a:b@c/d?sslmode=verify-full" }, /DATABASE_URL asks for sslmode=verify-full/],
    [{ JWT_SECRET: "" }, /JWT_SECRET/],
    [{ JWT_SECRET: "your-secret-key-your-secret-key-your-secret-key" }, /JWT_SECRET/],
    [{ ...all, INSTANCES: "a" }, /INSTANCES holds "a"/],
    [{ ...all, INSTANCES: "a:1,a:1" }, /names one twice/],
    [{ ...all, INSTANCE: "c:1" }, /INSTANCE is "c:1"/],
    [{ ...all, INSTANCES_SECRET: "short" }, /INSTANCES_SECRET/],
  ];
  await Promise.all(cases.map(async ([env, sentence], n) => {
    const one = await hosted({ data: folder(`refused-${n}`), databaseUrl: database.url, env });
    assert.equal(one.answers.status, 503);
    assert.equal(one.answers.body.code, "misconfigured");
    assert.match(one.answers.body.detail, sentence);
    await one.end("SIGKILL");
  }));
  // A list that was wrong from the first is put right.
  const data = folder("mended");
  const port = await freePort();
  const place = { INSTANCE: `127.0.0.1:${port}`, INSTANCES_SECRET: all.INSTANCES_SECRET };
  for (const [INSTANCES, status] of [[`127.0.0.1,127.0.0.1:${port}`, 503], [`127.0.0.1:${port}, 127.0.0.1:1`, 200], [`127.0.0.1:${port},127.0.0.1:1`, 200]]) {
    const one = await hosted({ data, port, databaseUrl: database.url, env: { ...place, INSTANCES } });
    assert.equal(one.answers.status, status, one.log());
    await one.end("SIGKILL");
  }
});

test("migrations take the address that what serves takes", () => {
  const bin = folder("bin");
  writeFileSync(join(bin, "dbmate"), "#!/bin/sh\necho \"$DATABASE_URL\"\n", { mode: 0o755 });
  const given = (DATABASE_URL) => execFileSync(join(root, "self-hosting/start"), ["migrate"], { encoding: "utf8", env: { PATH: `${bin}:${process.env.PATH}`, DATABASE_URL } }).trim();
  for (const [url, became] of [["postgres://a/b", "postgres://a/b?sslmode=disable"], ["postgres://a/b?x=1", "postgres://a/b?x=1&sslmode=disable"], ["postgres://a/b?sslmode=prefer", "postgres://a/b?sslmode=prefer"]]) {
    assert.equal(given(url), became);
  }
});

const handed = [...readFileSync(join(root, "self-hosting/config.capnp"), "utf8").matchAll(/fromEnvironment = "(\w+)"/g)].map(([, name]) => name);
const OWN = ["DATABASE_URL", "INSTANCES", "INSTANCE", "INSTANCES_SECRET"];

test("every setting that the code reads is handed to it", () => {
  const rust = execFileSync("grep", ["-rhoE", '"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+"', join(root, "src/settings.rs"), join(root, "src/settings"), join(root, "src/auth")], { encoding: "utf8" });
  const documented = [...readFileSync(join(root, "docs/operations.md"), "utf8").split("At least one of")[0].matchAll(/^\| (`[A-Z].*?) \|/gm)].flatMap(([, names]) => names.match(/\w+/g));
  for (const name of new Set([...documented, ...rust.replaceAll('"', "").trim().split("\n")])) assert.ok(handed.includes(name), name);
  assert.deepEqual(handed.filter((name) => !documented.includes(name)), OWN);
});

test("workerd is told of the Worker what Cloudflare is told", () => {
  const [deployed, config, main, among] = ["wrangler.toml", "self-hosting/config.capnp", "self-hosting/main.mjs", "self-hosting/instances.mjs"]
    .map((file) => readFileSync(join(root, file), "utf8"));
  assert.ok(config.includes(`compatibilityDate = "${deployed.match(/compatibility_date = "(.*)"/)[1]}"`));
  const objects = [...deployed.matchAll(/name = "(\w+)"\nclass_name = "(\w+)"/g)];
  assert.ok(objects.length >= 5);
  for (const [, name, Class] of objects) {
    assert.ok(config.includes(`(name = "${name}", durableObjectNamespace = "${Class}")`), name);
    assert.ok(config.includes(`(className = "${Class}", uniqueKey = "${Class}", enableSql = true)`), Class);
    assert.ok(main.includes(`export const ${Class} =`), Class);
    assert.ok(among.match(/const KINDS = .*/)[0].includes(`"${name}"`) || among.includes(`const EVERYWHERE = "${name}"`), name);
  }
  // What would have to be called by somebody else here.
  assert.ok(!/^\[triggers\]|^\[\[queues|crons/m.test(deployed));
});

test("compose.yaml is what Compose takes, names settings that there are, and holds no secret", () => {
  const rules = ["no-build-and-image", "no-unbound-port-interfaces"].flatMap((rule) => ["--disable-rule", rule]);
  const said = spawnSync(join(root, "node_modules/.bin/dclint"), [join(root, "compose.yaml"), "--quiet", ...rules], { encoding: "utf8" });
  assert.equal(said.status, 0, said.stdout + said.stderr);

  const { services, volumes } = parse(readFileSync(join(root, "compose.yaml"), "utf8"), { merge: true });
  const chats = Object.entries(services).filter(([name]) => /^chat/.test(name));
  assert.equal(chats.length, 4);
  for (const [name, { environment, env_file, volumes: [volume], depends_on }] of chats) {
    for (const setting of Object.keys(environment)) assert.ok(handed.includes(setting), `${name}: ${setting}`);
    assert.equal(env_file, ".env");
    assert.equal(volume, `${name}:/data`);
    assert.ok(name in volumes);
    assert.deepEqual(Object.keys(depends_on), ["migrate"]);
    // What Compose sets beats .env.
    assert.deepEqual(Object.keys(environment).filter((setting) => !/^(DATABASE_URL|CLIENT_IP|INSTANCES?)$/.test(setting)), []);
    if (environment.INSTANCES) assert.equal(environment.INSTANCE, `${name}:8080`);
  }
  const servers = [...readFileSync(join(root, "self-hosting/nginx.conf"), "utf8").matchAll(/^ *server (\S+:\d+) resolve;/gm)].map(([, server]) => server);
  assert.deepEqual([servers.slice(0, 3).join(), servers.slice(3).join()], Array(2).fill(services["chat-1"].environment.INSTANCES));
  assert.equal(services.migrate.environment.DATABASE_URL.slice(0, 16), "${DATABASE_URL:-", "that of .env, if there is one");
  for (const { image } of Object.values(services)) assert.match(image, /:[\w.-]+$/);

  // A clone's own .env, and what it holds.
  const clone = folder("clone");
  mkdirSync(join(clone, "self-hosting"));
  const script = join(clone, "self-hosting/env");
  copyFileSync(join(root, "self-hosting/env"), script);
  const written = () => {
    execFileSync(script, { stdio: "pipe" });
    return readFileSync(join(clone, ".env"), "utf8");
  };
  const first = written();
  assert.equal(written(), first, "an existing one is left alone");
  assert.equal(statSync(join(clone, ".env")).mode & 0o777, 0o600);
  const set = parseEnv(first);
  const secrets = Object.entries(set).filter(([, value]) => /^[0-9a-f]{64}$/.test(value));
  assert.deepEqual(secrets.map(([name]) => name).sort(), ["INSTANCES_SECRET", "JWT_SECRET", "METRICS_TOKEN", "POSTGRES_PASSWORD", "REDIS_PASSWORD"]);
  assert.equal(new Set(secrets.map(([, value]) => value)).size, 5);
  const ofCompose = ["POSTGRES_PASSWORD", "COMPOSE_PROFILES", "PUBLISH"];
  for (const [, name] of first.matchAll(/^#?([A-Z_]+)=/gm)) assert.ok(handed.includes(name) || ofCompose.includes(name), name);
});
