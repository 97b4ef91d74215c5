// What is said in a room: the fields of each event, replies, mentions, edits, deletions, reactions, retries, resuming.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chat, startServer, testDatabase } from "./harness/index.mjs";

let database, server, join;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url });
  ({ join } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Ada and Bob in a room. */
const pair = async (room) => [await join(room, { sub: "ada", username: "Ada", avatar: "https://e.example/a.png" }), await join(room, "bob")];
/** The next event of that name, whose whole line must be `{seq, event, data}`. */
async function logged(socket, event) {
  const line = await socket.next(event);
  assert.deepEqual(Object.keys(line), ["seq", "event", "data"]);
  return line;
}

describe("messages", { concurrency: true }, () => {
  test("a send is replied to first and then shown to everyone, with exactly its fields", async () => {
    const [ada, bob] = await pair("video_send");
    const sent = await ada.request("send_message", {
      content: "Hello <b>world</b> & all", client_id: "c1", metadata: { at: [1, { x: "<i>" }] }, room_id: "video_send",
    });
    assert.deepEqual(Object.keys(sent).sort(), ["message_id", "seq", "timestamp"]);
    assert.match(sent.message_id, UUID7);
    assert.match(sent.timestamp, RFC3339);
    assert.ok(Math.abs(Date.parse(sent.timestamp) - Date.now()) < 5_000);
    const { seq, data } = await logged(bob, "new_message");
    assert.equal(seq, sent.seq);
    assert.deepEqual(data, {
      message_id: sent.message_id, no: 1, room_id: "video_send",
      user: { user_id: "ada", username: "Ada", avatar: "https://e.example/a.png", roles: ["member"] },
      content: "Hello world &amp; all", text: "Hello world & all", type: "text", timestamp: sent.timestamp, reactions: {},
      mentions: [], client_id: "c1", metadata: { at: [1, { x: "<i>" }] },
    });
    assert.deepEqual(await logged(ada, "new_message"), { seq, event: "new_message", data });
    const place = (of) => ada.lines.findIndex(of);
    assert.ok(place((line) => line.data?.message_id === sent.message_id && "reply" in line) < place((line) => line.event === "new_message"));

    const plain = await bob.request("send_message", { content: "plain" });
    const { data: short } = await logged(ada, "new_message");
    assert.deepEqual(Object.keys(short).sort(), ["content", "mentions", "message_id", "metadata", "no", "reactions", "room_id", "timestamp", "type", "user"]);
    assert.deepEqual([short.no, short.message_id, short.metadata], [2, plain.message_id, {}]);
  });

  test("a frame without an id has no reply, and without one an error is an event", async () => {
    const [ada, bob] = await pair("video_noid");
    ada.send(JSON.stringify({ event: "send_message", data: { content: "quiet" } }));
    await bob.next("new_message");
    assert.equal(ada.lines.filter((line) => "reply" in line).length, 1, "to the join alone");
    ada.send(JSON.stringify({ event: "send_message", data: { content: "" } }));
    assert.equal((await ada.next("error")).data.code, "message_empty");
    ada.send('{"event":"ping"}');
    assert.equal((await ada.next("pong")).event, "pong");
    ada.send('{"id":"x-1","event":"send_message","data":{"content":"named"}}');
    await ada.next((line) => line.event === "new_message" && line.data.content === "named");
    assert.ok(ada.lines.some((line) => line.reply === "x-1"));
  });

  test("a reply names what it answers", async () => {
    const [ada, bob] = await pair("video_reply");
    const { message_id } = await ada.request("send_message", { content: "a question" });
    await bob.next("new_message");
    await bob.request("send_message", { content: "an answer", reply_to: message_id });
    assert.equal((await bob.next("new_message")).data.reply_to, message_id);
    await ada.request("delete_message", { message_id });
    const late = bob.request("send_message", { content: "too late", reply_to: message_id });
    await assert.rejects(late, (error) => error.code === "message_not_found" && error.data.field === "reply_to");
  });

  test("mentions are by name and by id of who is known here", async () => {
    const [ada, bob] = await pair("video_mention");
    await join("video_mention", { sub: "u-7", username: "Zoë" });
    await ada.request("send_message", { content: "hey @BOB and @zoë, not @nobody or x@bob", mentions: ["ada", "bob", "stranger"] });
    assert.deepEqual((await bob.next("new_message")).data.mentions, [
      { user_id: "ada", username: "Ada" }, { user_id: "bob", username: "Bob" }, { user_id: "u-7", username: "Zoë" },
    ]);
    const gone = await join("video_mention", "cyd");
    await gone.request("send_message", { content: "bye" });
    await bob.next("new_message");
    await gone.request("leave_room");
    await ada.next("user_left", 8_000);
    await ada.request("send_message", { content: "@cyd was here" });
    assert.deepEqual((await bob.next("new_message")).data.mentions, [{ user_id: "cyd", username: "Cyd" }]);
  });

  test("an edit changes the message for everyone and for who comes later", async () => {
    const [ada, bob] = await pair("video_edit");
    const { message_id } = await ada.request("send_message", { content: "frist" });
    const edited = await ada.request("edit_message", { message_id, content: "first & @bob" });
    assert.deepEqual({ ...edited, edited_at: 0 }, { message_id, seq: 3, edited_at: 0 });
    const { seq, data } = await logged(bob, "message_edited");
    assert.equal(seq, 3);
    assert.deepEqual(data, {
      message_id, room_id: "video_edit", content: "first &amp; @bob", text: "first & @bob",
      mentions: [{ user_id: "bob", username: "Bob" }], edited_at: edited.edited_at, user_id: "ada",
    });
    const [kept] = (await join("video_edit", "cyd")).joined.messages;
    assert.deepEqual([kept.content, kept.edited_at, kept.seq, kept.no], ["first &amp; @bob", edited.edited_at, 2, 1]);
    for (const who of ["bob", { sub: "mod", roles: ["moderator"] }]) {
      const other = await join("video_edit", who);
      await assert.rejects(other.request("edit_message", { message_id, content: "mine" }), { code: "forbidden" });
    }
  });

  test("a deletion leaves a tombstone; a second one changes nothing", async () => {
    const [ada, bob] = await pair("video_delete");
    const mod = await join("video_delete", { sub: "mod", username: "Mod", roles: ["moderator"] });
    const { message_id } = await ada.request("send_message", { content: "oops", metadata: { a: 1 } });
    await assert.rejects(bob.request("delete_message", { message_id }), { code: "forbidden" });
    await bob.request("react", { message_id, reaction: "👍" });
    const deleted = await mod.request("delete_message", { message_id });
    const { data } = await logged(bob, "message_deleted");
    assert.deepEqual(data, { message_id, room_id: "video_delete", no: 1, deleted_at: deleted.deleted_at, by: { user_id: "mod", role: "moderator" } });
    const twice = await ada.request("delete_message", { message_id });
    assert.deepEqual(twice, { message_id, deleted_at: deleted.deleted_at });
    await bob.none("message_deleted");
    await assert.rejects(ada.request("edit_message", { message_id, content: "x" }), { code: "message_not_found" });
    await assert.rejects(bob.request("react", { message_id, reaction: "👍" }), { code: "message_not_found" });

    const { messages } = (await join("video_delete", "cyd")).joined;
    const { timestamp, ...tombstone } = messages[0];
    assert.match(timestamp, RFC3339);
    assert.deepEqual(tombstone, {
      seq: 2, message_id, no: 1, room_id: "video_delete",
      user: { user_id: "ada", username: "Ada", avatar: "https://e.example/a.png", roles: ["member"] },
      content: "", type: "text", reactions: {}, mentions: [], metadata: {}, deleted_at: deleted.deleted_at,
    });
    const theirs = await mod.request("send_message", { content: "by a moderator" });
    await assert.rejects(ada.request("delete_message", { message_id: theirs.message_id }), { code: "forbidden" });
    await ada.next((line) => line.data?.message_id === theirs.message_id);
  });

  test("reactions are counted, idempotent both ways, and one's own come with the join", async () => {
    const [ada, bob] = await pair("video_react");
    const { message_id } = await ada.request("send_message", { content: "nice" });
    const family = "👩🏽‍👩🏻‍👧🏿‍👦🏼";
    assert.deepEqual(await bob.request("react", { message_id, reaction: "👍" }), { message_id, reactions: { "👍": 1 }, seq: 3 });
    assert.deepEqual((await logged(ada, "reaction_updated")).data, { message_id, room_id: "video_react", reactions: { "👍": 1 } });
    assert.deepEqual(await bob.request("react", { message_id, reaction: "👍" }), { message_id, reactions: { "👍": 1 } });
    await ada.none("reaction_updated");
    await ada.request("react", { message_id, reaction: "👍" });
    const all = { "👍": 2, "👩🏽": 1 };
    assert.deepEqual((await bob.request("react", { message_id, reaction: "👩🏽" })).reactions, all);
    const again = (await join("video_react", "bob")).joined;
    assert.deepEqual(again.messages[0].reactions, all);
    assert.deepEqual(again.my_reactions, { [message_id]: ["👍", "👩🏽"] });
    assert.equal("my_reactions" in (await join("video_react", null)).joined, false);
    assert.deepEqual((await bob.request("react", { message_id, reaction: "👩🏽", remove: true })).reactions, { "👍": 2 });
    assert.deepEqual(await bob.request("react", { message_id, reaction: "👩🏽", remove: true }), { message_id, reactions: { "👍": 2 } });
    for (const reaction of ["ok", "👍👍", "", " ", "\u0301 ", "\u0007", family + family]) {
      await assert.rejects(bob.request("react", { message_id, reaction }), { code: "invalid_reaction" }, JSON.stringify(reaction));
    }
    // One cluster, though longer than 32 bytes.
    await assert.rejects(bob.request("react", { message_id, reaction: family }), { code: "invalid_reaction" });
    const ten = [..."😀😁😂😃😄😅😆😉😊"];
    for (const reaction of ten) await bob.request("react", { message_id, reaction });
    await assert.rejects(bob.request("react", { message_id, reaction: "😋" }), { code: "too_many_reactions" });
  });

  test("any Unicode comes through as it was said, and lengths count characters", async () => {
    const [ada, bob] = await pair("video_unicode");
    const said = [
      "👩🏽‍🚀 ❤️ 🏳️‍🌈 🇩🇪 👨‍👩‍👧‍👦", "שלום עולם, مرحبا بالعالم", "e\u0301 ह्नि 각", "𝒳𐍈 漢字 ไทย", "two\nlines", "it's \"quoted\" \\ / \u2028",
    ];
    for (const content of said) {
      await ada.request("send_message", { content });
      const { data } = await bob.next("new_message");
      assert.equal(data.text ?? data.content, content.trim());
    }
    // Controls and bidi overrides go; what is left counts.
    await ada.request("send_message", { content: "a\u202eb\u0000c\u0007\u2066d" });
    assert.equal((await bob.next("new_message")).data.content, "abcd");
    await ada.request("send_message", { content: "𝒳".repeat(1_000) });
    assert.equal([...(await bob.next("new_message")).data.content].length, 1_000);
    await assert.rejects(ada.request("send_message", { content: "𝒳".repeat(1_001) }), { code: "message_too_long" });
    // Markup is taken away; a sign that opens none stays.
    await ada.request("send_message", { content: '<script>alert(1)</script>if a<b then <img src=x onerror="x">ok' });
    const { data } = await bob.next("new_message");
    assert.ok(!/<[a-z/]/i.test(data.content), data.content);
    assert.ok(data.content.includes("if a&lt;b then"), data.content);
  });

  test("the same client_id is the same message, from any tab", async () => {
    const [ada, bob] = await pair("video_retry");
    const tab = await join("video_retry", "ada");
    const first = await ada.request("send_message", { content: "once", client_id: "k" });
    assert.deepEqual(await ada.request("send_message", { content: "once", client_id: "k" }), first);
    assert.deepEqual(await tab.request("send_message", { content: "other words", client_id: "k" }), first);
    const theirs = await bob.request("send_message", { content: "mine", client_id: "k" });
    assert.notEqual(theirs.message_id, first.message_id);
    await bob.next((line) => line.data?.message_id === theirs.message_id);
    assert.deepEqual(bob.lines.filter((line) => line.event === "new_message").map((line) => line.data.content), ["once", "mine"]);
    const both = await Promise.all([ada, tab].map((socket) => socket.request("send_message", { content: "race", client_id: "r" })));
    assert.deepEqual(both[0], both[1]);
  });

  test("catch_up and resume give exactly what was missed", async () => {
    const [ada, bob] = await pair("video_resume");
    const one = await ada.request("send_message", { content: "one" });
    await bob.next("new_message");
    const { epoch } = bob.joined;
    bob.terminate();
    const two = await ada.request("send_message", { content: "two" });
    await ada.request("edit_message", { message_id: one.message_id, content: "One" });
    await ada.request("react", { message_id: two.message_id, reaction: "👍" });
    await ada.request("react", { message_id: two.message_id, reaction: "🎉" });
    const { message_id } = await ada.request("send_message", { content: "gone" });
    const { seq } = await ada.request("delete_message", { message_id });

    const back = await join("video_resume", "bob", { resume: { epoch, seq: one.seq } });
    const { resumed, events } = back.joined;
    assert.deepEqual([resumed, back.joined.seq, "messages" in back.joined], [true, seq, false]);
    assert.deepEqual(events.map(({ seq: s, event }) => [s, event]), [
      [3, "new_message"], [4, "message_edited"], [6, "reaction_updated"], [7, "new_message"], [8, "message_deleted"],
    ]);
    assert.deepEqual(events[2].data.reactions, { "👍": 1, "🎉": 1 });
    assert.deepEqual([events[3].data.content, typeof events[3].data.deleted_at], ["", "string"], "what is gone is gone");
    const live = ada.lines.filter((line) => line.seq > one.seq);
    for (const shown of events.filter((line) => line.event !== "new_message")) assert.deepEqual(shown, live.find((line) => line.seq === shown.seq));

    const caught = await back.request("catch_up", { epoch, seq: 6 });
    assert.deepEqual(Object.keys(caught).sort(), ["epoch", "events", "resumed", "seq"]);
    assert.deepEqual(caught.events.map((line) => line.seq), [7, 8]);
    assert.deepEqual((await back.request("catch_up", { epoch, seq })).events, []);
    for (const from of [{ epoch: epoch + 1, seq }, { epoch, seq: seq + 1 }]) {
      const anew = await back.request("catch_up", from);
      assert.deepEqual([anew.resumed, anew.messages.map((message) => message.no), "events" in anew], [false, [1, 2, 3], false]);
    }
    // The live events go on from there.
    const { seq: next } = await ada.request("send_message", { content: "four" });
    assert.equal((await back.next("new_message")).seq, next);
  });
  test("who does not prove to read what is sent is closed by 4408, and nobody else", async () => {
    const { open } = chat(server);
    const writer = await join("video_slow", { sub: "bot", roles: ["service"] });
    const reader = await join("video_slow", "ada");
    const slow = await open("video_slow", "bob", { probes: false });
    await slow.request("join_room", {});
    const content = "x".repeat(1_000);
    let sent = 0;
    while (sent < 900 && !slow.lines.some((line) => line.event === "goodbye")) {
      sent += (await Promise.all(Array.from({ length: 50 }, () => writer.request("send_message", { content })))).length;
    }
    assert.match((await slow.next("probe")).data.nonce, /^\w{16}$/);
    assert.equal((await slow.next("goodbye")).data.code, "too_slow");
    assert.deepEqual(await slow.closed, { code: 4408, reason: { retry: true, after_ms: 1_000 } });
    await reader.next((line) => line.data?.no === sent);
    assert.equal((await reader.request("catch_up", { epoch: reader.joined.epoch, seq: sent })).resumed, true);
  });
});
