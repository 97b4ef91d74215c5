// What an environment is set to: its file, what of it is secret, and that no secret is ever shown.
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { experimental_readRawConfig as readRawConfig } from "wrangler";
import { root } from "../database.mjs";
import { Stop } from "../process.mjs";

export const ENVIRONMENTS = ["staging", "production"];

/** Settings of the service that go to Cloudflare as secrets. */
export const SECRETS = ["JWT_SECRET", "JWT_SECRETS", "REDIS_URL", "REDIS_PASSWORD", "REDIS_SIGNING_KEY", "WEBHOOK_SECRET", "METRICS_TOKEN"];

/** Its other settings; a test holds both lists against the code. DEV_TOKENS is not among them: never in production. */
export const VARS = ["JWT_PUBLIC_KEYS", "JWT_ISSUER", "JWT_AUDIENCE", "RATE_LIMIT_MESSAGES", "RATE_LIMIT_WINDOW",
  "RATE_LIMIT_SERVICE_MESSAGES", "RATE_LIMIT_SERVICE_WINDOW", "RATE_LIMIT_ROOM_MESSAGES", "RATE_LIMIT_ROOM_WINDOW",
  "RATE_LIMIT_JOINS", "RATE_LIMIT_REACTIONS", "RATE_LIMIT_TYPING", "RATE_LIMIT_REQUESTS", "MAX_SOCKETS_PER_USER",
  "MAX_MESSAGE_LENGTH", "MESSAGE_HISTORY_LIMIT", "AUTO_CREATE_ROOMS", "ROOM_CREATION", "ENABLE_PROFANITY_FILTER",
  "ENABLE_SPAM_DETECTION", "RETENTION_DAYS", "ALLOWED_ORIGINS", "CLIENT_IP", "SHARD_SOCKETS", "SHARD_BYTES",
  "FRAME_BUDGET", "FRAME_BUDGET_PER",
  "RELAY_ABOVE", "RELAY_DEGREE", "PUSH_EVERY", "DRAINS", "SOCKET_IO_PATH", "GATEWAYS", "GATEWAY_SESSIONS", "REDIS_HOST",
  "REDIS_PORT", "REDIS_USERNAME", "REDIS_DB", "REDIS_TLS", "REDIS_PREFIX", "BRIDGE_MODERATION",
  "WEBHOOK_URL", "WEBHOOK_EVENTS", "WEBHOOK_MODERATION"];

/** What the deployment itself needs. */
export const OWN = ["DATABASE_URL", "DOMAIN", "ROUTE", "ZONE", "HYPERDRIVE_ID", "CLOUDFLARE_ACCOUNT_ID"];

/** What two environments must not share, beside their keys, database and Redis: one's rooms, or tokens, would be the other's. */
const APART = ["DOMAIN", "ROUTE", "HYPERDRIVE_ID", "METRICS_TOKEN", "REDIS_SIGNING_KEY", "WEBHOOK_URL", "WEBHOOK_SECRET"];

/** The file of an environment's settings, in the root. */
export const fileOf = (env) => `.deploy.${env}.vars`;

const template = (env) => `# Settings of ${env}, for ./scripts/deploy. Secrets stand here: git leaves this file out, and so should you.
# The PostgreSQL, as Hyperdrive reaches it from Cloudflare: postgres://user:password@host:5432/database
DATABASE_URL=
# Where it is served: a name in a zone of your account. Without one, at a name of workers.dev.
DOMAIN=
JWT_SECRET=${randomBytes(48).toString("base64url")}
METRICS_TOKEN=${randomBytes(32).toString("hex")}
# Whatever else is to differ from wrangler.toml, one a line: docs/operations.md#settings
# ALLOWED_ORIGINS=https://www.example.org
# REDIS_URL=rediss://user:password@host:6380
`;

const set = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => String(value).trim() !== ""));

/** What an environment's file sets. */
export const read = (env) => set(parseEnv(readFileSync(join(root, fileOf(env)), "utf8")));

/** wrangler.toml as it stands, its `vars` without those that are blank. */
export function base() {
  const { rawConfig } = readRawConfig({ config: join(root, "wrangler.toml") });
  return { ...rawConfig, vars: set(rawConfig.vars ?? {}) };
}

/**
 * An environment's settings: `own`, what the deployment needs; `vars` and `secrets`, what the service is set to, by
 * wrangler.toml too; `mark`, which is another once the file was changed; `mask(text)`, the text without any secret of it.
 *
 * @throws {Stop} The file is new, or it or wrangler.toml says what the service does not know, or lacks something; never with a value in it.
 */
export function settingsOf(env) {
  const file = join(root, fileOf(env));
  if (!existsSync(file)) {
    writeFileSync(file, template(env), { mode: 0o600 });
    throw new Stop(`${fileOf(env)} is written, with new secrets. Put DATABASE_URL and DOMAIN into it and run this again.`);
  }
  chmodSync(file, 0o600);
  const all = read(env);
  const pick = (names) => Object.fromEntries(names.filter((name) => name in all).map((name) => [name, all[name]]));
  const { vars } = base();
  const open = SECRETS.find((name) => name in vars);
  if (open) throw new Stop(`wrangler.toml sets ${open}, where everybody who has the code reads it: put another one into ${fileOf(env)}.`);
  for (const [where, values, names] of [[fileOf(env), all, [...SECRETS, ...VARS, ...OWN]], ["wrangler.toml", vars, VARS]]) {
    if ("DEV_TOKENS" in values) throw new Stop(`${where} sets DEV_TOKENS, which gives anybody any token: take it out.`);
    const unknown = Object.keys(values).find((name) => !names.includes(name));
    if (unknown) throw new Stop(`${where} sets ${unknown}, which is no setting: docs/operations.md#settings has them.`);
  }
  const own = pick(OWN);
  const at = checked(own, fileOf(env));
  apart(env, all, vars);
  const { size, mtimeMs } = statSync(file);
  return { own, at, vars: { ...vars, ...pick(VARS) }, secrets: pick(SECRETS), mark: `${size} ${mtimeMs}`, mask: masking(all) };
}

/** Where it will be, as wrangler wants it: `{routes?, url?}`. */
function checked(own, file) {
  const { DATABASE_URL, DOMAIN, ROUTE, ZONE, HYPERDRIVE_ID } = own;
  if (!DATABASE_URL) throw new Stop(`${file} has no DATABASE_URL: postgres://user:password@host:5432/database`);
  const url = URL.canParse(DATABASE_URL) ? new URL(DATABASE_URL) : {};
  const parts = [url.username, url.password, url.hostname, url.pathname?.slice(1)];
  if (!["postgres:", "postgresql:"].includes(url.protocol) || !parts.every(Boolean)) {
    throw new Stop(`DATABASE_URL of ${file} has to be postgres://user:password@host:5432/database, a password percent-encoded.`);
  }
  if (HYPERDRIVE_ID && !/^[0-9a-f]{32}$/.test(HYPERDRIVE_ID)) {
    throw new Stop(`HYPERDRIVE_ID of ${file} has to be the 32 hex digits of a Hyperdrive configuration.`);
  }
  const local = /^(localhost|.*\.local|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[)/.test(url.hostname);
  if (local && !HYPERDRIVE_ID) {
    throw new Stop(`DATABASE_URL of ${file} names ${url.hostname}, which Cloudflare cannot reach. Behind a tunnel of your own, make the Hyperdrive configuration yourself and set HYPERDRIVE_ID.`);
  }
  if (url.searchParams.get("sslmode") === "disable" && !HYPERDRIVE_ID) {
    throw new Stop(`DATABASE_URL of ${file} says sslmode=disable; Hyperdrive speaks TLS alone.`);
  }
  if (DOMAIN && ROUTE) throw new Stop(`${file} has DOMAIN and ROUTE: only one can be.`);
  const host = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/;
  if (DOMAIN && !host.test(DOMAIN)) throw new Stop(`DOMAIN of ${file} has to be a host name such as chat.example.org.`);
  if (ROUTE && !(ROUTE.endsWith("/*") && host.test(ROUTE.slice(0, -2)) && host.test(ZONE ?? ""))) {
    throw new Stop(`ROUTE of ${file} has to be like chat.example.org/*, with ZONE=example.org beside it.`);
  }
  if (DOMAIN) return { routes: [{ pattern: DOMAIN, custom_domain: true }], url: `https://${DOMAIN}` };
  if (ROUTE) return { routes: [{ pattern: ROUTE, zone_name: ZONE }], url: `https://${ROUTE.slice(0, -2)}` };
  return {};
}

function apart(env, all, vars) {
  for (const other of ENVIRONMENTS.filter((name) => name !== env && existsSync(join(root, fileOf(name))))) {
    const [ours, theirs] = [{ ...vars, ...all }, { ...vars, ...read(other) }];
    const shared = (of) => of(ours).some((one) => of(theirs).includes(one));
    const same = APART.find((name) => ours[name] && ours[name] === theirs[name])
      ?? (shared(keysOf) ? "JWT_SECRET" : null)
      ?? (shared((it) => placeOf(it.DATABASE_URL, 5432)) ? "DATABASE_URL" : null);
    if (same) throw new Stop(`${env} and ${other} have the same ${same}: each needs its own.`);
    // Its numbered databases are not apart: a channel is heard in all of them.
    if (shared(redisOf) && (ours.REDIS_PREFIX ?? "chat:") === (theirs.REDIS_PREFIX ?? "chat:")) {
      throw new Stop(`${env} and ${other} have the same Redis: give one another REDIS_PREFIX.`);
    }
  }
}

/** What tokens are signed by, in either form; what cannot be read the service complains of. */
function keysOf({ JWT_SECRET, JWT_SECRETS }) {
  try {
    return [JWT_SECRET, ...Object.values(JSON.parse(JWT_SECRETS ?? "{}"))].filter(Boolean);
  } catch {
    return [JWT_SECRET].filter(Boolean);
  }
}

/** Where a URL leads, whoever goes there. */
function placeOf(text, otherwise, whole = true) {
  if (!URL.canParse(text)) return [];
  const { hostname, port, pathname } = new URL(text);
  return [`${hostname.toLowerCase()}:${port || otherwise}${whole ? pathname : ""}`];
}

const redisOf = ({ REDIS_URL, REDIS_HOST, REDIS_PORT = 6379 }) => placeOf(REDIS_URL ?? (REDIS_HOST && `redis://${REDIS_HOST}:${REDIS_PORT}`), 6379, false);

/** Takes every secret of `all` out of a text, also where it stands as a URL or JSON has it. */
function masking(all) {
  const values = SECRETS.map((name) => all[name]).filter(Boolean);
  for (const text of [all.DATABASE_URL, all.REDIS_URL]) {
    const { password } = text && URL.canParse(text) ? new URL(text) : {};
    if (password) values.push(password, decoded(password));
  }
  const forms = values.flatMap((value) => [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)]);
  const longest = [...new Set(forms)].sort((a, b) => b.length - a.length);
  return (text) => longest.reduce((masked, value) => masked.replaceAll(value, "•••"), text);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
