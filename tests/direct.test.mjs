// Direct rooms, end to end: one from both sides, its two users alone, ciphertext everywhere, blocks.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { chat, client, entries, hangUp, startServer, testDatabase, throwAwayRedis, tokenOf, until } from "./harness/index.mjs";

let database, redis, server, join, open, rest;
before(async () => {
  database = await testDatabase();
  redis = await throwAwayRedis();
  const vars = { REDIS_URL: `redis://127.0.0.1:${redis.port}`, RATE_LIMIT_REQUESTS: "10000", RATE_LIMIT_MESSAGES: "1000", BRIDGE_MODERATION: "true" };
  server = await startServer({ databaseUrl: database.url, vars });
  ({ join, open, rest } = chat(server));
});
after(async () => {
  hangUp();
  await server?.stop();
  await redis?.stop();
  await database?.drop();
});

const OUTSIDERS = [
  "eve",
  { sub: "mod", roles: ["moderator"] },
  { sub: "backend", roles: ["service"] },
  { sub: "root", roles: ["admin"] },
  null,
];
const CANARY = "AACANARYCANARYAA";
const TAG = "A".repeat(43);
const sealed = (ciphertext) => JSON.stringify({ v: 1, alg: "megolm", device_id: "D1", session_id: "c2Vzc2lvbg", index: 0, ciphertext });
let letters = 0;
const letter = (ciphertext = CANARY) => ({ content: sealed(ciphertext), type: "encrypted", client_id: `c-${++letters}`, franking: TAG });
const direct = (as, whom) => rest("PUT", `/users/${encodeURIComponent(whom)}/direct`, { as });
const block = (as, whom, method = "PUT") => rest(method, `/users/${encodeURIComponent(whom)}/block`, { as });

describe("direct rooms", { concurrency: true }, () => {
  test("the same room from both sides, and at once; only ciphertext and its tag are kept", async () => {
    const both = await Promise.all([direct("ada", "bob"), direct("bob", "ada"), direct("ada", "bob"), direct("bob", "ada")]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 200, 200, 201]);
    const [{ body: room }] = both;
    assert.equal(both.find(({ status }) => status === 201).headers.get("location"), `/api/rooms/${room.room_id}`);
    assert.match(room.room_id, /^dm:[\w-]{43}$/);
    assert.ok(both.every(({ body }) => body.room_id === room.room_id));
    assert.deepEqual([room.type, room.members, room.owner_id, room.settings.visibility], ["direct", ["ada", "bob"], null, "private"]);
    const [ada, bob] = [await join(room.room_id, "ada"), await join(room.room_id, "bob")];
    assert.deepEqual(ada.joined.room.members, ["ada", "bob"]);
    const sent = await ada.request("send_message", letter());
    const { data } = await bob.next("new_message");
    assert.deepEqual([data.type, data.franking, JSON.parse(data.content)], ["encrypted", TAG, JSON.parse(sealed(CANARY))]);
    const edit = { message_id: sent.message_id, content: sealed("BBBB"), franking: "E".repeat(43) };
    await ada.request("edit_message", edit);
    assert.equal((await bob.next("message_edited")).data.franking, edit.franking);
    await assert.rejects(ada.request("send_message", { content: "hello" }), { code: "invalid_type" });
    const posted = await rest("POST", `/rooms/${room.room_id}/messages`, { as: "bob", body: letter() });
    assert.equal(posted.status, 201);
    const back = await join(room.room_id, "bob", { resume: { epoch: bob.joined.epoch, seq: bob.joined.seq } });
    assert.deepEqual(back.joined.events.map(({ event }) => event), ["new_message", "message_edited", "new_message"]);

    const rows = () => database.query("select content, text, type, franking, mentions from messages where room_id = $1 order by no", [room.room_id]);
    assert.ok(await until(8_000, async () => { const found = await rows(); return found.length === 2 && found[0].franking === edit.franking; }));
    const [first, second] = await rows();
    assert.deepEqual([first.type, first.text, JSON.parse(first.content).ciphertext], ["encrypted", null, "BBBB"]);
    assert.deepEqual([second.franking, JSON.parse(second.content).ciphertext], [TAG, CANARY]);
    const told = await until(8_000, async () => { const found = await entries(redis, room.room_id).catch(() => []); return found.length >= 3 ? found : null; });
    const text = JSON.stringify(told);
    assert.ok(text.includes("encrypted") && !text.includes("CANARY") && !text.includes("franking") && !text.includes("ciphertext"));
    assert.ok(!server.logs.some(({ text }) => text.includes("CANARY")), "no content in the log");

    // What has left the log comes out of PostgreSQL the same.
    await rest("DELETE", `/messages/${sent.message_id}?room_id=${encodeURIComponent(room.room_id)}`, { as: "ada" });
    assert.ok(await until(8_000, async () => { const [row] = await rows(); return row.content === "" && row.franking === null; }));
  });

  test("an outsider hears on each path what is said of a room that is not there", async () => {
    const { body: { room_id: room } } = await direct("cleo", "dan");
    const { body: { message_id: message } } = await rest("POST", `/rooms/${room}/messages`, { as: "cleo", body: letter() });
    const paths = [
      ["GET", `/rooms/${room}`],
      ["GET", `/rooms/${room}/messages`],
      ["GET", `/rooms/${room}/members`],
      ["POST", `/rooms/${room}/messages`, letter()],
      ["PATCH", `/rooms/${room}`, { name: "mine" }],
      ["POST", `/rooms/${room}/ban`, { user_id: "dan" }],
      ["POST", `/rooms/${room}/clear`],
      ["POST", `/rooms/${room}/announce`, { content: "hello" }],
      ["PUT", `/rooms/${room}/pins/${message}`],
      ["PUT", `/rooms/${room}/roles/eve`, { role: "member" }],
      ["GET", `/rooms/${room}/bans`],
      ["GET", `/rooms/${room}/held`],
      ["GET", `/rooms/${room}/terms`],
      ["GET", `/rooms/${room}/stats`],
      ["GET", `/rooms/${room}/audit`],
      ["PATCH", `/messages/${message}`, { room_id: room, content: sealed("BBBB"), franking: TAG }],
      ["POST", `/messages/${message}/report`, { room_id: room, reason: "abuse" }],
    ];
    const nowhere = `dm:${"E".repeat(43)}`;
    const elsewhere = (part) => part && JSON.parse(JSON.stringify(part).replaceAll(room, nowhere));
    // A role in the token opens no direct room.
    const outsiders = [...OUTSIDERS, { sub: "gil", rooms: { [room]: "moderator" } }];
    const tell = async (room, as) => {
      const socket = await open(room, as);
      const error = await socket.request("join_room", {}).catch(({ data }) => data);
      return { error, closed: await socket.closed, goodbye: socket.lines };
    };
    const ask = (socket, room_id) => socket.ask("join_room", { room_id });
    const same = async () => {
      for (const as of outsiders) {
        for (const [method, path, body] of paths) {
          const [answer, other] = [await rest(method, path, { as, body }), await rest(method, elsewhere(path), { as, body: elsewhere(body) })];
          const of = ({ status, body: { code, detail } }) => [status, code, detail];
          assert.deepEqual(of(answer), of(other), `${JSON.stringify(as)} ${method} ${path}`);
          const open = method === "GET" && /^\/rooms\/[^/]+(\/messages|\/members)?$/.test(path);
          assert.equal(answer.body.code, as === null && !open ? "token_required" : "room_not_found", `${JSON.stringify(as)} ${method} ${path}`);
        }
        const told = await tell(room, as);
        assert.deepEqual(told, await tell(nowhere, as));
        assert.deepEqual([told.error.code, told.closed.code], ["room_not_found", 4404]);
        const socket = client(server, { transports: ["websocket"], auth: as === null ? {} : { token: await tokenOf(as) } });
        assert.ok(await socket.connects());
        const refused = await ask(socket, room);
        assert.deepEqual(refused, await ask(socket, nowhere));
        assert.equal(refused.error.code, "room_not_found");
        socket.disconnect();
      }
      assert.equal((await rest("GET", `/rooms/${room}/reports`, { as: "eve" })).body.code, "room_not_found");
    };
    await same();
    const cleo = client(server, { transports: ["websocket"], auth: { token: await tokenOf("cleo") } });
    assert.ok(await cleo.connects());
    assert.equal((await ask(cleo, room)).room.room_id, room, "its two come in by Socket.IO");
    cleo.disconnect();
    // A back end makes rooms between others; it is told nothing of them but that they are there.
    for (const as of ["eve", OUTSIDERS[1]]) {
      const made = await rest("POST", "/rooms", { as, body: { name: "R", type: "direct", members: ["cleo", "dan"] } });
      assert.deepEqual([made.status, made.body.code], [403, "forbidden"]);
    }
    for (const whom of ["", "x".repeat(256)]) assert.ok((await direct("cleo", whom)).status >= 400);
    assert.equal((await direct("cleo", "cleo")).body.code, "bad_request");
    assert.equal((await direct(null, "cleo")).body.code, "token_required");
    // Also once it is no more.
    assert.equal((await rest("DELETE", `/rooms/${room}`, { as: { sub: "root", roles: ["admin"] } })).status, 204);
    assert.equal((await rest("GET", `/rooms/${room}`, { as: "dan" })).body.code, "room_deleted");
    await same();
  });

  test("32 KiB frames are taken there, and only with what is encrypted", async () => {
    const { body: { room_id: room } } = await direct("fay", "gus");
    const [fay, gus] = [await join(room, "fay"), await join(room, "gus")];
    const large = "A".repeat(30_000);
    await fay.request("send_message", letter(large));
    assert.equal(JSON.parse((await gus.next("new_message")).data.content).ciphertext.length, 30_000);
    fay.send(JSON.stringify({ event: "send_message", data: letter("A".repeat(33_000)) }));
    assert.equal((await fay.closed).code, 4413);
    const elsewhere = await join("video_large", "fay");
    elsewhere.send(JSON.stringify({ event: "send_message", data: letter(large) }));
    assert.equal((await elsewhere.closed).code, 4413);
  });

  test("who blocks ends the talk, also while nobody is there, and opens it again", async () => {
    const { body: { room_id: room } } = await direct("hal", "ida");
    const hal = await join(room, "hal");
    await hal.request("send_message", letter());
    assert.equal((await block("ida", "hal")).status, 204);
    const refused = async () => {
      const { status, body } = await rest("POST", `/rooms/${room}/messages`, { as: "hal", body: letter() });
      return status === 403 && body.code === "blocked";
    };
    assert.ok(await until(3_000, refused), "the room has heard of it");
    await assert.rejects(hal.request("send_message", letter()), { code: "blocked" });
    for (const [as, whom] of [["hal", "ida"], ["ida", "hal"]]) assert.deepEqual([(await direct(as, whom)).status, (await direct(as, whom)).body.code], [403, "blocked"]);
    await block("ida", "hal", "DELETE");
    assert.ok(await until(3_000, async () => !(await refused())));
    await hal.request("send_message", letter());
    // Before there is a room, none is made.
    await block("jon", "kim");
    assert.equal((await direct("kim", "jon")).body.code, "blocked");
    await block("jon", "kim", "DELETE");
    assert.equal((await direct("kim", "jon")).status, 201);
  });

  test("a report proves what was said, or says that it does not; moderators see those words alone", async () => {
    const { body: { room_id: room } } = await direct("mia", "ned");
    const key = randomBytes(32);
    const base64 = (bytes) => bytes.toString("base64").replace(/=+$/, "");
    const said = async (words) => {
      const data = letter();
      data.franking = base64(createHmac("sha256", key).update(["edge-chat/v1/franking", room, "mia", data.client_id, words].join("\n")).digest());
      return (await rest("POST", `/rooms/${room}/messages`, { as: "mia", body: data })).body.message_id;
    };
    const report = (message, words, more = { room_id: room }) =>
      rest("POST", `/messages/${message}/report`, { as: "ned", body: { reason: "abuse", opened: { body: words, frank_key: base64(key) }, ...more } });
    const [one, two] = [await said("rude words"), await said("kind words")];
    assert.equal((await report(one, "rude words", {})).status, 201, "found by PostgreSQL");
    assert.equal((await report(two, "rude words")).status, 201);
    const mod = { sub: "mod", roles: ["moderator"] };
    const expected = [[two, { body: "rude words", proved: false }], [one, { body: "rude words", proved: true }]];
    const shown = ({ body }) => body.reports.filter(({ room_id }) => room_id === room).map(({ message_id, opened }) => [message_id, opened]);
    assert.deepEqual(shown(await rest("GET", `/rooms/${room}/reports`, { as: mod })), expected);
    assert.ok(await until(8_000, async () => shown(await rest("GET", "/reports", { as: mod })).length === 2));
    const { body: queue } = await rest("GET", "/reports?limit=100", { as: mod });
    assert.deepEqual(shown({ body: queue }), expected);
    const [{ report_id }] = queue.reports.filter(({ message_id }) => message_id === one);
    const opened = (await rest("GET", `/rooms/${room}/reports/${report_id}`, { as: mod })).body;
    assert.deepEqual([opened.opened.proved, opened.context], [true, { before: [], message: null, after: [] }]);
    const decided = await rest("PATCH", `/rooms/${room}/reports/${report_id}`, { as: mod, body: { status: "resolved" } });
    assert.equal(decided.body.opened.body, "rude words");
    assert.equal((await rest("DELETE", `/messages/${one}?room_id=${encodeURIComponent(room)}`, { as: mod })).status, 200);
    for (const [as, status] of [["eve", 404], ["mia", 403], [null, 401]]) {
      assert.equal((await rest("GET", "/reports", { as })).status, as === null ? 401 : 403);
      for (const path of [`/rooms/${room}/reports`, `/rooms/${room}/reports/${report_id}`]) assert.equal((await rest("GET", path, { as })).status, status, path);
      assert.equal((await rest("PATCH", `/rooms/${room}/reports/${report_id}`, { as, body: { status: "dismissed" } })).status, status);
    }
  });

  test("twenty new ones an hour; those that are there are always opened", async () => {
    for (let n = 0; n < 20; n++) assert.equal((await direct("lou", `friend ${n}`)).status, 201);
    const { status, body, headers } = await direct("lou", "friend 20");
    assert.deepEqual([status, body.code, headers.has("retry-after")], [429, "rate_limited", true]);
    assert.equal((await direct("lou", "friend 3")).status, 200);
    assert.equal((await direct("friend 20", "lou")).status, 201, "the other one still may");
  });
});
