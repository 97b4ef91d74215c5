// Points for Workers Analytics Engine: the local binding keeps nothing that could be read back, so one that logs what it
// is given stands in its place here; the binding itself is only seen to be found.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";

const FAKE = `
const withPoints = (env) => ({ ...env, ANALYTICS: { writeDataPoint: (point) => console.log("point " + JSON.stringify(point)) } });
`;

/** The built JavaScript, with another ANALYTICS for all objects. */
function pointed(text) {
  const constructs = /construct\((\w+),(\w+),(\w+)\)\{try\{/;
  assert.match(text, constructs);
  return FAKE + text.replace(constructs, "construct($1,$2,$3){$2=[$2[0],withPoints($2[1])];try{");
}

let database;
before(async () => (database = await testDatabase()));
after(() => database?.drop());

async function talk(options, room) {
  const server = await startServer({ databaseUrl: database.url, vars: { METRICS_TOKEN: "operators-eyes-only" }, ...options });
  const { join } = chat(server);
  const ada = await join(room, "ada");
  await join(room, null);
  for (let n = 0; n < 3; n++) await ada.request("send_message", { content: `${n}` });
  await assert.rejects(ada.request("send_message", { content: "" }));
  return server;
}

test("a drain writes a point of a room, and no second one within a minute", async () => {
  const room = `video_${"long".repeat(30)}`;
  const server = await talk({ patch: pointed }, room);
  try {
    const points = () => server.logs.filter(({ text }) => text.startsWith("point ")).map(({ text }) => JSON.parse(text.slice(6)));
    assert.ok(await until(5_000, () => points().length));
    assert.ok(await until(5_000, async () => {
      const text = await (await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer operators-eyes-only" } })).text();
      return /edge_chat_messages_in_total\{drain="\d"\} 3/.test(text);
    }));
    const [point, ...more] = points();
    assert.deepEqual(more, []);
    assert.deepEqual([point.indexes, point.blobs], [[room.slice(0, 96)], [room]]);
    const [seconds, messages, deliveries, joins, , frames_in, frames_out, rows, , , , behind] = point.doubles;
    assert.equal(point.doubles.length, 12);
    assert.ok(point.doubles.every((double) => Number.isFinite(double) && double >= 0));
    assert.deepEqual([seconds, messages <= 3, joins >= 1, frames_in >= 1, rows >= 1], [0, true, true, true, true]);
    assert.ok(deliveries >= 0 && frames_out >= 1 && behind >= 0);
  } finally {
    await server.stop();
  }
});

test("a data set that is bound makes no trouble, and one that is not is not missed", async () => {
  for (const bound of [{ ANALYTICS: { dataset: "edge_chat" } }, undefined]) {
    const server = await talk({ more: { analyticsEngineDatasets: bound } }, "video_bound");
    try {
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      assert.deepEqual(server.logs.filter(({ level }) => level === "error"), []);
    } finally {
      await server.stop();
    }
  }
});
