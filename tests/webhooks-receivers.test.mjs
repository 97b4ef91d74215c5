// The receivers that docs/webhooks.md shows, run as they stand there.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { root } from "../scripts/lib/database.mjs";
import { freePort } from "../scripts/lib/process.mjs";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

const SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const SERVICE = { sub: "bot", username: "Bot", roles: ["service"] };
const doc = readFileSync(path(root, "docs/webhooks.md"), "utf8");
const code = (language) => doc.match(new RegExp("^```" + language + "\\n(.*?)^```$", "ms"))[1];

let database, folder;
before(async () => {
  database = await testDatabase();
  folder = mkdtempSync(path(tmpdir(), "edge-chat-receivers-"));
});
after(async () => {
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** Posts a body as the chat would, or under another secret; the status. */
async function post(url, body, secret = SECRET, at = new Date()) {
  const text = JSON.stringify(body);
  const headers = {
    "content-type": "application/json", "webhook-id": "msg_1", "webhook-timestamp": String(Math.floor(at / 1000)),
    "webhook-signature": `v1,AAAA ${new Webhook(secret).sign("msg_1", at, text)}`,
  };
  return (await fetch(url, { method: "POST", headers, body: text })).status;
}

async function survives(program, file, room) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const out = [];
  let errors = "";
  const receiver = async () => {
    const env = { ...process.env, WEBHOOK_SECRET: SECRET, PORT: String(port), PLACES: path(folder, `${room}.json`) };
    const child = spawn(program, [file], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    let rest = "";
    child.stdout.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop();
      out.push(...lines);
    });
    child.stderr.on("data", (chunk) => (errors += chunk));
    const gone = new Promise((resolve) => child.once("exit", resolve));
    return () => (child.kill("SIGKILL"), gone);
  };
  const said = () => out.filter((line) => line.startsWith(room) && line.includes(" new_message ")).map((line) => JSON.parse(line.split(" new_message ")[1]).content);
  let kill = await receiver();
  const server = await startServer({ databaseUrl: database.url, vars: { WEBHOOK_URL: url, WEBHOOK_SECRET: SECRET } });
  try {
    const ada = await chat(server).join(room, SERVICE);
    const all = [];
    const say = async (content) => {
      await ada.request("send_message", { content });
      all.push(content);
    };
    const hears = async () => assert.ok(await until(30_000, () => said().length === all.length && all.every((content, i) => said()[i] === content)), `${JSON.stringify(out)} ${errors}`);
    const { seq } = await ada.request("send_message", { content: "one 👍" });
    all.push("one 👍");
    await hears();
    // What it has done with and not noted yet it would do again, as whatever is told at least once.
    const places = path(folder, `${room}.json`);
    assert.ok(await until(5_000, () => existsSync(places) && JSON.parse(readFileSync(places, "utf8"))[room]?.to >= seq));
    await kill();
    await say("two");
    await say("three");
    kill = await receiver();
    await hears();

    const body = (from, to, more = {}) => ({ room_id: "made_up", epoch: 7, from, to, events: [{ seq: to, event: "new_message", data: { content: `at ${to}` } }], ...more });
    const lines = async (...expected) => {
      const own = () => out.filter((line) => line.startsWith("made_up"));
      assert.ok(await until(15_000, () => own().length >= expected.length), `${JSON.stringify(own())} ${errors}`);
      assert.deepEqual(own().map((line) => line.replace(/ \{.*/, "")), expected);
    };
    const first = ["made_up 3 new_message"];
    assert.equal(await post(url, body(1, 3)), 204);
    assert.equal(await post(url, body(1, 3)), 204, "a double is taken and dropped");
    assert.equal(await post(url, body(4, 9), `whsec_${randomBytes(32).toString("base64")}`), 401);
    assert.equal(await post(url, body(4, 9), SECRET, new Date(Date.now() - 600_000)), 401, "an old one");
    assert.equal(await post(url, body(6, 9)), 204);
    const second = [...first, "made_up missed 4 5", "made_up 9 new_message"];
    await lines(...second);
    assert.equal(await post(url, body(10, 12, { left_out: { from: 10, to: 11 } })), 204);
    assert.equal(await post(url, body(1, 2, { epoch: 6 })), 204, "an earlier life's");
    assert.equal(await post(url, body(1, 2, { epoch: 8 })), 204);
    await lines(...second, "made_up left out 10 11", "made_up 12 new_message", "made_up 2 new_message");
    assert.deepEqual(out.filter((line) => line.startsWith(room) && / (missed|left out) /.test(line)), []);
  } finally {
    await kill();
    await server.stop();
  }
}

test("H1: the receiver in Node verifies, misses nothing and drops doubles, over its own restarts", async () => {
  const file = path(folder, "receiver.mjs");
  writeFileSync(file, code("js"));
  await survives(process.execPath, file, "receiver_js");
});

test("H1: the receiver in Python verifies, misses nothing and drops doubles, over its own restarts", async () => {
  const file = path(folder, "receiver.py");
  writeFileSync(file, code("python"));
  await survives("python3", file, "receiver_py");
});
