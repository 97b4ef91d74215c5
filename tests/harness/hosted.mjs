// The chat as one runs it without Cloudflare: self-hosting/start with workerd, and nginx before several of them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { nginxProgram } from "../../scripts/lib/cluster.mjs";
import { root } from "../../scripts/lib/database.mjs";
import { accepts, end, freePort, start, until } from "../../scripts/lib/process.mjs";
import { SECRET } from "./server.mjs";

const workerd = createRequire(createRequire(import.meta.url).resolve("wrangler"))("workerd").default;

const running = new Set();

/** Ends all that still run: they would keep the process alive. */
export const endHosted = () => Promise.all([...running].map((child) => end(child, "SIGKILL")));

/**
 * Starts an instance whose objects are in `data`; `env` are settings as its environment has them.
 *
 * The result: `url`, `socketUrl(room)`; `host`, host:port; `answers`, what `/healthz` first said, none where it ended
 * before; `log()`, all that it wrote; `pid`; `gone`, what ended it; `end(signal)`: SIGKILL ends all of it at once, else
 * it is asked to end.
 */
export async function hosted({ data, port, databaseUrl, env = {} }) {
  port ??= await freePort();
  const settings = { JWT_SECRET: SECRET, AUTO_CREATE_ROOMS: "true", ENABLE_PROFANITY_FILTER: "false", ENABLE_SPAM_DETECTION: "false", DATABASE_URL: databaseUrl };
  const child = start(join(root, "self-hosting/start"), [], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: [dirname(workerd), process.env.PATH].join(delimiter), DATA: data, PORT: String(port), HOST: "127.0.0.1", GRACE: "1", ...settings, ...env },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (log += chunk));
  let ended;
  running.add(child);
  child.gone.then((how) => {
    ended = how;
    running.delete(child);
  });
  const url = `http://127.0.0.1:${port}`;
  const health = async () => {
    try {
      const response = await fetch(`${url}/healthz`);
      return { status: response.status, body: await response.json() };
    } catch {
      return null;
    }
  };
  const answers = await until(30_000, async () => (ended ? { ended } : await health()));
  if (!answers) throw new Error(`${url} did not answer within 30 s:\n${log}`);
  return {
    url,
    host: `127.0.0.1:${port}`,
    socketUrl: (room) => `ws://127.0.0.1:${port}/api/rooms/${encodeURIComponent(room)}/ws`,
    answers,
    log: () => log,
    pid: child.pid,
    gone: child.gone,
    async end(signal = "SIGTERM") {
      if (signal === "SIGKILL") return end(child, signal);
      process.kill(child.pid, signal);
      return child.gone;
    },
  };
}

/**
 * nginx as self-hosting/nginx.conf has it, before `instances` (host:port each). `url` and `socketUrl(room)` as a server's;
 * `served()`: `{to, path}` of each request that has ended, `to` all that were tried with commas between; `logged()`, what its
 * own configuration logs; `stop()`.
 */
export async function proxy(instances) {
  const program = await nginxProgram();
  const home = mkdtempSync(join(tmpdir(), "edge-chat-nginx-"));
  const port = await freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((what) => `${what}_temp_path ${home}/${what};`).join(" ");
  const servers = (_, server) => instances.map((one) => `${server}${one};\n`).join("");
  // Debian's may be too old for `resolve`, and may have fewer files than so many connections are.
  const own = readFileSync(join(root, "self-hosting/nginx.conf"), "utf8")
    .replaceAll(/( *server )chat-1:8080 resolve;\n(?: *server chat-\d:8080 resolve;\n)*/g, servers)
    .replace(/^worker_(processes|rlimit).*$/gm, "")
    .replaceAll("/var/log/nginx", home)
    .replace(/^pid .*$/m, `pid ${home}/pid; daemon off; master_process off;`)
    .replace("listen 80;", `listen 127.0.0.1:${port};`)
    .replace(/^http \{$/m, `$& ${temporary} log_format served '$upstream_addr|$uri'; access_log ${home}/served.log served;`);
  writeFileSync(join(home, "nginx.conf"), own);
  const child = start(program, ["-p", home, "-e", join(home, "error.log"), "-c", join(home, "nginx.conf")]);
  running.add(child);
  child.gone.then(() => running.delete(child));
  if (!(await until(10_000, () => accepts(port)))) throw new Error(`nginx did not start:\n${readFileSync(join(home, "error.log"), "utf8")}`);
  return {
    url: `http://127.0.0.1:${port}`,
    socketUrl: (room) => `ws://127.0.0.1:${port}/api/rooms/${encodeURIComponent(room)}/ws`,
    served: () => readFileSync(join(home, "served.log"), "utf8").trim().split("\n").map((line) => line.split("|")).map(([to, path]) => ({ to, path })),
    logged: () => readFileSync(join(home, "access.log"), "utf8"),
    async stop() {
      await end(child, "SIGTERM");
      rmSync(home, { recursive: true, force: true });
    },
  };
}
