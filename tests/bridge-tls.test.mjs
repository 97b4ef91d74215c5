// The bridge over TLS: to a Redis whose certificate is trusted, and to one whose is not.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, before, test } from "node:test";
import { opensslProgram } from "../scripts/lib/cluster.mjs";

/** A certificate for localhost that vouches for itself, and its key. */
function certificate(openssl, folder, name) {
  const [cert, key] = [path(folder, `${name}.crt`), path(folder, `${name}.key`)];
  execFileSync(openssl, ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert, key };
}

const folder = mkdtempSync(path(tmpdir(), "edge-chat-tls-"));
const openssl = await opensslProgram();
const [known, unknown] = [certificate(openssl, folder, "known"), certificate(openssl, folder, "unknown")];
// Read once, when workerd's host is loaded.
process.env.NODE_EXTRA_CA_CERTS = known.cert;
const { chat, entries, startServer, testDatabase, throwAwayRedis, until } = await import("./harness/index.mjs");
const { freePort } = await import("../scripts/lib/process.mjs");

let database;
before(async () => (database = await testDatabase()));
after(async () => {
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** A room that says something to a Redis with this certificate; `work` gets that Redis and the server. */
async function over({ cert, key }, room, work) {
  const port = await freePort();
  const redis = await throwAwayRedis("--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no");
  const server = await startServer({ databaseUrl: database.url, vars: { REDIS_URL: `rediss://localhost:${port}` } });
  try {
    const ada = await chat(server).join(room, "ada");
    await ada.request("send_message", { content: "hello" });
    await work(redis, server);
  } finally {
    await server.stop();
    await redis.stop();
  }
}

test("B1: entries go over TLS", async () => {
  await over(known, "tls_known", async (redis) => {
    const there = await until(5_000, async () => (await entries(redis, "tls_known"))[0]);
    assert.equal(there?.data.content, "hello");
  });
});

test("B1: a Redis whose certificate nobody vouches for is told nothing", async () => {
  await over(unknown, "tls_unknown", async (redis, server) => {
    await server.log(/room tls_unknown: bridge: /);
    assert.deepEqual(await entries(redis, "tls_unknown"), []);
  });
});
