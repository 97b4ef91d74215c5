// The chat as workerd runs it without Cloudflare: the built Worker, with what the platform gives it there put around it.
import Chat, * as chat from "./build/index.js";
import { asset } from "./assets.mjs";
import { Misconfigured, instances } from "./instances.mjs";
import { Hyperdrive } from "./postgres.mjs";

/** All objects share this process, and nothing stands before it that names the client in a header. */
const defaults = { FRAME_BUDGET_PER: "process", CLIENT_IP: "cf.clientIp" };

let surroundings;
/** What the Worker is given instead of the process's `env`, made once; `problem` is a sentence where that cannot be. */
const around = (env) => (surroundings ??= made(env));

function made(env) {
  try {
    const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== null && value !== ""));
    const all = instances(env);
    return { all, env: { ...defaults, ...set, ...all.namespaces, DB: new Hyperdrive(env.DATABASE_URL) } };
  } catch (error) {
    if (!(error instanceof Misconfigured)) throw error;
    return { problem: error.message };
  }
}

function refusal(detail) {
  console.error(JSON.stringify({ level: "error", msg: `misconfigured: ${detail}` }));
  return Response.json({ type: "/problems/misconfigured", title: "misconfigured", status: 503, detail, code: "misconfigured" },
    { status: 503, headers: { "content-type": "application/problem+json", "cache-control": "no-store" } });
}

export default {
  async fetch(request, env, ctx) {
    const { problem, all, env: own } = around(env);
    if (problem) return refusal(problem);
    const called = all.answer(request);
    if (called) return called;
    const wrong = await all.problem(new URL(request.url).pathname === "/healthz");
    if (wrong) return refusal(wrong);
    return (await asset(request, own)) ?? new Chat(ctx, own).fetch(request);
  },
};

/**
 * An object in these surroundings. workerd names its file by a hash of its name, so it keeps that name for those who move
 * the file to another instance.
 */
const object = (Class) =>
  class extends Class {
    constructor(ctx, env) {
      super(ctx, around(env).env);
      const { sql } = ctx.storage;
      sql.exec("CREATE TABLE IF NOT EXISTS called (name TEXT PRIMARY KEY) WITHOUT ROWID");
      sql.exec("INSERT OR IGNORE INTO called VALUES (?)", ctx.id.name);
    }
  };

export const Room = object(chat.Room);
export const Shard = object(chat.Shard);
export const Drain = object(chat.Drain);
export const User = object(chat.User);
export const Gateway = object(chat.Gateway);
