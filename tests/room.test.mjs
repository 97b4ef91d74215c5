// Who is in a room: joining, guests, presence by user, typing, leaving, tokens that are renewed.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, openSocket, startServer, testDatabase, token } from "./harness/index.mjs";

let database, server, join, open, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url });
  ({ join, open, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const SETTINGS = {
  guests: true, visibility: "public", read_only: false, slow_s: null, emote_only: false,
  followers_only_s: null, subscribers_only: false, subscribers_only_s: 0, no_repeats: false, links: "on", delay_s: 0, profanity: null, spam: null, rate: null, max_message_length: null, edit_window_s: null,
  history_limit: null, retention_days: null, retention_messages: null, sample_above: null, expect_viewers: null,
};

describe("a room", { concurrency: true }, () => {
  test("a join by the token in the upgrade answers with the room, oneself and where the log is", async () => {
    const ada = await join("video_join", "ada");
    assert.equal(ada.protocol, "chat.v1");
    const { room, self, epoch, seq, ...rest_ } = ada.joined;
    assert.deepEqual(
      { ...room, created_at: 0, updated_at: 0 },
      {
        room_id: "video_join", name: "video_join", type: "video", settings: SETTINGS, owner_id: null, created_at: 0,
        updated_at: 0, online_users: 1, online_guests: 0, message_count: 0, pinned: [],
      },
    );
    assert.match(room.created_at, RFC3339);
    assert.match(self.expires_at, RFC3339);
    assert.ok(Math.abs(Date.parse(self.expires_at) - Date.now() - 3_600_000) < 10_000);
    assert.deepEqual({ ...self, expires_at: 0 }, {
      user_id: "ada", username: "Ada", avatar: null, role: "member", roles: ["member"], expires_at: 0,
      can: ["send", "edit", "react", "type", "report"],
    });
    assert.ok(Math.abs(epoch - Date.now()) < 60_000);
    assert.equal(seq, 1);
    assert.deepEqual(rest_, {
      online_users: 1, online_guests: 0, resumed: false, messages: [], reconnect: rest_.reconnect,
      members: [{ user_id: "ada", username: "Ada", avatar: null, role: "member" }],
    });
    assert.deepEqual(Object.keys(rest_.reconnect), ["base_ms", "spread_ms"]);
  });

  test("room_stats comes right after the reply to the join", async () => {
    const ada = await join("video_stats", "ada");
    const stats = await ada.next("room_stats");
    assert.deepEqual(stats, { event: "room_stats", data: { online_users: 1, online_guests: 0, message_count: 0 } });
    assert.equal(ada.lines.indexOf(stats), 1, "the second line, after the reply");
    // And to the others within the second.
    await join("video_stats", null);
    await ada.next((line) => line.event === "room_stats" && line.data.online_guests === 1, 3_000);
  });

  test("a token may come in join_room alone, and of two the later counts", async () => {
    const socket = await open("video_late", null);
    const { self } = await socket.request("join_room", { room_id: "video_late", user_token: await token({ sub: "ada", roles: ["moderator"] }) });
    assert.deepEqual([self.user_id, self.role], ["ada", "moderator"]);

    const both = await open("video_late", { sub: "bob", exp: Math.floor(Date.now() / 1000) + 60 });
    const later = Math.floor(Date.now() / 1000) + 7_200;
    const joined = await both.request("join_room", { user_token: await token({ sub: "bob", exp: later }) });
    assert.equal(Date.parse(joined.self.expires_at), later * 1000);

    const mixed = await open("video_late", "cyd");
    await assert.rejects(mixed.request("join_room", { user_token: await token({ sub: "dan" }) }), { code: "token_mismatch" });
    assert.equal((await mixed.closed).code, 4401);
  });

  test("what is sent right behind a join that waits for its user's object is done after it, and in order", async () => {
    for (let n = 0; n < 10; n++) {
      const room = `video_behind_${n}`;
      const socket = await open(room, null);
      const join = socket.request("join_room", { user_token: await token({ sub: `behind${n}`, username: "Eve" }) });
      const said = ["one", "two"].map((content) => socket.request("send_message", { content }));
      assert.equal((await join).self.user_id, `behind${n}`);
      const [one, two] = await Promise.all(said);
      assert.equal(two.seq, one.seq + 1);
      const order = ["one", "two"].map(async (content) => (await socket.next("new_message")).data.content === content);
      assert.deepEqual(await Promise.all(order), [true, true]);
    }
  });

  test("of more than can wait behind a token nothing is done, and the socket ends", async () => {
    const flood = async (n) => {
      const room = `video_flood_${n}`;
      const watcher = await join(room, `watcher${n}`);
      const socket = await open(room, null);
      const user_token = await token({ sub: `flood${n}`, username: "Eve" });
      socket.send(JSON.stringify({ event: "join_room", data: { user_token } }));
      // For each of these its user's object is asked.
      for (let i = 0; i < 100; i++) socket.send(JSON.stringify({ event: "refresh_token", data: { user_token } }));
      for (let i = 0; i < 40; i++) socket.send(JSON.stringify({ event: "send_message", data: { content: `m${i}`, x: "x".repeat(15_000) } }));
      const ended = await Promise.race([socket.closed, sleep(3_000)]);
      // Where the answers were quicker all were handled one by one.
      if (ended?.code !== 4429 || !socket.lines.some(({ data }) => data?.code === "overloaded")) return false;
      await sleep(300);
      return !watcher.lines.some(({ event }) => event === "new_message");
    };
    assert.ok((await Promise.all([0, 1, 2, 3, 4].map(flood))).some(Boolean));
  });

  test("a role for the room in the token counts there alone", async () => {
    const who = { sub: "ada", rooms: { video_mine: "moderator" } };
    assert.equal((await join("video_mine", who)).joined.self.role, "moderator");
    assert.equal((await join("video_other", who)).joined.self.role, "member");
  });

  test("a guest sees everything and can do nothing", async () => {
    const ada = await join("video_guest", "ada");
    const guest = await join("video_guest", null);
    const { guest_id, ...self } = guest.joined.self;
    assert.match(guest_id, /^[A-Za-z0-9_-]{22}$/);
    assert.deepEqual(self, { user_id: null, username: null, avatar: null, role: "guest", roles: ["guest"], can: [] });
    assert.deepEqual([guest.joined.online_users, guest.joined.online_guests], [1, 1]);
    assert.deepEqual(guest.joined.members.map((member) => member.user_id), ["ada"]);

    const { message_id } = await ada.request("send_message", { content: "hello" });
    assert.equal((await guest.next("new_message")).data.message_id, message_id);
    for (const [event, data] of [
      ["send_message", { content: "me too" }],
      ["edit_message", { message_id, content: "x" }],
      ["delete_message", { message_id }],
      ["react", { message_id, reaction: "👍" }],
      ["typing", { is_typing: true }],
    ]) {
      await assert.rejects(guest.request(event, data), { code: "token_required" }, event);
    }
    await ada.none((line) => ["user_joined", "user_typing"].includes(line.event));

    // The same guest in two tabs is one.
    const tab = await openSocket(server.socketUrl("video_guest"), ["chat.v1", `guest.${guest_id}`]);
    const again = await tab.request("join_room", {});
    assert.deepEqual([again.self.guest_id, again.online_guests], [guest_id, 1]);
  });

  test("presence is by user, not by tab; user_left comes about 5 s after the last", async () => {
    const ada = await join("video_tabs", "ada");
    const first = await join("video_tabs", { sub: "bob", username: "Bob", avatar: "https://e.example/b.png" });
    const bob = { user_id: "bob", username: "Bob", avatar: "https://e.example/b.png" };
    assert.deepEqual(await ada.next("user_joined"), { event: "user_joined", data: bob });
    const second = await join("video_tabs", { sub: "bob", username: "Bob", avatar: bob.avatar });
    assert.equal(second.joined.online_users, 2);
    second.close();
    await second.closed;
    await ada.none((line) => ["user_joined", "user_left"].includes(line.event), 300);

    first.close();
    const closed = performance.now();
    assert.deepEqual(await ada.next("user_left", 8_000), { event: "user_left", data: bob });
    const waited = performance.now() - closed;
    assert.ok(waited > 4_500 && waited < 7_000, `${waited} ms`);
    await ada.next((line) => line.event === "room_stats" && line.data.online_users === 1, 3_000);
    assert.ok(!first.lines.some((line) => line.event === "user_joined"), "not told of oneself");
  });

  test("who comes back within the 5 s never left", async () => {
    const ada = await join("video_blink", "ada");
    const bob = await join("video_blink", "bob");
    await ada.next("user_joined");
    bob.terminate();
    await join("video_blink", "bob");
    await ada.none((line) => ["user_joined", "user_left"].includes(line.event), 6_000);
  });

  test("typing goes to the others, at most every 3 s", async () => {
    const ada = await join("video_typing", "ada");
    const tab = await join("video_typing", "ada");
    const bob = await join("video_typing", "bob");
    await ada.request("typing", { is_typing: true });
    const data = { user_id: "ada", username: "Ada", avatar: null, is_typing: true };
    assert.deepEqual(await bob.next("user_typing"), { event: "user_typing", data });
    await ada.request("typing", { is_typing: true });
    await bob.none("user_typing");
    await ada.request("typing", { is_typing: false });
    assert.deepEqual((await bob.next("user_typing")).data, { ...data, is_typing: false });
    await tab.none("user_typing");
  });

  test("a second join replies afresh; another room stays out", async () => {
    const ada = await join("video_again", "ada");
    const bob = await join("video_again", "bob");
    await ada.next("user_joined");
    await ada.request("send_message", { content: "hi" });
    const again = await bob.request("join_room", { room_id: "video_again" });
    assert.deepEqual([again.messages.length, again.online_users], [1, 2]);
    await ada.none("user_joined");
    await assert.rejects(bob.request("join_room", { room_id: "video_elsewhere" }), { code: "wrong_room" });
    await bob.request("send_message", { content: "still here" });
  });

  test("leave_room is answered and closes by 1000", async () => {
    const ada = await join("video_leave", "ada");
    assert.deepEqual(await ada.request("leave_room", { room_id: "video_leave" }), {});
    const { code, reason } = await ada.closed;
    assert.deepEqual([code, reason], [1000, { retry: false, after_ms: 0 }]);
  });

  test("refresh_token keeps the socket beyond its first token's end; without it the socket ends by 4401", async () => {
    const exp = Math.floor(Date.now() / 1000) + 8;
    const stays = await join("video_refresh", { sub: "ada", exp });
    const ends = await join("video_refresh", { sub: "bob", exp });
    const later = exp + 3_600;
    const refreshed = await stays.request("refresh_token", { user_token: await token({ sub: "ada", exp: later, roles: ["moderator"] }) });
    assert.deepEqual(refreshed, { expires_at: new Date(later * 1000).toISOString(), role: "moderator", roles: ["moderator"] });
    const { code, reason } = await ends.closed;
    assert.equal(code, 4401);
    assert.equal(reason.retry, true);
    assert.ok(Date.now() >= exp * 1000 && Date.now() < exp * 1000 + 3_000, "at the token's end");
    assert.equal((await ends.next("goodbye")).data.code, "token_expired");
    await stays.request("send_message", { content: "still here" });
    await assert.rejects(stays.request("refresh_token", { user_token: await token({ sub: "eve" }) }), { code: "token_mismatch" });
    assert.equal((await stays.closed).code, 4401);
  });

  test("only a signed-in join makes a room", async () => {
    const guest = await open("video_unmade", null);
    await assert.rejects(guest.request("join_room", { room_id: "video_unmade" }), { code: "room_not_found" });
    assert.equal((await guest.closed).code, 4404);
    assert.equal((await rest("GET", "/rooms/video_unmade/messages", { as: "ada" })).status, 404);
    assert.equal((await rest("GET", "/rooms/video_unmade")).status, 404);
    assert.equal((await join("video_unmade", "ada")).joined.room.type, "video");
    assert.equal((await join("stream_unmade", "ada")).joined.room.type, "stream");
    assert.equal((await rest("GET", "/rooms/video_unmade")).status, 200);
  });

  test("the 21st socket of a user is one too many", async () => {
    for (let i = 0; i < 20; i++) await join("video_many", "ada");
    const one = await open("video_many", "ada");
    await assert.rejects(one.request("join_room", {}), { code: "too_many_sockets" });
    assert.equal((await one.closed).code, 4429);
    assert.equal((await join("video_many", "bob")).joined.online_users, 2);
  });

  test("thirty rooms at once keep apart", async () => {
    const rooms = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const [ada, bob] = await Promise.all([join(`video_n${i}`, "ada"), join(`video_n${i}`, "bob")]);
        await ada.request("send_message", { content: `in ${i}` });
        return { i, ada, bob };
      }),
    );
    for (const { i, ada, bob } of rooms) {
      assert.deepEqual([(await bob.next("new_message")).data.content, (await ada.next("new_message")).data.no], [`in ${i}`, 1]);
      for (const socket of [ada, bob]) assert.equal(socket.lines.filter((line) => line.event === "new_message").length, 1);
    }
  });
});

test("AUTO_CREATE_ROOMS is off unless it is set", async () => {
  const strict = await startServer({ vars: { AUTO_CREATE_ROOMS: null }, databaseUrl: database.url });
  try {
    const socket = await chat(strict).open("video_strict", "ada");
    await assert.rejects(socket.request("join_room", {}), { code: "room_not_found" });
    const { code, reason } = await socket.closed;
    assert.deepEqual([code, reason], [4404, { retry: false, after_ms: 0 }]);
  } finally {
    await strict.stop();
  }
});
