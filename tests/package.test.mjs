// The npm package: packed, installed into an empty project without a network, and used from there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { chat, startServer, testDatabase, token } from "./harness/index.mjs";
import { complaints, project } from "./harness/typescript.mjs";
import { root } from "../scripts/lib/database.mjs";
import { crates } from "../scripts/lib/licences.mjs";

/** Gzipped, of the client module alone. */
const MOST_BYTES = 12_000;

const run = promisify(execFile);
const npm = (cwd, ...args) => run("npm", args, { cwd, env: { ...process.env, npm_config_update_notifier: "false" } });
const read = (path) => readFileSync(join(root, path), "utf8");
const client = JSON.parse(read("client/package.json"));
/** The programs of the package's front page. */
const programs = [...read("client/README.md").matchAll(/```js\n([^]*?)```/g)].map(([, text]) => text);

let made, installed;
const kept = [];
before(async () => {
  made = project({ after: (done) => kept.push(done) });
  const { stdout } = await npm(join(root, "client"), "pack", "--json", "--pack-destination", made.folder);
  const file = stdout.match(/"filename": "(.*)"/)[1];
  await npm(made.folder, "install", "--offline", "--no-audit", "--no-fund", `./${file}`);
  installed = join(made.folder, "node_modules/@edge-chat/client");
});
after(() => kept.forEach((done) => done()));

const files = (under = "") =>
  readdirSync(join(installed, under), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1))
    .sort();

/** Bundled from the installed package, as a program that has only this line. */
const bundle = (line, more = {}) =>
  build({ stdin: { contents: line, resolveDir: made.folder }, bundle: true, minify: true, format: "esm", outdir: join(made.folder, "out"), write: false, metafile: true, logLevel: "silent", ...more });

const ENTRIES = Object.keys(client.exports).filter((name) => !name.endsWith(".wasm")).map((name) => join(client.name, name));

test("the package has all that it needs and nothing else", async () => {
  const { metafile } = await bundle(ENTRIES.map((entry) => `export * from "${entry}";`).join("\n"));
  const used = Object.keys(metafile.inputs).map((path) => path.split("@edge-chat/client/")[1]).filter(Boolean);
  assert.deepEqual(files("web").filter((path) => !/\/LICENSE[^/]*$/.test(path)), [...used, "web/crypto/crypto_bg.wasm"].sort());
  const types = readdirSync(join(root, "client/types")).map((name) => `types/${name}`);
  assert.deepEqual(files().filter((path) => !path.startsWith("web/")), ["LICENSE", "README.md", "THIRD-PARTY.txt", "package.json", ...types].sort());
  assert.equal(read("client/LICENSE"), read("LICENSE"));
  // Written by scripts/lib/licences.mjs.
  const named = read("client/THIRD-PARTY.txt").split("\n\n")[1].split("\n").map((line) => line.split("  "));
  assert.deepEqual(named, [...crates()]);
  assert.equal(client.dependencies ?? client.peerDependencies, undefined);
  for (const path of [...Object.values(client.exports).flatMap((one) => (typeof one === "string" ? one : Object.values(one))), client.types]) {
    assert.ok(files().includes(path.slice(2)), path);
  }
});

test("the client module is small, and what encrypts is loaded when it is used", async (t) => {
  const { outputFiles, metafile } = await bundle(`export * from "@edge-chat/client";`);
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  t.diagnostic(`${bytes} bytes`);
  assert.ok(bytes < MOST_BYTES, `${bytes}`);
  assert.ok(Object.keys(metafile.inputs).every((path) => !/element|private|direct|crypto/.test(path.split("@edge-chat/client/")[1])));
  for (const entry of ENTRIES) {
    const { metafile: { outputs } } = await bundle(`export * from "${entry}";`, { splitting: true });
    const [first] = Object.keys(outputs).filter((path) => outputs[path].entryPoint);
    const atOnce = (path, known = new Set()) => {
      if (known.has(path)) return known;
      known.add(path);
      outputs[path].imports.filter(({ kind }) => kind === "import-statement").forEach((one) => atOnce(one.path, known));
      return known;
    };
    const inputs = [...atOnce(first)].flatMap((path) => Object.keys(outputs[path].inputs));
    assert.ok(inputs.length > 5 && inputs.every((path) => !path.includes("crypto/")), `${entry}: ${inputs}`);
  }
});

test("its types are found by bundlers and by Node", async () => {
  made.write("sample.ts", read("tests/types/sample.ts"));
  for (const resolution of ["bundler", "nodenext"]) assert.equal(await complaints(made, ["sample.ts"], { resolution }), "");
});

describe("used from an empty project", () => {
  let database, server;
  before(async () => {
    database = await testDatabase();
    server = await startServer({ databaseUrl: database.url });
  });
  after(async () => {
    await server?.stop();
    await database?.drop();
  });
  /** A program of the front page, at this server; `more` is run after it. */
  const start = (name, text, { more = "", replaced = {} }) => {
    let program = text.replaceAll("https://chat.example.org", server.url);
    for (const [from, to] of Object.entries(replaced)) program = program.replaceAll(from, to);
    made.write(name, program + more);
    return run(process.execPath, [name], { cwd: made.folder, timeout: 30_000 });
  };

  test("the front page's ten lines talk", async () => {
    const { stdout } = await start("talks.mjs", programs[0], {
      replaced: { "https://example.org/chat-token": `data:text/plain,${await token({ sub: "ada", username: "Ada" })}` },
      more: `
        const { reactions } = (await chat.history()).messages[0];
        console.log(JSON.stringify(reactions));
        await chat.send("x".repeat(2_000)).catch(({ name, code }) => console.log(name, code));
        chat.close();`,
    });
    const lines = stdout.trim().split("\n");
    for (const line of ["connecting", "online", "Ada: hello", '{"👋":1}', "ChatError message_too_long"]) assert.ok(lines.map((one) => one.trim()).includes(line), stdout);
    assert.equal(lines.at(-1).trim(), "ended the connection was closed by this page");
  });

  test("and so do private messages, with the module's bytes out of the package", async () => {
    const { rest } = chat(server);
    await rest("PUT", "/users/bob/direct", { as: "ada" });
    const talk = `
      const theirs = await openPrivate({ url: "${server.url}", token: "${await token({ sub: "bob" })}", store: new MemoryStore(), wasm });
      const [here, there] = [await mine.openDirect("bob"), await theirs.openDirect("ada")];
      there.on("new_message", ({ user, body }) => {
        console.log(user.user_id, body);
        [here, there, mine, theirs].forEach((one) => one.close());
      });
      await new Promise((resolve) => there.on("snapshot", resolve));
      await here.send("only the two of us");`;
    const { stdout } = await start("private.mjs", programs[3], { replaced: { '"a token"': JSON.stringify(await token({ sub: "ada" })) }, more: talk });
    assert.match(stdout, /^\S{22}\nada only the two of us\n$/);
  });
});

test("the front page's programs are right", async () => {
  const names = programs.map((text, n) => (made.write(`page${n}.ts`, text.replace("function show({ user, content, text })", `function show({ user, content, text }: import("@edge-chat/client").Message)`)), `page${n}.ts`));
  assert.equal(names.length, 4);
  made.write("node.d.ts", `declare module "node:fs/promises" { export function readFile(path: string): Promise<Uint8Array>; }\ndeclare module "node:url" { export function fileURLToPath(url: string): string; }\ninterface ImportMeta { resolve(name: string): string }\n`);
  assert.equal(await complaints(made, [...names, "node.d.ts"]), "");
});
