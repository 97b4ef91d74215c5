// Every event of a room's log, as native viewers and Socket.IO's see it: each user has a tab of both kinds, and both hear the same.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chat, hangUp, member, startServer, testDatabase, until } from "./harness/index.mjs";

const ROOM = "video_events";
/** All that docs/protocol.md lists as in the log. */
const EVENTS = [
  "new_message", "message_edited", "message_deleted", "messages_deleted", "user_banned", "user_unbanned", "message_pinned",
  "message_unpinned", "role_set", "message_held", "message_released", "message_denied", "terms_updated", "message_reported",
  "report_resolved", "reaction_updated", "room_updated", "room_deleted",
];

let database, server, join, rest;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { RATE_LIMIT_MESSAGES: "1000" } });
  ({ join, rest } = chat(server));
});
after(async () => {
  hangUp();
  await server?.stop();
  await database?.drop();
});

/** A native tab and one of Socket.IO's; `log` is what came of the room's log, in its order, `ask` an answer or its error. */
function native(socket) {
  const log = () => socket.lines.filter(({ seq, event }) => seq && event).map(({ seq, event, data }) => ({ event, data: { ...data, seq, room_id: ROOM } }));
  const heard = (event) => socket.lines.filter((line) => line.event === event).map(({ data }) => ({ ...data, room_id: ROOM }));
  return { kind: "native", joined: socket.joined, log, heard, ask: (event, data) => socket.request(event, data).catch(({ data: error }) => ({ error })) };
}
function socketIo(socket) {
  const log = () => socket.heard.filter(({ event, args }) => args[0].seq && event !== "position").map(({ event, args }) => ({ event, data: args[0] }));
  return { kind: "Socket.IO", joined: socket.joined, log, heard: socket.of, ask: (event, data) => socket.ask(event, { room_id: ROOM, ...data }) };
}

test("native viewers and Socket.IO's hear every event there is, in one order, each with what is for them", async () => {
  const people = {
    ada: ["ada", {}],
    ben: ["ben", { transports: ["polling"] }],
    cleo: ["cleo", { transports: ["websocket"] }],
    mod: [{ sub: "mod", username: "Mod", roles: ["moderator"] }, {}],
    boss: [{ sub: "boss", username: "Boss", roles: ["admin"] }, { transports: ["polling"] }],
  };
  const tabs = {};
  for (const [name, [who, options]] of Object.entries(people)) {
    tabs[name] = [native(await join(ROOM, who)), socketIo(await member(server, ROOM, who, options))];
  }
  const of = (...names) => names.flatMap((name) => tabs[name]);
  const everyone = of(...Object.keys(people));
  const moderators = of("mod", "boss");
  let turn = 0;
  const count = (tab, event) => tab.log().filter((line) => line.event === event).length;

  /** Somebody acts, in their two tabs by turns, and those tabs hear that event once more each. */
  const act = async (who, event, data, heard, to = everyone) => {
    const before = to.map((tab) => count(tab, heard));
    const answer = await tabs[who][(turn += 1) % 2].ask(event, data);
    assert.ok(!answer.error, `${event}: ${JSON.stringify(answer)}`);
    const all = () => to.every((tab, i) => count(tab, heard) === before[i] + 1);
    const fail = () => to.map((tab, i) => `${tab.kind}: ${count(tab, heard) - before[i]}`);
    assert.ok(await until(10_000, all, 10), `${heard} after ${event}: ${fail()}`);
    return answer;
  };
  /** Somebody is refused, in both of their tabs with the same words. */
  const refused = async (who, event, data, code) => {
    const [one, two] = [await tabs[who][0].ask(event, data), await tabs[who][1].ask(event, data)].map(({ error }) => error);
    assert.deepEqual([one?.code, { ...one, retry_after_ms: 0 }], [code, { ...two, retry_after_ms: 0 }]);
  };
  const say = (who, content, to, more = {}) => act(who, "send_message", { content, ...more }, "new_message", to);
  const modes = (set) => act("mod", "set_modes", { modes: set }, "room_updated");

  // What members do.
  const first = await say("ada", "hello @cleo");
  await say("cleo", "<b>hi</b> & welcome", everyone, { reply_to: first.message_id, metadata: { x: [1, null] }, client_id: "c-1" });
  await act("ada", "edit_message", { message_id: first.message_id, content: "hello all" }, "message_edited");
  for (const remove of [false, true]) await act("ben", "react", { message_id: first.message_id, reaction: "🎉", remove }, "reaction_updated");
  const own = await say("cleo", "a slip");
  await act("cleo", "delete_message", { message_id: own.message_id }, "message_deleted");

  // Who blocks somebody hears neither what they say nor edits of it, and the rest.
  assert.deepEqual(await tabs.ben[1].ask("block_user", { user_id: "cleo" }), {});
  assert.ok(await until(5_000, async () => {
    const before = tabs.ben.map((tab) => count(tab, "new_message"));
    await say("cleo", "unheard by some", of("ada", "cleo", "mod", "boss"));
    await say("ada", "heard by all");
    return tabs.ben.every((tab, i) => count(tab, "new_message") === before[i] + 1);
  }));
  assert.deepEqual(await tabs.ben[0].ask("unblock_user", { user_id: "cleo" }), {});

  // Pins, announcements, roles.
  await act("mod", "pin_message", { message_id: first.message_id }, "message_pinned");
  await act("boss", "unpin_message", { message_id: first.message_id }, "message_unpinned");
  await act("mod", "announce", { content: "the break is over" }, "new_message");
  await act("boss", "set_role", { user_id: "dan", role: "moderator" }, "role_set");
  await act("boss", "set_role", { user_id: "dan", role: null }, "role_set");

  // Modes, and whom they refuse.
  await modes({ read_only: true });
  await refused("ada", "send_message", { content: "may I" }, "room_mode");
  await modes({ read_only: false, slow_s: 30 });
  await say("ben", "one");
  await refused("ben", "send_message", { content: "two" }, "slow_mode");
  await modes({ slow_s: null, emote_only: true });
  await refused("ada", "send_message", { content: "words" }, "room_mode");
  await say("ada", "🎉🎉");
  await modes({ emote_only: false, followers_only_s: 60 });
  await refused("cleo", "send_message", { content: "not a follower" }, "room_mode");
  await modes({ followers_only_s: null, subscribers_only: true });
  await refused("cleo", "send_message", { content: "nor a subscriber" }, "room_mode");
  await modes({ subscribers_only: false, links: "off", no_repeats: true });
  await refused("cleo", "send_message", { content: "see https://example.org" }, "room_mode");
  await say("cleo", "once");
  await refused("cleo", "send_message", { content: "once" }, "room_mode");
  await refused("ada", "set_modes", { modes: { links: "on" } }, "forbidden");

  // Moderators hear at once, the others later; what is deleted meanwhile they never do.
  await modes({ links: "on", no_repeats: false, delay_s: 2 });
  const members = of("ada", "ben", "cleo");
  const before = members.map((tab) => tab.log().length);
  const gone = await say("ben", "gone before it is seen", moderators);
  await act("mod", "delete_message", { message_id: gone.message_id }, "message_deleted", moderators);
  await say("ben", "later", moderators);
  assert.deepEqual(members.map((tab) => tab.log().length), before);
  assert.ok(await until(10_000, () => members.every((tab, i) => tab.log().length === before[i] + 1), 10));
  await modes({ delay_s: 0 });

  // Terms, held messages, reports.
  await act("mod", "set_terms", { blocked: ["spoiler"], allowed: [], action: "hold" }, "terms_updated", moderators);
  const holds = of("ada", "mod", "boss");
  for (const [event, told] of [["allow_message", "message_released"], ["deny_message", "message_denied"]]) {
    assert.equal((await act("ada", "send_message", { content: `the spoiler ${event}` }, "message_held", holds)).held, true);
    const { held_id } = tabs.mod[1].log().findLast((line) => line.event === "message_held").data;
    await act("mod", event, { held_id, ...(event === "deny_message" && { reason: "not here" }) }, told, holds);
  }
  const { report_id } = await act("cleo", "report_message", { message_id: first.message_id, reason: "spam", details: "see" }, "message_reported", moderators);
  await act("mod", "resolve_report", { report_id, status: "dismissed", resolution: "fine" }, "report_resolved", moderators);

  // Bans, and bulk deletions. Who is shadow banned hears themselves alone; they have gone when the ban ends.
  await act("mod", "ban_user", { user_id: "dan", duration_s: 600, reason: "enough" }, "user_banned");
  await act("boss", "unban_user", { user_id: "dan" }, "user_unbanned");
  await act("mod", "ban_user", { user_id: "ben", shadow: true }, "user_banned", moderators);
  await say("ben", "into the void", of("ben", "mod", "boss"));
  // Of what only some could hear these are told apart, by an event of its own.
  await act("mod", "delete_user_messages", { user_id: "ben", reason: "void" }, "messages_deleted", of("ada", "cleo"));
  await act("mod", "unban_user", { user_id: "ben" }, "user_unbanned", moderators);
  await act("boss", "clear_room", {}, "messages_deleted");

  // What is said of the moment.
  await tabs.ada[0].ask("typing", { is_typing: true });
  const guest = await join(ROOM, "eve");
  guest.terminate();
  const moment = ["user_typing", "user_joined", "user_left"];
  assert.ok(await until(15_000, () => of("cleo").every((tab) => moment.every((event) => tab.heard(event).length))));
  const [one, other] = of("cleo").map((tab) => moment.map((event) => tab.heard(event).find(({ user_id }) => ["ada", "eve"].includes(user_id))));
  assert.deepEqual(one, other);

  // The room's settings, and its end.
  assert.equal((await rest("PATCH", `/rooms/${ROOM}`, { as: people.boss[0], body: { name: "Renamed" } })).status, 200);
  assert.equal((await rest("DELETE", `/rooms/${ROOM}`, { as: people.boss[0] })).status, 204);
  const ended = (tab) => tab.heard("goodbye").length && tab.log().at(-1)?.event === "room_deleted";
  assert.ok(await until(10_000, () => everyone.every(ended)));

  const began = Math.max(...everyone.map((tab) => tab.joined.seq));
  for (const [name, [ours, theirs]] of Object.entries(tabs)) {
    const [expected, heard] = [ours, theirs].map((tab) => tab.log().filter(({ data }) => data.seq > began));
    heard.forEach((line, i) => assert.deepEqual(line, expected[i], `${name}, event ${i}`));
    assert.equal(heard.length, expected.length, name);
    assert.deepEqual(heard.map(({ data }) => data.seq), heard.map(({ data }) => data.seq).toSorted((a, b) => a - b));
    const goodbyes = [ours, theirs].map((tab) => tab.heard("goodbye"));
    assert.deepEqual(goodbyes[0], goodbyes[1], name);
  }
  const names = new Set(tabs.mod[1].log().map(({ event }) => event));
  assert.deepEqual(EVENTS.filter((event) => !names.has(event)), []);
  const members_ = new Set(tabs.cleo[1].log().map(({ event }) => event));
  assert.deepEqual(["message_held", "message_released", "message_denied", "terms_updated", "message_reported", "report_resolved"].filter((event) => members_.has(event)), []);
});
