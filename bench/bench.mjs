// The service beside the bare platform, on one machine in one run: rounds in turns, medians and ranges of ratios.
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { SignJWT } from "jose";
import { throwAwayCluster } from "../scripts/lib/cluster.mjs";
import { migrations } from "../scripts/lib/database.mjs";
import { Stop, say, script, step } from "../scripts/lib/process.mjs";
import { table } from "./report.mjs";
import { rows } from "./rows.mjs";
import { bare, chat, serve, version } from "./workerd.mjs";

const options = { quick: { type: "boolean", default: false }, json: { type: "string" } };

function read(args) {
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new Stop(`${error.message} See scripts/bench --help.`);
  }
  const { values, positionals } = parsed;
  for (const name of positionals) {
    if (!rows[name]) throw new Stop(`There is no row "${name}"; there are ${Object.keys(rows).join(", ")}.`);
  }
  return { ...values, names: positionals.length ? positionals : Object.keys(rows) };
}

const secret = randomBytes(48).toString("base64url");
const token = (sub, roles) =>
  new SignJWT({ username: sub, roles })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime("3 h")
    .sign(new TextEncoder().encode(secret));

/** What the rows work with: both servers, tokens. */
async function prepare(quick) {
  // The log drains to it meanwhile, as it does in production.
  const databaseUrl = process.env.BENCH_DATABASE_URL || (await throwAwayCluster());
  await step("migrations", () => migrations("migrate", databaseUrl));
  const workers = { chat: chat({ secret, databaseUrl }), bare: bare() };
  const viewers = await Promise.all(Array.from({ length: 1000 }, (_, n) => token(`viewer-${n}`, ["member"])));
  const [ours, theirs] = await step(`starting two ${version}`, async () => [await serve(workers.chat), await serve(workers.bare)]);
  return { quick, workers, chat: ours, bare: theirs, sender: await token("sender", ["service"]), viewers: (n) => viewers.slice(0, n) };
}

await script(async (args) => {
  const { quick, json, names } = read(args);
  const needsServers = names.some((name) => name !== "size");
  const bench = needsServers ? await prepare(quick) : { quick };
  const busy = os.loadavg()[0];
  const lines = [];
  for (const name of names) lines.push(...(await step(name, () => rows[name](bench))));

  const machine = `${os.cpus().length} × ${os.cpus()[0].model}, ${version}, load average ${busy.toFixed(1)} before and ${os.loadavg()[0].toFixed(1)} after`;
  console.log(`\n${machine}\n\n${table(lines)}`);
  if (json) writeFileSync(json, `${JSON.stringify({ at: new Date().toISOString(), quick, machine, void: !!bench.void, lines }, null, 2)}\n`);
  if (bench.void) say("✗ at least one run was void; see above.");
  const missed = lines.filter((line) => line.aim && !line.met);
  if (missed.length) say(`! missed its aim: ${missed.map((line) => line.what).join("; ")}`);
  return bench.void ? 1 : 0;
});
