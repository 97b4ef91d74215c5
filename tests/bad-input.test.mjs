// Bad input gets its typed error or close code, is logged without secrets, and disturbs nobody else.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chat, openSocket, Refused, startServer, testDatabase, token, until } from "./harness/index.mjs";

/** Stands in every body, name and token of these tests that must not be found in a log. */
const MARK = "hush5eCr3t";
const ROOM = "video_bad";
let database, server, join, open, rest, witness, speaker;
const secrets = [];

before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { ALLOWED_ORIGINS: "https://pages.example" } });
  ({ join, open, rest } = chat(server));
  speaker = await join(ROOM, { sub: "speaker", roles: ["service"] });
  witness = await join(ROOM, "witness");
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

let spoken = 0;
/** Nobody was disturbed: what is said next arrives, in order. */
async function undisturbed() {
  const { message_id, seq } = await speaker.request("send_message", { content: `all is well ${++spoken}` });
  const line = await witness.next("new_message");
  assert.deepEqual([line.data.message_id, line.seq], [message_id, seq]);
}

const signed = async (claims, options) => {
  const text = await token(claims, options);
  secrets.push(text);
  return text;
};
const expired = () => signed({ sub: "old", exp: Math.floor(Date.now() / 1000) - 1 });
const forged = () => signed({ sub: "eve", roles: ["admin"] }, { secret: `${MARK}-another-secret-of-enough-bytes` });
const unsigned = () => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "none" })}.${part({ sub: "eve", exp: 9_999_999_999 })}.`;
  secrets.push(text);
  return text;
};
const nested = (depth) => `{"event":"typing","data":{"is_typing":true,"x":${"[".repeat(depth)}${"]".repeat(depth)}}}`;
const send = (data, id) => JSON.stringify({ id, event: "send_message", data });

/** Frames that are bad whoever sends them: what it is, the frame, the code, the field. */
const FRAMES = [
  ["not JSON", `hello ${MARK}`, "bad_frame"],
  ["an empty frame", "", "bad_frame"],
  ["an array", "[1]", "bad_frame"],
  ["two objects", '{"event":"ping"}{"event":"ping"}', "bad_frame"],
  ["no event", `{"data":{"content":"${MARK}"}}`, "bad_frame"],
  ["an event that is a number", '{"event":7}', "bad_frame"],
  ["an id with a fraction", '{"id":1.5,"event":"leave_room"}', "bad_frame"],
  ["an id beyond 2^53", '{"id":9007199254740993,"event":"leave_room"}', "bad_frame"],
  ["an id of 65 characters", `{"id":"${"x".repeat(65)}","event":"leave_room"}`, "bad_frame"],
  ["a lone surrogate", '{"event":"send_message","data":{"content":"\\ud800"}}', "bad_frame"],
  ["33 levels", nested(31), "bad_frame"],
  ["1,000 levels", nested(1_000), "bad_frame"],
  ["binary", Buffer.from(`{"event":"ping","x":"${MARK}"}`), "bad_frame"],
  ["an unknown event", `{"id":1,"event":"${MARK}","data":{}}`, "unknown_event"],
  ["content that is a number", send({ content: 7 }, 2), "bad_request", "content"],
  ["no content", send({}, 3), "bad_request", "content"],
  ["data that is a string", '{"id":4,"event":"send_message","data":"x"}', "bad_request"],
  ["is_typing that is a string", '{"id":5,"event":"typing","data":{"is_typing":"yes"}}', "bad_request", "is_typing"],
  ["a resume without seq", '{"id":6,"event":"join_room","data":{"resume":{"epoch":1}}}', "bad_request", "resume.seq"],
  ["another room", send({ content: MARK, room_id: "video_1" }, 7), "wrong_room", "room_id"],
];

describe("bad frames", () => {
  test("on a joined socket each is answered, and the socket goes on", async () => {
    for (const [what, frame, code, field] of FRAMES) {
      const socket = await join(ROOM, "bad");
      socket.send(frame);
      const answered = () => socket.lines.map((line) => line.error ?? (line.event === "error" ? line.data : null)).find(Boolean);
      const error = await until(2_000, answered, 5);
      assert.equal(error?.code, code, what);
      if (field) assert.equal(error.field, field, what);
      assert.ok(error.message && !JSON.stringify(error).includes(MARK), what);
      await socket.request("typing", { is_typing: false });
      await undisturbed();
      socket.terminate();
    }
  });

  test("as the first frame each is answered and closes by 4400", async () => {
    const early = ["send_message", "leave_room", "ping", "catch_up"].map((event) =>
      [`${event} before the join`, JSON.stringify({ event, data: { content: MARK, epoch: 1, seq: 1 } }), "not_joined"]);
    for (const [what, frame, code] of [...FRAMES, ...early]) {
      const socket = await open(ROOM, "bad");
      socket.send(frame);
      const { code: close, reason } = await socket.closed;
      assert.deepEqual([close, reason], [4400, { retry: false, after_ms: 0 }], what);
      const answers = socket.lines.map((line) => line.error?.code ?? line.data?.code);
      assert.deepEqual(answers, [code], what);
      await undisturbed();
    }
  });

  test("a frame above 16,384 bytes closes by 4413, one of that size does not", async () => {
    const frame = (bytes) => {
      const empty = send({ content: "", metadata: {}, x: "" }).length;
      return send({ content: "", metadata: {}, x: "x".repeat(bytes - empty) });
    };
    const socket = await join(ROOM, "bad");
    socket.send(frame(16_384));
    assert.equal((await socket.next("error")).data.code, "message_empty");
    socket.send(frame(16_385));
    assert.equal((await socket.next("error")).data.code, "frame_too_large");
    assert.deepEqual(await socket.closed, { code: 4413, reason: { retry: false, after_ms: 0 } });
    // Bytes count, not characters.
    const wide = await join(ROOM, "bad");
    wide.send(send({ content: "é".repeat(8_500) }));
    assert.equal((await wide.closed).code, 4413);
    await undisturbed();
  });

  test("the 20th bad frame in a minute closes by 4400", async () => {
    const socket = await join(ROOM, "bad");
    for (let i = 0; i < 19; i++) socket.send("no");
    await socket.request("typing", { is_typing: false });
    socket.send("no");
    assert.equal((await socket.closed).code, 4400);
    assert.equal(socket.lines.filter((line) => line.event === "error").length, 20);
    await undisturbed();
  });

  test("unknown fields are ignored", async () => {
    const socket = await join(ROOM, "bad", { colour: "blue" });
    const { message_id } = await socket.request("send_message", { content: "fine", shout: true, no: 7 });
    assert.equal((await witness.next("new_message")).data.message_id, message_id);
  });
});

test("acts that the room refuses", async () => {
  const socket = await join(ROOM, { sub: "actor", roles: ["moderator"] });
  const { message_id } = await speaker.request("send_message", { content: "mine" });
  await witness.next("new_message");
  const many = { big: MARK.repeat(120) };
  for (const [event, data, code, field] of [
    ["edit_message", { message_id, content: MARK }, "forbidden"],
    ["delete_message", { message_id }, "forbidden"],
    ["react", { message_id: "msg_456", reaction: "👍" }, "message_not_found", "message_id"],
    ["react", { message_id: message_id.replace(/^./, "f"), reaction: "👍" }, "message_not_found", "message_id"],
    ["react", { message_id, reaction: MARK }, "invalid_reaction"],
    ["edit_message", { message_id: "00000000-0000-7000-8000-000000000000", content: MARK }, "message_not_found", "message_id"],
    ["delete_message", { message_id: "" }, "message_not_found", "message_id"],
    ["send_message", { content: " \u0000\n " }, "message_empty"],
    ["send_message", { content: "<b></b>" }, "message_empty"],
    ["send_message", { content: "x".repeat(1_001) }, "message_too_long"],
    ["send_message", { content: MARK, type: "encrypted" }, "invalid_type", "type"],
    ["send_message", { content: MARK, type: "system" }, "forbidden"],
    ["send_message", { content: MARK, type: "emote" }, "invalid_type", "type"],
    ["send_message", { content: MARK, metadata: many }, "metadata_too_large"],
    ["send_message", { content: MARK, metadata: [1] }, "bad_request"],
    ["send_message", { content: MARK, client_id: "x".repeat(65) }, "bad_request", "client_id"],
    ["send_message", { content: MARK, mentions: Array.from({ length: 21 }, (_, i) => `u${i}`) }, "bad_request", "mentions"],
    ["send_message", { content: MARK, reply_to: "msg_1" }, "message_not_found", "reply_to"],
    ["refresh_token", { user_token: await forged() }, "token_invalid"],
    ["refresh_token", { user_token: await expired() }, "token_expired"],
  ]) {
    const error = await socket.request(event, data).then(() => assert.fail(`${event} ${code}`), ({ data: refusal }) => refusal);
    assert.equal(error?.code, code, `${event} ${JSON.stringify(data).slice(0, 80)}`);
    if (field) assert.equal(error.field, field, `${event} ${code}`);
    await undisturbed();
  }
});

describe("upgrades that are refused", () => {
  const long = "x".repeat(300);
  /** What it is, the room as it stands in the path, the tokens, the code, status, close code, whether to come back. */
  const cases = [
    ["an expired token", ROOM, expired, "token_expired", 401, 4401, true],
    ["a forged token", ROOM, forged, "token_invalid", 401, 4401, false],
    ["a token without a signature", ROOM, unsigned, "token_invalid", 401, 4401, false],
    ["no token at all after bearer.", ROOM, () => MARK, "token_invalid", 401, 4401, false],
    ["a room id with a slash", "a%2Fb", null, "invalid_room_id", 400, 4400, false],
    ["a room id with NUL", "a%00b", null, "invalid_room_id", 400, 4400, false],
    ["a room id of 300 characters", long, null, "invalid_room_id", 400, 4400, false],
    ["a room id of ours", "video_1~s3", null, "invalid_room_id", 400, 4400, false],
    ["a direct room's id", "dm:abc", null, "invalid_room_id", 400, 4400, false],
    ["a room id that is no UTF-8", "%FF", null, "invalid_room_id", 400, 4400, false],
  ];
  for (const [what, room, bearer, code, status, close, retry] of cases) {
    test(what, async () => {
      const url = `${server.url.replace("http", "ws")}/api/rooms/${room}/ws`;
      const entries = bearer ? [`bearer.${await bearer()}`] : [];
      const socket = await openSocket(url, ["chat.v1", ...entries]);
      assert.equal(socket.protocol, "chat.v1");
      const { data } = await socket.next("goodbye");
      assert.deepEqual([data.code, data.retry], [code, retry]);
      const closed = await socket.closed;
      assert.deepEqual([closed.code, closed.reason.retry], [close, retry]);
      if (!bearer) {
        await assert.rejects(openSocket(url, []), (error) => error instanceof Refused && error.status === status && error.body.code === code);
      }
      await undisturbed();
    });
  }

  test("another subprotocol, another origin, no upgrade", async () => {
    const url = server.socketUrl(ROOM);
    await assert.rejects(openSocket(url, ["chat.v2"]), ({ status }) => status === 400);
    await assert.rejects(openSocket(url, [`bearer.${await expired()}`]), ({ status }) => status === 400);
    await (await openSocket(url, [])).request("join_room", {});
    await assert.rejects(openSocket(url, [], { headers: { origin: "https://evil.example" } }), ({ status, body }) => status === 403 && body.code === "forbidden");
    const evil = await openSocket(url, ["chat.v1"], { headers: { origin: "https://evil.example" } });
    assert.equal((await evil.closed).code, 4403);
    for (const origin of ["https://pages.example", server.url]) await (await openSocket(url, ["chat.v1"], { headers: { origin } })).request("join_room", {});
    assert.equal((await rest("GET", `/rooms/${ROOM}/ws`)).status, 400);
    await undisturbed();
  });

  test("a token that is no good in join_room", async () => {
    for (const [make, code, retry] of [[expired, "token_expired", true], [forged, "token_invalid", false], [unsigned, "token_invalid", false]]) {
      const socket = await open(ROOM, null);
      await assert.rejects(socket.request("join_room", { user_token: await make() }), { code });
      const closed = await socket.closed;
      assert.deepEqual([closed.code, closed.reason.retry], [4401, retry]);
    }
    await undisturbed();
  });
});

test("over REST every error is a problem as RFC 9457 has it", async () => {
  const path = `/rooms/${ROOM}/messages`;
  const bearer = async (make) => ({ headers: { authorization: `Bearer ${await make()}` } });
  for (const [method, where, options, status, code, pointer] of [
    ["GET", `${path}?page=0`, {}, 400, "invalid_parameter", "#/page"],
    ["GET", `${path}?limit=10000`, {}, 400, "invalid_parameter", "#/limit"],
    ["GET", `${path}?limit=0`, {}, 400, "invalid_parameter", "#/limit"],
    ["GET", `${path}?limit=ten`, {}, 400, "invalid_parameter", "#/limit"],
    ["GET", `${path}?page=1&before=5`, {}, 400, "invalid_parameter", "#/page"],
    ["GET", `${path}?before=-1`, {}, 400, "invalid_parameter", "#/before"],
    ["GET", `/rooms/${ROOM}/members?limit=101`, {}, 400, "invalid_parameter", "#/limit"],
    ["GET", "/rooms/a%2Fb/messages", {}, 400, "invalid_room_id", "#/room_id"],
    ["GET", "/rooms/a%00b", {}, 400, "invalid_room_id", "#/room_id"],
    ["GET", `/rooms/${"x".repeat(300)}/messages`, {}, 400, "invalid_room_id", "#/room_id"],
    ["GET", "/rooms/video_nobody/messages", {}, 404, "room_not_found"],
    ["GET", path, await bearer(expired), 401, "token_expired"],
    ["GET", path, await bearer(forged), 401, "token_invalid"],
    ["GET", path, { headers: { authorization: `Basic ${MARK}` } }, 401, "token_invalid"],
    ["POST", path, { body: { content: MARK } }, 401, "token_required"],
    ["POST", path, { as: "bad", body: `{"content": "${MARK}` }, 400, "bad_request"],
    ["POST", path, { as: "bad", body: "" }, 400, "bad_request"],
    ["POST", path, { as: "bad", body: `[${MARK.length}]` }, 400, "bad_request"],
    ["POST", path, { as: "bad", body: `["${MARK}"]` }, 400, "bad_request"],
    ["POST", path, { body: "" }, 401, "token_required"],
    ["POST", path, { as: "bad", headers: { "idempotency-key": "x".repeat(65) }, body: { content: MARK } }, 400, "bad_request", "#/client_id"],
    ["POST", path, { as: "bad", body: { content: [MARK] } }, 400, "bad_request", "#/content"],
    ["POST", path, { as: "bad", body: `{"content":"x","metadata":${'{"a":'.repeat(40)}1${"}".repeat(40)}}` }, 400, "bad_request"],
    ["POST", path, { as: "bad", body: { content: "x".repeat(66_000) } }, 413, "frame_too_large"],
    ["POST", path, { as: "bad", body: { content: "x".repeat(1_001) } }, 400, "message_too_long"],
    ["PATCH", "/messages/msg_456", { as: "bad", body: { content: MARK } }, 404, "message_not_found"],
    ["DELETE", "/messages/msg_456", { as: "bad" }, 404, "message_not_found"],
    ["DELETE", "/messages/msg_456", {}, 401, "token_required"],
    ["GET", `/rooms/${ROOM}/stats`, { as: "bad" }, 403, "forbidden"],
    ...["/rooms/anywhere", "/users/anybody"].flatMap((of) => [
      ["GET", `${of}/export?after=`, {}, 401, "token_required"],
      ["GET", `${of}/export?after=`, { as: "anybody" }, 400, "invalid_parameter", "#/after"],
    ]),
  ]) {
    const { status: got, headers, body } = await rest(method, where, options);
    const what = `${method} ${where.slice(0, 80)} ${code}`;
    assert.deepEqual([got, body.code, body.status, body.type], [status, code, status, `/problems/${code}`], what);
    assert.match(headers.get("content-type"), /^application\/problem\+json/, what);
    assert.deepEqual([typeof body.title, typeof body.detail, body.instance], ["string", "string", headers.get("x-request-id")], what);
    assert.equal(body.errors?.[0].pointer, pointer ?? body.errors?.[0].pointer, what);
    if (pointer) assert.equal(typeof body.errors[0].detail, "string");
    if (status === 401) assert.match(headers.get("www-authenticate"), /^Bearer/);
    assert.ok(!JSON.stringify(body).includes(MARK), what);
    assert.equal((await fetch(`${server.url}${body.type}`)).status, 200, "its type can be read up");
    await server.log(new RegExp(`${body.instance}.*${code}`));
  }
  assert.equal((await fetch(`${server.url}/api/nothing`)).status, 404);
  for (const method of ["PUT", "QUERY"]) {
    const { status, headers, body } = await rest(method, path);
    assert.deepEqual([status, headers.get("allow"), body.detail], [405, "GET, POST", "This path takes GET, POST."]);
  }
  await undisturbed();
});

test("nothing of a token, a secret or a body is in the log, and nobody else was sent anything of it", async () => {
  const logged = server.logs.map(({ text }) => text).join("\n");
  assert.ok(logged.includes("token_invalid") && logged.includes("invalid_room_id"), "refusals are logged");
  for (const secret of [MARK, ...secrets.flatMap((text) => text.split(".").slice(1)).filter(Boolean)]) assert.ok(!logged.includes(secret), secret);
  assert.ok(!/panicked|unreachable|fault/i.test(logged), logged);
  assert.ok(!witness.lines.some((line) => line.event === "error") && !JSON.stringify(witness.lines).includes(MARK));
});
