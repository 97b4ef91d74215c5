// PostgreSQL restored from a dump into a new deployment, whose objects are all empty: it goes on from there.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join as path } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { giveBlocks } from "../scripts/lib/blocks.mjs";
import { postgresFolder } from "../scripts/lib/cluster.mjs";
import { root } from "../scripts/lib/database.mjs";
import { blocks } from "./docs/blocks.mjs";
import { SECRET, chat, entries, startServer, testDatabase, throwAwayRedis, until } from "./harness/index.mjs";

const [ROOM, SPLIT, GONE] = ["video_kept", "stream_kept", "group_gone"];
const SERVICE = { sub: "backend", username: "Backend", roles: ["service"] };
const ids = (messages) => messages.map(({ message_id }) => message_id);

/** What is shown of a room that its dump has, by who asks and what. */
const ASKED = [
  ["ada", `/rooms/${ROOM}/messages?limit=100`], ["xenia", `/rooms/${ROOM}/messages?limit=100`], ["ada", `/rooms/${SPLIT}/messages`],
  ...["bans", "terms", "reports", "reports?status=dismissed", "held"].map((what) => ["ada", `/rooms/${ROOM}/${what}`]),
];

test("P2, V5: a dump of PostgreSQL in a new deployment: nothing that it has is missing, and the numbers go on", { timeout: 90_000 }, async () => {
  const [first, redis] = [await testDatabase(), await throwAwayRedis()];
  const second = await testDatabase({ empty: true });
  const folder = mkdtempSync(path(tmpdir(), "edge-chat-dump-"));
  const vars = { REDIS_URL: `redis://127.0.0.1:${redis.port}` };
  let server = await startServer({ databaseUrl: first.url, vars });
  let { join, rest } = chat(server);
  const must = async (...request) => {
    const { status, body } = await rest(...request);
    assert.ok(status < 300, `${request[0]} ${request[1]}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  const drained = async (database, message_id) => assert.ok(await until(10_000, async () => (await database.query("select from messages where id = $1", [message_id])).length), "PostgreSQL has it");
  const look = async () => {
    const seen = [];
    for (const [as, what] of ASKED) {
      const { epoch, ...body } = await must("GET", what, { as });
      // What is held waits anew.
      if (body.held) body.held = body.held.map(({ user, content, reasons }) => ({ user, content, reasons }));
      seen.push([as, what, body]);
    }
    return seen;
  };
  try {
    await must("POST", "/rooms", { as: "ada", body: { room_id: ROOM, name: "Kept", type: "video", settings: { max_message_length: 400, links: "off" } } });
    await must("POST", "/rooms", { as: SERVICE, body: { room_id: SPLIT, name: "Split", type: "stream", settings: { expect_viewers: 10_000 } } });
    await must("POST", "/rooms", { as: "ada", body: { room_id: GONE, name: "Gone", type: "group" } });
    await must("DELETE", `/rooms/${GONE}`, { as: "ada" });
    let [ada, bob, xenia] = [await join(ROOM, "ada"), await join(ROOM, "bob"), await join(ROOM, "xenia")];
    const say = (who, content, more = {}) => who.request("send_message", { content, ...more });
    const welcome = await say(ada, "welcome", { metadata: { k: 1 } });
    const stands = { epoch: ada.joined.epoch, seq: welcome.seq };
    await ada.request("set_role", { user_id: "bob", role: "moderator" });
    await say(bob, "thanks @Ada", { reply_to: welcome.message_id });
    const [typo, wrong] = [await say(bob, "tpyo"), await say(bob, "to be taken back")];
    await bob.request("edit_message", { message_id: typo.message_id, content: "no typo" });
    await bob.request("delete_message", { message_id: wrong.message_id });
    await bob.request("react", { message_id: welcome.message_id, reaction: "👍" });
    await ada.request("pin_message", { message_id: welcome.message_id });
    await must("POST", `/rooms/${ROOM}/ban`, { as: "ada", body: { user_id: "mallory", reason: "spam" } });
    await must("POST", `/rooms/${ROOM}/ban`, { as: "ada", body: { user_id: "xenia", shadow: true } });
    await say(xenia, "to nobody but myself");
    await ada.request("set_terms", { blocked: ["spoil*"], action: "hold" });
    await say(await join(ROOM, "carl"), "a spoiler");
    await bob.request("report_message", { message_id: welcome.message_id, reason: "other" });
    const { report_id } = await ada.request("report_message", { message_id: typo.message_id, reason: "spam" });
    await ada.request("resolve_report", { report_id, status: "dismissed" });
    const dora = await join(SPLIT, "dora");
    await must("PUT", "/users/eve/block", { as: "dora" });
    const { room_id: direct } = await must("PUT", "/users/bob/direct", { as: "ada" });
    await must("PUT", "/users/ada/block", { as: "bob" });
    const last = [await say(ada, "the last word"), await say(dora, "and in shards")];
    for (const { message_id } of last) await drained(first, message_id);
    assert.ok(await until(10_000, async () => (await first.query("select from blocks")).length === 2 && (await first.query("select from rooms where id = any ($1)", [[direct, GONE]])).length === 2));
    const [told] = (await entries(redis, ROOM)).slice(-1);
    const seen = await look();

    // As docs/backup.md has it. The database is made already.
    const [dump, restore] = blocks.filter(({ document, language }) => document === "docs/backup.md" && language === "sh")
      .map(({ text }) => text.replace("createdb chat\n", "").replace("DATABASE_URL=… ./", `${root}/`));
    const typed = (text, DATABASE_URL) => execFileSync("bash", ["--norc", "-euo", "pipefail", "-c", text],
      { cwd: folder, stdio: "pipe", env: { ...process.env, PATH: [postgresFolder(), process.env.PATH].join(delimiter), DATABASE_URL } });
    typed(dump, first.url);
    const late = await say(bob, "after the dump");
    await drained(first, late.message_id);
    await server.stop();
    typed(restore, second.url);
    server = await startServer({ databaseUrl: second.url, vars });
    ({ join, rest } = chat(server));

    // Who was there comes back, by a position of the room that is gone.
    bob = await join(ROOM, "bob", { resume: stands });
    const { epoch, resumed, self, room, messages } = bob.joined;
    assert.ok(epoch > stands.epoch, `${epoch}`);
    assert.deepEqual([resumed, self.role], [false, "moderator"]);
    assert.deepEqual([room.name, room.settings.max_message_length, room.settings.links, room.pinned], ["Kept", 400, "off", [welcome.message_id]]);
    // Its log begins anew, so what was said is history's: the client module asks for it.
    assert.deepEqual(messages, []);
    const before = seen[0][2];
    assert.ok(ids(before.messages).includes(last[0].message_id) && !ids(before.messages).includes(late.message_id));
    assert.deepEqual(await look(), seen);
    await assert.rejects(join(ROOM, "mallory"), { code: "banned" });
    assert.equal((await rest("GET", `/rooms/${GONE}`, { as: "ada" })).status, 410);

    // And on: the numbers, PostgreSQL, Redis; a moderator, somebody who is shadow-banned, shards, a direct room.
    [ada, xenia] = [await join(ROOM, "ada"), await join(ROOM, "xenia")];
    const carl = await join(ROOM, "carl");
    assert.equal(ada.joined.self.role, "owner");
    await say(xenia, "still to nobody");
    const next = await say(ada, "in the new deployment");
    const shown = await carl.next(({ data }) => data?.message_id === next.message_id);
    assert.ok(shown.data.no > before.total, `${shown.data.no} of ${before.total}`);
    assert.ok(!carl.frames.some((frame) => frame.includes("to nobody")));
    const { held } = await must("GET", `/rooms/${ROOM}/held`, { as: "bob" });
    const allowed = await bob.request("allow_message", { held_id: held[0].held_id });
    // Older than the log, so over REST.
    await must("DELETE", `/messages/${typo.message_id}?room_id=${ROOM}`, { as: "bob" });
    const again = await join(SPLIT, "eve");
    const sharded = await say(again, "in shards again");
    for (const { message_id } of [next, allowed, sharded]) await drained(second, message_id);
    assert.ok(await until(10_000, async () => (await second.query("select content from messages where id = $1", [typo.message_id]))[0].content === ""));
    assert.deepEqual(await second.query("select no from messages where room_id = $1 group by no having count(*) > 1", [ROOM]), []);
    const has = async () => (await entries(redis, ROOM)).find(({ data }) => data.message_id === next.message_id);
    const entry = await until(10_000, has);
    assert.deepEqual([Number(told.fields.epoch), Number(entry.fields.epoch)], [stands.epoch, epoch]);
    const letter = { content: JSON.stringify({ v: 1, alg: "megolm", device_id: "D1", session_id: "c2Vzc2lvbg", index: 0, ciphertext: "AAAA" }), type: "encrypted", client_id: "l1", franking: "A".repeat(43) };
    assert.equal((await rest("POST", `/rooms/${encodeURIComponent(direct)}/messages`, { as: "ada", body: letter })).body.code, "blocked");

    // Whom users block their objects know alone: they are given it again.
    assert.deepEqual((await must("GET", "/me/blocks", { as: "dora" })).blocks, []);
    const settings = { vars: {}, secrets: { JWT_SECRET: SECRET } };
    // Whom no path can name stops nobody else's.
    await second.query("insert into blocks (user_id, blocked_id, created_at) values ('aaron', '..', now())");
    assert.deepEqual(await giveBlocks(second.url, server.url, settings), { count: 2, refused: 1, named: ['["aaron",".."]: 404 '] });
    const script = promisify(execFile)(path(root, "scripts/restore-blocks"), ["--url", server.url], { env: { ...process.env, DATABASE_URL: second.url, JWT_SECRET: SECRET } });
    await assert.rejects(script, ({ code, stderr }) => code === 1 && /2 blocks stand/.test(stderr) && /1 are refused.*\n.*aaron/.test(stderr));
    assert.deepEqual((await must("GET", "/me/blocks", { as: "dora" })).blocks.map(({ user_id }) => user_id), ["eve"]);
    const watching = await join(SPLIT, "dora");
    await say(again, "not for Dora");
    const after = await say(await join(SPLIT, "bob"), "for all");
    await watching.next(({ data }) => data?.message_id === after.message_id);
    assert.ok(!watching.frames.some((frame) => frame.includes("not for Dora")));
  } finally {
    await server.stop();
    await redis.stop();
    await first.drop();
    await second.drop();
    rmSync(folder, { recursive: true, force: true });
  }
});
