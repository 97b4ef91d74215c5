// The way to Cloudflare and back, step by step; what was done before a failure is not done twice.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { data, migrations, root } from "./database.mjs";
import { cloudflare, domainIsFree, hyperdrive, json } from "./deploy/cloudflare.mjs";
import { ENVIRONMENTS, SECRETS, settingsOf } from "./deploy/settings.mjs";
import { behind, smoke } from "./deploy/smoke.mjs";
import { configOf, fingerprint, obeys, write } from "./deploy/worker.mjs";
import { Stop, run, say, script, step } from "./process.mjs";

/** PostgreSQL may lack so much when one goes back, s: a batch and the wait before it. */
const MOST_BEHIND_S = 10;

const options = {
  env: { type: "string" },
  url: { type: "string" },
  to: { type: "string" },
  "dry-run": { type: "boolean", default: false },
  "take-domain": { type: "boolean", default: false },
  rollback: { type: "boolean", default: false },
};

function read(args) {
  let values;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new Stop(`${error.message} See scripts/deploy --help.`);
  }
  if (!ENVIRONMENTS.includes(values.env)) throw new Stop(`--env has to be one of ${ENVIRONMENTS.join(", ")}.`);
  if (values.to && !values.rollback) throw new Stop("--to is for --rollback.");
  if (values.url && !/^https?:\/\/[^/]+$/.test(values.url)) throw new Stop("--url has to be like https://chat.example.org.");
  return values;
}

/** How far a deployment came: `done` has what a step gave, by its name. Forgotten where anything differs since. */
function progress(file, fingerprint) {
  let last = {};
  try {
    last = JSON.parse(readFileSync(file, "utf8"));
  } catch {}
  const state = last.fingerprint === fingerprint ? last : { fingerprint, done: {} };
  const save = () => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(state, null, 2)}\n`);
  };
  return {
    /** Does `work` unless it was done and, as `holds(result)` has it, is not undone since; keeps what it gives. */
    async once(name, label, work, holds = () => true) {
      if (name in state.done && (await holds(state.done[name]))) {
        say(`• ${label}: done before`);
        return state.done[name];
      }
      const result = (await step(label, work)) ?? true;
      state.done[name] = result;
      save();
      return result;
    },
    end() {
      state.done = {};
      save();
    },
  };
}

/** What is kept of an environment: its configuration, how far it came, and its name at workers.dev. */
const kept = (env, file) => join(data, "deploy", env, file);

const migrationFiles = () => readdirSync(join(root, "migrations")).filter((file) => file.endsWith(".sql")).sort();

async function migrate({ own }, dry) {
  const { username, host, pathname } = new URL(own.DATABASE_URL);
  say(`  $ DATABASE_URL=postgres://${username}:•••@${host}${pathname} dbmate --no-dump-schema --migrations-dir migrations migrate`);
  if (dry) return say(migrationFiles().map((file) => `    ${file}, where it is not applied yet`).join("\n"));
  await migrations("migrate", own.DATABASE_URL);
}

/** What is a secret there and not in the file any more stays in force, so it is said. */
async function leftOver(cloud, name, { secrets }) {
  const there = await cloud.wrangler(["secret", "list", "--name", name, "--format", "json"], { quiet: true });
  if (cloud.dry) return;
  const gone = json(there).map((secret) => secret.name).filter((secret) => !(secret in secrets));
  for (const secret of gone) {
    const known = SECRETS.includes(secret) ? "" : " (not one of edge-chat's)";
    say(`! ${secret}${known} is still set there: npx wrangler secret delete ${secret} --name ${name}`);
  }
}

async function deploy(settings, { env, url, dry, take }) {
  const draft = configOf(env, settings);
  await run(join(root, "scripts/build"), []);
  const cloud = cloudflare(settings, dry);
  const file = kept(env, "wrangler.json");
  const upload = ["deploy", "--config", file, "--secrets-file", "/dev/stdin"];

  await step("checking the settings by the service itself", () => obeys(draft, settings.secrets));
  await step("checking what would be uploaded", () => {
    write(file, draft);
    return cloud.wrangler([...upload, "--dry-run"], { input: settings.secrets, local: true });
  });

  await step("the account", () => cloud.login());
  const { DOMAIN: domain } = settings.own;
  if (domain && !take) await step(`whether ${domain} is free`, () => domainIsFree(cloud, draft.name, domain));
  const stage = dry ? { once: (_, label, work) => step(label, work), end() {} } : progress(kept(env, "state.json"), fingerprint(draft, settings.mark + cloud.account.id));
  const id = await stage.once("hyperdrive", `Hyperdrive's ${draft.name}, without its query cache`, () => hyperdrive(cloud, draft.name, settings));
  await stage.once("migrations", "migrating the database", () => migrate(settings, dry));
  write(file, configOf(env, settings, dry ? undefined : id));
  let fresh = false;
  const there = await stage.once("upload", `uploading ${draft.name} with its secrets`, async () => {
    const said = await cloud.wrangler([...upload, "--message", `scripts/deploy --env ${env}`], { input: settings.secrets });
    fresh = true;
    const url = said.match(/https:\/\/\S+\.workers\.dev/)?.[0];
    if (url) writeFileSync(kept(env, "url"), url);
    return { version: said.match(/Current Version ID: *(\S+)/)?.[1], url };
    // Somebody may have gone back, or changed something, by another way.
  }, async ({ version }) => version !== undefined && (await lived(cloud, draft.name)).at(-1) === version);
  await step("secrets that are left over", () => leftOver(cloud, draft.name, settings));
  const at = url ?? settings.at.url ?? there?.url;
  if (dry) return say(`• looking whether people can talk at ${at ?? "the name of workers.dev that wrangler tells"}: not in a dry run\n  ${env} would be deployed; nothing was`);
  if (!at) throw new Stop("wrangler did not say where it is deployed: name it by --url.");
  await smoke(at, settings, fresh);
  stage.end();
  say(`\n  ${env} is deployed: ${at} (${draft.name}, version ${there.version ?? "unknown"})\n  Back to the version before: ./scripts/deploy --env ${env} --rollback`);
}

/** The versions of the newest ten deployments, the live one last; undefined where two had a share. */
async function lived(cloud, name) {
  const deployments = json(await cloud.wrangler(["deployments", "list", "--name", name, "--json"], { quiet: true }));
  return deployments
    .sort((a, b) => a.created_on.localeCompare(b.created_on))
    .map(({ versions }) => versions.find(({ percentage }) => percentage === 100)?.version_id);
}

/** The version to go back to: the one that was live before the current one first was, so that going back twice does not come forth again. */
function before(versions) {
  const first = versions.indexOf(versions.at(-1));
  return versions.slice(0, first).findLast(Boolean);
}

async function rollback(settings, { env, url, to, dry }) {
  const cloud = cloudflare(settings, dry);
  const { name } = configOf(env, settings);
  const known = kept(env, "url");
  const at = url ?? settings.at.url ?? (existsSync(known) ? readFileSync(known, "utf8") : undefined);
  if (!at) throw new Stop(`Where ${name} is served is not known here, so nothing could be asked before and after: name it by --url.`);
  await step("the account", () => cloud.login());
  const version = to ?? (await step("the version before this one", async () => {
    if (dry) return "<the version before>";
    const found = before(await lived(cloud, name));
    if (!found) throw new Stop(`Of the newest deployments none before this one is another version: name one by --to (npx wrangler versions list --name ${name}).`);
    return found;
  }));
  if (!dry) {
    await step("how far PostgreSQL is behind the rooms", async () => {
      const seconds = await behind(at, settings);
      if (seconds === null) say(`! Nobody knows whether PostgreSQL lacks anything: METRICS_TOKEN is not set, or ${at}/metrics or one of its drains does not answer.\n    Going back all the same; events of a kind that the earlier version does not know, and that PostgreSQL lacks, never reach it.`);
      else say(`  ${seconds} s`);
      if (seconds > MOST_BEHIND_S) {
        throw new Stop(`PostgreSQL is ${seconds} s behind: events of a kind that the earlier version does not know would never reach it. Wait for it, or where that cannot be: npx wrangler rollback ${version} --name ${name} --durable-objects-code-update-mode immediate`);
      }
    });
  }
  await step(`back to ${version}`, () =>
    cloud.wrangler(["rollback", version, "--name", name, "--message", "scripts/deploy --rollback", "--yes", "--durable-objects-code-update-mode", "immediate"]));
  if (dry) return say("  nothing was changed");
  // What was uploaded last is live no more.
  rmSync(kept(env, "state.json"), { force: true });
  await smoke(at, settings, true);
  say(`\n  ${env} runs version ${version} again. Objects keep their storage, so sockets come back and resume; the database keeps its schema.`);
}

await script(async (args) => {
  const { env, url, to, rollback: back, "dry-run": dry, "take-domain": take } = read(args);
  const settings = await step(`settings of ${env}`, () => settingsOf(env));
  if (dry) say("  a dry run: lines that begin with $ are what would be run; nothing of Cloudflare or of the database is asked");
  await (back ? rollback : deploy)(settings, { env, url, to, dry, take });
});
