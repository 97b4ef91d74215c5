// The chat without Cloudflare: several instances behind nginx, each with objects of its own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ring } from "../self-hosting/instances.mjs";
import { nginxProgram } from "../scripts/lib/cluster.mjs";
import { root } from "../scripts/lib/database.mjs";
import { freePort, until } from "../scripts/lib/process.mjs";
import { allSaw, chat, client, endHosted, hangUp, hosted, leave, openSocket, proxy, testDatabase, token, viewer } from "./harness/index.mjs";

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

const nginx = await nginxProgram().then(() => false, (error) => error.message);

test("several instances behind nginx", { skip: nginx }, async (t) => {
  const rooms = Array.from({ length: 30 }, (_, n) => `video_${n}`);
  const ports = await Promise.all(Array.from({ length: 4 }, freePort));
  const hosts = ports.map((port) => `127.0.0.1:${port}`);
  const begin = (n, list, more) =>
    hosted({ data: folder(`i${n}`), port: ports[n], databaseUrl: database.url, env: { INSTANCES: list.join(","), INSTANCE: hosts[n], INSTANCES_SECRET: "of the instances: 0123456789abcdef", CLIENT_IP: "x-forwarded-for:1", METRICS_TOKEN: "0123456789abcdef", SHARD_SOCKETS: "10", ...more } });
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
    // Who has a session's id needs no token.
    assert.ok(await until(10_000, () => /GET \/socket\.io\/" 101 /.test(front.logged())));
    assert.doesNotMatch(front.logged(), /sid=|\?/);
  });

  await t.test("an inbox hears of a direct room of another instance", async () => {
    const { body: { room_id: room }, status } = await there.rest("PUT", "/users/hugo/direct", { as: "gina" });
    assert.equal(status, 201);
    const bearer = ["chat.v1", `bearer.${await token({ sub: "hugo", username: "Hugo" })}`];
    const inboxes = await Promise.all(running.map(({ host }) => openSocket(`ws://${host}/api/me/ws`, bearer)));
    for (const inbox of inboxes) assert.equal((await inbox.next("inbox")).data.rooms.length, 0);
    const content = JSON.stringify({ v: 1, alg: "megolm", device_id: "D1", session_id: "c2Vzc2lvbg", index: 0, ciphertext: "AAEC" });
    const letter = { content, type: "encrypted", client_id: "letter", franking: "A".repeat(43) };
    assert.equal((await there.rest("POST", `/rooms/${room}/messages`, { as: "gina", body: letter })).status, 201);
    for (const inbox of inboxes) {
      const { data } = await inbox.next("inbox_changed", 10_000);
      assert.deepEqual([data.room_id, data.unread, data.with], [room, 1, "gina"]);
      inbox.terminate();
    }
    assert.equal((await there.rest("GET", `/rooms/${room}`, { as: "ada" })).status, 404);
  });

  await t.test("a room that is split has its shards wherever their names belong", async () => {
    await there.rest("POST", "/rooms", { as: { sub: "s", roles: ["service"] }, body: { room_id: "video_large", name: "Large", type: "video" } });
    const crowd = await Promise.all(Array.from({ length: 40 }, (_, n) => viewer(front, "video_large", { sub: `viewer_${n}`, username: `V${n}` }, { ms: 20_000 })));
    const moderator = { sub: "m", roles: ["moderator"] };
    const split = await until(30_000, async () => (await there.rest("GET", "/rooms/video_large/stats", { as: moderator })).body.shards >= 4, 250);
    assert.ok(split, "it is split");
    const letters = [];
    for (const one of crowd.slice(0, 10)) letters.push(await one.send("to all"));
    for (const one of crowd) for (const { message_id } of letters) assert.ok(await one.has(message_id));
    const disks = new Set([0, 1, 2, 3].map((n) => three.indexOf(ring(three).owner(`video_large~s${n}`))));
    for (const n of disks) assert.ok(objects("Shard")[n].length, `on disk ${n}`);
    for (const one of crowd) {
      assert.deepEqual(new Set(one.seen.said).size, one.seen.said.length, "nothing twice");
      one.close();
    }
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
    const second = await hosted({ data: folder("second"), databaseUrl: database.url, env: { INSTANCES: three.join(","), INSTANCE: three[0], INSTANCES_SECRET: "of the instances: 0123456789abcdef" } });
    assert.deepEqual([second.answers.status, second.answers.body.detail], [503, `INSTANCE is ${three[0]}, and another process answers there.`]);
    await second.end("SIGKILL");
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
    await Promise.all(others.map(async (room) => {
      const [ada, bob] = people[rooms.indexOf(room)];
      const { message_id } = await ada.send("still here");
      assert.ok(await bob.has(message_id), room);
    }));
    running[1] = await begin(1, three);
    for (const room of its) {
      const [ada, bob, guest] = people[rooms.indexOf(room)];
      for (const one of [ada, bob, guest]) assert.ok(await until(90_000, () => one.state === "online"), `${room} comes back`);
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
    const move = (servers, ...gone) => execFileSync(process.execPath, [join(root, "self-hosting/move.mjs"), ...servers.map((n) => `${hosts[n]}=${folder(`i${n}`)}`), ...gone], { encoding: "utf8", stdio: "pipe" });
    assert.throws(() => move([3, 2]), /i2 is in use: stop all instances first/);
    assert.deepEqual(new Set(await Promise.all(running.map((instance) => instance.end()))), new Set(["status 0"]));
    await front.stop();

    const early = await begin(0, hosts);
    assert.equal(early.answers.ended, "status 1");
    assert.match(early.log(), /Move them first/);
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
    const emptied = await begin(2, hosts);
    assert.deepEqual([emptied.answers.ended, /The objects that were in .* were moved/.test(emptied.log())], ["status 1", true]);
    running = await Promise.all([0, 1].map((n) => begin(n, hosts.slice(0, 2))));
    front = await proxy(hosts.slice(0, 2));
    there = chat(front);
    const now = await logs();
    for (const room of rooms) assert.equal(now[room].epoch, before[room].epoch);
    assert.equal(now.video_5.total, before.video_5.total + 1);
  });
});
