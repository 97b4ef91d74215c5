// What is uploaded: wrangler.toml as this environment has it, checked by the service itself and by wrangler.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../database.mjs";
import { Stop } from "../process.mjs";
import { base } from "./settings.mjs";

/** The name of an environment's Worker. */
export const nameOf = (env, { name } = base()) => (env === "production" ? name : `${name}-${env}`);

/** No object's name has it; wrangler checks its shape. */
const NO_ID = "0".repeat(32);

/**
 * The configuration of an environment's Worker: wrangler.toml, but for its name, its place, its database and its settings.
 * Each environment is a Worker of its own, with objects of its own and their migrations from the first one on.
 */
export function configOf(env, { at, vars, own }, hyperdriveId = own.HYPERDRIVE_ID ?? NO_ID) {
  const { build, dev, ...rest } = base();
  const path = (vars.SOCKET_IO_PATH ?? "/socket.io/").replace(/\/+$/, "");
  const first = new Set([...rest.assets.run_worker_first, path, `${path}/*`]);
  return {
    ...rest,
    name: nameOf(env, rest),
    main: join(root, rest.main),
    assets: { ...rest.assets, directory: join(root, rest.assets.directory), run_worker_first: [...first] },
    workers_dev: !at.routes,
    preview_urls: false,
    ...(at.routes && { routes: at.routes }),
    vars,
    hyperdrive: [{ binding: "DB", id: hyperdriveId }],
    // Two versions at once, for up to five minutes, is what the platform does unless it is told.
    durable_objects: { code_update_strategy: { mode: "immediate" }, ...rest.durable_objects },
  };
}

/** Writes it where wrangler finds it; gives the path. */
export function write(file, config) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  return file;
}

/** Another text where anything differs that would be uploaded or migrated. */
export function fingerprint(config, mark) {
  const hash = createHash("sha256").update(JSON.stringify(config)).update(mark);
  for (const folder of [join(root, "build"), config.assets.directory, join(root, "migrations")]) {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true });
    const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
    for (const path of paths.sort()) hash.update(path.slice(root.length)).update(readFileSync(path));
  }
  return hash.digest("hex");
}

/**
 * Asks the built Worker, on the local workerd, whether it would serve with these settings: null, or in its own words why
 * not. `main` is the path of its JavaScript.
 */
export async function asked({ main, compatibilityDate, bindings }) {
  const { Miniflare, Log, LogLevel, convertV4MiniflareOptions } = createRequire(import.meta.resolve("wrangler"))("miniflare");
  const folder = dirname(main);
  const miniflare = new Miniflare(convertV4MiniflareOptions({
    modules: [
      { type: "ESModule", path: main },
      { type: "CompiledWasm", path: join(folder, "index_bg.wasm") },
    ],
    modulesRoot: folder,
    compatibilityDate,
    bindings,
    host: "127.0.0.1",
    // Miniflare would ask the internet for it.
    cf: { colo: "TST", country: "XX" },
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: () => {},
  }));
  try {
    const answer = await fetch(new URL("/healthz", await miniflare.ready));
    if (answer.status === 200) return null;
    const { detail } = await answer.json().catch(() => ({}));
    return detail ?? `The built Worker answers /healthz by ${answer.status} with these settings.`;
  } finally {
    await miniflare.dispose();
  }
}

/**
 * Has the built Worker say whether it would serve as `config` and these secrets have it.
 *
 * @throws {Stop} It would not; the sentence is the service's own.
 */
export async function obeys(config, secrets) {
  const refused = await asked({ main: config.main, compatibilityDate: config.compatibility_date, bindings: { ...config.vars, ...secrets } });
  if (refused !== null) throw new Stop(refused);
}
