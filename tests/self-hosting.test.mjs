// The chat without Cloudflare: one instance, and several behind nginx, each with objects of its own.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseEnv } from "node:util";
import { parse } from "yaml";
import { ring } from "../self-hosting/instances.mjs";
import { nginxProgram } from "../scripts/lib/cluster.mjs";
import { root } from "../scripts/lib/database.mjs";
import { freePort, until } from "../scripts/lib/process.mjs";
import { allSaw, chat, client, endHosted, hangUp, hosted, leave, member, openSocket, proxy, testDatabase, token, viewer } from "./harness/index.mjs";

const home = mkdtempSync(join(tmpdir(), "edge-chat-hosted-"));
const database = await testDatabase();
const folder = (name) => {
  mkdirSync(join(home, name), { recursive: true });
  return join(home, name);
};
after(async () => {
  leave();
  hangUp();
  await endHosted();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

const WEB = join(root, "client/web");
const files = readdirSync(WEB, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== "_headers")
  .map((entry) => join(entry.parentPath, entry.name).slice(WEB.length));

test("one instance serves the page and the chat, ends when it is asked to, and has everything afterwards", async () => {
  const data = folder("one");
  const port = await freePort();
  let one = await hosted({ data, port, databaseUrl: database.url });
  assert.equal(one.answers.status, 200);
  const healthy = () => spawnSync(join(root, "self-hosting/start"), ["healthy"], { env: { ...process.env, PORT: port } }).status;
  assert.equal(healthy(), 0);

  const policy = readFileSync(join(WEB, "_headers"), "utf8").match(/Content-Security-Policy: (.*)/)[1];
  for (const path of ["/", "/dashboard/", "/embed", ...files]) {
    const response = await fetch(one.url + path);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get("content-security-policy"), policy, path);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(response.headers.get("access-control-allow-origin"), /^\/(chat\.js|edge-chat\.js|(sdk|crypto|element)\/.*)$/.test(path) ? "*" : null, path);
    if (path.endsWith(".js")) assert.match(response.headers.get("content-type"), /^text\/javascript/, path);
    assert.equal((await fetch(one.url + path, { headers: { "if-none-match": response.headers.get("etag") } })).status, 304, path);
  }
  for (const path of ["/_headers", "/nothing.html", "/sdk/", "/sdk", "/..%2f..%2fCargo.toml", "//dashboard"]) {
    assert.equal((await fetch(one.url + path, { redirect: "manual" })).status, 404, path);
  }
  assert.equal((await fetch(`${one.url}/dashboard`, { redirect: "manual" })).headers.get("location"), "/dashboard/");

  const ada = await viewer(one, "video_one", "ada");
  const said = await ada.send("hello");
  await until(10_000, async () => (await database.query("select 1 from messages where id = $1", [said.message_id])).length);
  const began = performance.now();
  assert.equal(await one.end(), "status 0", "with a socket open");
  assert.ok(performance.now() - began < 10_000);
  assert.notEqual(healthy(), 0);

  one = await hosted({ data, port, databaseUrl: database.url });
  assert.ok(await until(15_000, () => ada.state === "online"), "ada comes back");
  assert.deepEqual([ada.seen.snapshots, ada.seen.said], [0, [said.message_id]]);
  const { body } = await chat(one).rest("GET", "/rooms/video_one/messages");
  assert.deepEqual(body.messages.map(({ content }) => content), ["hello"]);
  leave();
  await one.end();
});

test("what is not set as it has to be is refused with a sentence", async () => {
  const all = { INSTANCES: "a:1,b:1", INSTANCE: "a:1", INSTANCES_SECRET: "x".repeat(32) };
  const cases = [
    [{ DATABASE_URL: "" }, /DATABASE_URL is not set/],
    [{ DATABASE_URL: "mysql://a/b" }, /DATABASE_URL is to be/],
    [{ DATABASE_URL: "postgres://a:b@c/d?sslmode=verify-full" }, /DATABASE_URL asks for sslmode=verify-full/],
    [{ JWT_SECRET: "" }, /JWT_SECRET/],
    [{ JWT_SECRET: "your-secret-key-your-secret-key-your-secret-key" }, /JWT_SECRET/],
    [{ ...all, INSTANCES: "a" }, /INSTANCES holds "a"/],
    [{ ...all, INSTANCES: "a:1,a:1" }, /names one twice/],
    [{ ...all, INSTANCE: "c:1" }, /INSTANCE is "c:1"/],
    [{ ...all, INSTANCES_SECRET: "short" }, /INSTANCES_SECRET/],
  ];
  await Promise.all(cases.map(async ([env, sentence], n) => {
    const one = await hosted({ data: folder(`refused-${n}`), databaseUrl: database.url, env });
    assert.equal(one.answers.status, 503);
    assert.equal(one.answers.body.code, "misconfigured");
    assert.match(one.answers.body.detail, sentence);
    await one.end("SIGKILL");
  }));
});

const handed = [...readFileSync(join(root, "self-hosting/config.capnp"), "utf8").matchAll(/fromEnvironment = "(\w+)"/g)].map(([, name]) => name);
const OWN = ["DATABASE_URL", "INSTANCES", "INSTANCE", "INSTANCES_SECRET"];

test("every setting that the code reads is handed to it", () => {
  const rust = execFileSync("grep", ["-rhoE", '"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+"', join(root, "src/settings.rs"), join(root, "src/settings"), join(root, "src/auth")], { encoding: "utf8" });
  const documented = [...readFileSync(join(root, "docs/operations.md"), "utf8").split("At least one of")[0].matchAll(/^\| (`[A-Z].*?) \|/gm)].flatMap(([, names]) => names.match(/\w+/g));
  for (const name of new Set([...documented, ...rust.replaceAll('"', "").trim().split("\n")])) assert.ok(handed.includes(name), name);
  assert.deepEqual(handed.filter((name) => !documented.includes(name)), OWN);
  const date = readFileSync(join(root, "wrangler.toml"), "utf8").match(/compatibility_date = "(.*)"/)[1];
  assert.ok(readFileSync(join(root, "self-hosting/config.capnp"), "utf8").includes(`compatibilityDate = "${date}"`), "as deployed");
});

test("compose.yaml is what Compose takes, names settings that there are, and holds no secret", () => {
  const rules = ["no-build-and-image", "no-unbound-port-interfaces"].flatMap((rule) => ["--disable-rule", rule]);
  const said = spawnSync(join(root, "node_modules/.bin/dclint"), [join(root, "compose.yaml"), "--quiet", ...rules], { encoding: "utf8" });
  assert.equal(said.status, 0, said.stdout + said.stderr);

  const { services, volumes } = parse(readFileSync(join(root, "compose.yaml"), "utf8"), { merge: true });
  const chats = Object.entries(services).filter(([name]) => /^chat/.test(name));
  assert.equal(chats.length, 4);
  for (const [name, { environment, env_file, volumes: [volume], depends_on }] of chats) {
    for (const setting of Object.keys(environment)) assert.ok(handed.includes(setting), `${name}: ${setting}`);
    assert.equal(env_file, ".env");
    assert.equal(volume, `${name}:/data`);
    assert.ok(name in volumes);
    assert.deepEqual(Object.keys(depends_on), ["migrate"]);
    if (environment.INSTANCES) assert.equal(environment.INSTANCE, `${name}:8080`);
  }
  const servers = [...readFileSync(join(root, "self-hosting/nginx.conf"), "utf8").matchAll(/^ *server (\S+:\d+);/gm)].map(([, server]) => server);
  assert.deepEqual([servers.slice(0, 3).join(), servers.slice(3).join()], Array(2).fill(services["chat-1"].environment.INSTANCES));
  for (const { image } of Object.values(services)) assert.match(image, /:[\w.-]+$/);

  // A clone's own .env, and what it holds.
  const clone = folder("clone");
  mkdirSync(join(clone, "self-hosting"));
  const script = join(clone, "self-hosting/env");
  copyFileSync(join(root, "self-hosting/env"), script);
  const written = () => {
    execFileSync(script, { stdio: "pipe" });
    return readFileSync(join(clone, ".env"), "utf8");
  };
  const first = written();
  assert.equal(written(), first, "an existing one is left alone");
  assert.equal(statSync(join(clone, ".env")).mode & 0o777, 0o600);
  const set = parseEnv(first);
  const secrets = Object.entries(set).filter(([, value]) => /^[0-9a-f]{64}$/.test(value));
  assert.deepEqual(secrets.map(([name]) => name).sort(), ["INSTANCES_SECRET", "JWT_SECRET", "METRICS_TOKEN", "POSTGRES_PASSWORD", "REDIS_PASSWORD"]);
  assert.equal(new Set(secrets.map(([, value]) => value)).size, 5);
  const ofCompose = ["POSTGRES_PASSWORD", "COMPOSE_PROFILES", "PUBLISH"];
  for (const [, name] of first.matchAll(/^#?([A-Z_]+)=/gm)) assert.ok(handed.includes(name) || ofCompose.includes(name), name);
});

const nginx = await nginxProgram().then(() => false, (error) => error.message);

test("several instances behind nginx", { skip: nginx }, async (t) => {
  const rooms = Array.from({ length: 30 }, (_, n) => `video_${n}`);
  const ports = await Promise.all(Array.from({ length: 4 }, freePort));
  const hosts = ports.map((port) => `127.0.0.1:${port}`);
  const begin = (n, list, more) =>
    hosted({ data: folder(`i${n}`), port: ports[n], databaseUrl: database.url, env: { INSTANCES: list.join(","), INSTANCE: hosts[n], INSTANCES_SECRET: "of the instances: 0123456789abcdef", CLIENT_IP: "x-forwarded-for:1", METRICS_TOKEN: "0123456789abcdef", ...more } });
  const three = hosts.slice(0, 3);
  let running = await Promise.all(three.map((_, n) => begin(n, three)));
  let front = await proxy(three);
  let there = chat(front);
  const said = new Map();
  const objects = (kind) => Array.from({ length: 4 }, (_, n) => join(folder(`i${n}`), kind))
    .map((path) => (existsSync(path) ? readdirSync(path) : []).filter((file) => /^[0-9a-f]{64}\.sqlite$/.test(file)));
  let people;

  await t.test("a room's viewers meet in one instance, and nginx sends them there", async () => {
    const made = await Promise.all(rooms.map((room) => there.rest("POST", "/rooms", { as: "boss", body: { room_id: room, name: room, type: "video" } })));
    const refused = made.filter(({ status }) => status !== 201);
    // Ten an hour, counted in the one object of the user whichever instance is asked.
    assert.deepEqual(new Set(refused.map(({ status, body }) => `${status} ${body.code}`)), new Set(["429 rate_limited"]));
    assert.equal(made.length - refused.length, 10);
    people = await Promise.all(rooms.map(async (room) => [await viewer(front, room, "ada"), await viewer(front, room, "bob"), await viewer(front, room, null)]));
    for (const [n, room] of rooms.entries()) said.set(room, [await people[n][0].send("hello"), await people[n][1].send("hi")]);
    for (const [n, room] of rooms.entries()) await allSaw(people[n], said.get(room));

    const disks = objects("Room").flat();
    assert.deepEqual([disks.length, new Set(disks).size], [30, 30], "each room is on one disk");
    const { owner } = ring(three);
    assert.deepEqual(new Set(rooms.map(owner)), new Set(three), "and they are on all three");
    for (const room of rooms) assert.equal((await there.rest("GET", `/rooms/${room}/messages`)).body.total, 2);
    // And of more rooms, which are asked for what there is not, so that none wakes.
    const asked = Array.from({ length: 1_000 }, (_, n) => `/api/rooms/any_${n}/nothing`);
    for (let n = 0; n < asked.length; n += 50) await Promise.all(asked.slice(n, n + 50).map((path) => fetch(front.url + path)));
    const routed = front.served().filter(({ path }) => path.startsWith("/api/rooms/"));
    assert.ok(routed.length >= 1_030);
    for (const { to, path } of routed) assert.equal(to, owner(path.split("/")[3]), path);
  });

  await t.test("what names no room works from any instance", async () => {
    assert.equal((await there.rest("PUT", "/users/bob/block", { as: "carol" })).status, 204);
    for (const instance of running) {
      assert.deepEqual((await chat(instance).rest("GET", "/me/blocks", { as: "carol" })).body.blocks.map((b) => b.user_id ?? b), ["bob"]);
    }
    const { message_id } = said.get("video_3")[0];
    for (const instance of running) {
      assert.equal((await chat(instance).rest("PATCH", `/messages/${message_id}`, { as: "ada", body: { content: `by ${instance.host}`, room_id: "video_3" } })).status, 200);
    }
    // Signed out in one, a token is refused by all.
    const old = await token({ sub: "dave", iat: Math.floor(Date.now() / 1000) - 60 });
    const headers = { authorization: `Bearer ${old}` };
    for (const room of rooms.slice(0, 6)) assert.equal((await there.rest("POST", `/rooms/${room}/messages`, { headers, body: { content: "before" } })).status, 201);
    assert.equal((await there.rest("POST", "/me/sign-out", { headers })).status, 200);
    for (const instance of running) {
      for (const room of rooms.slice(0, 6)) assert.equal((await chat(instance).rest("POST", `/rooms/${room}/messages`, { headers, body: { content: "after" } })).status, 401);
    }
  });

  await t.test("Socket.IO's clients are in rooms of all instances", async () => {
    for (const transports of [["polling"], ["websocket"]]) {
      const socket = client(front, { transports, auth: { token: await token({ sub: "eve", username: "Eve" }) } });
      assert.ok(await socket.connects());
      for (const room of rooms.slice(0, 6)) {
        assert.equal((await socket.ask("join_room", { room_id: room })).error, undefined, room);
        const { message_id } = await socket.ask("send_message", { room_id: room, content: `by ${transports}` });
        assert.ok(await people[rooms.indexOf(room)][0].has(message_id), room);
      }
      socket.disconnect();
    }
  });

  await t.test("an inbox hears of a direct room of another instance", async () => {
    const bearer = async (sub) => ["chat.v1", `bearer.${await token({ sub, username: sub })}`];
    const opened = await there.rest("PUT", "/users/hugo/direct", { as: "gina" });
    assert.equal(opened.status, 201);
    for (const { host } of running) (await openSocket(`ws://${host}/api/me/ws`, await bearer("hugo"))).terminate();
    assert.equal((await there.rest("GET", `/rooms/${opened.body.room_id}`, { as: "hugo" })).status, 200);
    assert.equal((await there.rest("GET", `/rooms/${opened.body.room_id}`, { as: "ada" })).status, 404);
  });

  await t.test("nobody from outside calls an object, and figures are each instance's own", async () => {
    const { owner } = ring(three);
    const asks = { "x-edge-chat-object": "ROOM/video_0" };
    for (const authorization of ["", "Bearer x", `Bearer ${await token({ sub: "ada" })}`]) {
      const response = await fetch(`http://${owner("video_0")}/messages`, { headers: { ...asks, authorization } });
      assert.equal(response.status, 403);
    }
    const elsewhere = three.find((host) => host !== owner("video_0"));
    const wrong = await fetch(`http://${elsewhere}/messages`, { headers: { ...asks, authorization: "Bearer of the instances: 0123456789abcdef" } });
    assert.match(await wrong.text(), /does not have ROOM video_0/);
    for (const path of ["/metrics", "/dashboard/"]) assert.equal((await fetch(front.url + path)).status, 404);
    for (const { url } of running) {
      const figures = await (await fetch(`${url}/metrics`, { headers: { authorization: "Bearer 0123456789abcdef" } })).text();
      assert.match(figures, /^edge_chat_drain_up\{.*\} 1$/m);
    }
  });

  await t.test("an instance that dies takes its rooms along, brings them back, and no others", async () => {
    const { owner } = ring(three);
    const [its, others] = [rooms.filter((room) => owner(room) === three[1]), rooms.filter((room) => owner(room) !== three[1])];
    await running[1].end("SIGKILL");
    const refused = await there.rest("GET", `/rooms/${its[0]}`);
    assert.deepEqual([refused.status, refused.body.code], [503, "unavailable"]);
    for (const room of others) {
      const [ada, bob] = people[rooms.indexOf(room)];
      const { message_id } = await ada.send("still here");
      assert.ok(await bob.has(message_id), room);
    }
    running[1] = await begin(1, three);
    for (const room of its) {
      const [ada, bob, guest] = people[rooms.indexOf(room)];
      for (const one of [ada, bob, guest]) assert.ok(await until(30_000, () => one.state === "online"), `${room} comes back`);
      const { message_id } = await ada.send("here again");
      for (const one of [bob, guest]) assert.ok(await one.has(message_id), room);
    }
    for (const list of people) for (const one of list) assert.equal(one.seen.snapshots, 0, "everybody resumed");
  });

  await t.test("a fourth instance is refused until the objects are moved to where it has them", async () => {
    leave();
    hangUp();
    const logs = async () => Object.fromEntries(await Promise.all(rooms.map(async (room) => [room, (await there.rest("GET", `/rooms/${room}/messages`)).body])));
    const before = await logs();
    assert.deepEqual(new Set(await Promise.all(running.map((instance) => instance.end()))), new Set(["status 0"]));
    await front.stop();

    const early = await begin(0, hosts);
    assert.equal(early.answers.ended, "status 1");
    assert.match(early.log(), /Move them first/);
    folder("i3");
    const move = (servers, ...gone) => execFileSync(process.execPath, [join(root, "self-hosting/move.mjs"), ...servers.map((n) => `${hosts[n]}=${folder(`i${n}`)}`), ...gone], { encoding: "utf8" });
    assert.match(move([0, 1, 2, 3]), /^[1-9]\d* objects moved, [1-9]\d* stay\./);
    assert.match(move([0, 1, 2, 3]), /^0 objects moved/);
    assert.ok(objects("Room")[3].length > 0);

    running = await Promise.all(hosts.map((_, n) => begin(n, hosts)));
    front = await proxy(hosts);
    there = chat(front);
    assert.deepEqual(await logs(), before, "the same log, under the same epoch");
    assert.deepEqual((await there.rest("GET", "/me/blocks", { as: "carol" })).body.blocks.map((b) => b.user_id ?? b), ["bob"]);
    const late = await viewer(front, "video_5", "ada");
    await late.send("in four");
    leave();

    // And back to two: those that go hand on what they had.
    await Promise.all(running.map((instance) => instance.end()));
    await front.stop();
    move([0, 1], "--from", folder("i2"), folder("i3"));
    assert.deepEqual(objects("Room").map((list) => list.length > 0), [true, true, false, false]);
    running = await Promise.all([0, 1].map((n) => begin(n, hosts.slice(0, 2))));
    front = await proxy(hosts.slice(0, 2));
    there = chat(front);
    const now = await logs();
    for (const room of rooms) assert.equal(now[room].epoch, before[room].epoch);
    assert.equal(now.video_5.total, before.video_5.total + 1);
  });
});
