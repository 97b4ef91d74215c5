// What docs/openapi.json says is asked of the service, by schemathesis with its checks: made-up requests that fit and
// that do not, and what follows from one to the next. Some 400 here; with OPENAPI_EXAMPLES, so many of each operation, by
// people of each kind and at each bound: OPENAPI_EXAMPLES=10 is some 9,000 in five minutes. OPENAPI_SEED says which.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join as path } from "node:path";
import { after, before, test } from "node:test";
import { tool } from "../scripts/lib/checks.mjs";
import { root } from "../scripts/lib/database.mjs";
import { start } from "../scripts/lib/process.mjs";
import { chat, startServer, testDatabase, token } from "./harness/index.mjs";

const EXAMPLES = process.env.OPENAPI_EXAMPLES;
const SEED = process.env.OPENAPI_SEED ?? "1";
const ADMIN = { sub: "root", roles: ["admin", "service"] };
const METRICS_TOKEN = "a-token-for-the-figures";
const schemathesis = await tool("schemathesis");
const skip = schemathesis ? false : "schemathesis cannot be had here";

let database, server, folder, there;
before(async () => {
  database = await testDatabase();
  // Whatever is asked, it is not refused for being much.
  // A room that expects a million is not split into hundreds here.
  const many = { SHARD_SOCKETS: "32000", RATE_LIMIT_WINDOW: "100", RATE_LIMIT_REQUESTS: "100000", RATE_LIMIT_MESSAGES: "1000", RATE_LIMIT_ROOM_MESSAGES: "100000" };
  server = await startServer({ databaseUrl: database.url, vars: { ...many, DEV_TOKENS: "true", METRICS_TOKEN } });
  folder = mkdtempSync(path(tmpdir(), "edge-chat-openapi-"));
  there = await waiting("room_of_reports");
});
after(async () => {
  await server?.stop();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** A room where messages wait for a moderator and reports for a decision: the parameters of what is done with them. */
async function waiting(room_id) {
  const { join, rest } = chat(server);
  const [ada, bob] = [await join(room_id, "ada"), await join(room_id, "bob")];
  await rest("PUT", `/rooms/${room_id}/terms`, { as: ADMIN, body: { blocked: ["heron"], action: "hold" } });
  const [held, reports, messages] = [[], [], []];
  for (let n = 0; n < 4; n++) {
    held.push({ room_id, held_id: (await ada.request("send_message", { content: `heron ${n}` })).message_id });
    const { message_id } = await ada.request("send_message", { content: `said ${n}` });
    messages.push({ room_id, message_id });
    reports.push({ room_id, report_id: (await bob.request("report_message", { message_id, reason: "other" })).report_id });
  }
  for (const socket of [ada, bob]) socket.close();
  return { allowHeld: held, denyHeld: held.toReversed(), openReport: reports, resolveReport: reports, pin: messages, unpin: messages,
    report: messages.map(({ message_id }) => ({ message_id })) };
}

/** Asks the service; gives how many requests it made, none of which found anything. */
async function asked(bearer, ...args) {
  const env = { ...process.env, BEARER: bearer, METRICS_TOKEN, THERE: JSON.stringify(there), PYTHONPATH: path(root, "tests/openapi"), PYTHONDONTWRITEBYTECODE: "1", COLUMNS: "200" };
  const settings = ["--config-file", path(root, "tests/openapi/schemathesis.toml"), "run", `${server.url}/openapi.json`, "--url", server.url];
  const how = ["--no-color", "--continue-on-failure", "--warnings", "off", "--seed", SEED, "--max-examples", EXAMPLES ?? "2", ...args];
  // Its script names the folder that it was installed in, which has another name by now.
  const python = path(dirname(schemathesis), "python3");
  const child = start(python, ["-m", "schemathesis.cli", ...settings, ...how], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const end = await child.gone;
  const count = Number(output.match(/^ +(\d+) generated/m)?.[1] ?? 0);
  assert.ok(end === "status 0" && count, `${end}\n${output.slice(Math.max(0, output.indexOf("= FAILURES =")))}`);
  return count;
}

test("the description that is served is the one in the documents", async () => {
  const response = await fetch(`${server.url}/openapi.json`);
  assert.equal(await response.text(), readFileSync(path(root, "docs/openapi.json"), "utf8"));
});

// Whoever signs out is nobody from then on: asked below.
const ALL = ["--exclude-operation-id", "signOut"];

if (EXAMPLES) {
  for (const [who, claims] of [["an admin", ADMIN], ["a member", { sub: "olga" }], ["nobody", null]]) {
    test(`asked by ${who}, the service does what it says`, { skip }, async (t) => {
      t.diagnostic(`${await asked(claims ? await token(claims) : "none", ...ALL)} requests`);
    });
  }
} else {
  test("the service does what it says, one request after another", { skip }, async (t) => {
    t.diagnostic(`${await asked(await token(ADMIN), "--phases", "fuzzing,stateful", ...ALL)} requests`);
  });

  test("the service does what it says, at each bound, to each method", { skip }, async (t) => {
    const some = ["postMessage", "getMessages", "connect"].flatMap((id) => ["--include-operation-id", id]);
    t.diagnostic(`${await asked(await token({ sub: "olga" }), "--phases", "coverage", ...some)} requests`);
  });
}

test("asked to sign out, the service does what it says", { skip }, async (t) => {
  const only = ["--include-operation-id", "signOut", "--phases", "coverage,fuzzing"];
  t.diagnostic(`${await asked(await token({ sub: "lea" }), ...only)} requests`);
});
