// What is wrong with a deployment, in sentences.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { data, embeddedPort, embeddedUrl, portOf, root } from "./database.mjs";
import { Stop, script } from "./process.mjs";

const options = {
  env: { type: "string" },
  url: { type: "string" },
  "database-url": { type: "string" },
  "redis-url": { type: "string" },
  origin: { type: "string", multiple: true, default: [] },
};

function read(args) {
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new Stop(`${error.message} See scripts/doctor --help.`);
  }
}

/** A URL of one of these schemes; `shown` is how it is called in a complaint, since it may hold a password. */
function address(text, shown, ...schemes) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!schemes.includes(url?.protocol)) throw new Stop(`${shown} has to be a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(" or ")}.`);
  return url;
}

/** What the file of an environment of ./scripts/deploy says of where it is. */
async function deployment(env) {
  const { ENVIRONMENTS, fileOf, read } = await import("./deploy/settings.mjs");
  if (!ENVIRONMENTS.includes(env)) throw new Stop(`--env has to be one of ${ENVIRONMENTS.join(", ")}.`);
  if (!existsSync(join(root, fileOf(env)))) throw new Stop(`There is no ${fileOf(env)} here: run this where ./scripts/deploy --env ${env} was run.`);
  const { DOMAIN, ROUTE, DATABASE_URL } = read(env);
  const known = join(data, "deploy", env, "url");
  const host = DOMAIN ?? ROUTE?.slice(0, -2);
  return { DATABASE_URL, url: host ? `https://${host}` : existsSync(known) ? readFileSync(known, "utf8") : undefined };
}

/** Prints findings as they come, and counts them. */
const report = {
  wrong: 0,
  odd: 0,
  well: (sentence) => console.log(`✓ ${sentence}`),
  look(sentence, todo) {
    this.odd += 1;
    console.log(`! ${sentence}\n    ${todo}`);
  },
  bad(sentence, todo) {
    this.wrong += 1;
    console.log(`✗ ${sentence}\n    ${todo}`);
  },
};

/** Programs: scripts/doctor has put a Node in place that wrangler accepts. */
function tools() {
  const pinned = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).devDependencies.wrangler;
  const { version } = JSON.parse(readFileSync(join(root, "node_modules/wrangler/package.json"), "utf8"));
  if (version === pinned) return report.well(`Node ${process.versions.node} and wrangler ${version} are here.`);
  report.look(`wrangler here is ${version}, and this version of the chat is deployed by ${pinned}.`, "Run: npm ci");
}

/** How far the others' clocks are from this machine's, in ms; what is not known is left out. */
function clocks(offsets) {
  const known = Object.entries(offsets).filter(([, ms]) => Number.isFinite(ms));
  const far = known.filter(([, ms]) => Math.abs(ms) > 5_000);
  const told = ([who, ms]) => `${who}'s is ${Math.round(Math.abs(ms) / 1000)} s ${ms > 0 ? "ahead of" : "behind"} this machine's`;
  if (!known.length) return;
  if (!far.length) return report.well(`Clocks agree: this machine's and ${known.map(([who]) => `${who}'s`).join(", ")}.`);
  const apart = Math.max(...known.map(([, ms]) => ms)) - Math.min(...known.map(([, ms]) => ms));
  const own = far.length === known.length && known.length > 1 && apart < 5_000;
  const sentence = own ? `This machine's clock is off: ${far.map(told).join(" and ")}.` : `Clocks differ: ${far.map(told).join(" and ")}.`;
  const todo = "Have the one that is off set by NTP (timedatectl). A token that is issued more than 30 s ahead of the service's clock is refused, and one that ends is over at once.";
  if (far.some(([, ms]) => Math.abs(ms) > 30_000)) report.bad(sentence, todo);
  else report.look(sentence, todo);
}

await script(async (args) => {
  const given = read(args);
  const { env } = given;
  const deployed = env === undefined ? {} : await deployment(env);
  const url = address(given.url ?? deployed.url ?? `http://localhost:${portOf("PORT", 3004)}`, "--url", "https:", "http:");
  for (const [option, ...schemes] of [["database-url", "postgres:", "postgresql:"], ["redis-url", "redis:", "rediss:"]]) {
    if (given[option]) address(given[option], `--${option}`, ...schemes);
  }
  // What they stand on takes a second to load: not for a sentence about an option.
  const [{ Settings, judged }, { service }, { postgres }, { redis }] = await Promise.all(["settings", "service", "postgres", "redis"].map((name) => import(`./doctor/${name}.mjs`)));
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  const settings = new Settings({ local: local && !env, env });

  tools();
  settings.check(report);
  const answered = await service(url, { report, local: settings.local, env, origins: given.origin, token: settings.get("METRICS_TOKEN") });
  if (!answered.serves && (local || env) && !answered.judged) await judged(settings, report);

  if (answered.serves && !answered.edge && !local && (settings.get("CLIENT_IP") ?? "cf-connecting-ip") === "cf-connecting-ip") {
    report.look("It is not behind Cloudflare, and CLIENT_IP is cf-connecting-ip: a client may write that header itself, and so any address.", "docs/operations.md#rates: cf.clientIp, or x-forwarded-for behind a proxy of yours.");
  }

  const embedded = local && (await embeddedPort());
  const databaseUrl = given["database-url"] ?? (deployed.DATABASE_URL || process.env.DATABASE_URL || (embedded && embeddedUrl(embedded)));
  let offset;
  if (databaseUrl) offset = await postgres(address(databaseUrl, given["database-url"] ? "--database-url" : "DATABASE_URL", "postgres:", "postgresql:"), report);
  else if (local) report.look(`No PostgreSQL was looked at: none of this clone runs (${data}).`, "Start ./scripts/dev, or set DATABASE_URL.");
  else report.look("No PostgreSQL was looked at.", "Give --env, or set DATABASE_URL to the URL that Hyperdrive has.");
  clocks({ "the service": answered.offset, PostgreSQL: offset });

  const redisUrl = given["redis-url"];
  const target = redisUrl ? { url: address(redisUrl, "--redis-url", "redis:", "rediss:").href } : settings.redis();
  if (target) await redis({ ...target, prefix: settings.get("REDIS_PREFIX") ?? "chat:" }, report);
  else if (answered.bridged) report.look("The service has a Redis bridge, and Redis was not looked at.", "Give --env, or set REDIS_URL.");

  const count = (n, what) => (n ? `${n} ${what}` : null);
  console.log([count(report.wrong, "wrong"), count(report.odd, "worth a look")].filter(Boolean).join(", ") || "All is well.");
  return report.wrong ? 1 : 0;
});
