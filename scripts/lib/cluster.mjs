// What the tests need of Debian: a throw-away PostgreSQL cluster, pgbouncer, Redis, nginx, Chromium, clients of others, lists of words, and apt where one is missing.
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, chownSync, constants, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { root } from "./database.mjs";
import { Stop, accepts, atEnd, childrenOf, end, freePort, run, start, step, until } from "./process.mjs";

const executable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

export const onPath = (name) => process.env.PATH.split(delimiter).map((dir) => join(dir, name)).find(executable);

/** Debian keeps the server's programs off the PATH, a folder for each version; the newest is taken. */
export function postgresFolder() {
  const base = "/usr/lib/postgresql";
  let versions = [];
  try {
    versions = readdirSync(base).sort((a, b) => Number(b) - Number(a));
  } catch {}
  const folders = [...versions.map((version) => join(base, version, "bin")), ...process.env.PATH.split(delimiter)];
  return folders.find((folder) => executable(join(folder, "initdb")) && executable(join(folder, "postgres")));
}

const chromium = () =>
  [process.env.CHROMIUM, onPath("chromium"), onPath("chromium-browser"), onPath("google-chrome")].find(
    (path) => path && executable(path),
  );

function mayInstall() {
  if (!onPath("apt-get")) return null;
  if (process.getuid() === 0) return [];
  try {
    execFileSync("sudo", ["-n", "true"], { stdio: "ignore" });
    return ["sudo", "-n"];
  } catch {
    return null;
  }
}

/** What `find` gives; where that is nothing, after its Debian packages were installed. */
export async function needed(find, what, ...debianPackages) {
  const there = find();
  if (there) return there;
  const prefix = mayInstall();
  const command = `apt-get install -y --no-install-recommends ${debianPackages.join(" ")}`;
  if (!prefix) throw new Stop(`${what} is needed and is not here. Install it and run this again:\n  sudo ${command}`);
  await step(`installing ${what} (${command})`, async () => {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const apt = (...args) => run([...prefix, "apt-get"][0], [...prefix, "apt-get", ...args].slice(1), { env });
    await apt("update", "-q");
    await apt("install", "-q", "-y", "--no-install-recommends", ...debianPackages);
  });
  const now = find();
  if (!now) throw new Stop(`${what} is still not found after: ${command}`);
  return now;
}

export const chromiumProgram = () => needed(chromium, "Chromium", "chromium");

/** Lists of words, places and quotations that the filters are measured on, each with a file that shows it is there. */
const lists = {
  wamerican: "/usr/share/dict/american-english",
  wfrench: "/usr/share/dict/french",
  witalian: "/usr/share/dict/italian",
  wngerman: "/usr/share/dict/ngerman",
  wportuguese: "/usr/share/dict/portuguese",
  wspanish: "/usr/share/dict/spanish",
  "iso-codes": "/usr/share/iso-codes/json/iso_3166-2.json",
  fortunes: "/usr/share/games/fortunes/wisdom",
  "fortunes-de": "/usr/share/games/fortunes/de/anekdoten",
  "fortunes-es": "/usr/share/games/fortunes/es/refranes.fortunes",
  "fortunes-it": "/usr/share/games/fortunes/it/italia",
};

export const moderationLists = () =>
  needed(() => Object.values(lists).every(existsSync), "Debian's lists of words and quotations", ...Object.keys(lists));

/** The user that the server runs as: initdb refuses root. */
export function unprivileged() {
  if (process.getuid() !== 0) return {};
  const id = (flag) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/**
 * A cluster of one's own on a free port, started. `durable`: with fsync, so that it may be killed. The result: `url`;
 * `pids()`, the server's processes, the postmaster first; `start()` again after it was killed; `stop()`, which takes the data along.
 */
export async function cluster({ durable = false } = {}) {
  const bin = await needed(postgresFolder, "PostgreSQL", "postgresql");
  const user = unprivileged();
  const home = mkdtempSync(join(tmpdir(), "edge-chat-pg-"));
  if (user.uid !== undefined) chownSync(home, user.uid, user.gid);
  const data = join(home, "data");
  const port = await freePort();
  const as = { cwd: home, ...user };
  const password = join(home, "password");
  writeFileSync(password, "postgres\n", { mode: 0o644 });
  await run(join(bin, "initdb"), ["-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password,
    "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"], { ...as, stdio: ["ignore", "ignore", 2] });

  // After a crash it accepts connections before it answers.
  const ready = () => spawnSync(join(bin, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", String(port)]).status === 0;
  let server;
  const begin = async () => {
    server = start(join(bin, "postgres"), ["-D", data, "-p", String(port), "-k", home, "-h", "127.0.0.1",
      "-c", `fsync=${durable ? "on" : "off"}`, "-c", "max_connections=200", "-c", `log_min_messages=${durable ? "panic" : "fatal"}`], { ...as, endWith: "SIGINT" });
    let ended;
    server.gone.then((how) => (ended = how));
    const up = await until(30_000, () => ended || ready());
    return up === true ? null : (ended ?? "no connection in 30 s");
  };
  const stop = async () => {
    if (server) await end(server);
    rmSync(home, { recursive: true, force: true });
  };
  atEnd(stop);
  const failed = await begin();
  if (failed) throw new Stop(`The throw-away PostgreSQL did not start (${failed}).`);
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres?sslmode=disable`,
    pids: () => [server.pid, ...childrenOf(server.pid)],
    async start() {
      // What the killed one's processes hold is let go of when the last of them has noticed.
      const up = await until(30_000, async () => !(await begin()), 100);
      if (!up) throw new Stop("PostgreSQL did not start again within 30 s.");
    },
    stop,
  };
}

/** Starts a throw-away cluster on a free port and gives its URL; it and its data go when the script ends. */
export async function throwAwayCluster() {
  return step("starting a throw-away PostgreSQL", async () => {
    const { url } = await cluster();
    return url;
  });
}

export const redisServer = () => needed(() => onPath("redis-server"), "Redis", "redis-server");

/** Prometheus's own checker of what `/metrics` says. */
export const promtoolProgram = () => needed(() => onPath("promtool"), "promtool", "prometheus");

export const prometheusProgram = () => needed(() => onPath("prometheus"), "Prometheus", "prometheus");

/** Debian keeps it where only root looks. */
export const nginxProgram = () =>
  needed(() => onPath("nginx") ?? ["/usr/sbin/nginx"].find(executable), "nginx", "nginx-light");

export const opensslProgram = () => needed(() => onPath("openssl"), "OpenSSL", "openssl");

const pythonWith = (modules, what, ...debianPackages) =>
  needed(
    () => [onPath("python3"), "/usr/bin/python3"].find((python) => {
      try {
        execFileSync(python, ["-c", `import ${modules}`], { stdio: "ignore" });
        return true;
      } catch {
        return false;
      }
    }),
    what, "python3", ...debianPackages,
  );

/** A python3 that has Redis's client. */
export const pythonWithRedis = () => pythonWith("redis", "Python with Redis's client", "python3-redis");

/** A python3 that makes virtual environments. */
export const pythonWithVenv = () => pythonWith("ensurepip, venv", "Python's venv", "python3-venv");

/** A python3 that has Socket.IO's client, and what that takes for each transport. */
export const pythonWithSocketIo = () =>
  pythonWith("socketio, requests, websocket", "Python with Socket.IO's client", "python3-socketio", "python3-requests", "python3-websocket");

const hasOpensslHeaders = () => onPath("pkg-config") && spawnSync("pkg-config", ["--exists", "openssl"]).status === 0;

/** Rust's Socket.IO client as tests/socketio-clients drives it, built where it is not yet. */
export async function rustSocketIo() {
  if (process.platform === "linux") await needed(hasOpensslHeaders, "OpenSSL's headers", "pkg-config", "libssl-dev");
  const [folder, target] = [join(root, "tests/socketio-clients/rust"), join(root, "target/socketio-client")];
  await run("cargo", ["build", "--quiet", "--locked", "--manifest-path", join(folder, "Cargo.toml"), "--target-dir", target]);
  return join(target, "debug/socketio-client");
}

/**
 * Starts a throw-away Redis on a free port; `args` are settings as for redis-server's command line. It keeps nothing
 * over its end unless they say so. `kill(signal)` sends it a signal, and waits for its end where that is one;
 * `start(more)` starts it again on the same port and folder, with `more` settings; `stop()` ends it for good.
 */
export async function throwAwayRedis(...args) {
  const program = await redisServer();
  const home = mkdtempSync(join(tmpdir(), "edge-chat-redis-"));
  const port = await freePort();
  let server;
  const redis = {
    port,
    home,
    pid: () => server.pid,
    async start(...more) {
      const settings = ["--port", port, "--bind", "127.0.0.1", "--dir", home, "--save", "", "--loglevel", "warning"];
      server = start(program, [...settings, ...args, ...more].map(String), { cwd: home, stdio: ["ignore", "ignore", 2] });
      if (!(await until(10_000, () => accepts(port)))) throw new Stop(`Redis does not answer on port ${port}.`);
    },
    async kill(signal) {
      process.kill(server.pid, signal);
      if (!["SIGSTOP", "SIGCONT"].includes(signal)) await server.gone;
    },
    async stop() {
      await end(server, "SIGKILL");
      rmSync(home, { recursive: true, force: true });
    },
  };
  process.once("exit", () => server && !server.exitCode && end(server, "SIGKILL"));
  await redis.start();
  return redis;
}

const pgbouncerProgram = () => [onPath("pgbouncer"), "/usr/sbin/pgbouncer"].find((path) => path && executable(path));

/**
 * pgbouncer on a free port before the server of `url`, pooling transactions, as Hyperdrive does. `url` of the result
 * leads to the same database through it; `stop()` ends it and `start()` begins it again on the same port.
 */
export async function transactionPooler(url) {
  const program = await needed(pgbouncerProgram, "pgbouncer", "pgbouncer");
  const target = new URL(url);
  const port = await freePort();
  const home = mkdtempSync(join(tmpdir(), "edge-chat-pgbouncer-"));
  const user = unprivileged();
  const config = join(home, "pgbouncer.ini");
  const { hostname, username, password } = target;
  writeFileSync(config, `[databases]
* = host=${hostname} port=${target.port || 5432} user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = extra_float_digits
`);
  if (user.uid !== undefined) for (const path of [home, config]) chownSync(path, user.uid, user.gid);
  let child;
  const begin = async () => {
    child = start(program, ["-q", config], { cwd: home, ...user, endWith: "SIGINT", stdio: "ignore" });
    if (!(await until(10_000, () => accepts(port)))) throw new Stop(`pgbouncer did not start on port ${port}.`);
  };
  await begin();
  return {
    url: Object.assign(new URL(url), { hostname: "127.0.0.1", port }).href,
    start: begin,
    stop: () => end(child),
    async end() {
      await end(child);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
