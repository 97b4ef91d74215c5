// The servers to measure, started when a row asks for one and again where one has ended.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { SignJWT } from "jose";
import { cluster, throwAwayRedis, transactionPooler } from "../scripts/lib/cluster.mjs";
import { migrations, root } from "../scripts/lib/database.mjs";
import { Stop, end, start, step } from "../scripts/lib/process.mjs";
import { bare, chat, party, serve } from "./workerd.mjs";

/** The load generator, which is the native server too. */
export const generator = join(root, "bench/load/target/release/load");

/** What the servers are called in the table. */
export const titles = {
  chat: "edge-chat",
  bare: "bare object",
  party: "partyserver",
  socketio: "Socket.IO + Redis",
  gateway: "edge-chat",
  events: "bare object",
  gathered: "bare object that gathers",
  native: "native tokio",
};

const secret = randomBytes(48).toString("base64url");
const key = new TextEncoder().encode(secret);

/** A token that the chat takes. */
export const token = (sub, roles) =>
  new SignJWT({ username: sub, roles })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime("3 h")
    .sign(key);

const viewerTokens = [];

/** Tokens of so many viewers. */
export async function viewers(count) {
  while (viewerTokens.length < count) {
    const batch = Array.from({ length: Math.min(500, count - viewerTokens.length) }, (_, n) => viewerTokens.length + n);
    viewerTokens.push(...(await Promise.all(batch.map((n) => token(`viewer-${n}`, ["member"])))));
  }
  return viewerTokens.slice(0, count);
}

let postgres;

/** PostgreSQL with the tables, and a pooler of transactions before it, as Hyperdrive is one: its `url` is the server's own. */
export const database = () => (postgres ??= step("starting PostgreSQL and pgbouncer", async () => {
  const given = process.env.BENCH_DATABASE_URL;
  const { url, pids } = given ? { url: given, pids: () => [] } : await cluster();
  await migrations("migrate", url);
  const pooler = await transactionPooler(url);
  return { url, pooled: pooler.url, pids };
}));

/** A process that says its port on its first line. */
async function saysPort(command, args, { input, ...options }) {
  const child = start(command, args, { stdio: ["pipe", "pipe", 2], ...options });
  child.stdin.end(input ?? "");
  const first = once(createInterface({ input: child.stdout }), "line").then(([line]) => Number(line));
  const port = await Promise.race([first, child.gone.then((how) => Promise.reject(new Stop(`${args[0] ?? command} ended at its start (${how}).`)))]);
  return { host: `127.0.0.1:${port}`, pid: child.pid, gone: child.gone, stop: () => end(child, "SIGKILL") };
}

/** The chat's Worker, to be served; `vars` are settings of its own. */
export const chatWorker = async (name, vars) => chat({ name, secret, databaseUrl: (await database()).pooled, vars });

const starts = {
  async chat(name, { vars, ...how } = {}) {
    const served = await serve(await chatWorker(name, vars), how);
    return { ...served, beside: (await database()).pids().slice(0, 1), dialect: "chat" };
  },
  /** The chat as Socket.IO's clients find it. */
  gateway: async (name, how) => ({ ...(await starts.chat(name, how)), dialect: "socket_io_chat" }),
  bare: async (name, how) => ({ ...(await serve(bare(name), how)), beside: [], dialect: "chat" }),
  /** The same to clients of Socket.IO's. */
  events: async (name, how) => ({ ...(await starts.bare(name, how)), dialect: "socket_io" }),
  gathered: (name, how) => starts.events(name, how),
  party: async (name) => ({ ...(await serve(await party(name))), beside: [], dialect: "chat" }),
  async socketio() {
    const redis = await throwAwayRedis();
    const server = await saysPort(process.execPath, [join(root, "bench/peers/socketio.mjs")], {
      env: { ...process.env, NODE_ENV: "production", REDIS_PORT: String(redis.port) },
    });
    return { ...server, beside: [redis.pid()], dialect: "socket_io" };
  },
  native: async () => ({ ...(await saysPort(generator, [], { input: '{"job":"serve"}' })), beside: [], dialect: "chat" }),
};

const running = {};

/**
 * The server of that kind, its objects on `disk` or in memory; `fresh` starts one that nothing else uses and that its
 * user stops; the chat then with these `vars`.
 */
export async function server(kind, { fresh, ...how } = {}) {
  const key = how.disk ? `${kind} on disk` : kind;
  const found = running[key];
  if (!fresh && found && !found.ended) return found;
  const started = await step(`starting ${titles[kind]}`, () => starts[kind](`${kind}-${fresh ?? Date.now()}`, how));
  const server = { kind, title: titles[kind], ...started };
  started.gone.then(() => (server.ended = true));
  if (!fresh) running[key] = server;
  return server;
}

/** Makes a room, so that guests find it. */
export async function create({ url }, name) {
  const headers = { authorization: `Bearer ${await token("sender", ["service"])}`, "content-type": "application/json" };
  const answer = await fetch(`${url}/api/rooms`, { method: "POST", headers, body: JSON.stringify({ room_id: name, name, type: "video" }) });
  if (!answer.ok) throw new Stop(`The room is not made: ${answer.status}.`);
}

/** Starts anew: what earlier rows opened, and their objects' files, count against this process's descriptors no more. */
export async function renew() {
  for (const [name, server] of Object.entries(running)) {
    delete running[name];
    await server.stop();
  }
}

/** Open files that a process may have here; a socket takes two of workerd, an object that was woken three. */
export const files = Number(execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" })) || 1_024;

/** Hundredths of a second that a process has used; none where it is gone. */
const ticks = (pid) => {
  if (!existsSync(`/proc/${pid}/stat`)) return 0;
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
};

/** Waits until a server is done with what a run left behind (closed sockets, draining), at most 15 s. */
export async function settled({ pid }) {
  const deadline = performance.now() + 15_000;
  for (let calm = 0, last = ticks(pid); calm < 2 && performance.now() < deadline; ) {
    await sleep(200);
    const now = ticks(pid);
    calm = now - last <= 2 ? calm + 1 : 0;
    last = now;
  }
}
