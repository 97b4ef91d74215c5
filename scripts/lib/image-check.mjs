// The image, built without a registry of images, and tried.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cluster, throwAwayRedis } from "./cluster.mjs";
import { data, root } from "./database.mjs";
import { Stop, freePort, run, say, script, start, step, until } from "./process.mjs";

const home = join(data, "image");
const store = ["--root", join(home, "store"), "--runroot", join(home, "run"), "--storage-driver", "vfs"];
const buildah = (...args) => run("buildah", [...store, ...args], { cwd: root });
const told = (...args) => execFileSync("buildah", [...store, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", 2] }).trim();

const has = (image) => told("images", "--format", "{{.Name}}:{{.Tag}}").split("\n").includes(image);

/** What stands for the images that the Dockerfile begins with, by its own names for them. */
async function bases() {
  const [rust, debian] = [...readFileSync(join(root, "Dockerfile"), "utf8").matchAll(/^FROM (\S+)/gm)].map(([, name]) => name);
  const suite = debian.match(/debian:(\w+)-slim$/)?.[1];
  if (!suite || !rust.endsWith(suite)) throw new Stop(`The Dockerfile begins with ${rust} and ${debian}; both are to be of one Debian.`);
  if (!has(debian)) {
    const files = join(home, suite);
    rmSync(files, { recursive: true, force: true });
    await step(`making ${debian} by debootstrap`, () => run("debootstrap", ["--variant=minbase", suite, files]));
    const container = told("from", "scratch");
    await buildah("add", "--quiet", container, files, "/");
    await buildah("commit", "--quiet", "--rm", container, debian);
    rmSync(files, { recursive: true });
  }
  if (!has(rust)) {
    await step(`making ${rust} of it and this machine's toolchain`, async () => {
      const container = told("from", "--pull-never", debian);
      await buildah("add", "--quiet", container, execFileSync("rustc", ["--print", "sysroot"], { encoding: "utf8" }).trim(), "/usr/local/rust");
      const set = { PATH: "/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
      // Whom this machine trusts, which may not be whom Debian does.
      const trusted = process.env.SSL_CERT_FILE || "/etc/ssl/certs/ca-certificates.crt";
      if (existsSync(trusted)) {
        await buildah("add", "--quiet", container, trusted, "/etc/trusted.crt");
        for (const name of ["SSL_CERT_FILE", "CARGO_HTTP_CAINFO", "NODE_EXTRA_CA_CERTS", "NPM_CONFIG_CAFILE"]) set[name] = "/etc/trusted.crt";
      }
      await buildah("config", ...Object.entries(set).flatMap(([name, value]) => ["--env", `${name}=${value}`]), container);
      await buildah("commit", "--quiet", "--rm", container, rust);
    });
  }
}

const base64 = (what) => Buffer.from(what).toString("base64url");

function token(secret) {
  const claims = { sub: "ada", username: "Ada", exp: Math.floor(Date.now() / 1000) + 600 };
  const signed = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => base64(JSON.stringify(part))).join(".");
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** Asks the image's first process to end, as a container's is asked, and waits for that. */
async function stopped(child) {
  const lines = execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" }).trim().split("\n");
  const all = lines.map((line) => line.trim().match(/^(\d+) +(\d+) +(.*)$/).slice(1));
  const below = (pid) => all.filter(([, parent]) => parent === pid).flatMap((one) => [one, ...below(one[0])]);
  const [first] = below(String(child.pid)).find(([, , args]) => args.startsWith("/bin/sh /app/self-hosting/start"));
  process.kill(Number(first), "SIGTERM");
  assert.equal(await child.gone, "status 0", "it ends well");
}

/** Runs the image with its own user, entry point and folder. */
async function tried() {
  const database = await cluster();
  const redis = await throwAwayRedis();
  const port = await freePort();
  const secret = randomBytes(32).toString("hex");
  const environment = { DATABASE_URL: database.url, JWT_SECRET: secret, AUTO_CREATE_ROOMS: "true", REDIS_URL: `redis://127.0.0.1:${redis.port}`, PORT: port, HOST: "127.0.0.1" };
  const image = JSON.parse(told("inspect", "--type", "image", "edge-chat")).OCIv1.config;
  assert.deepEqual([image.User, Object.keys(image.Volumes)], ["10001", ["/data"]]);
  const container = told("from", "--pull-never", "edge-chat");
  const settings = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  const words = (...args) => [...store, "run", "--isolation", "chroot", "--user", image.User, ...settings, container, "--", ...image.Entrypoint, ...args];

  await step("migrations, by the image", () => run("buildah", words("migrate")));
  const url = `http://127.0.0.1:${port}`;
  const began = async () => {
    const from = performance.now();
    const child = start("buildah", words());
    let ended;
    child.gone.then((how) => (ended = how));
    const healthy = await until(60_000, async () => ended ?? (await fetch(`${url}/healthz`).then(({ status }) => status === 200, () => false)));
    if (healthy !== true) throw new Stop(`The image does not serve: ${ended ?? "no answer in 60 s"}`);
    say(`  serves after ${Math.round(performance.now() - from)} ms`);
    return child;
  };
  const messages = async () => (await (await fetch(`${url}/api/rooms/video_1/messages`)).json()).messages.map(({ content }) => content);
  const headers = { authorization: `Bearer ${token(secret)}`, "content-type": "application/json" };
  const post = (path, body) => fetch(`${url}/api/rooms${path}`, { method: "POST", headers, body: JSON.stringify(body) });

  let child = await began();
  await run("buildah", words("healthy"));
  assert.equal((await fetch(url)).status, 200, "the page");
  assert.equal((await post("", { room_id: "video_1", name: "One", type: "video" })).status, 201);
  assert.equal((await post("/video_1/messages", { content: "hello" })).status, 201);
  assert.deepEqual(await messages(), ["hello"]);
  await stopped(child);
  // PostgreSQL is not asked for what the folder still has.
  await database.stop();
  child = await began();
  assert.deepEqual(await messages(), ["hello"], "after a restart");
  await stopped(child);
  await redis.stop();
  await buildah("rm", container);
}

await script(async () => {
  mkdirSync(home, { recursive: true });
  await bases();
  await step("building the image", () => buildah("bud", "--pull-never", "--isolation", "chroot", "--format", "docker", "--tag", "edge-chat", "."));
  const [size] = told("images", "--format", "{{.Size}}", "edge-chat").split("\n");
  say(`  the image: ${size}`);
  await step("trying the image", tried);
  process.stdout.write("The image is built, and works.\n");
});
