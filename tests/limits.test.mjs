// How much may be said: counted by user across tabs and reconnects, not for moderators, and apart for services.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, startServer, testDatabase } from "./harness/index.mjs";

const WINDOW = 3_000;
let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  const vars = { RATE_LIMIT_MESSAGES: "4", RATE_LIMIT_WINDOW: String(WINDOW), RATE_LIMIT_SERVICE_MESSAGES: "50", RATE_LIMIT_SERVICE_WINDOW: "3000" };
  server = await startServer({ databaseUrl: database.url, vars });
  ({ join, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const refused = (socket, event, data) => socket.request(event, data).then(() => assert.fail("accepted"), (error) => error.data);

describe("limits", { concurrency: true }, () => {
  test("sends and edits count by user, across tabs, reconnects and REST; retry_after_ms says when there is room", async () => {
    const tabs = [await join("video_rate", "ada"), await join("video_rate", "ada")];
    const began = performance.now();
    const { message_id } = await tabs[0].request("send_message", { content: "1", client_id: "first" });
    await tabs[1].request("send_message", { content: "2" });
    await tabs[1].request("edit_message", { message_id, content: "3" });
    assert.equal((await rest("POST", "/rooms/video_rate/messages", { as: "ada", body: { content: "4" } })).status, 201);

    const error = await refused(tabs[0], "send_message", { content: "5" });
    assert.equal(error.code, "rate_limited");
    const left = WINDOW - (performance.now() - began);
    assert.ok(error.retry_after_ms <= WINDOW && error.retry_after_ms >= left - 200, `${error.retry_after_ms} of ${left}`);
    assert.equal((await refused(tabs[1], "edit_message", { message_id, content: "5" })).code, "rate_limited");
    const { status, headers, body } = await rest("POST", "/rooms/video_rate/messages", { as: "ada", body: { content: "5" } });
    assert.deepEqual([status, body.code], [429, "rate_limited"]);
    assert.ok(body.retry_after_ms > 0 && headers.get("retry-after") === String(Math.ceil(body.retry_after_ms / 1000)));
    tabs[1].terminate();
    const anew = await join("video_rate", "ada");
    assert.equal((await refused(anew, "send_message", { content: "5" })).code, "rate_limited");

    // A retry of what was accepted is answered all the same, reading and deleting is free, and others are not concerned.
    assert.equal((await anew.request("send_message", { content: "1", client_id: "first" })).message_id, message_id);
    await anew.request("react", { message_id, reaction: "👍" });
    await anew.request("delete_message", { message_id });
    await (await join("video_rate", "bob")).request("send_message", { content: "mine" });
    await (await join("video_rate_other", "ada")).request("send_message", { content: "elsewhere" });

    await sleep(error.retry_after_ms);
    await anew.request("send_message", { content: "5" });
    const times = (await join("video_rate", null)).joined.messages.filter((message) => message.user.user_id === "ada");
    assert.deepEqual(times.map((message) => message.content), ["", "2", "4", "5"]);
  });

  test("moderators, owners and admins have no limit", async () => {
    for (const role of ["moderator", "owner", "admin"]) {
      const socket = await join("video_free", { sub: role, roles: [role] });
      for (let i = 0; i < 10; i++) await socket.request("send_message", { content: `${i}` });
    }
  });

  test("a service has a limit of its own", async () => {
    const bot = await join("video_bot", { sub: "bot", roles: ["service"] });
    const sent = await Promise.allSettled(Array.from({ length: 60 }, (_, i) => bot.request("send_message", { content: `${i}` })));
    assert.equal(sent.filter(({ status }) => status === "fulfilled").length, 50);
    const errors = sent.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
    assert.ok(errors.every(({ code, data }) => code === "rate_limited" && data.retry_after_ms <= 3_000));
    // Speaking for others counts for the service.
    const as_user = { user_id: "u9", username: "Nine" };
    const { status } = await rest("POST", "/rooms/video_bot/messages", { as: { sub: "bot", roles: ["service"] }, body: { content: "x", as_user } });
    assert.equal(status, 429);
    await (await join("video_bot", { sub: "u9", username: "Nine" })).request("send_message", { content: "mine" });
  });

  test("a room's own rate comes before the deployment's", async () => {
    const body = { room_id: "video_own", name: "Own", type: "video", settings: { rate: { messages: 1, window_ms: 600_000 } } };
    assert.equal((await rest("POST", "/rooms", { as: "ada", body })).status, 201);
    const bob = await join("video_own", "bob");
    await bob.request("send_message", { content: "one" });
    const { retry_after_ms } = await refused(bob, "send_message", { content: "two" });
    assert.ok(retry_after_ms > 590_000 && retry_after_ms <= 600_000);
  });
});
