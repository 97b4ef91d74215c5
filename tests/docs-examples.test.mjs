// Every example of the documents is run: here, or by the test that a comment before it names (tests/docs/blocks.mjs).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join as path } from "node:path";
import { after, before, describe, test } from "node:test";
import { unstable_readConfig as readConfig } from "wrangler";
import { promtoolProgram } from "../scripts/lib/cluster.mjs";
import { root } from "../scripts/lib/database.mjs";
import { Stop } from "../scripts/lib/process.mjs";
import { take, takeAll, unrun } from "./docs/blocks.mjs";
import { frames, typed } from "./docs/frames.mjs";
import { SECRET, chat, token } from "./harness/index.mjs";
import { moving } from "./docs/moving.mjs";
import { complaints, linked, project } from "./harness/typescript.mjs";
import { eventually, online, say, site, visit } from "./page/person.mjs";

const ROOM = "video_123";
const person = (sub) => ({ sub, username: sub[0].toUpperCase() + sub.slice(1) });
let folder;
before(async () => {
  // Inside the clone, so that Node finds the clients of others.
  mkdirSync(path(root, ".data"), { recursive: true });
  folder = mkdtempSync(path(root, ".data/docs-"));
  linked({ folder });
  await eventually(() => site.browser, "the service and Chromium");
  const ada = await chat(site.server).join(ROOM, "ada");
  await ada.request("send_message", { content: "hello from the wire" });
  ada.close();
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** With the test's own service in the place of the documents'. */
const here = (text) => text.replaceAll(/https:\/\/chat\.example(\.org)?|http:\/\/localhost:3004/g, site.server.url);

/** What a program says; it has to end well. */
const ran = (program, args, env = {}) => new Promise((resolve, reject) => {
  const options = { cwd: root, env: { ...process.env, ...env }, encoding: "utf8", timeout: 60_000 };
  execFile(program, args, options, (error, stdout, stderr) => (error ? reject(new Error(`${error.message}\n${stdout}${stderr}`)) : resolve(stdout)));
});

/** An example in Node, between what it takes for granted and what ends it. */
async function inNode(text, given, end) {
  const file = path(folder, "example.mjs");
  writeFileSync(file, `${given}\n${here(text)}\n${end}\nconsole.log("as it should");\nprocess.exit(0);\n`);
  const said = await ran(process.execPath, [file]);
  assert.match(said, /as it should\n$/);
  return said;
}

/** The files of somebody's own site, by path. */
const files = {};
const host = createServer(({ url }, response) => {
  response.setHeader("content-type", url.endsWith(".js") ? "text/javascript" : "text/html");
  response.end(files[url] ?? "");
});
await new Promise((resolve) => host.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${host.address().port}`;
site.vars.ALLOWED_ORIGINS = origin;
after(() => host.close());

/** A page of that site that holds nothing but this. */
async function shown(html) {
  const name = `/${Object.keys(files).length}`;
  files[name] = `<!doctype html><style>edge-chat { block-size: 34rem }</style>${here(html)}`;
  return visit(origin + name);
}

const module = (text) => `<script type="module">${text}</script>`;

describe("pages", () => {
  const pages = [["README.md", "edge-chat.js"], ["docs/client.md", "<edge-chat"], ["docs/element.md", "https://chat.example/edge-chat.js\"></script>"]]
    .map(([document, words]) => [document, take(document, words)]);
  for (const [document, html] of pages) {
    test(`the two lines of ${document}`, async () => {
      assert.ok(html.includes("token=\"…\""));
      const page = await shown(html.replace("…", await token(person("ada"))));
      await online(page);
      await page.getByText("hello from the wire").first().waitFor();
      await say(page, `from ${document}`);
    });
  }

  const [translate, catalogue] = ["EdgeChat.translate", "export default"].map((words) => take("docs/element.md", words));
  test("a language of one's own", async () => {
    files["/de.js"] = catalogue;
    const page = await shown(`${module(translate)}<edge-chat room="${ROOM}" lang="de" token="${await token(person("ada"))}"></edge-chat>`);
    await page.getByPlaceholder("Schreib etwas…").waitFor();
  });

  const [talk, inbox] = ["openPrivate", "openInbox"].map((words) => take("docs/private-messages.md", words));
  test("a private message, and the inbox that tells of it", async () => {
    const given = async (who) => `const getToken = async () => "${await token(person(who))}";`;
    const bob = await shown(module(`import { openPrivate } from "https://chat.example/sdk/private.js"; ${await given("bob")} globalThis.mine = await openPrivate({ url: "https://chat.example", getToken });`));
    await eventually(() => bob.evaluate(() => Boolean(globalThis.mine)), "bob has a device");
    const told = await shown(module(`${await given("bob")} globalThis.told = [];
      const [tell, badge] = [(user) => told.push(user), (count) => told.push(count)];\n${inbox}\nglobalThis.inbox = inbox;`));
    await eventually(() => told.evaluate(() => globalThis.inbox?.state === "online"), "the inbox is open");
    const ada = await shown(module(`${await given("ada")} const show = (...what) => (globalThis.seen = what);\n${talk}\nglobalThis.sent = true;`));
    await eventually(() => ada.evaluate(() => globalThis.sent && globalThis.seen?.[1] === "hello"), "what was sent is read");
    await eventually(() => told.evaluate(() => globalThis.told.includes("ada") && globalThis.told.includes(1)), "bob is told");
  });
});

describe("programs", () => {
  const connect = take("docs/client.md", "const chat = connect({ room: \"video_123\", url: \"https://chat.example.org\", getToken });");
  test("a connection", async () => {
    await inNode(connect, `const getToken = async () => "${await token(person("ada"))}";`, `
      await new Promise((resolve) => chat.on("state", ({ state }) => state === "online" && resolve()));
      await chat.send("from a program");`);
  });

  const list = take("docs/client.md", "new RoomModel()");
  test("a list of messages", async () => {
    const said = await inNode(list, "", `while (!model.shown.some(({ content }) => content === "hello from the wire")) await new Promise((resolve) => chat.on("event", resolve) && setTimeout(resolve, 50));`);
    assert.match(said, /^\d+ \d+ false$/m);
  });

  const unchanged = take("docs/socketio.md", "io(");
  test("a client of Socket.IO", async () => {
    const said = await inNode(unchanged, `import { io } from "socket.io-client";\nconst token = "${await token(person("bob"))}";`, `
      const heard = new Promise((resolve) => socket.on("new_message", resolve));
      socket.emit("send_message", { content: "from Socket.IO" });
      await heard;`);
    assert.match(said, /from Socket\.IO/);
  });

  const byHand = take("README.md", "token=$(./scripts/token");
  test("a token and a message by hand", async () => {
    const said = await ran("bash", ["--norc", "-euo", "pipefail", "-c", here(byHand)], { JWT_SECRET: SECRET });
    assert.doesNotMatch(said, /"status":[45]\d\d/);
    const [, history] = said.match(/(\{"room_id":"stream_7","messages".*\})/);
    assert.deepEqual(JSON.parse(history).messages.map(({ content }) => content), ["hello"]);
  });
});

describe("frames", () => {
  const wire = take("README.md", "GET /api/rooms/video_123/ws");
  const shape = take("docs/protocol.md", "client   {");
  const gathered = take("docs/protocol.md", "goal!");
  const transcript = [...takeAll("docs/protocol.md", "\n< {\""), ...takeAll("docs/protocol.md", "\n> {\""), ...["\"user_token\"", "user_joined", "\"nonce\"", "goodbye"].flatMap((words) => takeAll("docs/protocol.md", words))];

  test("each is JSON of its declared type", async (t) => {
    const text = readFileSync(path(root, "docs/protocol.md"), "utf8");
    const all = [...new Set([...transcript, shape, gathered])].sort((a, b) => text.indexOf(a) - text.indexOf(b)).flatMap(frames);
    const { settings } = all.find(({ frame }) => frame.data?.room).frame.data.room;
    const literals = typed(all, settings);
    assert.ok(literals.length > 25, `${literals.length}`);
    const names = [...new Set(literals.map(([type]) => type.match(/^\w+/)[0]))];
    const lines = literals.map(([type, value], n) => `export const f${n}: ${type} = ${JSON.stringify(value)};`);
    const made = project(t, { "frames.ts": [`import type { ${names.join(", ")} } from "@edge-chat/client";`, ...lines].join("\n") });
    linked(made);
    assert.equal(await complaints(made, ["frames.ts"]), "");
    assert.equal(frames(wire).length, 9);
    t.diagnostic(`${literals.length} of ${all.length} frames are whole`);
  });
});

test("the body of a webhook has the fields of the code", () => {
  const { events: [event], ...body } = JSON.parse(take("docs/webhooks.md", "\"from\": 7"));
  const code = readFileSync(path(root, "src/sinks/webhook.rs"), "utf8");
  const fields = (name) => code.match(new RegExp(`struct ${name}(?:<'a>)? \\{([\\s\\S]*?)\\n\\}`))[1]
    .replaceAll(/#\[serde\(skip_serializing_if.*\n.*|\/\/\/.*/g, "").match(/\w+(?=:(?!:))/g).sort();
  assert.deepEqual([[...Object.keys(body), "events"].sort(), Object.keys(event).sort()], [fields("Body"), fields("Event")]);
  assert.ok(body.from <= event.seq && event.seq <= body.to);
});

describe("settings of others", () => {
  const [scrape, rules] = ["scrape_configs", "rule_files"].map((words) => take("docs/operations.md", words));
  test("Prometheus takes them", async (t) => {
    let promtool;
    try {
      promtool = await promtoolProgram();
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      return t.skip(error.message);
    }
    cpSync(path(root, "ops"), path(folder, "ops"), { recursive: true });
    writeFileSync(path(folder, "prometheus.yml"), `${scrape}${rules}`);
    assert.match(await ran(promtool, ["check", "config", path(folder, "prometheus.yml")]), /SUCCESS: 1 rule files found[\s\S]*SUCCESS: .* valid/);
  });

  const strategy = take("docs/deploy.md", "code_update_strategy");
  test("wrangler takes that all objects change over at once", () => {
    const config = path(folder, "wrangler.toml");
    writeFileSync(config, `${readFileSync(path(root, "wrangler.toml"), "utf8")}\n${strategy}`);
    assert.equal(readConfig({ config }, { hideWarnings: true }).durable_objects.code_update_strategy.mode, "immediate");
  });

  const dataSet = take("docs/operations.md", "[[analytics_engine_datasets]]");
  test("wrangler takes the data set", () => {
    const config = path(folder, "wrangler.toml");
    writeFileSync(config, `${readFileSync(path(root, "wrangler.toml"), "utf8")}\n${dataSet}`);
    const [{ binding, dataset }] = readConfig({ config }, { hideWarnings: true }).analytics_engine_datasets;
    assert.deepEqual([binding, dataset], ["ANALYTICS", "edge_chat"]);
  });
});

describe("databases", () => {
  const takenBack = take("docs/operations.md", "delete from reactions where message_id in");
  test("what PostgreSQL has beyond a room's storage is taken back", async () => {
    const { query, url } = site.database;
    await query("insert into rooms (id, name, type, created_at, updated_at) values ('video_set_back', 'set back', 'video', now(), now())");
    await query("insert into room_cursor (room_id, epoch, seq) values ('video_set_back', 7, 4)");
    const file = path(folder, "back.sql");
    writeFileSync(file, takenBack);
    const variables = ["ON_ERROR_STOP=1", "room=video_set_back", "E=7", "D=2"].flatMap((one) => ["-v", one]);
    await ran("psql", [url, "--single-transaction", ...variables, "-f", file]);
    assert.deepEqual(await query("select seq::int from room_cursor where room_id = 'video_set_back'"), [{ seq: 2 }]);
  });

  const moves = moving();
  test("the way over from the replaced service, and back", { timeout: 90_000 }, () => moves.go());
});

const first = ["(\"JWT_SECRET\", \"replace-me", "[\"with a secret of somebody's guide\""].map((words) => take("CONTRIBUTING.md", words));
test("a first change has the place that CONTRIBUTING names", () => {
  const [value, line] = first;
  const [settings, keys, misconfigured] = ["src/settings.rs", "src/auth/keys.rs", "tests/misconfigured.test.mjs"].map((file) => readFileSync(path(root, file), "utf8"));
  const alike = (text) => new RegExp(text.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(/"(?:[^"\\]|\\.)*"/g, "\"[^\"]*\""));
  assert.match(settings, new RegExp(alike(value.replace("replace-me", "change-me")).source));
  assert.match(settings, /change-me-change-me/);
  assert.match(keys, /PUBLISHED: \[&str; 5\]/);
  assert.match(misconfigured, alike(line.replace("of somebody's guide", "that stands in docs")));
});

test("every example of the documents is run by a test, or says why not", () => assert.deepEqual(unrun(), []));
