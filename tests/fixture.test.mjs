// Rooms as earlier versions stored them are read by this one.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { chat, startServer, testDatabase, until } from "./harness/index.mjs";
import { put } from "./fixtures/stored.mjs";

const folder = new URL("fixtures/", import.meta.url);
const fixtures = readdirSync(folder).filter((name) => name.endsWith(".json"));
assert.ok(fixtures.length);

/** Whatever was shown then is shown now; a later version may show more. */
function keeps(now, then) {
  if (then === null || typeof then !== "object") return assert.equal(now, then);
  assert.equal(Array.isArray(now), Array.isArray(then));
  if (Array.isArray(then)) assert.equal(now.length, then.length);
  for (const [name, value] of Object.entries(then)) keeps(now[name], value);
}

for (const name of fixtures) {
  const { room, seen, stored } = JSON.parse(readFileSync(new URL(name, folder), "utf8"));

  test(`V4, P1: ${name}: a stored room is joined, resumed, read and goes on`, async () => {
    const database = await testDatabase();
    const server = await startServer({ databaseUrl: database.url });
    const { join, rest } = chat(server);
    try {
      // So that the object's file is there.
      assert.equal((await rest("GET", `/rooms/${room}`)).status, 404);
      await server.kill9();
      await put(server, database, room, stored);
      await server.restart();

      const bob = await join(room, { sub: "bob", username: "Bób <3" }, { resume: { epoch: seen.epoch, seq: seen.from } });
      assert.deepEqual([bob.joined.resumed, bob.joined.epoch, bob.joined.seq], [true, seen.epoch, seen.last.seq]);
      keeps(bob.joined.events, seen.events);
      const ada = await join(room, "ada");
      assert.equal(ada.joined.self.role, "owner");
      keeps(ada.joined.messages, seen.history.messages.toReversed());
      assert.deepEqual(ada.joined.my_reactions, { [ada.joined.messages[0].message_id]: ["👍"] });
      assert.deepEqual([ada.joined.room.name, ada.joined.room.settings.max_message_length, ada.joined.room.settings.guests], ["Stored well", 500, false]);
      const history = async (query) => (await rest("GET", `/rooms/${room}/messages${query}`, { as: "ada" })).body;
      keeps(await history("?limit=100"), seen.history);

      const next = await ada.request("send_message", { content: "in a later version" });
      assert.equal(next.seq, seen.last.seq + 1);
      assert.equal((await bob.next("new_message")).data.no, seen.history.total + 1);
      const { message_id } = seen.history.messages.at(-1);
      assert.deepEqual((await ada.request("react", { message_id, reaction: "👍", remove: true })).reactions["👍"], 1);
      const stored_ = () => database.query("select no from messages where room_id = $1", [room]);
      assert.ok(await until(5_000, async () => (await stored_()).length === seen.history.total + 1), "the end of the log is drained");

      // The same from PostgreSQL alone, as where the object's storage is lost.
      assert.ok(await until(5_000, async () => (await database.query("select 1 from room_cursor where room_id = $1 and seq > $2", [room, next.seq]))[0]));
      await server.kill9();
      for (const table of Object.keys(stored.object)) server.sql("Room", room, `DELETE FROM ${table}`);
      await server.restart();
      const [newest, ...older] = (await history("?limit=100")).messages;
      assert.equal(newest.message_id, next.message_id);
      const without = ({ reactions, ...message }) => message;
      keeps(older.map(without), seen.history.messages.map(without));
      assert.deepEqual(older.at(-1).reactions, { "👍": 1, "🏳️‍🌈": 1 });
    } finally {
      await server.stop();
      await database.drop();
    }
  });
}
