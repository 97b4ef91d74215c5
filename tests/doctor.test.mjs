// The doctor says what is wrong, each thing broken for real.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { migrations, root } from "../scripts/lib/database.mjs";
import { postgres } from "../scripts/lib/doctor/postgres.mjs";
import { redis } from "../scripts/lib/doctor/redis.mjs";
import { service } from "../scripts/lib/doctor/service.mjs";
import { Settings, judged, known } from "../scripts/lib/doctor/settings.mjs";
import { freePort } from "../scripts/lib/process.mjs";
import { chat, command, relay, startServer, testDatabase, throwAwayRedis, until } from "./harness/index.mjs";

const METRICS_TOKEN = "operators-eyes-only";

/** What is found, as the doctor would print it. */
function finding() {
  const lines = [];
  const add = (mark) => (sentence, todo = "") => lines.push(`${mark} ${sentence} ${todo}`.trim());
  return { lines, report: { well: add("✓"), look: add("!"), bad: add("✗") } };
}
const found = async (look, ...about) => {
  const { lines, report } = finding();
  await look(...about, report);
  return lines;
};
/** One finding, and no other that is not well, matches. */
function only(lines, mark, pattern) {
  const others = lines.filter((line) => !line.startsWith("✓"));
  assert.equal(others.length, 1, lines.join("\n"));
  assert.ok(others[0].startsWith(mark) && pattern.test(others[0]), `${pattern}: ${lines.join("\n")}`);
}

const about = (url, more = {}) => {
  const { lines, report } = finding();
  return service(new URL(url), { report, local: true, origins: [], token: METRICS_TOKEN, ...more }).then((answered) => ({ ...answered, lines }));
};

let clone, database, link, server, store;
before(async () => {
  clone = mkdtempSync(join(tmpdir(), "edge-chat-doctor-"));
  for (const path of ["scripts", "migrations", "docs/operations.md", "wrangler.toml", "package.json", "build"]) cpSync(join(root, path), join(clone, path), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
  [database, store] = [await testDatabase(), await throwAwayRedis()];
  link = await relay(database.url);
  server = await startServer({ databaseUrl: link.url, vars: { METRICS_TOKEN, REDIS_URL: `redis://127.0.0.1:${store.port}`, ALLOWED_ORIGINS: "https://www.example.org" } });
});
after(async () => {
  await server?.stop();
  await store?.stop();
  await link?.cut();
  await database?.drop();
  rmSync(clone, { recursive: true, force: true });
});

/** The script itself, in a copy that has nobody's own settings: its status and lines. */
const doctor = (words, env = {}) => new Promise((resolve) => {
  const own = Object.entries(process.env).filter(([name]) => !known().has(name) && name !== "DATABASE_URL");
  const given = { ...Object.fromEntries(own), METRICS_TOKEN, ...env };
  const child = execFile(process.execPath, [join(clone, "scripts/lib/doctor.mjs"), ...words], { env: given }, (error, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr }));
});

test("of a deployment in which all is well nothing is wrong", async () => {
  const [databaseUrl, redisUrl] = [database.url, `redis://127.0.0.1:${store.port}`];
  const { status, stdout, stderr } = await doctor(["--url", server.url, "--database-url", databaseUrl, "--redis-url", redisUrl, "--origin", "https://www.example.org"]);
  assert.equal(status, 0, stdout + stderr);
  for (const well of ["wrangler", "serves", "Pages of https://www.example.org may", "reaches its PostgreSQL", "All 2 drains answer", "migrations are there", "may do all", "Redis answers", "Clocks agree"]) {
    assert.match(stdout, new RegExp(`^✓ .*${well}`, "m"));
  }
  assert.doesNotMatch(stdout, /✗/);
  assert.deepEqual(await command(store, ["KEYS", "*"]), []);
});

test("what is wrong ends it with status 1, without a secret in it; a wrong option is a sentence", async () => {
  const url = Object.assign(new URL(database.url), { password: "not-the-password" });
  const { status, stdout } = await doctor(["--url", `http://127.0.0.1:${await freePort()}`, "--database-url", url.href], { JWT_SECRET: "your-secret-key-your-secret-key-your-secret-key" });
  assert.equal(status, 1);
  assert.match(stdout, /^✗ http:\/\/127\S+ does not answer: nothing listens there\.\n +Start it/m);
  assert.match(stdout, /^✗ It would refuse to serve: JWT_SECRET .*\n/m);
  assert.match(stdout, /^✗ PostgreSQL at 127\S+ does not let postgres in: /m);
  assert.match(stdout, /\n3 wrong/);
  assert.doesNotMatch(stdout, /not-the-password|your-secret-key-your/);
  for (const [words, why] of [[["--fast"], /--fast/], [["--database-url", "mysql://x:hunter22@y"], /--database-url has to be .*postgres:/], [["--url", "chat.example.org"], /--url/]]) {
    const refused = await doctor(words);
    assert.deepEqual([refused.status, why.test(refused.stderr), /hunter22|    at /.test(refused.stderr)], [1, true, false], refused.stderr);
  }
});

test("an environment of ./scripts/deploy is judged by its own file, and put right there", async () => {
  const [file, at] = [join(clone, ".deploy.staging.vars"), ["--env", "staging", "--url", server.url]];
  const vars = (more) => writeFileSync(file, `DATABASE_URL=${database.url}\nMETRICS_TOKEN=${METRICS_TOKEN}\nREDIS_URL=redis://127.0.0.1:${store.port}\n${more}`, { mode: 0o600 });
  vars("DOMAIN=chat.example.org\n");
  // Of another deployment, which is not asked about.
  const shell = { METRICS_TOKEN: "another-token-of-operators", DATABASE_URL: "postgres://nobody:x@127.0.0.1:1/none" };
  const well = await doctor(at, shell);
  assert.deepEqual([well.status, /✗/.test(well.stdout)], [0, false], well.stdout + well.stderr);
  for (const said of ["All 2 drains answer", "migrations are there", "Redis answers"]) assert.match(well.stdout, new RegExp(`^✓ .*${said}`, "m"));
  vars("RATE_LIMT_MESSAGES=3\nJWT_SECRET=your-secret-key-your-secret-key-your-secret-key\n");
  const ill = await doctor(["--env", "staging", "--url", `http://127.0.0.1:${await freePort()}`]);
  assert.match(ill.stdout, /^! RATE_LIMT_MESSAGES in \.deploy\.staging\.vars is no setting/m);
  assert.match(ill.stdout, /^✗ It would refuse to serve: JWT_SECRET .*\n +Put it right in \.deploy\.staging\.vars, and run \.\/scripts\/deploy --env staging\./m);
  assert.match(ill.stdout, /npx wrangler deployments list --name edge-chat-staging$/m);
  rmSync(file);
  for (const [words, why] of [[["--env", "production"], /There is no \.deploy\.production\.vars here/], [["--env", "test"], /--env has to be one of/]]) assert.match((await doctor(words)).stderr, why);
});

test("doors: what is no answer of the chat's says nothing of them", async () => {
  for (const [status, body, patterns] of [
    [500, {}, [/^! Whether pages of https:\/\/www\.example\.org may use it is not known: it answered 500/]],
    [400, { code: "bad_request" }, [/^✗ It gives a token with any role/, /^! Whether pages/]],
  ]) {
    const fake = createServer(({ url, headers }, answer) => {
      const known = url === "/healthz" && !headers.origin;
      answer.writeHead(known ? 200 : status).end(JSON.stringify(known ? { status: "ok" } : body));
    });
    await new Promise((resolve) => fake.listen(0, "127.0.0.1", resolve));
    const { lines } = await about(`http://127.0.0.1:${fake.address().port}`, { local: false, origins: ["https://www.example.org"] });
    const doors = lines.filter((line) => /Pages|pages|DEV_TOKENS/.test(line));
    assert.equal(doors.length, patterns.length, doors.join("\n"));
    for (const pattern of patterns) assert.ok(doors.some((line) => pattern.test(line)), doors.join("\n"));
    fake.closeAllConnections();
    await new Promise((resolve) => fake.close(resolve));
  }
});

/** What stands before the server of `url` with other answers; on an address that is not a local one's name. */
async function standing(url, change) {
  const proxy = createServer((asked, answer) => {
    const sent = request(new URL(asked.url, url), { method: asked.method, headers: asked.headers }, (got) => {
      answer.sendDate = false;
      answer.writeHead(...change(got.statusCode, got.headers));
      got.pipe(answer);
    });
    asked.pipe(sent);
  });
  await new Promise((resolve) => proxy.listen(0, "0.0.0.0", resolve));
  return { url: `http://0.0.0.0:${proxy.address().port}`, stop: () => new Promise((resolve) => (proxy.closeAllConnections(), proxy.close(resolve))) };
}

describe("the service", () => {
  test("refuses its settings", async () => {
    const wrong = await startServer({ vars: { JWT_SECRET: "change-me-change-me-change-me-change-me" } });
    try {
      const { lines, serves } = await about(wrong.url);
      assert.equal(serves, false);
      only(lines, "✗ It refuses to serve: ", /JWT_SECRET/);
    } finally {
      await wrong.stop();
    }
  });

  test("is not the chat, or lets a page not in", async () => {
    const other = await standing(server.url, () => [404, {}]);
    only((await about(other.url)).lines, "✗", /answers 404, and not as the chat does/);
    await other.stop();
    only((await about(server.url, { origins: ["https://www.example.org", "https://www.example.com"] })).lines, "✗", /Pages of https:\/\/www\.example\.com may not use it\. .*ALLOWED_ORIGINS/);
  });

  test("keeps METRICS_TOKEN for itself, or has another", async () => {
    only((await about(server.url, { token: undefined })).lines, "!", /METRICS_TOKEN is not known here/);
    only((await about(server.url, { token: "another-token-of-operators" })).lines, "✗", /METRICS_TOKEN here is not the service's/);
  });

  test("has another clock, gives tokens to anybody, has no METRICS_TOKEN", async () => {
    const open = await startServer({ databaseUrl: database.url, vars: { DEV_TOKENS: "true" } });
    const date = () => new Date(Date.now() + 120_000).toUTCString();
    const far = await standing(open.url, (status, headers) => [status, { ...headers, date: date() }]);
    try {
      const { lines, offset } = await about(far.url, { local: false });
      assert.ok(Math.abs(offset - 120_000) < 5_000, offset);
      assert.deepEqual(lines.filter((line) => !line.startsWith("✓")).map((line) => line.match(/http:|DEV_TOKENS|METRICS_TOKEN is not set/)[0]), ["http:", "DEV_TOKENS", "METRICS_TOKEN is not set"]);
      const { status, stdout } = await doctor(["--url", far.url, "--database-url", database.url]);
      assert.equal(status, 1);
      assert.match(stdout, /^✗ Clocks differ: the service's is 1[12]\d s ahead of this machine's\./m);
      assert.match(stdout, /^! It is not behind Cloudflare, and CLIENT_IP is/m);
    } finally {
      await far.stop();
      await open.stop();
    }
  });

  test("does not reach PostgreSQL, nor does Redis take anything: both are behind, until they are back", async () => {
    const ada = await chat(server).join("video_a", "ada");
    await link.cut();
    await store.kill("SIGSTOP");
    await ada.request("send_message", { content: "while they are away" });
    let lines;
    const stuck = await until(60_000, async () => {
      ({ lines } = await about(server.url));
      return ["PostgreSQL", "Redis"].every((name) => lines.some((line) => new RegExp(`^✗ A room has waited for ${name} for \\d+ s, \\d+ events are missing there, and it does not move`).test(line)));
    }, 2_000);
    assert.ok(stuck, lines.join("\n"));
    assert.ok(lines.some((line) => line.startsWith("✗ It does not reach its PostgreSQL")), lines.join("\n"));
    await link.open();
    await store.kill("SIGCONT");
    const back = await until(60_000, async () => {
      ({ lines } = await about(server.url));
      return lines.every((line) => line.startsWith("✓"));
    }, 1_000);
    assert.ok(back, lines.join("\n"));
  });
});

test("figures are told apart: what a room delays, what catches up, what piles up, who is silent", async () => {
  const drain = (lag_ms, { queued = [0, 0], ...more } = {}) => ({ drain: 0, up: true, queued, busiest: [], metrics: {}, sums: { lag_ms, lag_events: [7, 8] }, ...more });
  for (const [first, second, mark, pattern] of [
    [drain([0, 25_000]), drain([0, 28_000]), "!", /waited for Redis for 28 s, 8 events are missing there, and no batch has failed.*delay_s/],
    [drain([0, 25_000]), drain([0, 28_000], { metrics: { bridge_failed: 1 } }), "✗", /waited for Redis for 28 s.*does not move/],
    [drain([60_000, 0], { metrics: { drain_failed: 9 } }), drain([30_000, 0], { metrics: { drain_failed: 9 } }), "!", /waited for PostgreSQL for 60 s.*catches up/],
    [drain([0, 0], { sums: { lag_ms: [0, 0], lag_events: [0, 0], webhook_lag_ms: 90_000, webhook_lag_events: 5 }, metrics: { hook_failed: 1 } }), drain([0, 0], { sums: { lag_ms: [0, 0], lag_events: [0, 0], webhook_lag_ms: 93_000, webhook_lag_events: 5 }, metrics: { hook_failed: 1 } }), "✗", /waited for the webhook for 93 s, 5 events are missing there, and it does not move/],
    [drain([0, 0], { metrics: { hook_skipped: 2 } }), null, "!", /refused 2 bodies, which were left out/],
    [drain([0, 0], { queued: [15 << 20, 0] }), null, "!", /15 MiB wait in a drain for PostgreSQL/],
    [{ drain: 0, up: false }, null, "✗", /Drain 0 of 1 does not answer/],
  ]) {
    let asked = 0;
    const fake = createServer(({ url }, answer) => {
      const body = url === "/healthz" ? { status: "ok" } : url.startsWith("/metrics") ? { at: Date.now(), drains: [asked++ ? second : first] } : { code: "room_not_found" };
      answer.writeHead(body.code ? 404 : 200).end(JSON.stringify(body));
    });
    await new Promise((resolve) => fake.listen(0, "127.0.0.1", resolve));
    only((await about(`http://127.0.0.1:${fake.address().port}`, { pause: 10 })).lines, mark, pattern);
    fake.closeAllConnections();
    await new Promise((resolve) => fake.close(resolve));
  }
});

describe("PostgreSQL", () => {
  const look = (url) => found(postgres, new URL(url));

  test("is not there, has not this database, or does not know the password", async () => {
    const url = (change) => Object.assign(new URL(database.url), change).href;
    only(await look(url({ port: await freePort() })), "✗", /nothing listens at 127\.0\.0\.1:\d+\. Start it/);
    only(await look(url({ pathname: "/none" })), "✗", /no database none/);
    only(await look(url({ password: "wrong" })), "✗", /does not let postgres in.*Hyperdrive/);
    only(await look(url({ search: "?sslmode=require" })), "✗", /SSL.*sslmode=disable/);
    const silent = await relay(database.url);
    silent.silence();
    only(await found((report) => postgres(new URL(silent.url), report, 1_000)), "✗", /timeout.*firewall/);
    await silent.cut();
  });

  test("has no migrations, lacks some, has newer ones", async () => {
    const empty = await testDatabase({ empty: true });
    const other = await testDatabase();
    try {
      only(await look(empty.url), "✗", /was never migrated.*migrate up/);
      await migrations("rollback", other.url);
      only(await look(other.url), "✗", /1 of \d+ are missing, from \d{14} on/);
      await migrations("migrate", other.url);
      await other.query("insert into schema_migrations values ('20991231000001')");
      only(await look(other.url), "!", /migrations that this clone has not \(20991231000001\)/);
    } finally {
      await empty.drop();
      await other.drop();
    }
  });

  test("keeps the chat's user from what it does, or takes no writes", async () => {
    const role = `doctor_${randomBytes(4).toString("hex")}`;
    await database.query(`create role ${role} login password 'x'`);
    try {
      const url = Object.assign(new URL(database.url), { username: role, password: "x" }).href;
      await database.query(`grant select on schema_migrations, dead_letters to ${role}`);
      const lines = await look(url);
      only(lines, "✗", new RegExp(`${role} may not do what the chat does: .* on audit; .*grant select, insert`));
      for (const what of ["tables", "functions"]) await database.query(`grant all on all ${what} in schema public to ${role}`);
      assert.ok((await look(url)).every((line) => line.startsWith("✓")));
      await database.query(`revoke delete on messages from ${role}`);
      only(await look(url), "✗", /chat does: delete on messages\./);
      await database.query(`grant delete on messages to ${role}; alter role ${role} set default_transaction_read_only = on`);
      only(await look(url), "✗", /read only/);
    } finally {
      await database.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  test("has dead letters", async () => {
    const other = await testDatabase();
    try {
      await other.query("insert into dead_letters (room_id, epoch, seq, sqlstate, error, body) values ('a', 1, 1, '22P05', 'no', '[\"what somebody said\"]')");
      const lines = await look(other.url);
      only(lines, "!", /1 events are in dead_letters: PostgreSQL refused them \(22P05\)/);
      assert.doesNotMatch(lines.join("\n"), /somebody said/);
    } finally {
      await other.drop();
    }
  });
});

describe("Redis", () => {
  const look = (port, { scheme = "redis", auth = "", ...more } = {}) => found(redis, { url: `${scheme}://${auth}127.0.0.1:${port}`, prefix: "chat:", ...more });
  /** A Redis with these settings, while `work` runs. */
  const having = async (settings, work) => {
    const other = await throwAwayRedis(...settings);
    try {
      await work(other);
    } finally {
      await other.stop();
    }
  };

  test("is not there, speaks no TLS, or does not answer", async () => {
    only(await look(await freePort()), "✗", /nothing listens there\. Start it/);
    await having([], async (other) => {
      only(await look(other.port, { scheme: "rediss", within: 1_000 }), "✗", /not to be had: .*Does it speak TLS there\?/);
      await other.kill("SIGSTOP");
      only(await look(other.port, { within: 1_000 }), "✗", /not to be had: .*time/i);
    });
  });

  test("wants a password, or another one, or lets the user do too little", async () => {
    await having(["--requirepass", "right"], async ({ port }) => {
      only(await look(port), "✗", /wants a password .*\(NOAUTH\)/);
      only(await look(port, { auth: ":wrong@" }), "✗", /does not take this user and password \(WRONGPASS\)/);
      assert.deepEqual((await look(port, { auth: ":right@" })).length, 1);
      assert.deepEqual((await look(port, { password: "right" })).length, 1);
    });
    await having([], async (other) => {
      await command(other, ["ACL", "SETUSER", "chat", "on", ">x", "~chat:*", "&chat:*", "+eval", "+xadd", "+xinfo", "+xtrim", "+expire", "+publish"]);
      const lines = await look(other.port, { auth: "chat:x@" });
      assert.ok(lines.every((line) => line.startsWith("✓")), lines.join("\n"));
      await command(other, ["ACL", "SETUSER", "chat", "-publish"]);
      only(await look(other.port, { auth: "chat:x@" }), "✗", /does not allow what the bridge does \(NOPERM\)/);
    });
  });

  test("is full, a replica, or throws keys away", async () => {
    await having(["--maxmemory", "1", "--maxmemory-policy", "noeviction"], async ({ port }) => only(await look(port), "✗", /is full and takes no writes \(OOM\).*maxmemory/));
    await having(["--replicaof", "127.0.0.1", store.port], async ({ port }) => {
      await until(10_000, async () => (await look(port)).some((line) => line.includes("READONLY")));
      only(await look(port), "✗", /is a replica.*master/);
    });
    await having(["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"], async ({ port }) => only(await look(port), "!", /throws keys away .*allkeys-lru.*noeviction/));
  });
});

describe("settings", () => {
  test("that there are none of, and secrets in wrangler.toml, are named", async () => {
    const settings = new Settings({ local: false });
    settings.vars = { ...settings.vars, RATE_LIMT_MESSAGES: "10", METRICS_TOKEN: "in-the-open-for-all", DEV_TOKENS: "true", ALLOWED_ORIGINS: "https://a.example, http://b.example" };
    const lines = await found((report) => settings.check(report));
    assert.equal(lines.length, 4, lines.join("\n"));
    for (const pattern of [/^! RATE_LIMT_MESSAGES in wrangler\.toml .* Is RATE_LIMIT_MESSAGES meant\?/, /^✗ METRICS_TOKEN stands in wrangler\.toml/, /^✗ DEV_TOKENS is true/, /^! ALLOWED_ORIGINS has http:\/\/b\.example:/]) {
      assert.ok(lines.some((line) => pattern.test(line)), lines.join("\n"));
    }
    assert.doesNotMatch(lines.join("\n"), /in-the-open/);
  });

  test("are judged by the Worker itself where none answers", async () => {
    const settings = new Settings({ local: false });
    for (const [own, mark, pattern] of [[{ JWT_SECRET: "only-31-bytes-of-secret-sauce-x" }, "✗", /JWT_SECRET/], [{ JWT_SECRET: randomBytes(32).toString("hex") }, "✓", /are good/]]) {
      settings.own = own;
      const [line, ...more] = await found(judged, settings);
      assert.ok(line.startsWith(mark) && pattern.test(line) && !more.length, line);
    }
  });

  test("are known by the names that the service reads", () => {
    const files = ["settings.rs", "settings/bridge.rs", "settings/webhook.rs", "auth/keys.rs"].map((name) => readFileSync(join(root, "src", name), "utf8").split("#[cfg(test)]")[0]);
    const read = new Set([...files.join("\n").matchAll(/(?:read\(|read, |lookup\()"([A-Z_]+)"/g)].map(([, name]) => name));
    assert.deepEqual([...known()].sort(), [...read].sort());
  });
});
