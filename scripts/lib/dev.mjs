// The whole chat on this machine: build, database, migrations, wrangler dev.
import { join } from "node:path";
import { data, embedded, migrations, portOf, root } from "./database.mjs";
import { Stop, accepts, run, say, script, start, step, until } from "./process.mjs";

/** The bridge's settings, which may also come from the environment, as tools for Redis have them. */
const ofTheBridge = ["REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_TLS", "REDIS_DB",
  "REDIS_PREFIX", "REDIS_SIGNING_KEY", "BRIDGE_MODERATION"];

async function health(url) {
  try {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2_000) });
    return { status: answer.status, text: await answer.text() };
  } catch {
    return null;
  }
}

/** Waits until the service answers; a setting that it refuses to start with ends the wait with its sentence. */
async function ready(url, wrangler) {
  let last;
  let ended;
  wrangler.gone.then((how) => (ended = how));
  const serving = await until(60_000, async () => {
    if (ended) throw new Stop(`wrangler dev ended at its start (${ended}).`);
    last = (await health(url)) ?? last;
    if (last?.status === 503 && last.text.includes('"misconfigured"')) {
      throw new Stop(`The chat refuses to serve: ${JSON.parse(last.text).detail} (Settings of a local run: .dev.vars)`);
    }
    return last?.status === 200;
  });
  if (!serving) {
    throw new Stop(`${url}/healthz did not answer 200 within 60 s; last: ${last ? `${last.status} ${last.text}` : "nothing"}`);
  }
}

await script(async () => {
  const began = performance.now();
  const port = portOf("PORT", 3004);
  const host = process.env.HOST || "localhost";
  const reachable = ["0.0.0.0", "::", "*"].includes(host) ? "localhost" : host;
  const url = `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
  if (await accepts(port, reachable)) {
    throw new Stop(
      `Port ${port} is in use. Where a run that was killed left its workerd: pkill -f ${join(root, "node_modules")}
  Where something else has it, choose another: PORT=3005 ./scripts/dev`,
    );
  }

  await run(join(root, "scripts/build"), []);
  const own = process.env.DATABASE_URL;
  const database = own ? { url: own } : await embedded();
  await step("migrating the database", () => migrations("migrate", database.url)).catch((error) => {
    throw own && error instanceof Stop ? new Stop(`${error.message} Is the server of DATABASE_URL up?`) : error;
  });

  const wrangler = start(
    join(root, "node_modules/.bin/wrangler"),
    ["dev", "--local", "--port", port, "--ip", host, "--inspector-port", "0", "--persist-to", join(data, "state")]
      .concat("--show-interactive-dev-session=false")
      .concat(ofTheBridge.filter((name) => process.env[name]).flatMap((name) => ["--var", `${name}:${process.env[name]}`]))
      .map(String),
    {
      env: {
        ...process.env,
        CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB: database.url,
        // Nothing of a local run asks the internet, or writes outside this clone and DATA.
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        WRANGLER_SEND_METRICS: "false",
        WRANGLER_LOG_PATH: join(data, "logs"),
        WRANGLER_REGISTRY_PATH: join(data, "registry"),
      },
    },
  );
  await step("starting the Worker", () => ready(url, wrangler));
  say(`
  edge-chat is ready (${((performance.now() - began) / 1000).toFixed(1)} s): ${url}
  Open it twice and talk. A token for trying out the API: ./scripts/token --user ada --name Ada
  Data and state: ${data === join(root, ".data") ? ".data/" : data}   Settings: .dev.vars   Ctrl-C ends it all.
`);

  const gone = [wrangler.gone.then((how) => `wrangler dev ended (${how}).`)];
  if (database.child) gone.push(database.child.gone.then((how) => `The embedded PostgreSQL ended (${how}).`));
  throw new Stop(await Promise.race(gone));
});
