// What the log holds after people have been at the doors: JSON with ids and codes, never a token, a secret or what was said.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chat, openSocket, SECRET, startServer, testDatabase, token } from "./harness/index.mjs";

let database, server, join, open, rest;
const TEXT = "quiet-words-7b1d";
const ROOM = "video_logs";
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { RATE_LIMIT_MESSAGES: "4" } });
  ({ join, open, rest } = chat(server));
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

test("no line holds a token, the secret, an address or what somebody said", async () => {
  const tokens = [];
  const sign = async (claims, options) => {
    tokens.push(await token(claims, options));
    return tokens.at(-1);
  };
  const bearer = await sign({ sub: "ada", username: "Ada" });
  const headers = { "cf-connecting-ip": "203.0.113.77" };
  const ada = await openSocket(server.socketUrl(ROOM), ["chat.v1", `bearer.${bearer}`], { headers });
  await ada.request("join_room", {});
  const bob = await openSocket(server.socketUrl(ROOM), ["chat.v1"], { headers });
  await bob.request("join_room", { user_token: await sign({ sub: "bob" }) });
  await ada.request("refresh_token", { user_token: await sign({ sub: "ada", username: "Ada", exp: Math.floor(Date.now() / 1000) + 7200 }) });
  const { message_id } = await ada.request("send_message", { content: `${TEXT} 1`, client_id: `${TEXT}-id`, metadata: { note: TEXT } });
  await ada.request("edit_message", { message_id, content: `${TEXT} 2` });
  await ada.request("react", { message_id, reaction: "👍" });
  const post = (body, authorization = `Bearer ${bearer}`) => rest("POST", `/rooms/${ROOM}/messages`, { body, headers: { authorization, ...headers } });
  assert.equal((await post({ content: `${TEXT} 3` })).status, 201);

  const rejected = (promise, code) => assert.rejects(promise, (error) => error.code === code);
  await rejected(bob.request("send_message", { content: TEXT.repeat(100) }), "message_too_long");
  await rejected(bob.request("send_message", { content: `${TEXT} x`, reply_to: TEXT }), "message_not_found");
  await rejected(bob.request("send_message", { content: 7, metadata: TEXT }), "bad_request");
  bob.send(`{"event":"${TEXT}"}`);
  bob.send(`${TEXT} is not JSON`);
  assert.equal((await post({ content: `${TEXT} 4` })).status, 201);
  await rejected(ada.request("send_message", { content: `${TEXT} 5` }), "rate_limited");
  assert.equal((await post({ content: `${TEXT} 6` })).status, 429);
  assert.equal((await post(`{"content": "${TEXT}`)).status, 400);
  assert.equal((await post({ content: [TEXT] })).status, 400);

  const forged = await sign({ sub: "eve" }, { secret: "another secret, of enough bytes to be one" });
  const expired = await sign({ sub: "old", exp: 1 });
  for (const bad of [forged, expired]) {
    const socket = await openSocket(server.socketUrl(ROOM), ["chat.v1", `bearer.${bad}`], { headers });
    assert.equal((await socket.closed).code, 4401);
    const late = await open(ROOM, null);
    await assert.rejects(late.request("join_room", { user_token: bad }));
    assert.equal((await post({ content: TEXT }, `Bearer ${bad}`)).status, 401);
    assert.equal((await rest("GET", `/rooms/${ROOM}/messages?token=${bad}`)).status, 200);
  }
  assert.equal((await post({ content: TEXT }, `Basic ${TEXT}`)).status, 401);
  await server.log(/token_expired/);
  await check(tokens);
});

test("a fault of the storage shows an id, over REST and on a socket, and its text is in the log alone", async () => {
  const ada = await join("video_fault", "ada");
  const { message_id } = await ada.request("send_message", { content: `${TEXT} stored` });
  const events = `"${TEXT} is no list of events"`;
  await server.kill9();
  server.sql("Room", "video_fault", "UPDATE log SET events = ? WHERE last_seq = (SELECT max(last_seq) FROM log)", events);
  await server.restart();

  const { status, headers, body } = await rest("GET", "/rooms/video_fault/messages");
  assert.deepEqual([status, body.code, body.instance], [500, "internal", headers.get("x-request-id")]);
  assert.match(body.error_id, /^[0-9a-f]{16}$/);
  assert.ok(!/log|row|JSON|column|SQL/.test(body.detail.replace("has been logged", "")), body.detail);
  const cause = await server.log(new RegExp(`error ${body.error_id}: .*cannot be read`));
  assert.deepEqual([cause.level, cause.fields.level, cause.fields.error_id], ["error", "error", body.error_id]);
  const line = await server.log(new RegExp(`request ${body.instance}: internal \\(error ${body.error_id}\\)`));
  assert.deepEqual(line.fields, { level: "info", msg: line.message, request: body.instance, code: "internal", error_id: body.error_id });
  const socket = await open("video_fault", "ada");
  const { data } = await socket.next("goodbye");
  assert.match(data.error_id, /^[0-9a-f]{16}$/);
  assert.deepEqual([data.code, (await socket.closed).code], ["internal", 4429]);
  assert.notEqual(data.error_id, body.error_id);
  await server.log(new RegExp(`error ${data.error_id}: `));
  assert.ok(!JSON.stringify([body, socket.lines]).includes(message_id));
  await check([]);
});

test("a fault that a frame brings names the room and the socket", async () => {
  const ada = await join("video_frame", "ada");
  const { message_id } = await ada.request("send_message", { content: `${TEXT} stored` });
  await ada.request("react", { message_id, reaction: "👍" });
  await server.kill9();
  const key = "react:";
  server.sql("Room", "video_frame", "UPDATE state SET value = ? WHERE key >= ? AND key < 'react;'", `${TEXT} is no list`, key);
  await server.restart();
  const socket = await open("video_frame", "ada");
  await socket.request("join_room", {}).catch(() => {});
  await socket.request("react", { message_id, reaction: "👎" }).catch(() => {});
  const { fields } = await server.log(/^room video_frame: error /);
  assert.deepEqual([fields.level, fields.room], ["error", "video_frame"]);
  assert.match(fields.socket, /^\d+$/);
  await check([]);
});

async function check(tokens) {
  const logged = server.logs.map(({ text }) => text).join("\n");
  assert.ok(logged.includes("request "), logged);
  for (const { fields, text } of server.logs) {
    assert.ok(["info", "error"].includes(fields?.level) && fields.msg.length > 0, `no line as the others: ${text}`);
    const { level, msg, ...ids } = fields;
    assert.deepEqual(Object.keys(ids).filter((name) => !["room", "socket", "request", "drain", "code", "error_id", "instance"].includes(name)), [], text);
    if (msg.startsWith("request ")) assert.match(ids.request, /^\w+$/);
  }
  const parts = tokens.flatMap((text) => text.split(".").slice(1));
  for (const secret of [TEXT, SECRET, "203.0.113.77", ...parts]) assert.ok(!logged.includes(secret), secret);
}
