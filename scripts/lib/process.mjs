// Steps that say what they do and how long it took, and children that never outlive their parent.
import { execFileSync, spawn } from "node:child_process";
import { createServer, connect } from "node:net";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** An end that the user can do something about: a sentence, no stack. */
export class Stop extends Error {}

export const say = (line) => process.stderr.write(`${line}\n`);

/** Runs `work`, saying `label` before and its seconds after. */
export async function step(label, work) {
  const began = performance.now();
  say(`• ${label} …`);
  const result = await work();
  say(`  ${label}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return result;
}

/** Polls `check` until it gives something truthy, and gives that; after `ms` milliseconds gives null. */
export async function until(ms, check, every = 50) {
  const deadline = performance.now() + ms;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (performance.now() > deadline) return null;
    await sleep(every);
  }
}

/** Whether something accepts TCP connections there. */
export const accepts = (port, host = "127.0.0.1") =>
  new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });

/** A TCP port that nothing uses now. */
export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** The ids of a process's children. */
export function childrenOf(pid) {
  const lines = execFileSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  return lines.map((line) => line.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === pid).map(([child]) => child);
}

const children = new Set();
const closers = [];

// Where nobody waits for their end (a test file that is killed, an error thrown late), they go with this process at least.
process.once("exit", () => {
  for (const child of children) signal(child, "SIGKILL");
});

const signal = (child, name) => {
  try {
    process.kill(-child.pid, name);
    return true;
  } catch {
    return false;
  }
};

/**
 * Starts a child in a process group of its own, so that all of it can be ended with it; `endWith` is the signal for
 * that. `gone` of the result is a promise of what ended it: "status 1", a signal's name, or why it never started.
 */
export function start(command, args, { endWith = "SIGTERM", ...options } = {}) {
  const child = spawn(command, args, { stdio: ["ignore", 2, 2], detached: true, ...options });
  child.endWith = endWith;
  child.gone = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (status, name) => resolve(name ?? `status ${status}`));
  });
  children.add(child);
  return child;
}

/** Ends a child and all of its group; what is still there after 5 s gets SIGKILL. */
export async function end(child, name = child.endWith) {
  children.delete(child);
  if (child.pid === undefined) return;
  signal(child, name);
  if (await until(5_000, () => !signal(child, 0), 20)) return;
  signal(child, "SIGKILL");
  await child.gone;
}

/** Runs a command to its end, its output on stderr; throws `Stop` when it fails. */
export async function run(command, args, options) {
  const child = start(command, args, options);
  const how = await child.gone;
  children.delete(child);
  if (how !== "status 0") throw new Stop(`${[basename(command), ...args].join(" ")} failed (${how}).`);
}

/** Has `close` run before the script ends, however it ends. */
export const atEnd = (close) => closers.unshift(close);

async function endAll() {
  for (const child of [...children].reverse()) await end(child);
  for (const close of closers) await close();
}

/**
 * Runs a script's `main`, which may give the exit status: a `Stop` is printed as a sentence, and whatever ends the
 * script (its end, an error, Ctrl-C, SIGTERM, a closed terminal), its children and closers end first.
 */
export async function script(main) {
  let ending;
  const finish = (status) => (ending ??= endAll().finally(() => process.exit(status)));
  for (const [name, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]]) {
    process.on(name, () => finish(status));
  }
  try {
    await finish((await main(process.argv.slice(2))) ?? 0);
  } catch (error) {
    if (!ending) say(error instanceof Stop ? `✗ ${error.message}` : `✗ ${error.stack}`);
    await finish(1);
  }
}
