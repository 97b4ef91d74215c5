// Reports, end to end: made over REST and sockets, seen and decided by moderators, kept in PostgreSQL.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

const EVE = { sub: "mod", username: "Mod", roles: ["moderator"] };

let db;
let server;
let join;
let rest;

before(async () => {
  db = await testDatabase();
  server = await startServer({ databaseUrl: db.url, vars: { RATE_LIMIT_MESSAGES: "100" } });
  ({ join, rest } = chat(server));
});

after(async () => {
  await server?.stop();
  await db?.drop();
});

const report = (as, id, body) => rest("POST", `/messages/${id}/report`, { as, body });
const rows = (room) => db.query("select * from reports where room_id = $1 order by id", [room]);
const drained = (room, accepts) => until(5_000, async () => accepts(await rows(room)));

/** A room's log without its oldest rows, as if they had been trimmed. */
async function trimmed(room, to) {
  await server.kill9();
  server.sql("Room", room, "delete from log where last_seq <= ?", to);
  await server.restart();
}

test("a report is made over REST and over a socket, seen by moderators alone, and kept", async () => {
  const room = "reports_1";
  const [ada, moderator] = [await join(room, "ada"), await join(room, EVE)];
  const { message_id } = await ada.request("send_message", { content: "rude <b>words</b> & more" });

  const first = await report("bob", message_id, { reason: "abuse", details: "see\nthere", room_id: room });
  assert.equal(first.status, 201);
  assert.equal(first.headers.get("location"), null);
  const { report_id, created_at } = first.body;
  assert.deepEqual(first.body, { report_id, message_id, room_id: room, reason: "abuse", status: "open", created_at });
  const seen = { ...first.body, reporter_id: "bob", author: "ada", details: "see\nthere", quoted: "rude words & more" };
  assert.deepEqual((await moderator.next("message_reported")).data, seen);

  const again = await report("bob", message_id, { reason: "spam", room_id: room });
  assert.deepEqual([again.status, again.body], [200, first.body]);
  const carl = await join(room, "carl");
  const other = await carl.request("report_message", { message_id, reason: "hate" });
  assert.deepEqual(await carl.request("report_message", { message_id, reason: "hate" }), other);
  assert.equal((await moderator.next("message_reported")).data.report_id, other.report_id);
  await moderator.none("message_reported");

  for (const socket of [ada, carl]) {
    await socket.none(({ event }) => event === "message_reported");
    const seenByOthers = JSON.stringify(socket.lines.filter(({ reply }) => reply === undefined));
    assert.ok(!seenByOthers.includes(report_id) && !seenByOthers.includes("bob"), seenByOthers);
  }

  assert.ok(await drained(room, (all) => all.length === 2));
  const [row] = (await rows(room)).filter(({ id }) => id === report_id);
  assert.deepEqual({ ...row }, {
    id: report_id, room_id: room, message_id, reporter_id: "bob", reason: "abuse", details: "see\nthere",
    quoted: "rude words & more", status: "open", created_at: new Date(created_at), resolved_at: null, resolved_by: null,
    resolution: null,
    proved: null,
  });
});

test("moderators list reports, open one with what is around it, and decide it", async () => {
  const room = "reports_2";
  const ada = await join(room, "ada");
  const ids = [];
  for (let n = 1; n <= 25; n++) ids.push((await ada.request("send_message", { content: `m${n}` })).message_id);
  const moderator = await join(room, EVE);
  const made = [];
  for (const n of [3, 15, 25]) made.push((await report("bob", ids[n - 1], { reason: "spam" })).body);
  const reported = made.map(({ report_id }) => report_id);
  const list = async (query = "") => (await rest("GET", `/rooms/${room}/reports${query}`, { as: EVE })).body.reports;
  const idsOf = (reports) => reports.map(({ report_id }) => report_id);
  assert.deepEqual(idsOf(await list()), reported.toReversed());
  assert.deepEqual(idsOf(await list(`?limit=1&before=${reported[2]}`)), [reported[1]]);

  await ada.request("delete_message", { message_id: ids[13] });
  const around = async (id) => {
    const { status, body } = await rest("GET", `/rooms/${room}/reports/${id}`, { as: EVE });
    assert.equal(status, 200);
    const { before, message, after } = body.context;
    return { ...body, before: before.map(({ no }) => no), no: message.no, after: after.map(({ no }) => no), all: before };
  };
  const range = (from, to) => Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => from + i);
  const whole = await around(reported[1]);
  assert.deepEqual([whole.before, whole.no, whole.after], [range(5, 14), 15, range(16, 25)]);
  assert.deepEqual([whole.quoted, whole.reporter_id, whole.author], ["m15", "bob", "ada"]);
  assert.ok(whole.all[9].deleted_at);

  const path = (id) => `/rooms/${room}/reports/${id}`;
  const done = await rest("PATCH", path(reported[0]), { as: EVE, body: { status: "resolved", resolution: "warned" } });
  assert.equal(done.status, 200);
  const { resolved_at } = done.body;
  assert.deepEqual([done.body.status, done.body.resolved_by, done.body.resolution], ["resolved", "mod", "warned"]);
  assert.deepEqual((await moderator.next("report_resolved")).data, {
    report_id: reported[0], message_id: ids[2], room_id: room, status: "resolved", resolution: "warned", resolved_at,
    resolved_by: "mod",
  });
  const socket = await moderator.request("resolve_report", { report_id: reported[2], status: "dismissed" });
  assert.equal(socket.status, "dismissed");
  assert.deepEqual(idsOf(await list()), [reported[1]]);
  assert.deepEqual([idsOf(await list("?status=resolved")), idsOf(await list("?status=dismissed"))], [[reported[0]], [reported[2]]]);
  await ada.none(({ event }) => /report/.test(event));

  assert.ok(await drained(room, (all) => all.filter(({ status }) => status !== "open").length === 2));
  const [row] = await rows(room);
  assert.deepEqual([row.status, row.resolved_by, row.resolution, row.resolved_at], ["resolved", "mod", "warned", new Date(resolved_at)]);
  const audit = await db.query("select actor_id, action, target, details from audit where room_id = $1 order by created_at", [room]);
  const decisions = audit.filter(({ action }) => action === "resolve_report");
  assert.deepEqual(decisions.map(({ actor_id, action, target }) => [actor_id, action, target]), Array(2).fill(["mod", "resolve_report", "ada"]));
  assert.equal(audit.filter(({ action, target }) => action === "report_message" && target === "ada").length, 3);

  // The log lets go of the first twelve messages, the room of the closed report: PostgreSQL has them.
  await server.kill9();
  server.sql("Room", room, "delete from log where last_seq <= 13");
  server.sql("Room", room, "delete from state where key = ?", `report:${reported[0]}`);
  await server.restart();
  const late = await around(reported[1]);
  assert.deepEqual([late.before, late.no, late.after], [range(5, 14), 15, range(16, 25)]);
  const closed = await around(reported[0]);
  assert.deepEqual([closed.before, closed.no, closed.after, closed.status], [[1, 2], 3, range(4, 13), "resolved"]);
  assert.deepEqual(idsOf(await list("?status=resolved")), [reported[0]]);
  assert.equal((await rest("PATCH", path(reported[0]), { as: EVE, body: { status: "dismissed" } })).body.code, "report_not_found");
});

test("a message that has left the log is reported with what PostgreSQL knows", async () => {
  const room = "reports_3";
  const ada = await join(room, "ada");
  const { message_id, seq } = await ada.request("send_message", { content: "a & b" });
  const gone = await ada.request("send_message", { content: "gone" });
  await ada.request("delete_message", { message_id: gone.message_id });
  await ada.request("send_message", { content: "later" });
  const at = () => db.query("select seq from room_cursor where room_id = $1 and seq >= 5", [room]);
  assert.ok(await until(5_000, async () => (await at()).length === 1));
  await trimmed(room, seq + 1);
  const carl = await join(room, "carl");
  await assert.rejects(carl.request("report_message", { message_id, reason: "spam" }), { code: "message_too_old" });
  for (const room_id of [room, undefined]) {
    assert.equal((await report("bob", message_id, { reason: "other", room_id })).status, room_id ? 201 : 200);
    assert.equal((await report("bob", gone.message_id, { reason: "other", room_id })).body.code, "message_not_found");
    assert.equal((await report("ada", message_id, { reason: "other", room_id })).body.code, "forbidden");
  }
  const { body } = await rest("GET", `/rooms/${room}/reports`, { as: EVE });
  assert.deepEqual(body.reports.map(({ quoted, author }) => [quoted, author]), [["a & b", "ada"]]);
});

test("open reports come back with a room that lost its storage", async () => {
  const room = "reports_4";
  const ada = await join(room, "ada");
  const { message_id } = await ada.request("send_message", { content: "rude" });
  const { body } = await report("bob", message_id, { reason: "abuse" });
  assert.ok(await drained(room, (all) => all.length === 1));
  await server.kill9();
  for (const table of ["log", "state"]) server.sql("Room", room, `delete from ${table}`);
  await server.restart();
  const { body: page } = await rest("GET", `/rooms/${room}/reports`, { as: EVE });
  assert.deepEqual(page.reports, [{ ...body, reporter_id: "bob", author: "ada", quoted: "rude" }]);
  const done = await rest("PATCH", `/rooms/${room}/reports/${body.report_id}`, { as: EVE, body: { status: "dismissed" } });
  assert.equal(done.status, 200);
  assert.ok(await drained(room, ([row]) => row.status === "dismissed"));
});

test("what is wrong is told, and others than moderators are refused", async () => {
  const room = "reports_5";
  const ada = await join(room, "ada");
  const { message_id } = await ada.request("send_message", { content: "hello" });
  const own = { as: EVE };
  const cases = [
    ["POST", `/messages/${message_id}/report`, { as: "bob", body: { reason: "ugly" } }, 400, "#/reason"],
    ["POST", `/messages/${message_id}/report`, { as: "bob", body: {} }, 400, "#/reason"],
    ["POST", `/messages/${message_id}/report`, { as: "bob", body: { reason: "spam", details: "x".repeat(1_001) } }, 400, "#/details"],
    ["POST", `/messages/${message_id}/report`, { body: { reason: "spam" } }, 401],
    ["POST", `/messages/msg_456/report`, { as: "bob", body: { reason: "spam" } }, 404, "#/message_id"],
    ["GET", `/rooms/${room}/reports?status=new`, own, 400, "#/status"],
    ["GET", `/rooms/${room}/reports?before=7`, own, 400, "#/before"],
    ["GET", `/rooms/${room}/reports?limit=101`, own, 400, "#/limit"],
    ["GET", `/rooms/${room}/reports`, { as: "bob" }, 403],
    ["GET", `/rooms/${room}/reports/${message_id}`, { as: "bob" }, 403],
    ["GET", `/rooms/${room}/reports/${message_id}`, own, 404, "#/report_id"],
    ["GET", `/rooms/${room}/reports/x`, own, 404, "#/report_id"],
    ["PATCH", `/rooms/${room}/reports/${message_id}`, { as: "bob", body: { status: "resolved" } }, 403],
    ["PATCH", `/rooms/${room}/reports/${message_id}`, { ...own, body: { status: "open" } }, 400, "#/status"],
    ["PATCH", `/rooms/${room}/reports/${message_id}`, { ...own, body: { status: "resolved" } }, 404, "#/report_id"],
    ["DELETE", `/rooms/${room}/reports/${message_id}`, own, 405],
  ];
  for (const [method, path, options, status, pointer] of cases) {
    const { status: got, body } = await rest(method, path, options);
    assert.deepEqual([got, body.errors?.[0].pointer], [status, pointer], `${method} ${path} ${JSON.stringify(body)}`);
  }
});
