// What is killed: workerd, or an object of it, PostgreSQL and, where the build has the bridge, Redis; each real, each with its own data.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { cluster, needed, onPath } from "../../scripts/lib/cluster.mjs";
import { migrations, root } from "../../scripts/lib/database.mjs";
import { Stop, accepts, atEnd, end, freePort, start, until } from "../../scripts/lib/process.mjs";
import { mortal } from "../harness/mortal.mjs";
import { startServer } from "../harness/server.mjs";

/** Limits that the load does not reach, so that a refusal is a finding. */
const ROOMY = {
  RATE_LIMIT_MESSAGES: "1000", RATE_LIMIT_WINDOW: "1000", RATE_LIMIT_ROOM_MESSAGES: "100000",
  RATE_LIMIT_JOINS: "100000", RATE_LIMIT_REACTIONS: "10000", RATE_LIMIT_REQUESTS: "100000",
};

const gone = (pid) => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It had ended by itself.
  }
};

async function postgres() {
  const server = await cluster({ durable: true });
  await migrations("migrate", server.url);
  const ways = {
    // What `pg_ctl stop -m immediate` does.
    immediate: () => process.kill(server.pids()[0], "SIGQUIT"),
    postmaster: () => gone(server.pids()[0]),
    all: () => server.pids().forEach(gone),
  };
  return {
    url: server.url,
    kill: (random) => Object.values(ways)[Math.floor(random() * 3)](),
    start: server.start,
    stop: server.stop,
    /** Runs `work(query)` in one transaction that sees one state. */
    async look(work) {
      const client = new pg.Client(server.url);
      client.on("error", () => {});
      await client.connect();
      try {
        await client.query("begin isolation level repeatable read read only");
        return await work(async (sql, values) => (await client.query(sql, values)).rows);
      } finally {
        await client.end().catch(() => {});
      }
    },
  };
}

async function redis() {
  const find = (name) => () => onPath(name);
  const program = await needed(find("redis-server"), "Redis", "redis-server");
  const command = await needed(find("redis-cli"), "Redis's client", "redis-tools");
  const home = mkdtempSync(join(tmpdir(), "edge-chat-redis-"));
  const port = await freePort();
  let server;
  const begin = async () => {
    server = start(program, ["--port", String(port), "--bind", "127.0.0.1", "--dir", home, "--save", "", "--appendonly", "yes",
      "--appendfsync", "always", "--logfile", join(home, "log")]);
    if (!(await until(15_000, () => accepts(port)))) throw new Stop("Redis did not start within 15 s.");
  };
  const stop = async () => {
    if (server) await end(server);
    rmSync(home, { recursive: true, force: true });
  };
  atEnd(stop);
  await begin();
  return {
    url: `redis://127.0.0.1:${port}`,
    kill: () => gone(server.pid),
    start: begin,
    stop,
    /** All entries of a stream, oldest first: `{id, fields}`. */
    stream(key) {
      const text = execFileSync(command, ["-p", String(port), "--json", "xrange", key, "-", "+"], { encoding: "utf8", maxBuffer: 1 << 28 });
      const pairs = (flat) => Object.fromEntries(flat.flatMap((_, i) => (i % 2 ? [] : [[flat[i], flat[i + 1]]])));
      return JSON.parse(text).map(([id, fields]) => ({ id, fields: Array.isArray(fields) ? pairs(fields) : fields }));
    },
  };
}

/** Whether that build knows of Redis. */
const hasBridge = (build) => readFileSync(join(build, "index_bg.wasm")).includes("REDIS_URL");

/**
 * Starts all of them. `builds`: folders of built Workers, the first one runs first; each start of workerd after a kill
 * takes the next one; `folder`: where the objects' storage is put. `names`: the processes that may be killed; `kill(name, random)`, `start(name)`; `log(room)`: the events in the
 * room's SQLite, of a copy, so that what a crash left there is still left there.
 */
export async function startServers({ builds = [join(root, "build")], vars = {}, folder = tmpdir() } = {}) {
  const storage = mkdtempSync(join(folder, "edge-chat-crash-"));
  let kept = false;
  const forget = () => kept || rmSync(storage, { recursive: true, force: true });
  atEnd(forget);
  const database = await postgres();
  const bridge = builds.every(hasBridge) ? await redis() : null;
  const settings = { ...ROOMY, ...vars, ...(bridge && { REDIS_URL: bridge.url }) };
  const worker = await startServer({ databaseUrl: database.url, persist: storage, vars: settings, build: builds[0], patch: mortal });
  let starts = 0;
  const others = { PostgreSQL: database, ...(bridge && { Redis: bridge }) };
  return {
    worker,
    database,
    bridge,
    storage,
    names: ["workerd", ...Object.keys(others)],
    async kill(name, random) {
      await (name === "workerd" ? worker.kill9() : others[name].kill(random));
    },
    async start(name) {
      if (name === "workerd") await worker.restart(builds[++starts % builds.length]);
      else await others[name].start();
    },
    log: (room) => worker.copied("Room", room, "SELECT events FROM log ORDER BY last_seq").flatMap(({ events }) => JSON.parse(events)),
    /** Ends all; `keep`: the objects' storage stays. */
    async stop({ keep = false } = {}) {
      await worker.stop();
      for (const other of Object.values(others)) await other.stop();
      kept = keep;
      forget();
    },
  };
}
