// Fresh, migrated databases: copies of a template on the test server, or PGlite behind its socket server.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import pg from "pg";
import { embeddedUrl, migrations, root } from "../../scripts/lib/database.mjs";
import { freePort } from "../../scripts/lib/process.mjs";

const folder = join(root, "migrations");

async function admin(work) {
  const url = process.env.TEST_DATABASE_URL;
  if (!url) throw new Error("TEST_DATABASE_URL is not set; run the tests by ./scripts/test e2e [file…]");
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await work(client, (database) => Object.assign(new URL(url), { pathname: `/${database}` }).href);
  } finally {
    await client.end();
  }
}

/** Runs one statement on a connection of its own and gives its rows. */
const querying = (url) => async (sql, values) => {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
};

/** The migrated template, made once for each state of migrations/, however many test files ask at once. */
async function template(client, urlOf) {
  const files = readdirSync(folder).sort();
  const hash = createHash("sha256").update(files.map((file) => readFileSync(join(folder, file))).join("\0"));
  const name = `edge_chat_template_${hash.digest("hex").slice(0, 12)}`;
  await client.query("select pg_advisory_lock(7403)");
  const { rowCount } = await client.query("select from pg_database where datname = $1", [name]);
  if (!rowCount) {
    // Under another name until it is whole.
    await client.query(`drop database if exists ${name}_new`);
    await client.query(`create database ${name}_new`);
    await migrations("migrate", urlOf(`${name}_new`));
    await client.query(`alter database ${name}_new rename to ${name}`);
  }
  await client.query("select pg_advisory_unlock(7403)");
  return name;
}

/**
 * A fresh database on the test's PostgreSQL, migrated unless `empty`. `query(sql, values)` gives rows, `drop()` ends it
 * together with whatever is still connected.
 */
export async function testDatabase({ empty = false } = {}) {
  return admin(async (client, urlOf) => {
    const name = `edge_chat_test_${randomBytes(6).toString("hex")}`;
    await client.query(`create database ${name} template ${empty ? "template0" : await template(client, urlOf)}`);
    const url = urlOf(name);
    const drop = () => admin((other) => other.query(`drop database if exists ${name} with (force)`));
    return { url, query: querying(url), drop };
  });
}

/** The same on PGlite, in memory, in this process. */
export async function embeddedDatabase({ empty = false } = {}) {
  const db = await PGlite.create();
  const port = await freePort();
  const server = new PGLiteSocketServer({ db, port, host: "127.0.0.1", maxConnections: 100 });
  await server.start();
  const url = embeddedUrl(port);
  if (!empty) await migrations("migrate", url);
  const drop = async () => {
    await server.stop();
    await db.close();
  };
  return { url, query: querying(url), drop };
}
