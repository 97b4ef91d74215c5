// The replaced service's snippet against ./scripts/dev itself, as somebody starts it: in Node, and in a browser.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { io } from "socket.io-client";
import { root } from "../scripts/lib/database.mjs";
import { end, freePort, start } from "../scripts/lib/process.mjs";
import { until } from "./harness/index.mjs";

const script = (name) => join(root, "scripts", name);
const bundle = readFileSync(createRequire(import.meta.url).resolve("socket.io-client/dist/socket.io.js"), "utf8");

let data, dev, port, url, browser;
before(async () => {
  data = mkdtempSync(join(tmpdir(), "edge-chat-dev-"));
  const database = await freePort();
  port = await freePort();
  url = `http://localhost:${port}`;
  const { DATABASE_URL: _, ...env } = process.env;
  Object.assign(env, { PORT: String(port), PGLITE_PORT: String(database), HOST: "localhost", DATA: data });
  dev = start(script("dev"), [], { env, stdio: ["ignore", "ignore", "pipe"] });
  let [ended, said] = [undefined, ""];
  dev.gone.then((how) => (ended = how));
  dev.stderr.on("data", (chunk) => (said += chunk));
  const serves = () => fetch(`${url}/healthz`).then(({ ok }) => ok, () => false);
  assert.ok(await until(120_000, async () => ended || (await serves()), 200), said);
  assert.equal(ended, undefined, said);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  // It ends its own children first.
  dev?.kill("SIGTERM");
  await Promise.race([dev?.gone, sleep(20_000, null, { ref: false })]);
  if (dev) await end(dev);
  rmSync(data, { recursive: true, force: true });
});

/** A token as ./scripts/token prints it. */
async function tokenOf(user, name) {
  const { stdout } = await promisify(execFile)(script("token"), ["--user", user, "--name", name]);
  return stdout.trim().split("\n").at(-1);
}

/** The snippet, with `host`, `token` and `message` in the places of its own; `heard` is what its handlers were given. */
function snippet(io, { host, token, message }) {
  const heard = { new_message: [], user_joined: [], user_typing: [], room_stats: [], reaction_updated: [], error: [] };
  const socket = io(host);
  socket.emit('join_room', { room_id: 'video_123', user_token: token });
  socket.emit('send_message', { room_id: 'video_123', content: 'Hello world!', type: 'text' });
  socket.emit('typing', { room_id: 'video_123', is_typing: true });
  socket.emit('react', { message_id: message, reaction: '👍' });
  for (const event of Object.keys(heard)) socket.on(event, (d) => heard[event].push(d));
  return { socket, heard };
}

test("the snippet works in Node and in Chromium, with nothing changed but host, token and message id", async () => {
  const ada = snippet(io, { host: url, token: await tokenOf("ada", "Ada"), message: "msg_456" });
  const page = await browser.newPage({ bypassCSP: true });
  try {
    assert.ok(await until(15_000, () => ada.heard.new_message.length && ada.heard.error.length), JSON.stringify(ada.heard));
    assert.deepEqual(ada.heard.error.map(({ code }) => code), ["message_not_found"]);
    const [message] = ada.heard.new_message;
    assert.deepEqual([message.user.user_id, message.content, message.reactions], ["ada", "Hello world!", {}]);
    assert.ok(message.message_id && message.timestamp);

    await page.goto(`${url}/healthz`);
    await page.evaluate(bundle);
    const given = { host: url, token: await tokenOf("ben", "Ben"), message: message.message_id };
    await page.evaluate(`window.ben = (${snippet})(window.io, ${JSON.stringify(given)}); undefined`);
    const { heard } = ada;
    assert.ok(await until(15_000, () => heard.reaction_updated.length && heard.user_typing.length && heard.new_message.length === 2), JSON.stringify(heard));
    assert.deepEqual(heard.reaction_updated.at(-1).reactions, { "👍": 1 });
    const [joined, typing] = [heard.user_joined, heard.user_typing].map(([first]) => first);
    assert.deepEqual([joined.user_id, joined.username, joined.avatar], ["ben", "Ben", null]);
    assert.deepEqual([typing.user_id, typing.username, typing.is_typing], ["ben", "Ben", true]);
    // What has changed is told within seconds.
    const counted = ({ online_users, message_count }) => online_users > 0 && message_count > 0;
    assert.ok(await until(10_000, () => heard.room_stats.some(counted)), JSON.stringify(heard.room_stats));

    // And the other way round.
    const cleo = snippet(io, { host: url, token: await tokenOf("cleo", "Cleo"), message: heard.new_message[1].message_id });
    const inPage = () => page.evaluate(() => window.ben.heard);
    assert.ok(await until(15_000, async () => (await inPage()).reaction_updated.length >= 2 && (await inPage()).user_typing.length), JSON.stringify(await inPage()));
    cleo.socket.disconnect();
    const ben = await inPage();
    assert.deepEqual(ben.new_message.map(({ user, content }) => [user.user_id, content]), [["ben", "Hello world!"], ["cleo", "Hello world!"]]);
    assert.deepEqual([ben.user_joined[0].user_id, ben.user_typing[0].user_id, ben.error], ["cleo", "cleo", []]);
    assert.ok(ben.room_stats.length);
    assert.equal(await page.evaluate(() => window.ben.socket.io.engine.transport.name), "websocket");
  } finally {
    ada.socket.disconnect();
  }
});

test("a second run on the same data is refused, on any port", async () => {
  const second = promisify(execFile)(script("dev"), [], { env: { ...process.env, PORT: String(await freePort()), DATA: data }, timeout: 60_000 });
  const { code, stderr } = await second.then(() => assert.fail("it ran"), (error) => error);
  assert.equal(code, 1, stderr);
  assert.match(stderr, new RegExp(`runs already, on port ${port}\\.\n.*PGLITE_PORT=\\d+ DATA=`));
});

test("a run that was killed keeps nobody out", async () => {
  const env = { ...process.env, DATA: join(data, "killed") };
  const run = (after) => ["bash", ["-c", `. scripts/lib/env.sh; . scripts/lib/only-run.sh; only_run_on_data; ${after}`]];
  const options = { cwd: root, env };
  const first = start(...run("echo held; exec sleep 600"), { ...options, stdio: ["ignore", "pipe", 2] });
  try {
    await Promise.race([once(first.stdout, "data"), first.gone.then(assert.fail)]);
    await assert.rejects(promisify(execFile)(...run("true"), options), /runs already/);
  } finally {
    await end(first, "SIGKILL");
  }
  await promisify(execFile)(...run("true"), options);
});
