// The commands of docs/migrating.md, in the order in which one who moves gives them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import pg from "pg";
import { root } from "../../scripts/lib/database.mjs";
import { SECRET, chat, startServer, testDatabase, throwAwayRedis, until } from "../harness/index.mjs";
import { take } from "./blocks.mjs";

// The replaced service's tables as its documentation has them.
const OLD = `
  create table messages (id uuid primary key, room_id varchar(255), user_id varchar(255), content text, type varchar(50),
    metadata jsonb, created_at timestamp, edited_at timestamp, deleted_at timestamp);
  create table rooms (id varchar(255) primary key, name varchar(255), type varchar(50), settings jsonb, created_at timestamp);
  create table presence (user_id varchar(255), room_id varchar(255), socket_id varchar(255), last_seen timestamp, primary key (user_id, room_id));
  insert into rooms values ('video_1', 'Match of the day', 'video', '{"slowMode": 5}', now()::timestamp);
  insert into messages values (gen_random_uuid(), 'video_1', 'ada', 'said there', 'text', null, now()::timestamp, null, null);`;

/** Takes the document's blocks; `go()` follows them against a PostgreSQL and a Redis of its own. */
export function moving() {
  const block = (words) => take("docs/migrating.md", words);
  const [role, up] = [block("-- A role of its own"), block("./scripts/migrate up")];
  const [over, look, remembered] = [block("select chat_take_over('public')"), block("where id !~"), block("insert into room_roles")];
  const [both, beside] = [block("create index concurrently"), block("./scripts/side-by-side")];
  const [grant, back, dump, drop] = [block("on public.rooms, public.messages"), block("select chat_give_back"), block("pg_dump"), block("drop table")];
  return { async go() {
    const database = await testDatabase({ empty: true });
    const redis = await throwAwayRedis();
    const { hostname, port, pathname } = new URL(database.url);
    const user = `edge_chat_${randomBytes(4).toString("hex")}`;
    let server, script;
    // Roles are the whole server's, and other tests have theirs there.
    const named = (text) => text.replaceAll("edge_chat", user).replaceAll("chat_db", pathname.slice(1)).replaceAll("localhost:5432", `${hostname}:${port}`)
      .replaceAll("localhost:6379", `127.0.0.1:${redis.port}`).replaceAll("http://localhost:3004", server?.url ?? "");
    const statements = (text) => named(text).split(";").filter((one) => one.trim());
    const owner = async (text) => {
      for (const statement of statements(text)) await database.query(statement);
    };
    const environment = { ...process.env, JWT_SECRET: SECRET };
    const exported = named(up).split("\n")[0];
    const shell = async (text, { wait = true, as = exported } = {}) => {
      const child = spawn("bash", ["--norc", "-euo", "pipefail", "-c", `${as}\n${named(text)}`], { cwd: root, env: environment, detached: true });
      let said = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
      const gone = new Promise((resolve) => child.once("exit", resolve));
      if (!wait) return { said: () => said, end: () => (process.kill(-child.pid), gone) };
      assert.equal(await gone, 0, `${text}\n${said}`);
      return said;
    };
    try {
      await owner(OLD);
      await owner(role);
      await shell(up);
      assert.match(await shell(over), /"messages": 1\b/);
      await owner(look);
      const own = async (text) => {
        const client = new pg.Client(Object.assign(new URL(database.url), { username: user, password: "secret" }).href);
        await client.connect();
        try {
          for (const statement of statements(text)) await client.query(statement);
        } finally {
          await client.end();
        }
      };
      await own(remembered);
      await owner(both);
      const databaseUrl = Object.assign(new URL(database.url), { username: user, password: "secret" }).href;
      server = await startServer({ databaseUrl, vars: { REDIS_HOST: "127.0.0.1", REDIS_PORT: String(redis.port) } });
      script = await shell(beside, { wait: false });
      assert.ok(await until(30_000, () => script.said().includes("•") || script.said().length > 200), script.said());
      const { join, rest } = chat(server);
      const { body } = await rest("GET", "/rooms/video_1/messages");
      assert.deepEqual(body.messages.map(({ content }) => content), ["said there"]);
      const ada = await join("video_1", { sub: "mod", username: "Mod" });
      assert.deepEqual([ada.joined.self.role, ada.joined.room.settings.slow_s], ["moderator", 5]);
      await ada.request("send_message", { content: "said here" });
      const there = () => database.query("select content from public.messages order by created_at");
      assert.ok(await until(30_000, async () => (await there()).length === 2), script.said());
      await script.end();
      script = null;
      await ada.request("send_message", { content: "said later" });
      assert.ok(await until(15_000, async () => (await database.query(named("select from edge_chat.messages"))).length === 3));
      await owner(grant);
      await shell(back);
      assert.deepEqual((await there()).map(({ content }) => content), ["said there", "said here", "said later"]);
      const asOwner = `export PGHOST=${hostname} PGPORT=${port} PGUSER=${new URL(database.url).username} PGPASSWORD=${new URL(database.url).password}\ncd "$(mktemp -d)"\ntrap 'rm -r "$PWD"' EXIT`;
      assert.match(await shell(`${dump}grep -c 'said there' replaced.sql`, { as: asOwner }), /^1$/m);
      await owner(drop);
    } finally {
      await script?.end();
      await server?.stop();
      await redis.stop();
      await database.drop();
      const client = new pg.Client(process.env.TEST_DATABASE_URL);
      await client.connect();
      await client.query(`drop role if exists ${user}`);
      await client.end();
    }
  } };
}
