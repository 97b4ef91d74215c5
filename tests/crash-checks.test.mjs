// The checks of the crash tests find what they are there to find: each is shown a log, and something that is not as it says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAcknowledged, checkGoodbyes, checkLog, checkRows, checkStream, checkTexts, checkViewer } from "./crash/check.mjs";

const said = (seq, no, more = {}) => ({ seq, at: seq, event: "new_message", data: { message_id: `m${no}`, no, user: { user_id: "ada" }, content: `text ${no}`, client_id: `ada#${no}`, ...more } });
const logged = (seq, event, data, more = {}) => ({ seq, at: seq, event, data, ...more });
/** A room that is made, four messages, reactions, an edit that was replaced, an edit, a deletion, a report, a ban. */
const LOG = [
  logged(1, "room", { room: {}, changed: [] }, { audience: "internal" }),
  said(2, 1), said(3, 2, { content: "better" }),
  logged(4, "reaction", { message_id: "m1", user_id: "bob", reaction: "👍", reactions: { "👍": 1 } }),
  logged(5, "reaction", { message_id: "m1", user_id: "eve", reaction: "👍", reactions: { "👍": 2 } }),
  logged(6, "gone", { user_id: "ada" }),
  logged(7, "message_edited", { message_id: "m2", content: "better" }),
  said(8, 3, { content: "", deleted_at: 9 }),
  logged(9, "message_deleted", { message_id: "m3", no: 3 }),
  logged(10, "reported", {}, { audience: "moderators" }),
  said(11, 4),
  logged(12, "banned", { ban: { user_id: "troll", created_at: 12 } }),
];
const changed = (change) => {
  const copy = structuredClone(LOG);
  return change(copy) ?? copy;
};
const found = (check, ...args) => {
  const faults = [];
  check(...args.slice(0, check.length - 1), (clause, sentence) => faults.push(`${clause}: ${sentence}`), ...args.slice(check.length - 1));
  return faults;
};
const finds = (faults, pattern) => assert.match(faults.join("\n"), pattern);

test("V1, V3: a log with a gap, a step back, a number twice, a message twice or out of its sender's order", () => {
  assert.deepEqual(found(checkLog, LOG), []);
  finds(found(checkLog, changed((log) => log.filter(({ seq }) => seq !== 4))), /^V1: the log has seq 5 at place 4/);
  finds(found(checkLog, changed((log) => void (log[4].at = 1))), /^V1: time goes back at seq 5/);
  finds(found(checkLog, changed((log) => void (log[10].data.no = 3))), /^V1: .* number 3, not 4/);
  finds(found(checkLog, changed((log) => void (log[10].data.client_id = "ada#1"))), /^V3: ada ada#1 was said twice/);
  finds(found(checkLog, changed((log) => void ([log[1].data.client_id, log[2].data.client_id] = ["ada#2", "ada#1"]))), /^V1: ada#1 stands after ada#2/);
});

test("V2, V3: what was acknowledged and is missing, or stands elsewhere", () => {
  const act = (event, data, reply) => [{ event, data, user: "ada", reply }];
  const send = (client_id, reply) => act("send_message", { client_id }, reply);
  assert.deepEqual(found(checkAcknowledged, LOG, send("ada#4", { seq: 11, message_id: "m4" })), []);
  finds(found(checkAcknowledged, LOG, send("ada#5", { seq: 13, message_id: "m5" })), /^V2: .* not in the log/);
  finds(found(checkAcknowledged, LOG, send("ada#4", { seq: 11, message_id: "m9" })), /^V3: .* stands at seq 11 as m4/);
  assert.deepEqual(found(checkAcknowledged, LOG, act("edit_message", { message_id: "m2" }, { seq: 6 })), []);
  finds(found(checkAcknowledged, LOG, act("delete_message", { message_id: "m1" }, { seq: 9 })), /^V2: .* is a message_deleted there/);
  finds(found(checkAcknowledged, LOG, act("ban_user", { user_id: "troll" }, { seq: 13 })), /^V2: .* is nothing there/);
  assert.deepEqual(found(checkAcknowledged, LOG, act("ban_user", { user_id: "troll" }, { seq: 12 })), []);
  finds(found(checkAcknowledged, LOG, act("ban_user", { user_id: "troll" }, { seq: 11 })), /^V2: .* is a new_message there/);
  finds(found(checkAcknowledged, LOG, act("ban_user", { user_id: "eve" }, { seq: 12 })), /^V2: .* is a banned there/);
  finds(found(checkAcknowledged, LOG, act("unban_user", { user_id: "troll" }, { seq: 12 })), /^V2: .* is a banned there/);
});

test("V2: a ban, or its end, that was acknowledged as the room does it, without a place, and is missing", () => {
  const at = (ms) => new Date(ms).toISOString();
  const ban = (user_id, created_at) => [{ event: "ban_user", data: { user_id }, user: "mod", reply: { user_id, created_at } }];
  assert.deepEqual(found(checkAcknowledged, LOG, ban("troll", at(12))), []);
  finds(found(checkAcknowledged, LOG, ban("eve", at(12))), /^V2: mod's ban of eve .* is not in the log/);
  finds(found(checkAcknowledged, LOG, ban("troll", at(13))), /^V2: mod's ban of troll .* is not in the log/);
  const unban = { event: "unban_user", data: { user_id: "troll" }, user: "mod", reply: {} };
  const unbanned = changed((log) => void log.push(logged(13, "unbanned", { user_id: "troll" })));
  assert.deepEqual(found(checkAcknowledged, unbanned, [unban]), []);
  finds(found(checkAcknowledged, LOG, [unban]), /^V2: troll was let in again 0 times, 1 were acknowledged/);
  finds(found(checkAcknowledged, unbanned, [unban, unban]), /^V2: troll was let in again 1 times, 2 were acknowledged/);
  finds(found(checkAcknowledged, unbanned, [{ ...unban, data: { user_id: "eve" } }]), /^V2: eve was let in again 0 times/);
});

test("V1: a text that is not the last one", () => {
  assert.deepEqual(found(checkTexts, LOG, () => undefined), []);
  finds(found(checkTexts, changed((log) => void (log[2].data.content = "text 2")), () => undefined), /^V1: seq 3 reads "text 2", not "better"/);
  finds(found(checkTexts, LOG, (client_id) => (client_id === "ada#4" ? "other" : undefined)), /^V1: seq 11/);
});

const wire = { reaction: "reaction_updated", banned: "user_banned" };
const line = ({ seq, event, data }) => ({ seq, event: wire[event] ?? event, data: structuredClone(data.ban ?? data) });
const joined = { snapshot: { epoch: 1, seq: 2 }, from: null, messages: [{ message_id: "m1" }] };
const shown = (...seqs) => seqs.map((seq) => (seq === 6 ? { seq, event: "message_edited", data: { message_id: "m2", content: "good" } } : line(LOG[seq - 1])));
const seen = (entries, viewer = {}, end = 12) => found(checkViewer, LOG, { entries }, { name: "bob", user: "bob", ...viewer }, end);

test("V4: an edit that another one replaced at once is missed in a room that gathers, and nowhere else", () => {
  const log = changed((log) => void (log[6].data.user_id = "ada"));
  const missed = (log, gathers) => found(checkViewer, log, { entries: [joined, ...shown(3, 4, 5, 7, 8, 9, 11, 12)] }, { name: "bob", user: "bob", gathers }, 12);
  assert.deepEqual(missed(log, true), []);
  finds(missed(log, false), /^V4: bob missed seq 6 /);
  for (const change of [(log) => void (log[6].data.user_id = "eve"), (log) => log.forEach((event) => event.seq > 6 && (event.at += 1_101))]) {
    const other = structuredClone(log);
    change(other);
    other[7].data.user.user_id = "eve";
    finds(missed(other, true), /V4: bob missed seq 6 /);
  }
});

test("V1, V4, V5, V7: a viewer who missed something, saw it twice, too early, otherwise, or what is for others", () => {
  const all = shown(3, 4, 5, 6, 7, 8, 9, 11, 12);
  assert.deepEqual(seen([joined, ...all]), []);
  for (const missing of [3, 4, 5, 6, 9, 12]) finds(seen([joined, ...all.filter(({ seq }) => seq !== missing)]), new RegExp(`^V4: bob missed seq ${missing} `));
  finds(seen([joined, ...all, ...shown(12)]), /^V4: bob was shown seq 12 after 12/);
  finds(seen([joined, ...shown(4, 3, 5, 6, 7, 8, 9, 11, 12)]), /^V4: bob was shown seq 3 after 4/);
  finds(seen([joined, ...all, { seq: 13, event: "new_message", data: {} }]), /^V1: bob saw seq 13, which the log does not have/);
  const other = structuredClone(all);
  other[7].data.message_id = "m5";
  finds(seen([joined, ...other]), /^V1: bob saw at seq 11/);
  finds(seen([joined, ...all.toSpliced(7, 0, { seq: 10 })]), /^V7: bob saw seq 10/);
  finds(seen([joined, ...all], { moderator: true }), /^V4: bob missed seq 10/);
  finds(seen([{ ...joined, messages: [{ message_id: "m2" }] }, ...all]), /^V5: bob was given other messages/);
});

test("V4: in what a resume brings counts come once and replaced edits not at all, and nothing else may be left out", () => {
  const resumed = { resumed: { epoch: 1, seq: 9 }, from: { epoch: 1, seq: 3 } };
  assert.deepEqual(seen([joined, ...shown(3), resumed, ...shown(5, 7, 8, 9, 11, 12)]), []);
  finds(seen([joined, ...shown(3), resumed, ...shown(7, 8, 9, 11, 12)]), /^V4: bob missed seq 5 /);
  finds(seen([joined, ...shown(3), resumed, ...shown(5, 7, 9, 11, 12)]), /^V4: bob missed seq 8 /);
  finds(seen([joined, ...shown(3), { ...resumed, resumed: { epoch: 2, seq: 9 } }]), /^V5: bob was resumed into another epoch/);
});

/** What was typed for the log above: m2 had two edits, of which the first is gone. */
const texts = {
  typed: (client_id) => client_id.replace("ada#", "text "),
  edits: (message_id) => (message_id === "m2" ? ["good", "better"] : []),
};

test("V1, V5: a viewer who was shown a text that nobody typed for that message, live, resumed or in a list", () => {
  const list = { ...joined, messages: [{ message_id: "m1", content: "text 1" }] };
  const all = [list, ...shown(3, 4, 5, 6, 7, 8, 9, 11, 12)];
  const look = (entries) => found(checkViewer, LOG, { entries }, { name: "bob", user: "bob" }, 12, { texts });
  const reading = (seq, content) => {
    const entries = structuredClone(all);
    entries.find((entry) => entry.seq === seq).data.content = content;
    return look(entries);
  };
  assert.deepEqual(look(all), []);
  for (const [seq, text] of [[3, "text 2"], [3, "good"], [8, "text 3"], [8, ""], [6, "better"]]) assert.deepEqual(reading(seq, text), []);
  for (const [seq, text] of [[3, "text 1"], [3, ""], [8, "good"], [11, "text 3"], [11, ""]]) finds(reading(seq, text), new RegExp(`^V1: bob saw at seq ${seq} new_message with the text "${text}"`));
  for (const text of ["text 2", "bad", ""]) finds(reading(6, text), new RegExp(`^V1: bob saw at seq 6 message_edited with the text "${text}"`));
  finds(look(all.with(0, { ...list, messages: [{ message_id: "m1", content: "text 2" }] })), /^V5: bob was given m1 at seq 2 with the text "text 2"/);
});

test("V5: who begins anew had missed more than is told again", () => {
  const log = Array.from({ length: 1_100 }, (_, i) => said(i + 1, i + 1));
  const at = (seq, more) => ({ snapshot: { epoch: 1, seq, ...more }, from: null, messages: [{ message_id: `m${seq}` }] });
  const back = (missed, viewer, more) => found(checkViewer, log, { entries: [at(2), { ...at(2 + missed, more), from: { epoch: 1, seq: 2 } }] }, { name: "bob", user: "bob", ...viewer }, 2 + missed);
  assert.deepEqual(back(1_001), []);
  finds(back(1_000), /^V5: bob began anew after seq 2, though it had missed only 1000 events/);
  assert.deepEqual(back(401, { gathers: true }), []);
  finds(back(400, { gathers: true }), /^V5: bob began anew/);
  finds(back(1_001, {}, { epoch: 2 }), /^V5: bob was at epoch 1 and began anew in 2/);
});

test("V9: who is parted with for trouble, but for who asked an object in the moment of its death", async () => {
  const told = (...goodbyes) => found(checkGoodbyes, { goodbyes }, { name: "bob" }, [5_000, 9_000]);
  const at = (ms, code = "unavailable", retry = true) => ({ at: ms, code, retry });
  assert.deepEqual(told(at(5_000), at(9_100), at(1, "elsewhere"), at(2, "banned", false)), []);
  for (const goodbye of [at(4_999), at(6_001), at(5_001, "unavailable", false)]) finds(told(goodbye), /^V9: bob was told goodbye with unavailable/);
  for (const code of ["overloaded", "internal", "misconfigured", "storage_full"]) finds(told(at(5_001, code)), new RegExp(`^V9: bob was told goodbye with ${code}`));
});

test("P1: PostgreSQL that lacks a row, has one too many, another text, reaction or ban, or stands still", () => {
  const row = ({ seq, data }) => ({ ...data, user_id: "ada", seq, edited_at: null, deleted_at: data.deleted_at ?? null });
  const messages = LOG.filter(({ event }) => event === "new_message").map(row);
  const reactions = ["bob", "eve"].map((user_id) => ({ message_id: "m1", user_id, reaction: "👍" }));
  const rows = { cursor: 12, messages, reactions, bans: [{ user_id: "troll" }] };
  const check = (more) => found(checkRows, LOG, { ...rows, ...more }, { now: true });
  assert.deepEqual(check({}), []);
  assert.deepEqual(found(checkRows, LOG, { cursor: 4, messages: messages.slice(0, 2) }), []);
  finds(check({ messages: messages.slice(1) }), /^P1: .* lacks .*m1/);
  finds(found(checkRows, LOG, { cursor: 4, messages: messages.slice(0, 3) }), /^P1: .* has .*m3/);
  finds(check({ messages: messages.with(1, { ...messages[1], content: "text 2" }) }), /^P1: PostgreSQL has seq 3 as/);
  finds(check({ reactions: reactions.slice(1) }), /^P1: PostgreSQL's reactions/);
  finds(check({ bans: [] }), /^P1: PostgreSQL's bans/);
  finds(found(checkRows, LOG, { ...rows, cursor: 9, messages: messages.slice(0, 3) }, { now: true }), /^P1: PostgreSQL stays at seq 9 of 12/);
});

test("B1: a stream with a hole, out of order, of another place or with other values", () => {
  const entry = (event, after) => ({ id: `1-${event.seq}`, fields: { room: "r", epoch: "1", seq: String(event.seq), after: String(after), event: line(event).event, data: JSON.stringify(line(event).data) } });
  const seqs = [2, 3, 4, 5, 7, 8, 9, 11, 12];
  const entries = seqs.map((seq, i) => entry(LOG[seq - 1], seqs[i - 1] ?? 0));
  const check = (all) => found(checkStream, LOG, 1, "r", all);
  assert.deepEqual(check(entries), []);
  finds(check(entries.slice(0, -1)), /^B1: the stream lacks seq 12/);
  finds(check(entries.toSpliced(1, 1)), /^B1: the stream has seq 4, said to be after 3, after 2/);
  finds(check([entries[1], entries[0], ...entries.slice(2)]), /B1: the stream has seq 2, said to be after 0, after 3/);
  finds(check(entries.with(0, { ...entries[0], id: "2-2" })), /^B1: the stream's entry 2-2/);
  finds(check(entries.with(0, { ...entries[0], fields: { ...entries[0].fields, data: entries[1].fields.data } })), /^B1: the stream has at seq 2/);
  const reading = (index, content) => {
    const { fields, ...entry } = entries[index];
    const other = { ...entry, fields: { ...fields, data: JSON.stringify({ ...JSON.parse(fields.data), content }) } };
    return found(checkStream, LOG, 1, "r", entries.with(index, other), { texts });
  };
  for (const text of ["text 2", "good", "better"]) assert.deepEqual(reading(1, text), []);
  finds(reading(1, "text 1"), /^B1: the stream has at seq 3 new_message with the text "text 1"/);
});
