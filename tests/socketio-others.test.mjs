// Clients of Socket.IO that others wrote, unmodified: python-socketio and Rust's rust_socketio, each with its own ways.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join as path } from "node:path";
import { after, before, describe, test } from "node:test";
import { pythonWithSocketIo, rustSocketIo } from "../scripts/lib/cluster.mjs";
import { root } from "../scripts/lib/database.mjs";
import { chat, startServer, testDatabase, tokenOf, until } from "./harness/index.mjs";

const MOD = { sub: "mod", username: "Mod", roles: ["moderator"] };

let database, server, join, rest;
const programs = {};
const running = new Set();
before(async () => {
  programs["python-socketio"] = [await pythonWithSocketIo(), path(root, "tests/socketio-clients/python.py")];
  programs.rust_socketio = [await rustSocketIo()];
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url });
  ({ join, rest } = chat(server));
});
after(async () => {
  for (const child of running) child.kill("SIGKILL");
  await server?.stop();
  await database?.drop();
});

/** Starts a client; `next(kind, first)` is the next line of that kind (and with that word after it), without those words. */
function start(name, transport, auth = null) {
  const [program, ...args] = programs[name];
  const child = spawn(program, [...args, server.url, transport, JSON.stringify(auth)], { stdio: ["pipe", "pipe", "pipe"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const lines = [];
  let [half, errors, number] = ["", "", 0];
  child.stdout.on("data", (chunk) => {
    const all = (half + chunk).split("\n");
    half = all.pop();
    lines.push(...all.map((line) => JSON.parse(line)));
  });
  child.stderr.on("data", (chunk) => (errors += chunk));
  child.stdin.on("error", () => {});
  const emit = (event, data, id = null) => child.stdin.write(`${JSON.stringify([event, data, id])}\n`);
  const next = async (...words) => {
    const fits = (line) => words.every((word, i) => line[i] === word);
    if (!(await until(15_000, () => lines.some(fits), 20))) throw new Error(`${words} did not come; came: ${JSON.stringify(lines)} ${errors}`);
    return lines.splice(lines.findIndex(fits), 1)[0].slice(words.length);
  };
  return {
    next,
    emit,
    async ask(event, data) {
      emit(event, data, (number += 1));
      return (await next("reply", number))[0];
    },
    stop: () => child.kill("SIGKILL"),
  };
}

describe("a client", { concurrency: 3 }, () => {
  for (const name of ["python-socketio", "rust_socketio"]) {
    for (const transport of ["default", "polling", "websocket"]) {
      test(`${name}, ${transport}: joins, says, hears, is answered and refused, and told why it is put out`, async () => {
        const [room, who] = [`video_${name}_${transport}`, `${name}-${transport}`];
        const one = start(name, transport);
        const [used] = await one.next("connected");
        if (used) assert.equal(used, transport === "polling" ? "polling" : "websocket");
        const joined = await one.ask("join_room", { room_id: room, user_token: await tokenOf(who) });
        assert.deepEqual([joined.self?.user_id, joined.room?.room_id], [who, room], JSON.stringify(joined));

        const bob = await join(room, "bob");
        assert.equal((await one.next("heard", "user_joined"))[0].user_id, "bob");
        const sent = await one.ask("send_message", { room_id: room, content: "Grüße 👋", type: "text" });
        const [own] = await one.next("heard", "new_message");
        assert.deepEqual([own.message_id, own.seq, own.content], [sent.message_id, sent.seq, "Grüße 👋"]);
        assert.equal((await bob.next("new_message")).data.message_id, sent.message_id);
        for (let i = 0; i < 5; i++) await bob.request("send_message", { content: `${i}` });
        const five = [];
        for (let i = 0; i < 5; i++) five.push((await one.next("heard", "new_message"))[0]);
        // python-socketio hands each event over in a thread of its own; `seq` says in which order they are.
        if (name === "python-socketio") five.sort((a, b) => a.seq - b.seq);
        assert.deepEqual(five.map(({ content }) => content), ["0", "1", "2", "3", "4"]);
        one.emit("typing", { room_id: room, is_typing: true });
        assert.equal((await bob.next("user_typing")).data.user_id, who);

        const missing = { room_id: room, message_id: "msg_456", reaction: "👍" };
        assert.equal((await one.ask("react", missing)).error.code, "message_not_found");
        one.emit("react", missing);
        const [error] = await one.next("heard", "error");
        assert.deepEqual([error.code, error.room_id], ["message_not_found", room]);
        assert.deepEqual((await one.ask("react", { ...missing, message_id: sent.message_id })).reactions, { "👍": 1 });

        // A moderator puts it out of one room, and it stays in the other; signed out everywhere it is disconnected.
        const other = `${room}_other`;
        await one.ask("join_room", { room_id: other, user_token: await tokenOf(who) });
        const mod = await join(room, MOD);
        await mod.request("ban_user", { user_id: who, reason: "enough" });
        const [goodbye] = await one.next("heard", "goodbye");
        assert.deepEqual([goodbye.code, goodbye.room_id, goodbye.retry], ["banned", room, false]);
        assert.equal((await one.ask("join_room", { room_id: room, user_token: await tokenOf(who) })).error.code, "banned");
        assert.ok((await one.ask("send_message", { content: "still here" })).message_id);
        assert.equal((await rest("POST", "/me/sign-out", { as: who })).status, 200);
        assert.equal((await one.next("heard", "goodbye"))[0].code, "token_expired");
        const [reason] = await one.next("disconnected");
        // Not every version is told by its library.
        if (reason) assert.match(reason, /server disconnect/);
        one.stop();
      });
    }

    test(`${name}: signs in by auth.token, and is told why it may not`, async () => {
      const room = `video_${name}_auth`;
      const one = start(name, "default", { token: await tokenOf("ada") });
      await one.next("connected");
      assert.equal((await one.ask("join_room", { room_id: room })).self.user_id, "ada");
      one.stop();
      const refused = start(name, "default", { token: "eyJ.no.no" });
      assert.match(JSON.stringify(await refused.next("refused")), /token_invalid/);
      refused.stop();
    });
  }
});
