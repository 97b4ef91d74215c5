// The databases of a local run: the embedded PostgreSQL (PGlite behind its socket server) and the migrations.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Stop, accepts, run, start, step, until } from "./process.mjs";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const lib = join(root, "scripts/lib");
/** Where a local run keeps data and state: DATA, or .data. */
export const data = resolve(root, process.env.DATA || ".data");

const pidFile = join(data, "pg.json");

export const embeddedUrl = (port) => `postgres://postgres:postgres@127.0.0.1:${port}/postgres?sslmode=disable`;

/** A port from the environment. */
export function portOf(name, otherwise) {
  const text = process.env[name] || String(otherwise);
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) {
    throw new Stop(`${name} is "${text}"; it must be a port, 1 to 65535.`);
  }
  return port;
}

/** The port of the embedded PostgreSQL of this clone where it runs, else null: two on one folder would corrupt it. */
export async function embeddedPort() {
  try {
    const { pid, port } = JSON.parse(readFileSync(pidFile, "utf8"));
    process.kill(pid, 0);
    return (await accepts(port)) ? port : null;
  } catch {
    return null;
  }
}

export function announceEmbedded(port) {
  mkdirSync(dirname(pidFile), { recursive: true });
  writeFileSync(pidFile, JSON.stringify({ pid: process.pid, port }));
  process.once("exit", () => rmSync(pidFile, { force: true }));
}

/** The embedded PostgreSQL's URL; starts it as a child where it does not run. */
export async function embedded() {
  const running = await embeddedPort();
  if (running) return { url: embeddedUrl(running) };
  const port = portOf("PGLITE_PORT", 5433);
  if (await accepts(port)) {
    throw new Stop(`Port ${port} is in use, and not by this clone's database. Set PGLITE_PORT to a free one.`);
  }
  const child = start(process.execPath, [join(lib, "db.mjs")], { stdio: ["ignore", 2, 2, "ipc"] });
  await step(`starting the embedded PostgreSQL on port ${port}`, async () => {
    const ended = child.gone.then((how) => ({ how }));
    const first = await Promise.race([ended, until(60_000, embeddedPort)]);
    if (first?.how) throw new Stop(`The embedded PostgreSQL ended at its start (${first.how}).`);
    if (!first) throw new Stop("The embedded PostgreSQL did not accept connections within 60 s.");
  });
  return { url: embeddedUrl(port), child };
}

/** Runs dbmate on the migrations, or those of another folder. Without an sslmode it would insist on TLS, which a local server seldom has. */
export async function migrations(command, url, folder = "migrations") {
  const target = new URL(url);
  if (["localhost", "127.0.0.1", "[::1]"].includes(target.hostname) && !target.searchParams.has("sslmode")) {
    target.searchParams.set("sslmode", "disable");
  }
  const dbmate = join(root, "node_modules/.bin/dbmate");
  await run(dbmate, ["--no-dump-schema", "--migrations-dir", folder, command], {
    cwd: root,
    env: { ...process.env, DATABASE_URL: target.href },
  });
}
