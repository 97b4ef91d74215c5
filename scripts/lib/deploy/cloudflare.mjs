// How Cloudflare is spoken to: wrangler, and its API where wrangler would take a password as an argument.
import { resolve } from "node:dns/promises";
import { join } from "node:path";
import { data, root } from "../database.mjs";
import { Stop, end, say, start } from "../process.mjs";

/** Takes its secrets by stdin as a file would: a pipe, since what Node makes for a child cannot be opened as one. */
const PIPED = 'cat | "$0" "$@"';

/**
 * Cloudflare, as account `CLOUDFLARE_ACCOUNT_ID` of the settings where they have one. `dry` prints what would be done, and
 * answers nothing.
 *
 * - `wrangler(args, {input, quiet, local})`: runs it, `input` on its stdin; gives what it printed. `quiet` shows none of it,
 *   `local` runs it in a dry run too.
 * - `api(method, path, body)`: the account's API; gives its `result`.
 */
export function cloudflare({ own, mask }, dry) {
  const account = { id: own.CLOUDFLARE_ACCOUNT_ID ?? process.env.CLOUDFLARE_ACCOUNT_ID };
  const base = process.env.CLOUDFLARE_API_BASE_URL || "https://api.cloudflare.com/client/v4";
  const show = (line) => say(`  $ ${mask(line)}`);

  async function wrangler(args, { input, quiet, local } = {}) {
    const secret = input && Object.fromEntries(Object.keys(input).map((name) => [name, "•••"]));
    show(`wrangler ${args.map((arg) => (/\s/.test(arg) ? `"${arg}"` : arg)).join(" ")}${secret ? ` < ${JSON.stringify(secret)}` : ""}`);
    if (dry && !local) return "";
    const env = { ...process.env, CI: "true", WRANGLER_SEND_METRICS: "false", WRANGLER_LOG_PATH: join(data, "logs") };
    // Nothing of a request goes into its log files, whatever this shell is set to.
    Object.assign(env, { WRANGLER_LOG: "log", WRANGLER_LOG_SANITIZE: "true" });
    delete env.CLOUDFLARE_ENV;
    if (account.id) env.CLOUDFLARE_ACCOUNT_ID = account.id;
    const program = process.env.WRANGLER || join(root, "node_modules/.bin/wrangler");
    const [command, ...all] = input ? ["sh", "-c", PIPED, program, ...args] : [program, ...args];
    const child = start(command, all, { cwd: root, env, stdio: [input ? "pipe" : "ignore", "pipe", "pipe"] });
    // One that ends before it has read all of it says why by its status.
    child.stdin?.on("error", () => {}).end(JSON.stringify(input));
    let out = "";
    let both = "";
    child.stdout.on("data", (chunk) => (out += chunk));
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (both += chunk));
    const closed = new Promise((resolve) => child.once("close", resolve));
    const how = await child.gone;
    await closed;
    await end(child);
    const shown = mask(both.trim()).replace(/^/gm, "    ");
    if (how !== "status 0") throw new Stop(`wrangler ${args[0]} failed (${how}).\n${shown}`);
    if (!quiet && shown.trim()) say(shown);
    return out;
  }

  async function api(method, path, body) {
    show(`${method} ${base}/accounts/${account.id ?? "<account>"}${path}${body ? ` ${JSON.stringify(body)}` : ""}`);
    const token = await wrangler(["auth", "token", "--json"], { quiet: true });
    if (dry) return null;
    const auth = json(token);
    const headers = auth.type === "api_key" ? { "x-auth-key": auth.key, "x-auth-email": auth.email } : { authorization: `Bearer ${auth.token}` };
    let answer;
    try {
      answer = await fetch(`${base}/accounts/${account.id}${path}`, {
        method,
        headers: { ...headers, "content-type": "application/json" },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(60_000),
      });
    } catch (error) {
      throw new Stop(`Cloudflare's API did not answer: ${error.cause?.message ?? error.message}`);
    }
    const { success, result, errors } = await answer.json().catch(() => ({}));
    if (success) return result;
    const why = errors?.map(({ code, message }) => `${message} (${code})`).join("; ") || answer.status;
    throw new Stop(mask(`Cloudflare refused ${method} ${path}: ${why}`));
  }

  /** Who is logged in; settles the account. */
  async function login() {
    const text = await wrangler(["whoami", "--json"], { quiet: true }).catch((error) => {
      throw new Stop(`Nobody is logged in: run \`npx wrangler login\`, or set CLOUDFLARE_API_TOKEN.\n${error.message}`);
    });
    if (dry) return;
    const { email, accounts = [] } = json(text);
    if (!account.id && accounts.length !== 1) {
      throw new Stop(`Which account? Set CLOUDFLARE_ACCOUNT_ID to one of: ${accounts.map(({ id, name }) => `${id} (${name})`).join(", ") || "none is open to this login"}`);
    }
    account.id ??= accounts[0].id;
    const known = accounts.find(({ id }) => id === account.id);
    if (!known) throw new Stop(`This login has no account ${account.id} (CLOUDFLARE_ACCOUNT_ID).`);
    say(`  ${email ?? "a token"}, account ${known.name} (${account.id})`);
  }

  return { wrangler, api, login, account, dry };
}

/** What wrangler printed as JSON, whatever it said before. */
export function json(text) {
  try {
    return JSON.parse(text.slice(text.search(/[[{]/)));
  } catch {
    throw new Stop(`wrangler did not answer in JSON; it has to be the version of package.json.`);
  }
}

/**
 * Sees that nobody else has the domain. Without a terminal wrangler takes it over, whatever it served, and asks nobody.
 */
export async function domainIsFree(cloud, name, domain) {
  const all = await cloud.api("GET", "/workers/domains");
  if (cloud.dry) return;
  const taken = all.find(({ hostname }) => hostname === domain);
  if (taken?.service === name) return;
  const how = `Take it from there, or have this deployment take it: --take-domain.`;
  if (taken) throw new Stop(`${domain} is the domain of the Worker ${taken.service}. ${how}`);
  const records = await resolve(domain).catch(({ code }) => {
    if (code === "ENOTFOUND" || code === "ENODATA") return [];
    throw new Stop(`Whether ${domain} is in use could not be looked up (${code}). If it is not: --take-domain.`);
  });
  if (records.length) throw new Stop(`${domain} is in use: it has addresses. ${how}`);
}

/** The origin of a Hyperdrive configuration, of a database's URL. */
function originOf(text) {
  const url = new URL(text);
  return {
    scheme: "postgres",
    host: url.hostname,
    port: Number(url.port || 5432),
    database: decodeURIComponent(url.pathname.slice(1)),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

/**
 * The id of the environment's Hyperdrive configuration, its query cache off: the one of HYPERDRIVE_ID, or the one with
 * this name, made where there is none. One that points elsewhere is refused: rooms would find another's history.
 */
export async function hyperdrive(cloud, name, { own }) {
  const path = "/hyperdrive/configs";
  const caching = { disabled: true };
  if (own.HYPERDRIVE_ID) {
    const found = await cloud.api("GET", `${path}/${own.HYPERDRIVE_ID}`);
    if (found && !found.caching?.disabled) await cloud.api("PATCH", `${path}/${own.HYPERDRIVE_ID}`, { caching });
    return own.HYPERDRIVE_ID;
  }
  const origin = originOf(own.DATABASE_URL);
  const wanted = { name, origin, caching };
  const found = (await cloud.api("GET", path))?.find((one) => one.name === name);
  if (!found) return (await cloud.api("POST", path, wanted))?.id;
  const place = ({ host, port, database }) => `${host}:${port}/${database}`;
  if (place(found.origin) !== place(origin)) {
    throw new Stop(`Hyperdrive's ${name} points at ${place(found.origin)}, DATABASE_URL at ${place(origin)}. Where the database has moved, change ${name} by hand: npx wrangler hyperdrive update ${found.id} --origin-host … (docs/deploy.md).`);
  }
  // The password may be a new one, which nobody can read back.
  await cloud.api("PATCH", `${path}/${found.id}`, wanted);
  return found.id;
}
