// The consumers that docs/bridge.md shows, run as they stand there.
import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join as path } from "node:path";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { pythonWithRedis } from "../scripts/lib/cluster.mjs";
import { root } from "../scripts/lib/database.mjs";
import { chat, command, startServer, testDatabase, throwAwayRedis, token, until } from "./harness/index.mjs";

const KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";
const SERVICE = { sub: "bot", username: "Bot", roles: ["service"] };

const doc = readFileSync(path(root, "docs/bridge.md"), "utf8");
const code = (language) => doc.match(new RegExp("^```" + language + "\\n(.*?)^```$", "ms"))[1];

let database, redis, server, join, rest, folder;
before(async () => {
  database = await testDatabase();
  redis = await throwAwayRedis();
  server = await startServer({
    databaseUrl: database.url,
    vars: { REDIS_HOST: "127.0.0.1", REDIS_PORT: String(redis.port), REDIS_SIGNING_KEY: KEY },
  });
  ({ join, rest } = chat(server));
  // Inside the clone, so that Node finds its client.
  mkdirSync(path(root, ".data"), { recursive: true });
  folder = mkdtempSync(path(root, ".data/consumers-"));
});
after(async () => {
  await server?.stop();
  await redis?.stop();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a consumer; `out` grows by its lines, whichever of its lives said them. */
async function consumer(program, file, room, out) {
  const env = {
    ...process.env, ROOM: room, CHAT_URL: server.url, CHAT_TOKEN: await token(SERVICE), REDIS_SIGNING_KEY: KEY,
    REDIS_URL: `redis://127.0.0.1:${redis.port}`, POSITION: path(folder, `${room}.position`),
  };
  const child = spawn(program, [file], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let rest = "";
  child.stdout.on("data", (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    out.push(...lines);
  });
  let errors = "";
  child.stderr.on("data", (chunk) => (errors += chunk));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  return { kill: () => (child.kill("SIGKILL"), gone), errors: () => errors };
}

async function survives(program, file, room) {
  const ada = await join(room, "ada");
  const out = [];
  const said = () => [...new Set(out.filter((line) => line.includes(" new_message ")))].map((line) => JSON.parse(line.split(" new_message ")[1]).content);
  const say = async (...contents) => {
    for (const content of contents) await ada.request("send_message", { content });
  };
  let running = await consumer(program, file, room, out);
  const hears = async (...contents) =>
    assert.ok(
      await until(15_000, () => contents.every((content) => said().filter((one) => one === content).length === contents.filter((one) => one === content).length)),
      `${contents} of ${JSON.stringify(out)} ${running.errors()}`,
    );
  try {
    await say("one", "!ping");
    await hears("one", "!ping", "pong");

    await running.kill();
    await say("two", "three");
    running = await consumer(program, file, room, out);
    await hears("two", "three");

    // Redis comes back without its data.
    await redis.kill("SIGKILL");
    await say("four");
    await redis.start();
    await say("five", "six");
    await hears("one", "two", "three", "four", "five", "six");

    await running.kill();
    const { seq } = await ada.request("send_message", { content: "seven" });
    await say("eight");
    const stream = `chat:room:${room}:events`;
    const { epoch } = ada.joined;
    await until(10_000, async () => (await command(redis, ["XRANGE", stream, `${epoch}-${seq + 1}`, "+"])).length);
    assert.equal(Number(await command(redis, ["XDEL", stream, `${epoch}-${seq}`])), 1);
    running = await consumer(program, file, room, out);
    await hears("eight");
    assert.deepEqual(out.filter((line) => line.startsWith("missed")), [`missed ${epoch}: ${seq} to ${seq}`]);

    await command(redis, ["XADD", stream, `${epoch}-${seq + 2}`, "room", room, "epoch", epoch, "seq", seq + 2, "after", seq + 1, "event", "new_message", "data", '{"content": "forged"}', "sig", "0"]);
    assert.ok(await until(5_000, () => /not the chat's/.test(running.errors())));
    const { body } = await rest("GET", `/rooms/${room}/messages`, { as: SERVICE });
    const history = body.messages.map(({ content }) => content).reverse().filter((content) => content !== "seven");
    assert.deepEqual(said(), history);
    assert.equal(history.filter((content) => content === "pong").length, 1);
  } finally {
    await running.kill();
  }
}

test("B1: the consumer in Python misses nothing, over its own restarts and Redis's", async () => {
  const file = path(folder, "consumer.py");
  writeFileSync(file, code("python"));
  await survives(await pythonWithRedis(), file, "consumer_py");
});

test("B1: the consumer in Node misses nothing, over its own restarts and Redis's", async () => {
  const file = path(folder, "consumer.mjs");
  writeFileSync(file, code("js"));
  await survives(process.execPath, file, "consumer_js");
});
