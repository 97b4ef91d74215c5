// Socket.IO's clients, unmodified: what they connect with, what they say and hear.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CLIENTS, chat, client, hangUp, member, startServer, testDatabase, tokenOf, until } from "./harness/index.mjs";

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { ALLOWED_ORIGINS: "https://pages.example" } });
  ({ join, rest } = chat(server));
});
after(async () => {
  hangUp();
  await server?.stop();
  await database?.drop();
});

const TRANSPORTS = { "default options": {}, "polling alone": { transports: ["polling"] }, "a WebSocket alone": { transports: ["websocket"] } };

describe("a client", { concurrency: true }, () => {
  for (const [name, connect] of Object.entries(CLIENTS)) {
    for (const [how, options] of Object.entries(TRANSPORTS)) {
      test(`${name}, ${how}: connects, joins, says and hears`, async () => {
        const room = `video_${name.replaceAll(/[^a-z0-9]/g, "")}_${how.replaceAll(/\W/g, "")}`;
        const ada = await member(server, room, "ada", { connect, ...options });
        const bob = await join(room, "bob");
        assert.equal((await ada.next("user_joined")).user_id, "bob");
        const sent = await ada.ask("send_message", { room_id: room, content: "hello" });
        assert.match(sent.message_id, /^[0-9a-f-]{36}$/);
        const heard = await ada.next("new_message");
        assert.deepEqual([heard.message_id, heard.content, heard.room_id, heard.seq], [sent.message_id, "hello", room, sent.seq]);
        assert.equal((await bob.next("new_message")).data.message_id, sent.message_id);
        if (how === "default options") {
          assert.ok(await until(5_000, () => ada.io.engine.transport.name === "websocket"), "upgraded");
          const again = await ada.ask("send_message", { room_id: room, content: "again" });
          assert.equal((await ada.next("new_message")).message_id, again.message_id);
        } else {
          assert.equal(ada.io.engine.transport.name, options.transports[0]);
        }
        ada.disconnect();
        assert.equal((await bob.next("user_left", 10_000)).data.user_id, "ada");
      });
    }
  }

  test("the replaced service's snippet works with nothing changed but host, token and message id", async () => {
    const user_token = await tokenOf("snippet");
    const socket = client(server);
    const heard = { new_message: [], user_joined: [], user_typing: [], room_stats: [], error: [] };
    for (const [event, list] of Object.entries(heard)) socket.on(event, (d) => list.push(d));
    socket.emit("join_room", { room_id: "video_123", user_token });
    socket.emit("send_message", { room_id: "video_123", content: "Hello world!", type: "text" });
    socket.emit("typing", { room_id: "video_123", is_typing: true });
    socket.emit("react", { message_id: "msg_456", reaction: "👍" });
    assert.ok(await until(10_000, () => heard.new_message.length && heard.error.length), JSON.stringify(heard));
    const other = await member(server, "video_123", "other");
    other.emit("typing", { room_id: "video_123", is_typing: true });
    assert.ok(await until(5_000, () => heard.user_typing.length && heard.user_joined.length && heard.room_stats.length), JSON.stringify(heard));
    const [message] = heard.new_message;
    assert.deepEqual([message.user.user_id, message.content, message.reactions], ["snippet", "Hello world!", {}]);
    assert.ok(message.message_id && message.timestamp);
    assert.deepEqual(heard.user_joined.map(({ user_id, username, avatar }) => ({ user_id, username, avatar })), [{ user_id: "other", username: "Other", avatar: null }]);
    const [typing] = heard.user_typing;
    assert.deepEqual([typing.user_id, typing.username, typing.is_typing], ["other", "Other", true]);
    assert.ok(heard.room_stats.every(({ online_users, message_count }) => online_users >= 1 && message_count >= 0));
    assert.deepEqual(heard.error.map(({ code }) => code), ["message_not_found"]);
    // And with the id of a message that is there.
    socket.emit("react", { message_id: message.message_id, reaction: "👍" });
    assert.deepEqual((await other.next("reaction_updated")).reactions, { "👍": 1 });
  });

  test("native viewers and Socket.IO's see the same events in one order", async () => {
    const room = "video_both";
    const native = await Promise.all(["n1", "n2"].map((who) => join(room, who)));
    const socketio = await Promise.all([
      member(server, room, "s1"), member(server, room, "s2", { transports: ["polling"] }), member(server, room, "s3", { transports: ["websocket"] }),
    ]);
    const said = [];
    const say = async (n, ask) => {
      for (let i = 0; i < 3; i++) {
        const { message_id } = await ask("send_message", { room_id: room, content: `${n}: ${i}` });
        said.push(message_id);
        await ask("react", { room_id: room, message_id, reaction: "🎉" });
      }
      await ask("edit_message", { room_id: room, message_id: said.at(-1), content: "edited" });
    };
    await Promise.all([
      ...native.map((one, n) => say(`native ${n}`, (event, data) => one.request(event, data))),
      ...socketio.map((one, n) => say(`socket ${n}`, async (event, data) => {
        const answer = await one.ask(event, data);
        return answer.error ? Promise.reject(new Error(JSON.stringify(answer))) : answer;
      })),
    ].map((one) => one.catch((error) => { if (!/message_not_found|forbidden/.test(error.message)) throw error; })));
    const last = await native[0].request("send_message", { content: "the last" });
    // Who gets a message together with its edit gets the text that it has by then.
    const edited = (data) => native[0].lines.some((line) => line.event === "message_edited" && line.data.message_id === data.message_id);
    const text = (event, data) => (event === "new_message" && edited(data) ? "" : (data.content ?? JSON.stringify(data.reactions)));
    const kept = ({ event, data }) => `${data.seq ?? ""} ${event} ${data.message_id} ${text(event, data)}`;
    const seen = (one) => one.heard.filter(({ event, args }) => args[0].seq && event !== "position").map(({ event, args }) => kept({ event, data: args[0] }));
    const expected = () => native[0].lines.filter(({ seq }) => seq).map(({ seq, event, data }) => kept({ event, data: { ...data, seq } }));
    for (const one of socketio) {
      assert.ok(await until(10_000, () => one.of("new_message").some(({ message_id }) => message_id === last.message_id)));
    }
    assert.ok(await until(5_000, () => native[1].lines.some(({ seq }) => seq === last.seq)));
    const from = (list, seq) => list.filter((line) => Number(line.split(" ")[0]) > seq);
    const first = Math.max(...socketio.map((one) => one.joined.seq));
    for (const one of socketio) assert.deepEqual(from(seen(one), first), from(expected(), first));
  });

  test("what is said at once, over a WebSocket as well, is done in its order", async () => {
    for (const transports of [["websocket"], ["polling"]]) {
      const room = `video_order_${transports[0]}`;
      const socket = client(server, { transports });
      await socket.connects();
      socket.emit("join_room", { room_id: room, user_token: await tokenOf("ord") });
      for (let i = 0; i < 5; i++) socket.emit("send_message", { room_id: room, content: `${i}` });
      assert.ok(await until(5_000, () => socket.of("new_message").length === 5));
      assert.deepEqual(socket.of("new_message").map(({ content }) => content), ["0", "1", "2", "3", "4"]);
      assert.deepEqual(socket.of("error"), []);
    }
  });

  test("errors come in the acknowledgement, or as an event where none is wanted", async () => {
    const room = "video_errors";
    const ada = await member(server, room, "ada");
    assert.equal((await ada.ask("react", { room_id: room, message_id: "msg_456", reaction: "👍" })).error.code, "message_not_found");
    const wrong = (await ada.ask("send_message", { room_id: room, content: 7 })).error;
    assert.deepEqual([wrong.code, wrong.field], ["bad_request", "content"]);
    assert.equal((await ada.ask("shout", { room_id: room })).error.code, "unknown_event");
    assert.equal((await ada.ask("typing", "yes")).error.field, "data");
    ada.emit("send_message", { room_id: room, content: "" });
    const told = await ada.next("error");
    assert.deepEqual([told.code, told.room_id], ["message_empty", room]);
    assert.equal((await ada.ask("send_message", { room_id: "video_other", content: "x" })).error.code, "not_joined");
    assert.equal((await ada.ask("join_room", {})).error.field, "room_id");
    assert.equal((await ada.ask("join_room", { room_id: "a/b" })).error.code, "invalid_room_id");
    assert.equal((await ada.ask("send_message", { room_id: room, content: "x".repeat(2_000) })).error.code, "message_too_long");
    // Nothing of it was lost, and the connection stands.
    assert.ok((await ada.ask("send_message", { room_id: room, content: "still here" })).message_id);
  });

  test("a guest reads, and a room that guests may not enter says so", async () => {
    const room = "video_guests";
    const ada = await member(server, room, "ada");
    const guest = await member(server, room, null);
    assert.equal(guest.joined.self.role, "guest");
    await ada.ask("send_message", { room_id: room, content: "hi" });
    assert.equal((await guest.next("new_message")).content, "hi");
    assert.equal((await guest.ask("send_message", { content: "me too" })).error.code, "token_required");
    assert.equal((await rest("POST", "/rooms", { as: "ada", body: { room_id: "video_members", name: "M", type: "group", settings: { guests: false } } })).status, 201);
    await assert.rejects(member(server, "video_members", null), { code: "token_required" });
    await assert.rejects(member(server, "video_nobody_made", null), { code: "room_not_found" });
  });

  test("auth.token signs in for all rooms; a bad one is a connect_error with its reason", async () => {
    const ada = client(server, { auth: { token: await tokenOf("ada") } });
    await ada.connects();
    const joined = await ada.ask("join_room", { room_id: "video_auth" });
    assert.equal(joined.self.user_id, "ada");
    const forged = client(server, { auth: { token: "eyJ.no.no" }, reconnection: false });
    const error = await new Promise((resolve) => forged.once("connect_error", resolve));
    assert.equal(error.data.code, "token_invalid");
    assert.ok(error.message.length > 10);
    const other = CLIENTS["socket.io-client of today"](`${server.url}/admin`, { forceNew: true, reconnection: false });
    const refused = await new Promise((resolve) => other.once("connect_error", resolve));
    assert.equal(refused.message, "Invalid namespace");
    other.disconnect();
  });

  test("several rooms on one connection are told apart", async () => {
    const ada = await member(server, "video_one", "ada");
    await ada.ask("join_room", { room_id: "video_two", user_token: await tokenOf("ada") });
    const bob = await join("video_two", "bob");
    const one = await ada.ask("send_message", { room_id: "video_one", content: "in one" });
    const { message_id } = await bob.request("send_message", { content: "in two" });
    const both = [await ada.next("new_message"), await ada.next("new_message")];
    assert.deepEqual(both.map(({ room_id, content }) => [room_id, content]).sort(), [["video_one", "in one"], ["video_two", "in two"]]);
    assert.equal((await ada.ask("typing", { is_typing: true })).error.field, "room_id");
    assert.deepEqual((await ada.ask("react", { message_id, reaction: "👍" })).reactions, { "👍": 1 }, "by its message");
    assert.deepEqual((await ada.ask("react", { message_id: one.message_id, reaction: "👍" })).reactions, { "👍": 1 });
    assert.deepEqual(await ada.ask("leave_room", { room_id: "video_one" }), {});
    assert.equal((await ada.ask("send_message", { room_id: "video_one", content: "x" })).error.code, "not_joined");
    assert.ok((await ada.ask("send_message", { content: "the only one" })).message_id);
  });

  test("who is banned hears of it and leaves that room alone; what moderators do has its name", async () => {
    const room = "video_ban";
    await member(server, room, "eve");
    const eve = await member(server, room, "eve");
    await eve.ask("join_room", { room_id: "video_elsewhere", user_token: await tokenOf("eve") });
    const mod = await member(server, room, { sub: "mod", username: "Mod", roles: ["moderator"] });
    const { message_id } = await eve.ask("send_message", { room_id: room, content: "bad" });
    assert.ok(!(await mod.ask("delete_message", { room_id: room, message_id })).error);
    assert.equal((await eve.next("message_deleted")).message_id, message_id);
    assert.equal((await mod.ask("ban_user", { room_id: room, user_id: "eve", reason: "enough" })).user_id, "eve");
    const goodbye = await eve.next("goodbye");
    assert.deepEqual([goodbye.room_id, goodbye.code], [room, "banned"]);
    assert.equal((await mod.next("user_banned")).user_id, "eve");
    assert.equal((await eve.ask("send_message", { room_id: room, content: "x" })).error.code, "not_joined");
    assert.equal((await eve.ask("join_room", { room_id: room, user_token: await tokenOf("eve") })).error.code, "banned");
    assert.ok((await eve.ask("send_message", { room_id: "video_elsewhere", content: "x" })).message_id, "the other room stands");
  });

  test("where the handshake's token is over, a join says so, and one with a newer token goes on", async () => {
    const claims = (left) => ({ sub: "ada", username: "Ada", exp: Math.floor(Date.now() / 1000) + left });
    const ada = client(server, { auth: { token: await tokenOf(claims(3)) } });
    assert.ok(await ada.connects());
    await sleep(4_000);
    const join = async (user_token) => ada.ask("join_room", { room_id: "video_over", user_token });
    assert.equal((await join()).error.code, "token_expired");
    assert.equal((await join(await tokenOf("bob"))).error.code, "token_expired");
    assert.equal((await join(await tokenOf(claims(60)))).self.user_id, "ada");
    assert.ok((await ada.ask("send_message", { room_id: "video_over", content: "x" })).message_id);
  });

  test("who joins while somebody else is refused hears what is said", async () => {
    const [guest, ada] = [client(server), client(server, { auth: { token: await tokenOf("ada") } })];
    await Promise.all([guest.connects(), ada.connects()]);
    for (let i = 0; i < 8; i++) {
      const room = `video_at_once_${i}`;
      const joins = [guest, ada].map((one) => one.ask("join_room", { room_id: room }));
      assert.ok(!(await Promise.all(joins))[1].error);
      const bob = await join(room, "bob");
      await bob.request("send_message", { content: room });
      assert.equal((await ada.next("new_message")).content, room);
      bob.terminate();
      await ada.ask("leave_room", { room_id: room });
    }
  });

  test("a join that is refused makes no room", async () => {
    const ada = client(server, { auth: { token: await tokenOf("ada") } });
    await ada.connects();
    for (const [user_token, code] of [[await tokenOf("bob"), "token_mismatch"], ["eyJ.no.no", "token_invalid"]]) {
      assert.equal((await ada.ask("join_room", { room_id: "video_unmade", user_token })).error.code, code);
    }
    const guest = client(server);
    await guest.connects();
    assert.equal((await guest.ask("join_room", { room_id: "video_unmade" })).error.code, "room_not_found");
  });

  test("a token's end is a goodbye and a disconnect", async () => {
    const exp = Math.floor(Date.now() / 1000) + 8;
    const ada = await member(server, "video_exp", { sub: "ada", exp });
    const reason = new Promise((resolve) => ada.once("disconnect", resolve));
    assert.equal((await ada.next("goodbye", 15_000)).code, "token_expired");
    assert.equal(await reason, "io server disconnect");
  });

  test("binary data is refused politely, in both transports", async () => {
    for (const options of [{ transports: ["polling"] }, { transports: ["websocket"] }]) {
      const ada = await member(server, "video_binary", "ada", options);
      assert.equal((await ada.ask("send_message", { content: Buffer.from("x"), more: new Uint8Array(3) })).error.code, "bad_request");
      ada.emit("send_message", { content: Buffer.from("x") });
      assert.equal((await ada.next("error")).field, "data");
      assert.ok((await ada.ask("send_message", { content: "text" })).message_id);
    }
  });

  test("who reads on is sent on: a ping proves it, or the next poll", async () => {
    const room = "video_reads";
    const bot = await join(room, { sub: "bot", roles: ["service"] });
    const readers = await Promise.all([["websocket"], ["polling"]].map((transports) => member(server, room, null, { transports })));
    let gone = 0;
    for (const one of readers) one.on("disconnect", () => (gone += 1));
    for (let i = 0; i < 700; i++) {
      await bot.request("send_message", { content: `${i} ${"x".repeat(900)}`, metadata: { x: "y".repeat(900) } });
      if (i % 100 === 99) await sleep(1_500);
    }
    for (const one of readers) assert.ok(await until(10_000, () => one.of("new_message").length === 700), `${one.of("new_message").length}`);
    assert.equal(gone, 0);
  });

  test("blocked people are not heard", async () => {
    const room = "video_blocks";
    const anna = await member(server, room, "anna", { transports: ["websocket"] });
    const ben = await join(room, "ben");
    assert.ok(!(await anna.ask("block_user", { user_id: "ben" })).error);
    await ben.request("send_message", { content: "unheard" });
    await ben.request("send_message", { content: "unheard too" });
    await anna.ask("send_message", { content: "own" });
    assert.equal((await anna.next("new_message")).content, "own");
    assert.ok(anna.of("new_message").every(({ content }) => content === "own"));
  });
});
