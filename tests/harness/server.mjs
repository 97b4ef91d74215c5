// The built Worker under the real workerd, set up as wrangler.toml says, by the Miniflare that wrangler ships.
import { execFileSync } from "node:child_process";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SignJWT } from "jose";
import { unstable_readConfig as readConfig } from "wrangler";
import { root } from "../../scripts/lib/database.mjs";
import { freePort, until } from "../../scripts/lib/process.mjs";

const wrangler = createRequire(import.meta.resolve("wrangler"));
const { Miniflare, Log, LogLevel, convertV4MiniflareOptions } = wrangler("miniflare");

/** The secret that `startServer` sets and `token` signs with; another one in each run. */
export const SECRET = randomBytes(48).toString("base64url");

/**
 * A token with these claims, e.g. `{sub: "ada", username: "Ada", roles: ["moderator"]}`; `iat` is now and `exp` in an
 * hour unless they say otherwise, and one that is null is left out. HS256 with `secret`.
 */
export function token(claims, { secret = SECRET, header = {} } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const all = { iat: now, exp: now + 3600, ...claims };
  const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
  return new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "JWT", ...header }).sign(Buffer.from(secret));
}

/** The workerd that listens on `port`, among the children of this process. */
function workerd(port) {
  const lines = execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" }).split("\n");
  const line = lines.find((l) => Number(l.trim().split(/\s+/)[1]) === process.pid && l.includes(`entry=127.0.0.1:${port}`));
  return line && Number(line.trim().split(/\s+/)[0]);
}

/** A line of the log; what is no JSON object is not the Worker's own. */
function read({ message: text, ...line }) {
  let fields = null;
  try {
    fields = JSON.parse(text);
  } catch {}
  return { ...line, text, fields, message: fields?.msg ?? text };
}

/** workerd's id, and so the file, of the object with that name; `unique` is its namespace's key. */
function objectId(unique, name) {
  const key = createHash("sha256").update(unique).digest();
  const half = (data) => createHmac("sha256", key).update(data).digest().subarray(0, 16);
  return Buffer.concat([half(name), half(half(name))]).toString("hex");
}

/**
 * Starts the Worker. `vars` are settings over those of wrangler.toml (null takes one away); without `databaseUrl` the
 * database is one that refuses connections; `persist` is the folder of the objects' storage, else a fresh one that goes
 * with `stop()`; `build` is the folder of the built Worker, `patch` gives another text for the JavaScript around its wasm, and
 * `more` are further options of Miniflare's.
 *
 * The result: `url`; `socketUrl(room)`; `logs`, every line the Worker has logged as
 * `{timestamp, level, message, text, fields}`: `text` as it was logged, `fields` what it is as JSON, `message` its `msg`;
 * `log(pattern, ms)` waits for such a line; `evict(className, name)` takes an object out of memory, its sockets
 * hibernating; `rss()` is workerd's memory in MiB; `kill9()` ends workerd by SIGKILL, and after that
 * `sql(className, name, statement, …values)` reads or changes the SQLite of the object so named, `copied(…)` the same of a copy, at any time that nothing is written; `restart(build)`
 * starts it again on the same data and port, of another build where one is given; `file(className, name)` is the path of
 * that SQLite; `stop()`.
 */
export async function startServer({ vars = {}, databaseUrl, persist, port, build = join(root, "build"), patch = (text) => text, more = {} } = {}) {
  const config = readConfig({ config: join(root, "wrangler.toml") }, { hideWarnings: true });
  const storage = persist ?? mkdtempSync(join(tmpdir(), "edge-chat-state-"));
  port ??= await freePort();
  const logs = [];
  // Tests say the same over and over; those of the filters switch them on.
  const calm = { ENABLE_PROFANITY_FILTER: "false", ENABLE_SPAM_DETECTION: "false" };
  const bindings = { ...config.vars, ...calm, JWT_SECRET: SECRET, AUTO_CREATE_ROOMS: "true", ...vars };
  for (const [name, value] of Object.entries(bindings)) if (value === null) delete bindings[name];

  const options = (folder) => convertV4MiniflareOptions({
    modules: [
      { type: "ESModule", path: join(folder, "index.js"), contents: patch(readFileSync(join(folder, "index.js"), "utf8")) },
      { type: "CompiledWasm", path: join(folder, "index_bg.wasm") },
    ],
    modulesRoot: folder,
    name: config.name,
    compatibilityDate: config.compatibility_date,
    bindings,
    durableObjects: Object.fromEntries(
      config.durable_objects.bindings.map(({ name, class_name }) => [name, { className: class_name, useSQLite: true }]),
    ),
    hyperdrives: { DB: databaseUrl ?? "postgres://nobody:nothing@127.0.0.1:1/none" },
    assets: { directory: join(root, config.assets.directory), run_worker_first: config.assets.run_worker_first, routerConfig: { has_user_worker: true } },
    resourcePersistencePath: storage,
    host: "127.0.0.1",
    port,
    // What production puts on a request; without it Miniflare would ask the internet for it.
    cf: { colo: "TST", country: "XX" },
    log: new Log(LogLevel.ERROR),
    logRequests: false,
    ...more,
    handleStructuredLogs: (line) => logs.push(read(line)),
  });

  let miniflare;
  const begin = async () => {
    miniflare = new Miniflare(options(build));
    await miniflare.ready;
  };
  await begin();

  const file = (className, name) => {
    const namespace = `${config.name}-${className}`;
    return join(storage, "do", namespace, `${objectId(namespace, name)}.sqlite`);
  };
  const query = (path, statement, values) => {
    const db = new DatabaseSync(path);
    try {
      return db.prepare(statement).all(...values);
    } finally {
      db.close();
    }
  };

  return {
    url: `http://127.0.0.1:${port}`,
    socketUrl: (room) => `ws://127.0.0.1:${port}/api/rooms/${encodeURIComponent(room)}/ws`,
    logs,
    async log(pattern, ms = 5_000) {
      const line = await until(ms, () => logs.find(({ message }) => pattern.test(message)));
      if (!line) throw new Error(`nothing logged in ${ms} ms matches ${pattern}`);
      return line;
    },
    file,
    rss: () => Number(readFileSync(`/proc/${workerd(port)}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]) / 1024,
    evict: (className, name) => miniflare.unsafeEvictDurableObject(config.name, className, { name, webSockets: "hibernate" }),
    sql: (className, name, statement, ...values) => query(file(className, name), statement, values),
    copied(className, name, statement, ...values) {
      const folder = mkdtempSync(join(tmpdir(), "edge-chat-copy-"));
      try {
        const from = file(className, name);
        for (const end of ["", "-wal"]) if (existsSync(from + end)) cpSync(from + end, join(folder, `copy${end}`));
        return query(join(folder, "copy"), statement, values);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    async kill9() {
      const pid = workerd(port);
      if (!pid) throw new Error(`no workerd of this process listens on port ${port}`);
      process.kill(pid, "SIGKILL");
      // Miniflare would start another at once.
      await miniflare.dispose();
    },
    restart: async (other = build) => {
      build = other;
      await miniflare.dispose();
      await begin();
    },
    async stop() {
      await miniflare.dispose();
      if (!persist) rmSync(storage, { recursive: true, force: true });
    },
  };
}
