// Clients behind bad lines: half gone, slow, cut. Nobody else notices, and who comes back is told exactly what was missed.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, enter, relay, say, startServer, testDatabase, undisturbed, until } from "./harness/index.mjs";

const SERVICE = { sub: "backend", roles: ["service"] };
const ending = [];
let database, server, join;
before(async () => {
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { RATE_LIMIT_MESSAGES: "1000", RATE_LIMIT_JOINS: "100000" } });
  ({ join } = chat(server));
});
after(async () => {
  await server?.stop();
  await Promise.all(ending.map((end) => end()));
  await database?.drop();
});

/** The same server by a line of one's own. */
async function line() {
  const link = await relay(server.url);
  ending.push(() => link.cut());
  const url = `http://127.0.0.1:${link.port}`;
  return { link, ...chat({ url, socketUrl: (room) => `ws://127.0.0.1:${link.port}/api/rooms/${room}/ws` }) };
}

/** The events of the log among these lines, each with its `seq`. */
const logged = (lines) => lines.filter(({ seq }) => seq !== undefined);

/** A client that keeps its place as docs/protocol.md says and comes back from it whenever it is cut off. */
function follower(join, room, who) {
  const got = [];
  let stopped = false, socket, epoch, seq = 0, resumes = 0;
  const run = (async () => {
    while (!stopped) {
      try {
        socket = await join(room, who, epoch ? { resume: { epoch, seq } } : {});
        const { joined } = socket;
        if (epoch) {
          assert.deepEqual([joined.resumed, joined.epoch], [true, epoch]);
          got.push(...logged(joined.events));
          resumes += 1;
        }
        ({ epoch, seq } = joined);
        let taken = 0;
        const take = () => {
          for (const line of socket.lines.slice(taken)) {
            taken += 1;
            if (line.seq === undefined) continue;
            got.push(line);
            seq = line.seq;
          }
        };
        let gone = false;
        socket.closed.then(() => (gone = true));
        while (!gone && !stopped) {
          take();
          await sleep(10);
        }
        take();
      } catch (error) {
        if (error.code === "ERR_ASSERTION") throw error;
        await sleep(50);
      }
    }
    socket?.terminate();
  })();
  return { got, resumed: () => resumes, at: () => seq, stop: () => ((stopped = true), run) };
}

describe("clients behind bad lines", { concurrency: true }, () => {
  test("V4: a client that is cut off again and again is told each event exactly once, in order", async () => {
    const room = "video_cut";
    const { link, join: joinFar } = await line();
    link.slow({ delay: 10, jitter: 30 });
    const bot = await enter(join, room, SERVICE);
    const far = follower(joinFar, room, "ada");
    assert.ok(await until(5_000, () => far.at() > 0));
    const from = far.at();
    let sent = 0, last;
    for (let cut = 0; cut < 12; cut++) {
      assert.ok(await until(5_000, () => far.resumed() >= cut), `back ${far.resumed()} times after ${cut} cuts`);
      for (let i = 0; i < 15; i++) {
        last = await bot.request("send_message", { content: `m ${(sent += 1)}` });
        if (i % 5 === 2) await bot.request("delete_message", { message_id: last.message_id });
        if (i === cut) link.reset();
        await sleep(5);
      }
    }
    last = await bot.request("send_message", { content: "last" });
    assert.ok(await until(10_000, () => far.at() === last.seq), `at ${far.at()} of ${last.seq}`);
    await far.stop();
    assert.ok(far.resumed() >= 12, `${far.resumed()} resumes`);
    assert.deepEqual(far.got.map(({ seq }) => seq), Array.from({ length: last.seq - from }, (_, i) => from + 1 + i));
  });

  test("V8: a slow and a silent line slow nobody else", async () => {
    const room = "video_lines";
    const [{ link: slow, join: joinSlow }, { link: silent, join: joinSilent }] = await Promise.all([line(), line()]);
    const [bot, near] = [await enter(join, room, SERVICE), await join(room, "near")];
    const before = await say(bot, 30, "before");
    const ada = await joinSlow(room, "ada");
    await joinSilent(room, "bob");
    slow.slow({ delay: 800, jitter: 200, rate: 20_000 });
    silent.silence();
    const from = near.lines.length;
    const during = await say(bot, 60, "during");
    undisturbed(before, during);
    assert.equal(logged(near.lines.slice(from)).length, 60);
    // What comes late comes whole.
    assert.ok(await until(5_000, () => logged(ada.lines).length === 60), `${logged(ada.lines).length} of 60`);
    const numbers = logged(ada.lines).map(({ seq }) => seq);
    assert.deepEqual(numbers, numbers.map((_, i) => numbers[0] + i));
  });

  for (const way of ["up", "down"]) {
    const whom = way === "up" ? "of whom nothing comes any more" : "to whom nothing gets any more";
    test(`V10: a client ${whom} leaves within 30 s while the room is awake`, async () => {
      const room = `video_half_${way}`;
      const { link, join: joinFar } = await line();
      const bot = await enter(join, room, SERVICE);
      const far = await joinFar(room, "ada");
      // As the client module does: a ping every 15 s, and a connection that answers none within 10 s is given up.
      let sign, ended;
      const ping = () => {
        far.send('{"event":"ping"}');
        if (!sign || way === "down") sign = performance.now();
        return far.next("pong", 10_000).catch(() => {
          if (way !== "down") return;
          ended = performance.now();
          far.terminate();
        });
      };
      await ping();
      link.silence(way);
      const pinging = setInterval(ping, 15_000);
      const talking = setInterval(() => bot.request("send_message", { content: "still here" }).catch(() => {}), 1_000);
      try {
        const left = await bot.next("user_left", 36_000);
        const at = performance.now();
        assert.equal(left.data.user_id, "ada");
        assert.ok(at - sign <= 30_000, `left ${at - sign} ms after the last sign of life`);
        // What the client ends by itself is over 5 s after that.
        if (way === "down") assert.ok(at - ended <= 6_000, `left ${at - ended} ms after its end`);
      } finally {
        clearInterval(pinging);
        clearInterval(talking);
      }
    });
  }
});
