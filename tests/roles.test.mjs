// Every role and action over sockets and HTTP, held against the table that docs/moderation.md shows.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join as path } from "node:path";
import { after, before, test } from "node:test";
import { root } from "../scripts/lib/database.mjs";
import { chat, startServer, testDatabase } from "./harness/index.mjs";

/** The documented table: row → role → whether it may. */
function documented() {
  const text = readFileSync(path(root, "docs/moderation.md"), "utf8");
  const lines = text.split("## Who may")[1].split("\n\n")[1].split("\n").map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const [[, ...roles], , ...rows] = lines;
  return new Map(rows.map(([name, ...cells]) => [name, Object.fromEntries(roles.map((role, n) => [role, cells[n] === "yes"]))]));
}

/** What tries a row out: frames and requests. `at` has the room, ids of messages of zoe's, and of the actor's own. */
const TRIALS = {
  "send, edit one's own, react": (at) => [
    { frame: ["send_message", { content: "hello" }], rest: ["POST", "/messages", { content: "hello" }] },
    { frame: ["edit_message", { message_id: at.own, content: "hi" }], rest: ["PATCH", `../messages/${at.own}`, { content: "hi", room_id: at.room }] },
    { frame: ["react", { message_id: at.message, reaction: "👍" }] },
  ],
  "send as type `system`, in another's name": () => [
    { frame: ["send_message", { content: "hello", type: "system" }], rest: ["POST", "/messages", { content: "hello", type: "system" }] },
    { rest: ["POST", "/messages", { content: "hello", as_user: { user_id: "x", username: "X" } }] },
  ],
  "delete another's message": (at) => [{ frame: ["delete_message", { message_id: at.message }], rest: ["DELETE", `../messages/${at.message}`] }],
  "delete all of a user's messages, clear the room": () => [
    { frame: ["delete_user_messages", { user_id: "zoe" }], rest: ["DELETE", "/users/zoe/messages"] },
    { frame: ["clear_room", {}], rest: ["POST", "/clear"] },
  ],
  "pin and unpin, announce": (at) => [
    { frame: ["pin_message", { message_id: at.pinnable }], rest: ["PUT", `/pins/${at.pinnable}`] },
    { frame: ["unpin_message", { message_id: at.pinnable }], rest: ["DELETE", `/pins/${at.pinnable}`] },
    { frame: ["announce", { content: "hear" }], rest: ["POST", "/announce", { content: "hear" }] },
  ],
  "ban, time out, unban, list bans": () => [
    { frame: ["ban_user", { user_id: "nobody", duration_s: 60 }], rest: ["POST", "/ban", { user_id: "nobody", duration_s: 60 }] },
    { frame: ["unban_user", { user_id: "nobody" }], rest: ["DELETE", "/ban/nobody"] },
    { rest: ["GET", "/bans"] },
  ],
  "see, allow and deny held messages": () => [
    { frame: ["allow_message", { held_id: NONE }], rest: ["POST", `/held/${NONE}/allow`] },
    { frame: ["deny_message", { held_id: NONE }], rest: ["POST", `/held/${NONE}/deny`] },
    { rest: ["GET", "/held"] },
  ],
  "see, try and set the terms": () => [
    { frame: ["set_terms", { blocked: ["x"] }], rest: ["PUT", "/terms", { blocked: ["x"] }] },
    { rest: ["GET", "/terms"] },
    { rest: ["POST", "/terms/test", { content: "x" }] },
  ],
  "set the room's modes": () => [{ frame: ["set_modes", { modes: { links: "on" } }], rest: ["PATCH", "", { settings: { links: "on" } }] }],
  "report another's message": (at) => [
    { frame: ["report_message", { message_id: at.message, reason: "spam" }], rest: ["POST", `../messages/${at.message}/report`, { reason: "spam", room_id: at.room }] },
  ],
  "see and decide reports": () => [
    { frame: ["resolve_report", { report_id: NONE, status: "resolved" }], rest: ["PATCH", `/reports/${NONE}`, { status: "resolved" }] },
    { rest: ["GET", "/reports"] },
  ],
  "read the counters and the audit": () => [{ rest: ["GET", "/stats"] }, { rest: ["GET", "/audit"] }],
  "change name and settings, give and take roles, export and delete the room": () => [
    { rest: ["PATCH", "", { name: "Other" }] },
    { frame: ["set_role", { user_id: "someone", role: "member" }], rest: ["PUT", "/roles/someone", { role: "member" }] },
    { rest: ["DELETE", "/roles/someone"] },
    { rest: ["GET", "/export"] },
    { rest: ["DELETE", ""] },
  ],
};

/** No message has this id: who may act is told so, who may not is refused before that. */
const NONE = "00000000-0000-7000-8000-000000000000";
const NOT_THERE = ["message_not_found", "user_not_found", "report_not_found"];

let db;
let server;

before(async () => {
  db = await testDatabase();
  server = await startServer({ databaseUrl: db.url });
});

after(async () => {
  await server?.stop();
  await db?.drop();
});

test("the documented table is what sockets and HTTP do", async () => {
  const table = documented();
  assert.deepEqual([...table.keys()].sort(), Object.keys(TRIALS).sort());
  const { join, open, rest } = chat(server);
  const roles = ["guest", ...Object.keys([...table.values()][0])];
  let tried = 0;
  for (const [n, role] of roles.entries()) {
    for (const [m, name] of [...table.keys()].entries()) {
      const may = role !== "guest" && table.get(name)[role];
      for (const way of ["frame", "rest"]) {
        const room = `walk_${n}_${m}_${way}`;
        const made = await rest("POST", "/rooms", { as: { sub: "maker", roles: ["service"] }, body: { room_id: room, name: room, type: "video" } });
        assert.equal(made.status, 201);
        const zoe = await join(room, "zoe");
        const said = async () => (await zoe.request("send_message", { content: "hello" })).message_id;
        const at = { room, message: await said(), pinnable: await said(), own: NONE };
        const who = role === "guest" ? null : { sub: `a-${role}`, username: role, roles: [role] };
        if (who) at.own = (await rest("POST", `/rooms/${room}/messages`, { as: who, body: { content: "mine" } })).body.message_id;
        const socket = way === "frame" ? await open(room, who) : null;
        await socket?.request("join_room", { room_id: room });
        for (const trial of TRIALS[name](at)) {
          if (!trial[way]) continue;
          let code;
          if (way === "frame") code = await socket.request(...trial.frame).then(() => null, (error) => error.code);
          else {
            const [method, tail, body] = trial.rest;
            const answer = await rest(method, tail.startsWith("../") ? `${tail.slice(2)}?room_id=${room}` : `/rooms/${room}${tail}`, { as: who, body });
            code = answer.status < 300 ? null : answer.body.code;
          }
          const what = `${role}, ${way}: ${JSON.stringify(trial[way])}`;
          if (may) assert.ok(code === null || NOT_THERE.includes(code), `${what} is refused: ${code}`);
          else assert.equal(code, role === "guest" ? "token_required" : "forbidden", what);
          tried += 1;
        }
        for (const open of [socket, zoe]) open?.close();
      }
    }
  }
  assert.ok(tried > 200, `${tried}`);
});
