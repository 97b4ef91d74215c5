// The settings of a deployment as far as they are here, and what the service itself says of them.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { unstable_readConfig as readConfig } from "wrangler";
import { root } from "../database.mjs";
import { OWN, SECRETS, fileOf } from "../deploy/settings.mjs";
import { asked } from "../deploy/worker.mjs";

const REDIS = ["REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_TLS", "REDIS_DB"];

/** The names of all settings, as the table in docs/operations.md has them. */
export function known() {
  const text = readFileSync(join(root, "docs/operations.md"), "utf8");
  const table = text.slice(text.indexOf("\n## Settings\n"), text.indexOf("\n## ", text.indexOf("\n## Settings\n") + 1));
  return new Set([...table.matchAll(/^\| (`[A-Z].*?) \|/gm)].flatMap(([, cell]) => cell.match(/[A-Z][A-Z_]+/g)));
}

/** How many letters differ. */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}

/** How a setting of the service is changed: `env` is the environment that ./scripts/deploy knows it by, where that is said. */
export const change = (what, { local, env = "<env>" }) =>
  local ? `${what} in .dev.vars, and start it again.` : `${what} in ${fileOf(env)}, and run ./scripts/deploy --env ${env}.`;

/**
 * wrangler.toml's, and above them the file's: .dev.vars where the service is a local one, .deploy.<env>.vars of the
 * environment `env`. The shell's are above both, but for those of an environment that is deployed from its file.
 */
export class Settings {
  constructor({ local, env }) {
    const name = env ? fileOf(env) : ".dev.vars";
    const file = join(root, name);
    const config = readConfig({ config: join(root, "wrangler.toml") }, { hideWarnings: true });
    this.local = local;
    this.env = env;
    this.date = config.compatibility_date;
    this.vars = config.vars;
    this.name = name;
    this.file = (local || env) && existsSync(file) ? file : null;
    this.own = this.file ? parseEnv(readFileSync(file, "utf8")) : {};
  }

  /** A setting, or undefined where it is blank. */
  get(name) {
    const [shell, file, toml] = [process.env[name], this.own[name], this.vars[name]].map((text) => text?.trim());
    return (this.env ? file || toml || shell : shell || file || toml) || undefined;
  }

  /** Where the bridge writes, or null. */
  redis() {
    const [url, host, port, username, password, tls, database] = REDIS.map((name) => this.get(name));
    if (url) return { url };
    if (!host) return null;
    const at = host.includes(":") ? `[${host}]` : host;
    return { url: `${tls === "true" ? "rediss" : "redis"}://${at}:${port ?? 6379}/${database ?? 0}`, username, password };
  }

  check(report) {
    const names = known();
    for (const [where, vars] of [["wrangler.toml", this.vars], [this.name, this.own]]) {
      const strange = Object.keys(vars).filter((name) => !names.has(name) && !(this.env && OWN.includes(name)) && !/^(CLOUDFLARE|WRANGLER)_/.test(name));
      for (const name of strange) {
        const [near] = [...names].sort((a, b) => distance(name, a) - distance(name, b));
        const meant = distance(name, near) <= 3 ? ` Is ${near} meant?` : "";
        report.look(`${name} in ${where} is no setting of the chat, so it does nothing.${meant}`, "All settings: docs/operations.md#settings");
      }
    }
    for (const name of SECRETS.filter((name) => this.vars[name]?.trim())) {
      report.bad(`${name} stands in wrangler.toml, where everybody who has the code reads it.`, change("Take it out, and put another one", { ...this, local: false }));
    }
    if (this.vars.DEV_TOKENS === "true") {
      report.bad("DEV_TOKENS is true in wrangler.toml: once deployed, anybody is given any role.", "Take it out; for a local run it stands in .dev.vars.");
    }
    if (this.file && statSync(this.file).mode & 0o077) {
      report.look(`Other users of this machine may read ${this.name}.`, `Run: chmod 600 ${this.name}`);
    }
    const odd = (this.get("ALLOWED_ORIGINS") ?? "").split(",").map((origin) => origin.trim()).filter((origin) => /^http:|\blocalhost\b|\b127\./.test(origin));
    if (!this.local && odd.length) {
      report.look(`ALLOWED_ORIGINS has ${odd.join(", ")}: pages that anybody between may have changed, or of the visitor's own machine.`, "Keep what is served by https to the public.");
    }
  }
}

/** Has the built Worker itself say what is wrong with the settings, where no service answers. */
export async function judged(settings, report) {
  const [script, wasm] = ["index.js", "index_bg.wasm"].map((name) => join(root, "build", name));
  if (!existsSync(script) || !existsSync(wasm)) {
    return report.look("Whether the settings are good was not asked: nothing is built here.", "Run: ./scripts/build");
  }
  const bindings = Object.fromEntries([...known()].map((name) => [name, settings.get(name)]).filter(([, value]) => value !== undefined));
  const refused = await asked({ main: script, compatibilityDate: settings.date, bindings });
  if (refused === null) report.well("The settings are good.");
  else report.bad(`It would refuse to serve: ${refused}`, change("Put it right", settings));
}
