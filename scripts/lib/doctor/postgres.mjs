// PostgreSQL: whether it can be had, has the tables of this version, lets the chat's user at them, and has refused anything.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { root } from "../database.mjs";

/** Unique keys that take null for a value, which the tables have, came with it. */
const OLDEST = 150_000;

const folder = join(root, "migrations");

/** Why it cannot be had, and what to do. */
function refusal(error, url) {
  const where = `${url.hostname}:${url.port || 5432}`;
  const user = decodeURIComponent(url.username);
  switch (error.code) {
    case "ECONNREFUSED": return [`PostgreSQL is not to be had: nothing listens at ${where}.`, "Start it, or put its URL right."];
    case "ENOTFOUND":
    case "EAI_AGAIN": return [`PostgreSQL is not to be had: no host ${url.hostname} is known here.`, "Put the URL right."];
    case "28P01":
    case "28000": return [`PostgreSQL at ${where} does not let ${user} in: ${error.message}.`, "Put the password right here, and for Hyperdrive in DATABASE_URL of .deploy.<env>.vars: ./scripts/deploy tells it."];
    case "3D000": return [`PostgreSQL at ${where} has no database ${url.pathname.slice(1)}.`, "Put the URL right, or make it: createdb."];
    case "53300": return [`PostgreSQL at ${where} has no connection left.`, "See who holds them (pg_stat_activity), or raise max_connections."];
    case "57P03": return [`PostgreSQL at ${where} is starting or ending.`, "Run this again in a moment."];
  }
  const sentence = `PostgreSQL at ${where} is not to be had: ${error.message || error.code}.`;
  if (/timeout/.test(error.message)) return [sentence, "Is a firewall between, or a server that hangs?"];
  if (/SSL/.test(error.message)) return [sentence, "Add ?sslmode=disable to the URL, or have the server speak TLS."];
  return [sentence, "Put the URL right, or look into its log."];
}

const named = (pattern) => [...new Set(readdirSync(folder).flatMap((file) => {
  const [up] = readFileSync(join(folder, file), "utf8").split("-- migrate:down");
  return [...up.matchAll(pattern)].map(([, name]) => name);
}))];

/** Whether the tables are those of this version. */
async function migrated(query, report) {
  const files = readdirSync(folder).filter((file) => file.endsWith(".sql")).map((file) => file.split("_")[0]).sort();
  const [{ there }] = await query("select to_regclass('schema_migrations') is not null as there");
  if (!there) {
    report.bad("The database was never migrated: it has none of the chat's tables.", "Run, as their owner: DATABASE_URL='postgres://…' ./scripts/migrate up");
    return false;
  }
  const done = (await query("select version from schema_migrations")).map(({ version }) => version);
  const pending = files.filter((version) => !done.includes(version));
  const newer = done.filter((version) => !files.includes(version));
  if (pending.length) report.bad(`Migrations are behind: ${pending.length} of ${files.length} are missing, from ${pending[0]} on.`, "Run, before this version is deployed: DATABASE_URL='postgres://…' ./scripts/migrate up");
  if (newer.length) report.look(`The database has migrations that this clone has not (${newer.sort().at(-1)}): it is of a newer version.`, "Run this from the version that is deployed.");
  if (!pending.length && !newer.length) report.well(`All ${files.length} migrations are there.`);
  return !pending.length;
}

/** Whether the user may do what the chat does. */
async function rights(query, report) {
  const lacks = await query(
    `select t.name, array_remove(array_agg(case when not has_table_privilege(to_regclass(t.name), p.kind) then p.kind end), null) as lacks
     from unnest($1::text[]) t (name), unnest('{select,insert,update,delete}'::text[]) p (kind)
     where to_regclass(t.name) is not null group by t.name order by t.name`,
    [named(/^create table (\w+)/gm)],
  );
  const functions = await query(
    `select distinct proname as name from pg_proc where proname = any ($1::text[]) and not has_function_privilege(oid, 'execute')`,
    [named(/^create (?:or replace )?function (chat_\w+)/gm)],
  );
  const missing = [...lacks.filter(({ lacks }) => lacks.length).map(({ name, lacks }) => `${lacks.join(", ")} on ${name}`), ...functions.map(({ name }) => `execute on ${name}`)];
  const [{ who }] = await query("select current_user as who");
  if (!missing.length) return report.well(`${who} may do all that the chat does.`);
  const some = missing.slice(0, 3).join("; ") + (missing.length > 3 ? `; and ${missing.length - 3} more` : "");
  report.bad(`${who} may not do what the chat does: ${some}.`, `As their owner: grant select, insert, update, delete on all tables in schema public to "${who}"; grant execute on all functions in schema public to "${who}";`);
}

async function deadLetters(query, report) {
  const [{ count, sqlstates }] = await query("select count(*)::int as count, array_agg(distinct sqlstate) as sqlstates from dead_letters");
  if (count) report.look(`${count} events are in dead_letters: PostgreSQL refused them (${sqlstates.map((state) => state || "not readable").join(", ")}).`, "docs/operations.md#dead-letters");
}

async function connections(query, report) {
  const [{ used, most }] = await query("select count(*)::int as used, current_setting('max_connections')::int as most from pg_stat_activity where backend_type = 'client backend'");
  if (used > most * 0.9) report.look(`${used} of ${most} connections are taken.`, "See who holds them (pg_stat_activity), or raise max_connections.");
}

/**
 * Looks at PostgreSQL; gives its clock's offset to ours in ms, where it can be had. A connection, and then each answer,
 * may take `within` ms, as a drain's connection may.
 */
export async function postgres(url, report, within = 10_000) {
  // As psql and Hyperdrive understand it: encrypted, whoever vouches for the certificate.
  if (url.searchParams.get("sslmode") === "require") url.searchParams.set("uselibpqcompat", "true");
  const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: within, query_timeout: within, application_name: "edge-chat doctor" });
  client.on("error", () => {});
  const query = async (sql, values) => (await client.query(sql, values)).rows;
  try {
    await client.connect();
  } catch (error) {
    report.bad(...refusal(error, url));
    return undefined;
  }
  try {
    const asked = Date.now();
    const [{ version, at, standby, read_only }] = await query(
      `select current_setting('server_version_num')::int as version, extract(epoch from clock_timestamp()) * 1000 as at,
       pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only`,
    );
    const offset = Number(at) - (asked + Date.now()) / 2;
    report.well(`PostgreSQL ${Math.floor(version / 10_000)} answers at ${url.hostname}:${url.port || 5432}.`);
    if (version < OLDEST) report.bad(`PostgreSQL ${Math.floor(version / 10_000)} is too old.`, "It has to be 15 or later.");
    if (standby) report.bad("This PostgreSQL is a standby: nothing can be written to it.", "Give the URL of the primary, here and in DATABASE_URL of .deploy.<env>.vars.");
    else if (read_only) report.bad("This PostgreSQL is read only for this user (default_transaction_read_only).", "alter role … reset default_transaction_read_only; or make room where the disk is full.");
    if (await migrated(query, report)) {
      await rights(query, report);
      await deadLetters(query, report).catch((error) => report.look(`dead_letters cannot be read: ${error.message}.`, "It is a right that is missing, see above."));
    }
    await connections(query, report);
    return offset;
  } catch (error) {
    report.bad(`PostgreSQL was asked, and failed: ${error.message}.`, "Look into its log.");
    return undefined;
  } finally {
    await client.end().catch(() => {});
  }
}
