// Migrations by dbmate, on DATABASE_URL or the embedded PostgreSQL.
import { embedded, migrations } from "./database.mjs";
import { Stop, script, step } from "./process.mjs";

// `migrate`, not `up`: that would also try to create the database.
const commands = { up: "migrate", down: "rollback", status: "status" };

await script(async ([what, ...rest]) => {
  const command = commands[what];
  if (!command || rest.length) throw new Stop("usage: scripts/migrate up | down | status");
  const url = process.env.DATABASE_URL || (await embedded()).url;
  await step(`migrations: ${what}`, () => migrations(command, url));
});
