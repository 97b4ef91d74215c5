// Devices and their keys, end to end: published, listed, claimed once each, and whose they are.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { chat, startServer, testDatabase } from "./harness/index.mjs";

let database, server, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { RATE_LIMIT_REQUESTS: "100000" } });
  ({ rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const base64 = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

/** A device that signs its keys: `keys(n)` are so many new ones. */
function device(user, id) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const identity = { curve25519: base64(randomBytes(32)), ed25519: base64(Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url")) };
  let made = 0;
  const key = (kind) => {
    const [key_id, key] = [`k${++made}`, base64(randomBytes(32))];
    return { key_id, key, signature: base64(sign(null, Buffer.from(["edge-chat/v1/" + kind, user, id, key_id, key].join("\n")), privateKey)) };
  };
  const keys = (n) => Array.from({ length: n }, () => key("one-time-key"));
  const publish = (body, as = user) => rest("PUT", `/devices/${id}/keys`, { as, body: { ...identity, ...body } });
  return { id, identity, keys, fallback: () => key("fallback-key"), publish };
}
const claim = (as, user, body) => rest("POST", `/users/${user}/keys/claim`, { as, body });

describe("devices and keys", { concurrency: true }, () => {
  test("hundreds of claims at once: each one-time key once, then the fallback key", async () => {
    const phone = device("ada", "phone");
    const [one_time_keys, fallback_key] = [phone.keys(100), phone.fallback()];
    assert.deepEqual((await phone.publish({ name: "Phone", fallback_key, one_time_keys })).body, { device_id: "phone", one_time_keys: 100 });
    const claimed = await Promise.all(Array.from({ length: 300 }, (_, n) => claim(`claimer ${n}`, "ada")));
    assert.ok(claimed.every(({ status }) => status === 200));
    const keys = claimed.map(({ body }) => body.devices[0].key);
    const once = keys.filter(({ fallback }) => !fallback).map(({ key }) => key);
    assert.deepEqual([once.length, new Set(once).size], [100, 100]);
    assert.deepEqual([...once].sort(), one_time_keys.map(({ key }) => key).sort());
    for (const { fallback, ...key } of keys.filter(({ fallback }) => fallback)) assert.deepEqual(key, fallback_key);
    assert.deepEqual(claimed[0].body.devices[0].curve25519, phone.identity.curve25519);
    // After the object has lost its memory too, and a repeat of the upload brings none of them back.
    await server.evict("User", "ada");
    assert.equal((await claim("bob", "ada")).body.devices[0].key.fallback, true);
    assert.equal((await phone.publish({ one_time_keys })).body.one_time_keys, 0);
    assert.equal((await phone.publish({ one_time_keys: phone.keys(5) })).body.one_time_keys, 5);
  });

  test("listed for others without names, named and removed by the owner", async () => {
    const [one, two] = [device("bea", "one"), device("bea", "two")];
    await one.publish({ name: "Laptop", one_time_keys: one.keys(2) });
    await two.publish({});
    const own = (await rest("GET", "/me/devices", { as: "bea" })).body;
    assert.deepEqual(own.devices.map(({ device_id, name, one_time_keys }) => [device_id, name, one_time_keys]), [["one", "Laptop", 2], ["two", undefined, 0]]);
    const { status, body } = await rest("GET", "/users/bea/devices", { as: "cy" });
    assert.deepEqual([status, body.version, body.devices.map(Object.keys)], [200, 2, Array(2).fill(["device_id", "curve25519", "ed25519", "created_at"])]);
    assert.equal((await rest("PATCH", "/devices/one", { as: "bea", body: { name: "Work" } })).body.devices[0].name, "Work");
    assert.equal((await rest("DELETE", "/devices/two", { as: "bea" })).status, 204);
    assert.equal((await rest("GET", "/users/bea/devices", { as: "cy" })).body.version, 3);
    assert.equal((await two.publish({})).body.code, "device_removed");
    const none = await claim("cy", "bea", { device_ids: ["two"] });
    assert.deepEqual(none.body.devices, []);
  });

  test("a backup of keys is kept as it came, for its owner alone", async () => {
    const backup = (method, as, body) => rest(method, "/me/key-backup", { as, body });
    assert.deepEqual([(await backup("GET", "fay")).status, (await backup("GET", "fay")).body.code], [404, "backup_not_found"]);
    const data = base64(randomBytes(190_000));
    assert.equal((await backup("PUT", "fay", { data })).status, 204);
    await server.evict("User", "fay");
    const { status, body } = await backup("GET", "fay");
    assert.deepEqual([status, body.data === data, Math.abs(Date.now() - Date.parse(body.updated_at)) < 60_000], [200, true, true]);
    await backup("PUT", "fay", { data: "AAEC" });
    assert.equal((await backup("GET", "fay")).body.data, "AAEC");
    for (const [wrong, code] of [["", "bad_request"], ["AAE=", "bad_request"], ["hello!", "bad_request"], ["A".repeat(262_148), "frame_too_large"], ["A".repeat(300_000), "frame_too_large"]]) {
      assert.equal((await backup("PUT", "fay", { data: wrong })).body.code, code);
    }
    for (const method of ["GET", "DELETE"]) {
      assert.equal((await backup(method, "eve")).body.code, "backup_not_found");
      assert.equal((await backup(method, null)).body.code, "token_required");
      assert.equal((await backup(method, { sub: "fay", roles: ["guest"] })).body.code, "forbidden");
    }
    assert.equal((await backup("DELETE", "fay")).status, 204);
    assert.equal((await backup("GET", "fay")).status, 404);
  });

  test("an outsider's token changes nothing of another's devices, a guest's nothing at all", async () => {
    const mine = device("dot", "mine");
    await mine.publish({ one_time_keys: mine.keys(1) });
    // The same path is the outsider's own device; signed for another user its keys are refused.
    const stolen = await mine.publish({ one_time_keys: mine.keys(1) }, "eve");
    assert.deepEqual([stolen.status, stolen.body.code, stolen.body.errors[0].pointer], [400, "bad_request", "#/one_time_keys/0"]);
    for (const [method, body] of [["PATCH", { name: "x" }], ["DELETE"]]) {
      const answer = await rest(method, "/devices/mine", { as: "eve", body });
      assert.deepEqual([answer.status, answer.body.code], [404, "device_not_found"]);
    }
    const guest = { sub: "gus", roles: ["guest"] };
    const paths = [
      ["PUT", "/devices/mine/keys", { ...mine.identity }],
      ["PATCH", "/devices/mine", { name: "x" }],
      ["DELETE", "/devices/mine"],
      ["GET", "/me/devices"],
      ["GET", "/users/dot/devices"],
      ["POST", "/users/dot/keys/claim"],
      ["PUT", "/users/dot/direct"],
    ];
    for (const [method, path, body] of paths) {
      assert.equal((await rest(method, path, { body })).body.code, "token_required", `${method} ${path}`);
      const answer = await rest(method, path, { as: guest, body });
      assert.deepEqual([answer.status, answer.body.code], [403, "forbidden"], `${method} ${path}`);
    }
    assert.equal((await rest("GET", "/me/devices", { as: "dot" })).body.devices[0].one_time_keys, 1);
    await rest("PUT", "/users/eve/block", { as: "dot" });
    for (const [as, user] of [["eve", "dot"], ["dot", "eve"]]) assert.equal((await claim(as, user)).body.code, "blocked");
    const other = device("dot", "mine");
    assert.deepEqual([(await other.publish({})).status, (await other.publish({})).body.code], [409, "device_keys_differ"]);
    await rest("POST", "/me/sign-out", { as: { sub: "dot" } });
    const late = await rest("GET", "/me/devices", { as: { sub: "dot", iat: Math.floor(Date.now() / 1000) - 60 } });
    assert.equal(late.body.code, "token_expired");
  });
});
