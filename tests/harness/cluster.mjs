// A PostgreSQL server of a test's own, for what nobody may do to the one that all tests share.
import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { postgresFolder, unprivileged } from "../../scripts/lib/cluster.mjs";
import { migrations } from "../../scripts/lib/database.mjs";
import { end, freePort, run, start, until } from "../../scripts/lib/process.mjs";

const mount = (folder, size) => execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "none", folder], { stdio: "pipe" });

/** Why a file system of a given size cannot be had here, else null. */
export function noMount() {
  const folder = mkdtempSync(join(tmpdir(), "edge-chat-mount-"));
  try {
    mount(folder, "64k");
    execFileSync("umount", [folder]);
    return null;
  } catch (error) {
    return `a file system of a given size needs the right to mount one: ${error.message.split("\n").at(-2) ?? error.message}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Starts one, with these settings; its database `postgres` is migrated.
 *
 * - `url` (a superuser's) and `plainUrl` (of one who is none, and may do all that the chat does); `log()`: what it logged.
 * - `stop(signal)`: SIGINT ends its sessions, SIGQUIT is a crash; `start()` again on the same data and port.
 * - `tmpfs(size)`: a folder of the server's user on a file system of that size ("32m"), where `noMount` allows it.
 * - `drop()`: ends all of it.
 */
export async function ownCluster(settings = {}) {
  const bin = postgresFolder();
  const user = unprivileged();
  const home = mkdtempSync(join(tmpdir(), "edge-chat-pg-own-"));
  const owned = (folder) => user.uid !== undefined && chownSync(folder, user.uid, user.gid);
  owned(home);
  const [data, password, logFile] = ["data", "password", "log"].map((name) => join(home, name));
  writeFileSync(password, "postgres\n", { mode: 0o644 });
  const as = { cwd: home, ...user };
  await run(join(bin, "initdb"), ["-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password,
    "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"], { ...as, stdio: ["ignore", "ignore", 2] });
  const port = await freePort();
  const all = Object.entries({ fsync: "off", max_connections: 30, ...settings });
  const address = (name) => `postgres://${name}:postgres@127.0.0.1:${port}/postgres?sslmode=disable`;
  const url = address("postgres");
  const mounted = [];

  const accepts = async () => {
    const client = new pg.Client(url);
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => {});
    }
  };
  let server;
  const begin = async () => {
    const log = openSync(logFile, "a");
    server = start(join(bin, "postgres"), ["-D", data, "-p", port, "-k", home, "-h", "127.0.0.1",
      ...all.flatMap(([name, value]) => ["-c", `${name}=${value}`])].map(String), { ...as, stdio: ["ignore", log, log] });
    if (!(await until(30_000, accepts))) throw new Error(`PostgreSQL did not start:\n${readFileSync(logFile, "utf8")}`);
  };
  const query = async (sql, values) => {
    const client = new pg.Client(url);
    await client.connect();
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end();
    }
  };

  await begin();
  await migrations("migrate", url);
  await query("create role chat login password 'postgres'");
  for (const what of ["tables", "sequences", "functions"]) await query(`grant all on all ${what} in schema public to chat`);
  return {
    url,
    plainUrl: address("chat"),
    query,
    log: () => readFileSync(logFile, "utf8"),
    start: begin,
    stop: (signal = "SIGINT") => end(server, signal),
    tmpfs(size) {
      const folder = join(home, `tmpfs-${mounted.length}`);
      mkdirSync(folder);
      mount(folder, size);
      mounted.push(folder);
      const own = join(folder, "own");
      mkdirSync(own);
      owned(own);
      return own;
    },
    async drop() {
      await end(server, "SIGINT");
      for (const folder of mounted) execFileSync("umount", [folder]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
