// A room's own troubles: traps in the wasm, alarms that fail, evictions without end, a full storage, a broken row, bursts.
import assert from "node:assert/strict";
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inspector } from "../bench/inspector.mjs";
import { freePort } from "../scripts/lib/process.mjs";
import { chat, enter, entries, fault, faulty, relay, say, startServer, testDatabase, throwAwayRedis, until } from "./harness/index.mjs";

/** So many messages that a room keeps no more of its log in memory. */
const KEPT = 400;
const SERVICE = { sub: "backend", roles: ["service"] };
const MODERATOR = { sub: "mod", username: "Mod", roles: ["moderator"] };
const ending = [];
after(() => Promise.all(ending.map((end) => end())));

/** `direct`: PostgreSQL is not behind the relay, which stands still with this process while an object is evicted. */
async function reached({ direct = false, ...options } = {}) {
  const database = await testDatabase();
  const link = await relay(database.url);
  const server = await startServer({ databaseUrl: direct ? database.url : link.url, ...options });
  ending.push(async () => {
    await server.stop();
    await link.cut();
    await database.drop();
  });
  const { join, rest } = chat(server);
  const stored = (room) => database.query("select no::int, content, client_id from messages where room_id = $1 order by no", [room]);
  const told = (room, count, ms) => until(ms, async () => (await stored(room)).length === count, 200);
  return { database, link, server, join, rest, stored, told };
}

/** One who says and hears all the same: after an error on a connection it is given up for a new one, which resumes. */
async function stubborn(join, room, who) {
  let socket, taken, gone;
  const watch = (opened) => {
    [socket, taken, gone] = [opened, 0, false];
    opened.closed.then(() => opened === socket && (gone = true));
  };
  watch(await enter(join, room, who));
  const { epoch, seq: from } = socket.joined;
  const self = {
    errors: 0,
    caught: 0,
    from,
    at: from,
    got: [],
    hear(lines) {
      for (const { seq } of lines) {
        if (seq === undefined) continue;
        self.got.push(seq);
        self.at = seq;
      }
    },
    /** Hears what has come; asks for what a trap kept from it. */
    async take() {
      const lines = socket.lines.slice(taken).filter(({ seq }) => seq !== undefined);
      taken = socket.lines.length;
      if (lines.every(({ seq }, i) => seq === self.at + 1 + i)) return self.hear(lines);
      const missed = await socket.request("catch_up", { epoch, seq: self.at }, 1_500);
      assert.equal(missed.resumed, true);
      self.hear(missed.events);
      self.at = missed.seq;
      self.caught += 1;
      // What came while it was asked is in the answer.
      taken = socket.lines.findLastIndex(({ seq }) => seq !== undefined && seq <= self.at) + 1;
    },
    async back() {
      socket.terminate();
      const again = await join(room, who, { resume: { epoch, seq: self.at } });
      assert.equal(again.joined.resumed, true);
      self.hear(again.joined.events);
      assert.equal(again.joined.seq, self.at);
      watch(again);
    },
    /** Comes back if it was cut off. */
    present: async () => (gone ? self.back() : self.take()),
    async say(content) {
      for (let tries = 0; tries < 8; tries++) {
        try {
          await self.present();
          return await socket.request("send_message", { content, client_id: content }, 1_500);
        } catch (error) {
          if (error.code === "ERR_ASSERTION") throw error;
          self.errors += 1;
          // As the client does with a frame that is not answered.
          gone = true;
        }
      }
      throw new Error(`${content} was never acknowledged`);
    },
  };
  return self;
}

/** Makes SQLite believe that the storage is of this size: the file grows by a hole that no page of a table is in. */
function inflate(file, bytes) {
  const handle = openSync(file, "r+");
  const head = Buffer.alloc(100);
  readSync(handle, head, 0, 100, 0);
  const page = head.readUInt16BE(16);
  const pages = Math.ceil(bytes / page);
  head.writeUInt32BE(pages, 28);
  writeSync(handle, head, 0, 100, 0);
  ftruncateSync(handle, pages * page);
  closeSync(handle);
}

describe("a room in trouble", { concurrency: 3 }, () => {
  test("V2, V8: traps of the wasm at any point lose nothing, and cost a connection one error at most", async () => {
    const { server, join, rest, told } = await reached({ patch: faulty });
    const rooms = ["video_trap_a", "video_trap_b"];
    const people = [];
    for (const room of rooms) for (const who of [SERVICE, "ada", "bob"]) people.push(await stubborn(join, room, who));
    const bots = [people[0], people[3]];
    const replies = [new Map(), new Map()];
    let traps = 0;
    for (const after of [0, 2, 5, 9, 15, 22, 30, 40]) {
      const errors = people.map((one) => one.errors);
      await fault(server, { after });
      await Promise.all(bots.map(async (bot, i) => {
        for (let n = 0; n < 3; n++) replies[i].set(`${after}-${n}`, await bot.say(`${after}-${n}`));
      }));
      traps = (await until(1_500, async () => {
        const { traps: now } = await fault(server);
        return now > traps && now;
      })) ?? traps;
      await fault(server, { after: null });
      // A frame that is not answered.
      people.forEach((one, i) => assert.ok(one.errors - errors[i] <= 1, `${one.errors - errors[i]} errors after trap ${after}`));
    }
    const { instances } = await fault(server);
    assert.ok(traps >= 6 && instances >= 5, `${traps} traps, ${instances} instances`);
    for (const [i, room] of rooms.entries()) {
      const { body } = await rest("GET", `/rooms/${room}/messages?limit=100`);
      const said = body.messages.toReversed().map(({ content, message_id }) => [content, message_id]);
      assert.deepEqual(said, [...replies[i]].map(([content, { message_id }]) => [content, message_id]));
      for (const one of people.slice(3 * i, 3 * i + 3)) {
        await one.present();
        const last = replies[i].get("40-2").seq;
        assert.ok(await until(2_000, async () => (await one.take(), one.at === last)), `at ${one.at} of ${last}`);
        assert.deepEqual(one.got, Array.from({ length: last - one.from }, (_, n) => one.from + 1 + n));
      }
      assert.ok(await told(room, replies[i].size, 20_000), "PostgreSQL is told all the same");
    }
  });

  test("P2: an alarm that traps seven times over stops the drain for no longer than that", async () => {
    const { server, join, told } = await reached({ patch: faulty });
    const room = "video_alarms";
    const bot = await stubborn(join, room, SERVICE);
    await bot.say("first");
    assert.ok(await told(room, 1, 3_000));
    await sleep(1_000);
    // In the middle of it, so that its promise is never settled.
    await fault(server, { alarms: 7, within: 9 });
    let said = 1;
    const began = performance.now();
    while ((await fault(server)).alarms > 0) {
      await bot.say(`meanwhile ${(said += 1)}`);
      await sleep(200);
      assert.ok(performance.now() - began < 60_000, "seven alarms have failed");
    }
    await bot.say("last");
    assert.ok(await told(room, said + 1, 20_000));
  });

  // Where that is the time for which the running alarm was called, the platform takes it for done.
  test("P2: no object sets an alarm for a time that is over", async () => {
    const watched = (text) => text.replace(/\.setAlarm\((\w+)\)/, ".setAlarm(($1<=Date.now()&&console.log('an alarm too soon'),$1))");
    assert.notEqual(watched("x.setAlarm(e)"), "x.setAlarm(e)");
    const { server, join, rest, told } = await reached({ patch: watched });
    const room = "video_alarmed";
    const ada = await join(room, "ada");
    for (const whom of ["bob", "carl", "dan"]) {
      await ada.request("send_message", { content: `hi ${whom}` });
      assert.equal((await rest("PUT", `/users/${whom}/block`, { as: "ada" })).status, 204);
      await sleep(700);
    }
    assert.ok(await told(room, 3, 5_000));
    assert.deepEqual(server.logs.filter(({ message }) => /too soon/.test(message)), []);
  });

  for (const bridged of [false, true]) {
    test(`V8: 200 evictions and wakes leave the wasm's memory and its rooms as they were, and every socket open${bridged ? ", with a bridge too" : ""}`, async () => {
      const redis = bridged && await throwAwayRedis();
      if (redis) ending.push(() => redis.stop());
      const inspectorPort = await freePort();
      const vars = { RATE_LIMIT_SERVICE_MESSAGES: "100000", ...(redis && { REDIS_URL: `redis://127.0.0.1:${redis.port}/0`, REDIS_SIGNING_KEY: "k".repeat(40) }) };
      const { server, join, stored, told } = await reached({ patch: faulty, direct: true, vars, more: { inspectorPort } });
      const { call, close } = await inspector(inspectorPort);
      const room = "video_evicted";
      const bot = await enter(join, room, SERVICE);
      const viewers = await Promise.all(Array.from({ length: 20 }, (_, i) => join(room, `viewer-${i}`)));
      // Who is not heard for long is asked, and nobody can answer while an object is evicted.
      const pinging = setInterval(() => [bot, ...viewers].forEach((one) => one.send('{"event":"ping"}')), 5_000);
      ending.push(() => clearInterval(pinging));
      /** What is held once the collector has been; a room's end comes some time after it. */
      const collected = async () => {
        let found;
        await until(5_000, async () => {
          await call("HeapProfiler.collectGarbage");
          found = await fault(server);
          return found.rooms <= 2;
        });
        return found;
      };
      const talk = (mark) => bot.request("send_message", { content: `${mark} ${"x".repeat(400)}` });
      // What it keeps grows until then, which is no leak.
      for (let n = 0; n < KEPT; n++) await talk("before");
      let then;
      for (let wake = 1; wake <= 200; wake++) {
        await server.evict("Room", room);
        await talk(`${wake}`);
        if (wake % 5) continue;
        const now = await collected();
        assert.ok(now.rooms <= 2, `${now.rooms} rooms after ${wake} wakes`);
        if (wake === 100) then = now;
        if (wake === 200) assert.equal(now.memory, then.memory, `${then.memory} then ${now.memory} bytes`);
      }
      close();
      clearInterval(pinging);
      for (const viewer of viewers) {
        assert.ok(await until(2_000, () => viewer.lines.filter(({ event }) => event === "new_message").length === KEPT + 200));
      }
      assert.ok(await told(room, KEPT + 200, 10_000), `PostgreSQL has ${(await stored(room)).length}`);
      if (redis) assert.ok(await until(10_000, async () => (await entries(redis, room)).filter(({ event }) => event === "new_message").length === KEPT + 200));
    });
  }

  test("V2: at nine tenths of its storage a room refuses to be told more, and nothing else; with space it goes on", async () => {
    const { server, join, rest, stored, told } = await reached();
    const room = "video_full_storage";
    const mod = await enter(join, room, MODERATOR);
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await mod.request("send_message", { content: `m ${i}`, client_id: `c${i}` })).message_id);
    assert.ok(await told(room, 5, 5_000));
    await server.kill9();
    server.sql("Room", room, "PRAGMA wal_checkpoint(TRUNCATE)");
    inflate(server.file("Room", room), 9.1 * 2 ** 30);
    await server.restart();

    const ada = await join(room, "ada");
    assert.equal(ada.joined.messages.length, 5);
    await assert.rejects(ada.request("send_message", { content: "more" }), (error) => error.code === "storage_full" && error.data.retry_after_ms > 0);
    const { status, body } = await rest("POST", `/rooms/${room}/messages`, { as: "ada", body: { content: "more" } });
    assert.deepEqual([status, body.code], [507, "storage_full"]);
    const back = await join(room, MODERATOR);
    assert.equal((await back.request("send_message", { content: "m 0", client_id: "c0" })).message_id, ids[0], "said before");
    await back.request("delete_message", { message_id: ids[0] });
    await ada.next((line) => line.event === "message_deleted" && line.data.message_id === ids[0]);
    await ada.request("react", { message_id: ids[1], reaction: "👍" });
    await back.request("ban_user", { user_id: "eve", duration_s: 60 });
    assert.equal((await rest("GET", `/rooms/${room}/messages`)).body.messages.length, 5);
    assert.ok(await until(5_000, async () => (await stored(room))[0].content === ""), "the drain goes on");

    await server.kill9();
    server.sql("Room", room, "VACUUM");
    await server.restart();
    const again = await join(room, "ada");
    assert.equal((await again.request("send_message", { content: "more", client_id: "more" })).seq, again.joined.seq + 1);
    assert.ok(await told(room, 6, 5_000));
  });

  test("P2: a row that cannot be read stops the drain as long as it is so, with waits between tries, and no longer", async () => {
    const { server, link, join, told } = await reached();
    const room = "video_broken_row";
    const bot = await enter(join, room, SERVICE);
    await say(bot, 1, "first");
    assert.ok(await told(room, 1, 3_000));
    await link.cut();
    await say(bot, 4, "undrained");
    await server.kill9();
    const [{ last_seq: row, events }] = server.sql("Room", room, "SELECT last_seq, events FROM log ORDER BY last_seq DESC LIMIT 1");
    server.sql("Room", room, "UPDATE log SET events = '[{' WHERE last_seq = ?", row);
    await server.restart();
    await link.open();
    const from = server.logs.length;
    const failures = () => server.logs.slice(from).filter(({ message }) => /^room video_broken_row: |^error /.test(message)).length;
    // It wakes by itself: what is not drained has an alarm, after a wait of 10 s at most.
    assert.ok(await until(20_000, failures), "it tried");
    await sleep(6_000);
    assert.ok(failures() >= 2 && failures() < 30, `${failures()} failures`);

    await server.kill9();
    server.sql("Room", room, "UPDATE log SET events = ? WHERE last_seq = ?", events, row);
    await server.restart();
    await say(await join(room, SERVICE), 1, "mended");
    assert.ok(await told(room, 6, 15_000));
  });

  test("V2: of a burst beyond what a room takes each frame is answered, and what was acknowledged is there", async () => {
    const { server, join, rest, stored, told } = await reached({ vars: { RATE_LIMIT_MESSAGES: "1000" } });
    const room = "video_burst";
    await enter(join, room, SERVICE);
    const members = await Promise.all(Array.from({ length: 15 }, (_, i) => join(room, `member-${i}`)));
    const answers = await Promise.all(members.flatMap((member, m) => Array.from({ length: 100 }, async (_, i) => {
      const client_id = `${m}-${i}`;
      try {
        return { client_id, ...(await member.request("send_message", { content: client_id, client_id }, 20_000)) };
      } catch (error) {
        // Who goes on all the same is closed, and told when to come back.
        const closed = /the socket closed: 4429 .*"after_ms":(\d+)/.exec(error.message);
        return closed ? { code: "closed", wait: Number(closed[1]) } : { code: error.code ?? error.message, wait: error.data?.retry_after_ms };
      }
    })));
    const taken = answers.filter(({ message_id }) => message_id);
    const shed = answers.filter(({ code }) => code);
    assert.equal(taken.length + shed.length, 1_500);
    assert.ok(taken.length >= 200 && shed.length > 0, `${taken.length} taken, ${shed.length} shed`);
    for (const { code, wait } of shed) assert.ok(["rate_limited", "overloaded", "closed"].includes(code) && wait > 0, code);
    assert.equal((await rest("GET", `/rooms/${room}/messages`)).body.total, taken.length);
    assert.ok(await told(room, taken.length, 15_000));
    const said = taken.toSorted((a, b) => a.seq - b.seq).map(({ client_id }) => client_id);
    assert.deepEqual((await stored(room)).map(({ client_id }) => client_id), said);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  });
});
