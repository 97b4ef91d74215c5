// workerd is killed in the middle of 10,000 sends: what was acknowledged is there, once, and nothing has to be guessed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

const ROOM = "video_crash";
const SENDERS = 5;
const EACH = 2_000;
/** Requests that each sender has on their way at once. */
const WIDTH = 20;

let database, server;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { RATE_LIMIT_SERVICE_MESSAGES: "100000" } });
});
after(async () => {
  await server?.stop();
  await database?.drop();
});

const service = (sender) => ({ sub: `sender-${sender}`, roles: ["service"] });

/** Every sender says all of its messages, a reply at a time in each of its lanes; `done` gets what was acknowledged. */
async function say(join, done) {
  const senders = await Promise.all(Array.from({ length: SENDERS }, (_, sender) => join(ROOM, service(sender))));
  const lane = async (sender, first) => {
    for (let i = first; i < EACH; i += WIDTH) {
      const client_id = `${sender}-${i}`;
      done(client_id, await senders[sender].request("send_message", { content: `message ${client_id}`, client_id }, 20_000));
    }
  };
  const lanes = senders.flatMap((_, sender) => Array.from({ length: WIDTH }, (_, first) => lane(sender, first)));
  const ended = await Promise.allSettled(lanes);
  return { senders, failed: ended.filter(({ status }) => status === "rejected").map(({ reason }) => reason) };
}

/** The messages in the room's SQLite, in their order. */
const inLog = () =>
  server.sql("Room", ROOM, "SELECT events FROM log ORDER BY last_seq")
    .flatMap((row) => JSON.parse(row.events))
    .filter(({ event }) => event === "new_message")
    .map(({ data }) => data);

test("V2, V3, P1: SIGKILL in the middle of 10,000 sends loses nothing that was acknowledged", { timeout: 150_000 }, async () => {
  const { join, rest } = chat(server);
  const acknowledged = new Map();
  let killed;
  const { failed } = await say(join, (client_id, reply) => {
    acknowledged.set(client_id, reply);
    if (acknowledged.size === 4_000) killed = server.kill9();
  });
  await killed;
  assert.equal(failed.length, SENDERS * WIDTH, "every lane was cut");
  assert.ok(acknowledged.size < SENDERS * EACH);

  const left = inLog();
  const byClient = new Map(left.map((message) => [message.client_id, message]));
  assert.equal(byClient.size, left.length, "none twice");
  for (const [client_id, { message_id }] of acknowledged) assert.equal(byClient.get(client_id)?.message_id, message_id, client_id);

  await server.restart();
  const replies = new Map();
  const again = await say(join, (client_id, reply) => replies.set(client_id, reply));
  assert.deepEqual(again.failed, []);
  assert.equal(replies.size, SENDERS * EACH);
  for (const [client_id, reply] of acknowledged) assert.deepEqual(replies.get(client_id), reply, client_id);
  for (const [client_id, { message_id }] of byClient) assert.equal(replies.get(client_id).message_id, message_id, client_id);

  const history = [];
  for (let before_ = SENDERS * EACH + 1; before_ > 1; before_ = history.at(-1).no) {
    const { status, body } = await rest("GET", `/rooms/${ROOM}/messages?limit=100&before=${before_}`);
    assert.deepEqual([status, body.total, body.messages.length], [200, SENDERS * EACH, 100]);
    history.push(...body.messages);
  }
  assert.deepEqual(history.map(({ no }) => no), Array.from({ length: SENDERS * EACH }, (_, i) => SENDERS * EACH - i));
  assert.equal(new Set(history.map(({ client_id }) => client_id)).size, SENDERS * EACH);
  for (const { client_id, message_id, content } of history) {
    assert.deepEqual([message_id, content], [replies.get(client_id).message_id, `message ${client_id}`]);
  }

  const stored = () => database.query("select id as message_id, no::int, client_id, content, seq::int from messages where room_id = $1 order by no", [ROOM]);
  const count = async () => Number((await database.query("select count(*) from messages where room_id = $1", [ROOM]))[0].count);
  assert.ok(await until(30_000, async () => (await count()) === SENDERS * EACH, 250), `PostgreSQL has ${await count()}`);
  assert.deepEqual(await stored(), history.toReversed().map(({ message_id, no, client_id, content, seq }) => ({ message_id, no, client_id, content, seq })));
  for (const socket of again.senders) socket.terminate();
});
