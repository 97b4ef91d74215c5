// Gives users their blocks again where their objects are new and PostgreSQL is a restored one.
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { signed } from "./deploy/smoke.mjs";
import { Stop } from "./process.mjs";

const PAGE = 1_000;
/** A block is tried so often: while the service is asked to wait, or is not there. */
const TRIES = 20;
/** So many that are refused are named. */
const NAMED = 10;

/** Gives one block; why it is refused, where the service says so of this one. */
async function block(url, token, blocked) {
  let last;
  for (let tries = 0; tries < TRIES; tries++) {
    const path = `/api/users/${encodeURIComponent(blocked)}/block`;
    try {
      const answer = await fetch(url + path, { method: "PUT", headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(15_000) });
      if (answer.ok) return null;
      const { code, retry_after_ms } = await answer.json().catch(() => ({}));
      last = `${answer.status} ${code ?? ""}`;
      // 401 is of the key, and so of all.
      if (answer.status === 401) break;
      if (answer.status !== 429 && answer.status < 500) return last;
      await sleep(retry_after_ms ?? 1_000);
    } catch (error) {
      last = error.cause?.code ?? error.message;
      await sleep(1_000);
    }
  }
  throw new Stop(`A block could not be given: ${last}. Run it again: what was given is not given twice.`);
}

/**
 * Has each user of `blocks` in the PostgreSQL of `databaseUrl` block the same again at the service of `url`, by tokens that
 * are signed as `settings` has it. `told(n)` hears after each thousand. The result: `count`, how many stand; `refused`, how
 * many the service does not take, such as of a user whose id no path can hold; `named`, the first of those with why.
 *
 * @throws {Stop} Nobody here can sign, or the service is not there.
 */
export async function giveBlocks(databaseUrl, url, settings, told = () => {}) {
  const client = new pg.Client(databaseUrl);
  await client.connect().catch((error) => {
    throw new Stop(`PostgreSQL cannot be had: ${error.message}`);
  });
  try {
    let [last, user, token] = [["", ""]];
    const done = { count: 0, refused: 0, named: [] };
    for (;;) {
      const { rows } = await client.query("select user_id, blocked_id from blocks where (user_id, blocked_id) > ($1, $2) order by 1, 2 limit $3", [...last, PAGE]);
      if (!rows.length) return done;
      for (const { user_id, blocked_id } of rows) {
        if (user_id !== user) token = await signed(settings, { sub: user_id, username: user_id });
        if (!token) throw new Stop("With public keys alone nobody here can sign a token for a user.");
        user = user_id;
        const why = await block(url, token, blocked_id);
        done[why ? "refused" : "count"] += 1;
        if (why && done.named.length < NAMED) done.named.push(`${JSON.stringify([user_id, blocked_id])}: ${why}`);
      }
      last = [rows.at(-1).user_id, rows.at(-1).blocked_id];
      told(done.count + done.refused);
    }
  } finally {
    await client.end();
  }
}
