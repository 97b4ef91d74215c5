// One job on the load generator, and the same job on several servers in turns.
import { text as textOf } from "node:stream/consumers";
import { Stop, end, say, start } from "../scripts/lib/process.mjs";
import { generator, renew, server, settled, titles } from "./servers.mjs";

/** Bytes of a message's content. */
const BYTES = 200;
/** A job that takes longer than this hangs, ms. */
const ENDLESS = process.argv.includes("--quick") ? 60_000 : 150_000;

let rooms = 0;

/** A name that no room had before. */
export const room = (prefix) => `${prefix}${++rooms}`;

/**
 * Runs a job against a server and gives the list of what was measured; throws a `Stop` where the run is void. The
 * generator may be the limit only in a `saturating` job; `measuring()` is called when its measured part begins.
 */
export async function load(server, { saturating = false, measuring = () => {}, ...job }) {
  const child = start(generator, [], { stdio: ["pipe", "pipe", "pipe"] });
  const { host, dialect, pid, beside } = server;
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify({ host, dialect, pid, beside, bytes: BYTES, ...job }));
  child.stderr.on("data", (text) => text.includes("measuring") && measuring());
  const overdue = setTimeout(() => end(child, "SIGKILL"), ENDLESS);
  const [out, error, how] = await Promise.all([textOf(child.stdout), textOf(child.stderr), child.gone]);
  clearTimeout(overdue);
  if (how !== "status 0") throw new Stop(`the load generator ended (${how}): ${error.trim()}`);
  const measured = JSON.parse(out);
  for (const { faults, seconds, generator_cpu_s } of measured) {
    if (generator_cpu_s > 0.9 * seconds && !saturating) {
      faults.push(`the load generator was the limit: ${generator_cpu_s.toFixed(1)} s of CPU in ${seconds.toFixed(1)} s`);
    }
    if (faults.length) throw new Stop(`${faults.slice(0, 3).join("; ")}${faults.length > 3 ? `; and ${faults.length - 3} more` : ""}`);
  }
  return measured;
}

const of = (cpu, seconds) => `${Math.round((100 * cpu) / seconds)} %`;

/** How busy the two sides were, in words; of a core. */
export const cores = ({ server_cpu_s, beside_cpu_s, generator_cpu_s, seconds }) =>
  `server ${of(server_cpu_s, seconds)} of a core${beside_cpu_s ? ` and beside it ${of(beside_cpu_s, seconds)}` : ""}, generator ${of(generator_cpu_s, seconds)}`;

/**
 * The job that `jobOf(kind)` gives, on each kind of server in turns, `count` times; the order goes round, since whoever
 * comes second may find the machine warmer. Gives the rounds: by kind, what was measured. A run that is void is said
 * and left out, and counted in `bench.void`. With `anew` each run has a process of its own.
 */
export async function alternate(bench, label, count, kinds, jobOf, shown, { anew, ...how } = {}) {
  const rounds = [];
  for (let n = 0; n < count; n++) {
    const round = {};
    for (const kind of [...kinds.slice(n % kinds.length), ...kinds.slice(0, n % kinds.length)]) {
      const what = `  ${label} ${n + 1}/${count}, ${titles[kind]}:`;
      let target;
      try {
        if (anew) await renew();
        target = await server(kind, how);
        const measured = await load(target, await jobOf(kind));
        round[kind] = measured;
        for (const each of measured) say(`${what} ${shown(each)}; ${cores(each)}`);
      } catch (error) {
        if (!(error instanceof Stop)) throw error;
        const last = target?.log?.().trim().split("\n").at(-1) ?? "";
        say(`${what} ✗ void: ${error.message}${target?.ended ? "; the server ended" : ""}${last && `; its log ends with: ${last.slice(0, 300)}`}`);
        bench.void.push(`${label}, ${titles[kind]}: ${error.message}`);
      }
      if (target && !target.ended) await settled(target);
    }
    rounds.push(round);
  }
  return rounds;
}

/** CPU-seconds of the server per million deliveries. */
export const perMillion = ({ server_cpu_s, deliveries }) => (server_cpu_s / deliveries) * 1e6;

/** The same with what stands beside it: PostgreSQL, Redis. */
export const perMillionInAll = ({ server_cpu_s, beside_cpu_s, deliveries }) => ((server_cpu_s + beside_cpu_s) / deliveries) * 1e6;

export const perSecond = ({ deliveries, seconds }) => deliveries / seconds;

export const ms = (value) => `${value.toFixed(value < 10 ? 2 : 1)} ms`;
