// The command line of scripts/restore-blocks.
import { parseArgs } from "node:util";
import { giveBlocks } from "./blocks.mjs";
import { ENVIRONMENTS, settingsOf } from "./deploy/settings.mjs";
import { Stop, say, script, step } from "./process.mjs";

/** What ./scripts/deploy has in a file, of a service that somebody else put there. */
function ofEnvironment() {
  const { DATABASE_URL, JWT_SECRET, JWT_SECRETS, JWT_ISSUER, JWT_AUDIENCE } = process.env;
  if (!DATABASE_URL || !(JWT_SECRET || JWT_SECRETS)) throw new Stop("Without --env DATABASE_URL and JWT_SECRET are to be in the environment.");
  return { own: { DATABASE_URL }, at: {}, secrets: { JWT_SECRET, JWT_SECRETS }, vars: { JWT_ISSUER, JWT_AUDIENCE } };
}

const options = { env: { type: "string" }, url: { type: "string" } };

await script(async (args) => {
  let given;
  try {
    given = parseArgs({ args, options }).values;
  } catch (error) {
    throw new Stop(`${error.message} See scripts/restore-blocks --help.`);
  }
  if (given.env !== undefined && !ENVIRONMENTS.includes(given.env)) throw new Stop(`--env has to be one of ${ENVIRONMENTS.join(", ")}.`);
  const settings = given.env === undefined ? ofEnvironment() : settingsOf(given.env);
  const url = given.url ?? settings.at.url;
  if (!url) throw new Stop("Where it is served is not known: name it by --url.");
  const { count, refused, named } = await step(`giving users of ${url} their blocks again`, () => giveBlocks(settings.own.DATABASE_URL, url, settings, (n) => say(`  ${n}`)));
  say(`  ${count} blocks stand as PostgreSQL has them.`);
  if (refused) throw new Stop(`${refused} are refused, who blocks whom:\n${named.map((one) => `  ${one}`).join("\n")}`);
});
