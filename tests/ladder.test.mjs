// The degrade ladder on the real server: what a room tells as it grows, and that nothing of the log is lost by it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chat, crowd, startServer, testDatabase, until } from "./harness/index.mjs";

const OFF = ["user_joined", "user_left", "user_typing"];

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  const vars = { RATE_LIMIT_JOINS: "100000", RATE_LIMIT_MESSAGES: "1000", RATE_LIMIT_WINDOW: "1000", RATE_LIMIT_REQUESTS: "10000" };
  server = await startServer({ vars, databaseUrl: database.url });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const said = (socket) => socket.lines.filter(({ event }) => event === "new_message").map(({ data }) => data.content);
const leftOut = (socket) => socket.lines.reduce((sum, { at }) => sum + (at?.left_out ?? 0), 0);

describe("a room that grows", () => {
  test("at a hundred everything is told, above it numbers, and who is there learns of it at once", async () => {
    const ada = await join("video_grows", "ada");
    const bob = await join("video_grows", "bob");
    const leave = await crowd(server, "video_grows", 98);
    assert.deepEqual([ada.joined.left_out, ada.joined.members.length], [undefined, 1]);
    await bob.request("typing", { is_typing: true });
    await ada.next("user_typing");

    const late = await join("video_grows", "late");
    assert.deepEqual([late.joined.left_out, late.joined.members, late.joined.online_users + late.joined.online_guests], [OFF, undefined, 101]);
    for (const socket of [ada, bob]) await socket.next(({ event, data }) => event === "room_stats" && data.left_out?.length === 3, 500);
    assert.deepEqual(await late.request("typing", { is_typing: true }), {});

    // Two reactions at once are one event with both, and its place in the log is told.
    const { message_id } = await ada.request("send_message", { content: "x" });
    await late.next("new_message");
    const began = Date.now();
    const replies = await Promise.all([bob, late].map((one) => one.request("react", { message_id, reaction: "👍" })));
    assert.deepEqual(replies.map(({ reactions }) => reactions["👍"]).sort(), [1, 2], "each is answered for itself");
    const { data, seq } = await ada.next("reaction_updated");
    assert.ok(Date.now() - began >= 450, "half a second");
    assert.deepEqual([data.reactions, seq], [{ "👍": 2 }, replies[0].seq > replies[1].seq ? replies[0].seq : replies[1].seq]);
    await ada.none("reaction_updated", 700);
    assert.equal(ada.lines.filter(({ event }) => event === "user_joined").length, 1, "bob alone");
    leave();
  });

  test("V4: above a thousand, where the room wants it, viewers get a sample, and are told how much more was said", async () => {
    const room = "video_final";
    const settings = { sample_above: 1 };
    assert.equal((await rest("POST", "/rooms", { as: "owner", body: { room_id: room, name: "Final", type: "video", settings } })).status, 201);
    const [ada, bob, mod] = [await join(room, "ada"), await join(room, "bob"), await join(room, { sub: "mo", username: "Mo", roles: ["moderator"] })];
    const leave = await crowd(server, room, 998);
    await ada.next(({ event, data }) => event === "room_stats" && data.online_guests === 998, 10_000);

    const words = Array.from({ length: 60 }, (_, n) => (n === 40 ? "for @bob" : `m${n}`));
    await Promise.all(words.map((content) => ada.request("send_message", { content }, 20_000)));
    for (const viewer of [ada, mod]) await viewer.next(({ data }) => data?.content === "m59", 20_000);
    const told = () => said(bob).length + leftOut(bob);
    assert.ok(await until(5_000, () => told() === 60), `${told()} of what was said are shown or counted`);
    assert.deepEqual([said(ada).length, leftOut(ada)], [60, 0], "one's own");
    assert.deepEqual([said(mod).length, leftOut(mod)], [60, 0]);
    assert.ok(said(bob).includes("for @bob"));
    assert.ok(leftOut(bob) > 30, `${leftOut(bob)}`);

    const { body } = await rest("GET", `/rooms/${room}/messages?limit=100`, { as: "bob" });
    assert.equal(body.messages.length, 60, "history has them all");
    const { events } = await bob.request("catch_up", { epoch: bob.joined.epoch, seq: bob.joined.seq });
    assert.equal(events.length, 60, "and so has who asks for them");
    leave();
  });
});
