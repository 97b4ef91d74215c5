// Socket.IO's clients come back: to a gateway that slept, to one that died, over a network that was cut.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, client, hangUp, member, relay, startServer, testDatabase, tokenOf, until } from "./harness/index.mjs";

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url });
  ({ join, rest } = chat(server));
});
after(async () => {
  hangUp();
  await server?.stop();
  await database?.drop();
});

const contents = (one) => one.of("new_message").map(({ content }) => content);
const back = (one, ms = 15_000) => until(ms, () => one.connected && one.returns > 0, 20);
/** Counts how often it came back, and whether it was recovered the last time. */
function watched(one) {
  one.returns = 0;
  one.on("connect", () => (one.returns += 1));
  return one;
}

describe("a client comes back", { concurrency: true }, () => {
  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    test(`over a network that was cut it is recovered, by ${transports.join(" then ")}: it gets what it missed, once`, async () => {
      const link = await relay(server.url);
      const room = `video_cut_${transports.join("")}`;
      const ada = watched(await member({ url: link.url }, room, `ada-${transports}`, { transports, reconnectionDelay: 300 }));
      await ada.ask("join_room", { room_id: `${room}_2`, user_token: await tokenOf(`ada-${transports}`) });
      const { id } = ada;
      const bob = await join(room, "bob");
      await bob.request("send_message", { content: "before" });
      assert.ok(await until(5_000, () => contents(ada).includes("before")));
      await sleep(200);
      await link.cut();
      for (const content of ["one", "two"]) await bob.request("send_message", { content });
      await sleep(1_000);
      await link.open();
      assert.ok(await back(ada), "comes back");
      assert.deepEqual([ada.recovered, ada.id], [true, id]);
      await bob.request("send_message", { content: "after" });
      assert.ok(await until(5_000, () => contents(ada).includes("after")));
      assert.deepEqual(contents(ada), ["before", "one", "two", "after"]);
      assert.ok((await ada.ask("send_message", { room_id: room, content: "and I" })).message_id, "still who it was");
      ada.disconnect();
      await link.cut();
    });
  }

  test("who left on purpose, or names somebody else's private id, is not recovered", async () => {
    const ada = watched(await member(server, "video_left", "ada"));
    ada.disconnect();
    await sleep(300);
    ada.connect();
    assert.ok(await back(ada));
    assert.equal(ada.recovered, false);
    assert.equal((await ada.ask("send_message", { room_id: "video_left", content: "x" })).error.code, "not_joined");
    for (const pid of ["", "0.AAAAAAAAAAAAAAAAAAAAAA", "99.AAAAAAAAAAAAAAAAAAAAAA", "x"]) {
      const eve = client(server, { auth: { pid, offset: "video_left@1.1" } });
      assert.ok(await eve.connects());
      assert.equal((await eve.ask("send_message", { room_id: "video_left", content: "x" })).error.code, "not_joined");
      eve.disconnect();
    }
  });

  test("somebody else's private id, shown by another user, gives and ends nothing", async () => {
    const room = "video_stolen";
    const link = await relay(server.url);
    // She signs in by the room's token, so that her handshake names nobody.
    const ada = watched(await member({ url: link.url }, room, "ada", { transports: ["websocket"], reconnectionDelay: 300 }));
    const bob = await join(room, "bob");
    await bob.request("send_message", { content: "before" });
    assert.ok(await until(5_000, () => contents(ada).length === 1));
    const steals = async () => {
      const eve = client(server, { auth: { token: await tokenOf("eve"), pid: ada._pid, offset: ada._lastOffset } });
      assert.ok(ada._pid && ada._lastOffset && (await eve.connects()));
      assert.equal((await eve.ask("send_message", { room_id: room, content: "as ada" })).error.code, "not_joined");
      eve.disconnect();
    };
    await steals();
    await bob.request("send_message", { content: "still there" });
    assert.ok(await until(5_000, () => contents(ada).length === 2));
    assert.equal(ada.returns, 0, "the live session stays");
    await link.cut();
    await sleep(500);
    await steals();
    await link.open();
    assert.ok(await back(ada));
    assert.equal(ada.recovered, true, "and so does the lost one");
    ada.disconnect();
    await link.cut();
  });

  test("who was banned meanwhile is not recovered", async () => {
    const link = await relay(server.url);
    const eve = watched(await member({ url: link.url }, "video_banned_away", "eve", { transports: ["websocket"], reconnectionDelay: 300 }));
    await link.cut();
    const banned = await rest("POST", "/rooms/video_banned_away/ban", { as: { sub: "mod", roles: ["moderator"] }, body: { user_id: "eve" } });
    assert.equal(banned.status, 200);
    await link.open();
    assert.ok(await back(eve));
    assert.equal(eve.recovered, false);
    assert.equal((await eve.ask("send_message", { room_id: "video_banned_away", content: "x" })).error.code, "not_joined");
    eve.disconnect();
    await link.cut();
  });
});

test("sessions outlive a gateway's sleep: they hear, are heard, and still do not hear whom they block", async () => {
  const room = "video_sleep";
  const ada = await member(server, room, "sleepy", { transports: ["websocket"] });
  await ada.ask("join_room", { room_id: `${room}_2`, user_token: await tokenOf("sleepy") });
  const [bob, cyd] = [await join(room, "bob"), await join(room, "cyd")];
  assert.ok(!(await ada.ask("block_user", { room_id: room, user_id: "cyd" })).error);
  await bob.request("send_message", { content: "before" });
  assert.ok(await until(5_000, () => contents(ada).includes("before")));
  const wakes = () => server.logs.filter(({ message }) => message.startsWith("gateway wake: ~g0")).length;
  const before = wakes();
  await server.evict("Gateway", "~g0");
  await cyd.request("send_message", { content: "unheard" });
  await bob.request("send_message", { content: "while it slept" });
  assert.ok(await until(10_000, () => contents(ada).includes("while it slept")), JSON.stringify(contents(ada)));
  assert.ok(wakes() > before);
  assert.deepEqual(contents(ada), ["before", "while it slept"]);
  const { message_id } = await ada.ask("send_message", { room_id: `${room}_2`, content: "in the other" });
  assert.ok(message_id);
  await server.evict("Gateway", "~g0");
  // A message wakes it as well.
  assert.ok((await ada.ask("send_message", { room_id: room, content: "awake" })).message_id);
  ada.disconnect();
  assert.equal((await bob.next((line) => line.event === "user_left" && line.data.user_id === "sleepy", 15_000)).data.user_id, "sleepy");
});

test("who is in several rooms is recovered also where some were quiet since the gateway slept", async () => {
  const link = await relay(server.url);
  const rooms = ["video_loud", "video_quiet", "video_quieter"];
  const ada = watched(await member({ url: link.url }, rooms[0], "ada-quiet", { transports: ["websocket"], reconnectionDelay: 300 }));
  const bob = await join(rooms[0], "bob");
  const quiet = await join(rooms[1], "bob");
  await quiet.request("send_message", { content: "quiet" });
  for (const room_id of rooms.slice(1)) await ada.ask("join_room", { room_id, user_token: await tokenOf("ada-quiet") });
  await bob.request("send_message", { content: "before" });
  assert.ok(await until(5_000, () => contents(ada).includes("before")));
  // It sleeps no sooner than a while after the last event.
  await sleep(2_500);
  for (const content of ["awake", "awake again"]) {
    await server.evict("Gateway", "~g0");
    await bob.request("send_message", { content });
    assert.ok(await until(5_000, () => contents(ada).includes(content)));
    await sleep(2_500);
  }
  await link.cut();
  for (const one of [bob, quiet]) await one.request("send_message", { content: "missed" });
  await sleep(500);
  await link.open();
  assert.ok(await back(ada));
  assert.equal(ada.recovered, true);
  assert.ok(await until(5_000, () => contents(ada).length === 5));
  assert.deepEqual(contents(ada), ["before", "awake", "awake again", "missed", "missed"]);
  ada.disconnect();
  await link.cut();
});

test("where workerd is killed, clients come back by themselves and miss nothing", async () => {
  const own = await startServer({ databaseUrl: database.url });
  const room = "video_killed";
  const ada = watched(await member(own, room, "ada", { transports: ["websocket"] }));
  const polling = watched(await member(own, room, "pol", { transports: ["polling"] }));
  const said = [];
  const say = async (content) => {
    const answer = await ada.ask("send_message", { room_id: room, content, client_id: content });
    if (answer.message_id) said.push(content);
  };
  for (let i = 0; i < 5; i++) await say(`before ${i}`);
  assert.ok(await until(5_000, () => contents(polling).length === 5));
  await sleep(200);
  await own.kill9();
  await own.restart();
  assert.ok(await back(ada, 30_000) && (await back(polling, 30_000)));
  assert.deepEqual([ada.recovered, polling.recovered], [true, true]);
  for (let i = 0; i < 3; i++) await say(`after ${i}`);
  assert.ok(await until(5_000, () => contents(polling).length === said.length));
  assert.deepEqual(contents(polling), said);
  assert.deepEqual(contents(ada), said);
  ada.disconnect();
  polling.disconnect();
  await own.stop();
});

test("who comes back at another gateway is recovered there", async () => {
  const own = await startServer({ databaseUrl: database.url, vars: { GATEWAYS: "2", GATEWAY_SESSIONS: "10" } });
  const link = await relay(own.url);
  const room = "video_moved";
  // An address has half of the places only.
  let address = 0;
  const away = () => ({ transports: ["websocket"], extraHeaders: { "cf-connecting-ip": `192.0.2.${++address}` } });
  const ada = watched(await member({ url: link.url }, room, "ada", { transports: ["websocket"], reconnectionDelay: 300 }));
  const bob = await chat(own).join(room, "bob");
  await link.cut();
  const others = Array.from({ length: 10 }, () => client(own, away()));
  for (const one of others) assert.ok(await one.connects());
  await bob.request("send_message", { content: "missed" });
  await link.open();
  assert.ok(await back(ada));
  assert.ok(ada.recovered);
  assert.ok(own.logs.some(({ message }) => message.startsWith("gateway wake: ~g1")), "it was the other one");
  await bob.request("send_message", { content: "live" });
  assert.ok(await until(5_000, () => contents(ada).length === 2));
  assert.deepEqual(contents(ada), ["missed", "live"]);
  // And from there at the first one again, which made its id.
  for (const one of others.splice(0)) one.disconnect();
  await link.cut();
  ada.returns = 0;
  await sleep(500);
  for (let i = 0; i < 10; i++) others.push(client(own, away()));
  for (const one of others) assert.ok(await one.connects());
  await bob.request("send_message", { content: "missed again" });
  await link.open();
  assert.ok(await back(ada));
  assert.ok(ada.recovered);
  assert.match(ada.io.engine.id, /^0\./, "it is that one");
  assert.ok(await until(5_000, () => contents(ada).length === 3));
  assert.deepEqual(contents(ada), ["missed", "live", "missed again"]);
  for (const one of [ada, ...others]) one.disconnect();
  await link.cut();
  await own.stop();
});
