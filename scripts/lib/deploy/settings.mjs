// What an environment is set to: its file, what of it is secret, and that no secret is ever shown.
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { root } from "../database.mjs";
import { Stop } from "../process.mjs";

export const ENVIRONMENTS = ["staging", "production"];

/** Settings of the service that go to Cloudflare as secrets. */
export const SECRETS = ["JWT_SECRET", "JWT_SECRETS", "REDIS_URL", "REDIS_PASSWORD", "REDIS_SIGNING_KEY", "METRICS_TOKEN"];

/** Its other settings; a test holds both lists against the code. DEV_TOKENS is not among them: never in production. */
export const VARS = ["JWT_PUBLIC_KEYS", "JWT_ISSUER", "JWT_AUDIENCE", "RATE_LIMIT_MESSAGES", "RATE_LIMIT_WINDOW",
  "RATE_LIMIT_SERVICE_MESSAGES", "RATE_LIMIT_SERVICE_WINDOW", "RATE_LIMIT_ROOM_MESSAGES", "RATE_LIMIT_ROOM_WINDOW",
  "RATE_LIMIT_JOINS", "RATE_LIMIT_REACTIONS", "RATE_LIMIT_TYPING", "RATE_LIMIT_REQUESTS", "MAX_SOCKETS_PER_USER",
  "MAX_MESSAGE_LENGTH", "MESSAGE_HISTORY_LIMIT", "AUTO_CREATE_ROOMS", "ROOM_CREATION", "ENABLE_PROFANITY_FILTER",
  "ENABLE_SPAM_DETECTION", "ALLOWED_ORIGINS", "CLIENT_IP", "SHARD_SOCKETS", "FRAME_BUDGET", "FRAME_BUDGET_PER",
  "RELAY_ABOVE", "RELAY_DEGREE", "PUSH_EVERY", "DRAINS", "SOCKET_IO_PATH", "GATEWAYS", "GATEWAY_SESSIONS", "REDIS_HOST",
  "REDIS_PORT", "REDIS_USERNAME", "REDIS_DB", "REDIS_TLS", "REDIS_PREFIX", "BRIDGE_MODERATION"];

/** What the deployment itself needs. */
const OWN = ["DATABASE_URL", "DOMAIN", "ROUTE", "ZONE", "HYPERDRIVE_ID", "CLOUDFLARE_ACCOUNT_ID"];

/** What two environments must not share: one's rooms, or tokens, would be the other's. */
const APART = ["DATABASE_URL", "JWT_SECRET", "JWT_SECRETS", "DOMAIN", "ROUTE", "HYPERDRIVE_ID"];

const fileOf = (env) => `.deploy.${env}.vars`;

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

function read(env) {
  const values = parseEnv(readFileSync(join(root, fileOf(env)), "utf8"));
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value.trim() !== ""));
}

/**
 * An environment's settings: `own`, what the deployment needs; `vars` and `secrets`, what the service is set to beyond
 * wrangler.toml; `mark`, which is another once the file was changed; `mask(text)`, the text without any secret of it.
 *
 * @throws {Stop} The file is new, says what the service does not know, or lacks something; never with a value in it.
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
  if ("DEV_TOKENS" in all) throw new Stop(`${fileOf(env)} sets DEV_TOKENS, which gives anybody any token: take it out.`);
  const unknown = Object.keys(all).find((name) => ![...SECRETS, ...VARS, ...OWN].includes(name));
  if (unknown) throw new Stop(`${fileOf(env)} sets ${unknown}, which is no setting: docs/operations.md#settings has them.`);
  const own = pick(OWN);
  const at = checked(own, fileOf(env));
  apart(env, all);
  const { size, mtimeMs } = statSync(file);
  return { own, at, vars: pick(VARS), secrets: pick(SECRETS), mark: `${size} ${mtimeMs}`, mask: masking(all) };
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

function apart(env, all) {
  for (const other of ENVIRONMENTS.filter((name) => name !== env && existsSync(join(root, fileOf(name))))) {
    const theirs = read(other);
    const same = APART.find((name) => all[name] && all[name] === theirs[name]);
    if (same) throw new Stop(`${env} and ${other} have the same ${same}: each needs its own.`);
    const redis = (it) => it.REDIS_URL ?? it.REDIS_HOST;
    if (redis(all) && redis(all) === redis(theirs) && all.REDIS_PREFIX === theirs.REDIS_PREFIX) {
      throw new Stop(`${env} and ${other} have the same Redis: give one another REDIS_PREFIX.`);
    }
  }
}

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
