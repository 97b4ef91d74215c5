// The command line of scripts/restore-blocks.
import { parseArgs } from "node:util";
import { giveBlocks } from "./blocks.mjs";
import { ENVIRONMENTS, settingsOf } from "./deploy/settings.mjs";
import { Stop, say, script, step } from "./process.mjs";

const options = { env: { type: "string" }, url: { type: "string" } };

await script(async (args) => {
  let given;
  try {
    given = parseArgs({ args, options }).values;
  } catch (error) {
    throw new Stop(`${error.message} See scripts/restore-blocks --help.`);
  }
  if (!ENVIRONMENTS.includes(given.env)) throw new Stop(`--env has to be one of ${ENVIRONMENTS.join(", ")}.`);
  const settings = settingsOf(given.env);
  const url = given.url ?? settings.at.url;
  if (!url) throw new Stop("Where it is served is not in the file: name it by --url.");
  const count = await step(`giving users of ${url} their blocks again`, () => giveBlocks(settings.own.DATABASE_URL, url, settings, (n) => say(`  ${n}`)));
  say(`  ${count} blocks stand as PostgreSQL has them.`);
});
