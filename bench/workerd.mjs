// Servers to measure: bare workerd processes, without Miniflare or wrangler in the path.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build as bundle } from "esbuild";
import { unstable_readConfig as readConfig } from "wrangler";
import { root } from "../scripts/lib/database.mjs";
import { Stop, atEnd, end, freePort, start } from "../scripts/lib/process.mjs";

const program = createRequire(createRequire(import.meta.url).resolve("wrangler"))("workerd").default;
const text = JSON.stringify;

/** e.g. "workerd 2026-11-17". */
export const version = execFileSync(program, ["--version"], { encoding: "utf8" }).trim();

const config = readConfig({ config: join(root, "wrangler.toml") }, { hideWarnings: true });

const scratch = (parent) => {
  const made = mkdtempSync(join(parent, "edge-chat-bench-"));
  atEnd(() => rmSync(made, { recursive: true, force: true }));
  return made;
};
const home = scratch(tmpdir());

/** workerd's configuration for one Worker; `modules` are files of `folder`. */
function capnp({ modules, objects, vars = {}, databaseUrl, port, storage, flags }) {
  const list = (items) => `[${items.join(", ")}]`;
  const module = (file) => `(name = ${text(file)}, ${file.endsWith(".wasm") ? "wasm" : "esModule"} = embed ${text(file)})`;
  const bindings = [
    ...Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...objects.map(([name, className]) => `(name = ${text(name)}, durableObjectNamespace = ${text(className)})`),
  ];
  const services = [`(name = "objects", disk = (path = ${text(storage)}, writable = true))`];
  if (databaseUrl) {
    const { host, pathname, username, password } = new URL(databaseUrl);
    services.push(`(name = "postgres", external = (address = ${text(host)}, tcp = ()))`);
    bindings.push(`(name = "DB", hyperdrive = (designator = "postgres", database = ${text(pathname.slice(1))}, ` +
      `user = ${text(username)}, password = ${text(password)}, scheme = "postgres"))`);
  }
  services.push(`(name = "main", worker = (
    compatibilityDate = ${text(config.compatibility_date)},
    modules = ${list(modules.map(module))},
    bindings = ${list(bindings)},
    durableObjectNamespaces = ${list(objects.map(([, name]) => `(className = ${text(name)}, uniqueKey = ${text(name)}, enableSql = true)`))},
    durableObjectStorage = (localDisk = "objects")))`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = ${list(flags.map(text))},
  services = ${list(services)},
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]);
`;
}

/** A Worker in a folder of its own, copied there, so that a build in the meantime changes nothing. */
function worker(name, files, more) {
  const folder = join(home, name);
  mkdirSync(join(folder, "objects"), { recursive: true });
  for (const [file, from] of Object.entries(files)) cpSync(from, join(folder, file));
  return { name, folder, modules: Object.keys(files), objects: [], ...more };
}

/** The chat as it is built now; its settings are those of wrangler.toml, with limits that nothing here reaches. */
export const chat = ({ name = "chat", secret, databaseUrl, vars = {} }) =>
  worker(name, { "index.js": join(root, "build/index.js"), "index_bg.wasm": join(root, "build/index_bg.wasm") }, {
    objects: config.durable_objects.bindings.map(({ name, class_name }) => [name, class_name]),
    vars: { ...config.vars, JWT_SECRET: secret, AUTO_CREATE_ROOMS: "true", CLIENT_IP: "cf.clientIp",
      RATE_LIMIT_SERVICE_MESSAGES: "100000", RATE_LIMIT_SERVICE_WINDOW: "100", RATE_LIMIT_WINDOW: "100",
      RATE_LIMIT_JOINS: "100000", RATE_LIMIT_REQUESTS: "100000", SHARD_SOCKETS: "4000", FRAME_BUDGET_PER: "process",
      // All viewers come from one address, which has half of the places.
      GATEWAY_SESSIONS: "2000", ...vars },
    databaseUrl,
  });

/** The same work in plain JavaScript. */
export const bare = (name = "bare") =>
  worker(name, { "bare.mjs": join(root, "bench/peers/bare.mjs") }, {
    objects: [["BROADCAST", "Broadcast"], ["ECHO", "Echo"], ["ROOM", "Room"], ["EVENTS", "Events"]],
  });

/** A bare object whose guests have one thing more or less of what the chat's have. */
export const guests = (name = "guests") =>
  worker(name, { "guests.mjs": join(root, "bench/peers/guests.mjs") }, { objects: [["GUESTS", "Guests"]] });

/** The same by partyserver. */
export async function party(name = "party") {
  const outfile = join(home, `${name}.mjs`);
  await bundle({ entryPoints: [join(root, "bench/peers/party.mjs")], outfile, bundle: true, format: "esm", external: ["cloudflare:workers"] });
  return worker(name, { "party.mjs": outfile }, { objects: [["PARTY", "Party"]] });
}

/** What `scripts/spike-cloudflare` deploys; `key` is the first part of its paths. */
export const spike = (key) =>
  worker("spike", { "worker.mjs": join(root, "bench/spike/worker.mjs") }, { objects: [["SPIKE", "Spike"]], vars: { KEY: key } });

/** A Worker that answers, and nothing else. */
export function empty() {
  const source = join(home, "empty.mjs");
  writeFileSync(source, 'export default { fetch: () => new Response("ok") };\n');
  return worker("empty", { "empty.mjs": source });
}

/**
 * Starts a process for a Worker, with these `flags` of V8's, and waits for its first answer. The result: `url`, `host`, `pid`, `gone` as
 * `start` has it, `ms` from the start of the process to that answer, `logged(pattern)`: how often a line matched, `stop()`;
 * `inspector`, the port of V8's inspector, where it is to be `inspected`. The objects' SQLite
 * lies in memory, where the system has such a folder, unless it is to be on `disk`.
 */
export async function serve(worker, { inspected = false, disk = false, flags = [] } = {}) {
  const port = await freePort();
  const file = join(worker.folder, "config.capnp");
  const storage = !disk && existsSync("/dev/shm") ? scratch("/dev/shm") : join(worker.folder, "objects");
  writeFileSync(file, capnp({ ...worker, port, storage, flags }));
  const began = performance.now();
  const inspector = inspected ? await freePort() : undefined;
  const child = start(program, ["serve", file, ...(inspected ? [`--inspector-addr=127.0.0.1:${inspector}`] : [])], { stdio: ["ignore", "pipe", "pipe"], cwd: worker.folder });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (log += chunk));
  let ended;
  child.gone.then((how) => (ended = how));

  const url = `http://127.0.0.1:${port}`;
  const answer = async () => {
    try {
      const response = await fetch(`${url}/healthz`);
      return `${response.status} ${await response.text()}`;
    } catch {
      return null;
    }
  };
  let answered;
  while (!(answered = await answer())) {
    if (ended) throw new Stop(`workerd ended at its start (${ended}):\n${log.trim()}`);
    if (performance.now() - began > 30_000) throw new Stop(`workerd did not answer within 30 s:\n${log.trim()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const ms = performance.now() - began;
  if (!answered.startsWith("200")) throw new Stop(`${worker.name} answers ${answered}:\n${log.trim()}`);
  return {
    url,
    host: `127.0.0.1:${port}`,
    inspector,
    pid: child.pid,
    gone: child.gone,
    ms,
    logged: (pattern) => log.match(new RegExp(pattern, "g"))?.length ?? 0,
    log: () => log,
    stop: () => end(child, "SIGKILL"),
  };
}
