// P1: after every commit PostgreSQL is the fold of what the log says up to the cursor, however the log is cut and whoever
// brings the pieces.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { testDatabase } from "./harness/index.mjs";

const EPOCH = 1_732_380_000_000;
const ROUNDS = 12;
const OPS = 150;

/** Numbers that look random, the same for the same seed. */
function dice(seed) {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/**
 * A log: operations with `seq` 1, 2, 3 …, some seqs with none, some with two. Where it is `busy`, half of them edit one of the
 * newest messages.
 */
function story(seed, busy = false) {
  const roll = dice(seed);
  const ops = [];
  const ids = [];
  let no = 0;
  const pick = () => ids[ids.length - 1 - roll(busy ? Math.min(5, ids.length) : ids.length)];
  const user = () => `u${roll(4)}`;
  const uuid = (n) => `0199${seed.toString(16).padStart(4, "0")}-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;
  let seq = 1;
  ops.push({ op: "room", seq, at: EPOCH, name: "R", type: "video", settings: {}, owner_id: null, created_at: EPOCH, deleted_at: null });
  while (seq < OPS) {
    seq += 1;
    const at = EPOCH + seq * 10;
    const kind = !ids.length ? 0 : busy && roll(2) ? 4 : roll(14);
    if (kind < 4) {
      ids.push(uuid(++no));
      ops.push({ op: "message", seq, no, id: ids.at(-1), user_id: user(), username: "U", avatar: null, roles: [], content: `c${seq}`, text: roll(2) ? `t${seq}` : null, type: "text", metadata: { n: seq }, mentions: [], reply_to: null, client_id: null, created_at: at, edited_at: null, deleted_at: null, audience: "all", visible_at: at });
      if (!roll(3)) ops.push({ op: "original", seq, id: ids.at(-1), original: `o${seq}`, reasons: [] });
    } else if (kind < 6) {
      ops.push({ op: "edit", seq, id: pick(), content: `e${seq}`, text: null, mentions: [{ user_id: "u1", username: "U" }], edited_at: at });
      ops.push({ op: "original", seq, id: ops.at(-1).id, original: roll(2) ? `o${seq}` : null, reasons: [] });
    } else if (kind < 7) {
      ops.push({ op: "delete", seq, ids: [...new Set(Array.from({ length: 1 + roll(3) }, pick))], deleted_at: at, by: "mod" });
    } else if (kind < 10) {
      ops.push({ op: "reaction", seq, id: pick(), user_id: user(), reaction: roll(2) ? "👍" : "🎉", remove: !roll(3), at });
    } else if (kind < 11) {
      const user_id = user();
      ops.push(roll(2) ? { op: "ban", seq, user_id, username: null, reason: `r${seq}`, shadow: false, by: "mod", created_at: at, ends_at: null } : { op: "unban", seq, user_id });
      ops.push({ op: "audit", seq, actor: "mod", action: "ban_user", target: user_id, details: {}, at });
    } else if (kind < 12) {
      ops.push({ op: "pins", seq, pinned: [pick()] });
    } else if (kind < 13) {
      ops.push({ op: "role", seq, user_id: user(), username: null, role: [null, "member", "moderator"][roll(3)], at });
    }
  }
  return { ops, last: seq };
}

/**
 * The operations of what a log that ends at `end` says, as it redacts in place: a message as it is then, nothing of an edit
 * that another one or a deletion followed.
 */
function written(ops, end) {
  const said = ops.filter(({ seq }) => seq <= end);
  const now = new Map(fold(ops, end).messages.map((message) => [message.id, message]));
  const edits = new Map();
  for (const op of said) if (op.op === "edit") edits.set(op.id, op.seq);
  return said.flatMap((op) => {
    const is = now.get(op.id);
    if (op.op === "message") {
      const { original, ...as } = is;
      const { id, seq } = op;
      return [{ ...op, ...as }, ...(original === null ? [] : [{ op: "original", seq, id, original, reasons: [] }])];
    }
    const stays = is?.deleted_at === null && edits.get(op.id) === op.seq;
    return ["edit", "original"].includes(op.op) && !stays ? [] : [op];
  });
}

/** What the tables hold after the operations up to `seq`, told one by one. */
function fold(ops, seq) {
  const state = { messages: new Map(), reactions: new Set(), bans: new Map(), roles: new Map(), pinned: [], audit: 0 };
  /** Of which message the last text told was taken. */
  let taken;
  for (const op of ops.filter((o) => o.seq <= seq)) {
    const m = state.messages.get(op.id);
    const live = m && m.deleted_at === null;
    const reaction = `${op.id} ${op.user_id} ${op.reaction}`;
    if (op.op === "message") state.messages.set(op.id, { id: op.id, no: op.no, content: op.content, text: op.text, metadata: op.metadata, mentions: op.mentions, edited_at: op.edited_at, deleted_at: op.deleted_at, original: null });
    // Older than what the message said when it was told.
    const old = op.op === "edit" && m.edited_at > op.edited_at;
    if (["message", "edit"].includes(op.op)) taken = old ? null : op.id;
    if (op.op === "original" && live && taken === op.id) m.original = op.original;
    if (op.op === "edit" && live && !old) Object.assign(m, { content: op.content, text: op.text, mentions: op.mentions, edited_at: op.edited_at });
    if (op.op === "delete") {
      for (const gone of op.ids.map((id) => state.messages.get(id))) {
        if (gone.deleted_at === null) Object.assign(gone, { content: "", text: null, metadata: {}, mentions: [], original: null, deleted_at: op.deleted_at });
        for (const r of state.reactions) if (r.startsWith(gone.id)) state.reactions.delete(r);
      }
    }
    if (op.op === "reaction" && op.remove) state.reactions.delete(reaction);
    if (op.op === "reaction" && !op.remove && live) state.reactions.add(reaction);
    if (op.op === "ban") state.bans.set(op.user_id, op.reason);
    if (op.op === "unban") state.bans.delete(op.user_id);
    if (op.op === "pins") state.pinned = op.pinned;
    if (op.op === "role") op.role ? state.roles.set(op.user_id, op.role) : state.roles.delete(op.user_id);
    if (op.op === "audit") state.audit++;
  }
  return {
    messages: [...state.messages.values()].sort((a, b) => a.no - b.no),
    reactions: [...state.reactions].sort(),
    bans: Object.fromEntries([...state.bans].sort()),
    roles: Object.fromEntries([...state.roles].sort()),
    pinned: state.pinned,
    audit: state.audit,
  };
}

/** The same out of the tables, and the cursor, of one moment. */
const STATE = `select jsonb_build_object(
  'seq', coalesce((select seq from room_cursor where room_id = $1), 0),
  'state', jsonb_build_object(
    'messages', coalesce((select jsonb_agg(jsonb_build_object('id', id, 'no', no, 'content', content, 'text', text, 'metadata', metadata,
      'mentions', mentions, 'edited_at', (extract(epoch from edited_at) * 1000)::bigint, 'deleted_at', (extract(epoch from deleted_at) * 1000)::bigint,
      'original', original) order by no) from messages where room_id = $1), '[]'),
    'reactions', coalesce((select jsonb_agg(concat_ws(' ', message_id, user_id, reaction) order by 1) from reactions
      where message_id in (select id from messages where room_id = $1)), '[]'),
    'bans', coalesce((select jsonb_object_agg(user_id, reason) from bans where room_id = $1), '{}'),
    'roles', coalesce((select jsonb_object_agg(user_id, role) from room_roles where room_id = $1), '{}'),
    'pinned', coalesce((select pinned from rooms where id = $1), '[]'),
    'audit', (select count(*) from audit where room_id = $1))) as found`;

let database;
const clients = [];
before(async () => {
  database = await testDatabase();
  for (let i = 0; i < 5; i++) {
    const client = new pg.Client(database.url);
    await client.connect();
    clients.push(client);
  }
});
after(async () => {
  for (const client of clients) await client.end();
  await database?.drop();
});

const batch = (room_id, ops, from, to) => JSON.stringify({ v: 1, room_id, epoch: EPOCH, start: 0, from, to, ops: ops.filter(({ seq }) => seq > from && seq <= to) });
const apply = async (client, ...batches) => (await client.query("select chat_apply($1::text[]) as answer", [batches])).rows[0].answer;

/** The tables and the cursor that stands beside them. */
async function look(client, room) {
  const found = (await client.query(STATE, [room])).rows[0].found;
  found.state.reactions.sort();
  return found;
}

/** The tables are the fold up to the cursor that stands beside them; that cursor. */
async function check(client, room, ops, hint) {
  const { seq, state } = await look(client, room);
  assert.deepEqual(state, fold(ops, seq), `${hint}, at ${seq}`);
  return seq;
}

/** Without when a text was last edited that was then deleted: the log has let go of that edit. */
const promised = ({ messages, ...rest }) =>
  ({ ...rest, messages: messages.map(({ edited_at, ...message }) => ({ ...message, edited_at: message.deleted_at === null ? edited_at : null })) });

test("P1: whatever a log holds and however it is cut, after every commit the tables are the fold of a prefix", async () => {
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const { ops, last } = story(seed);
    const roll = dice(seed + 1_000);
    const room = `video_fold_${seed}`;
    let at = 0;
    while (at < last) {
      // Late ones, overlaps and gaps come too.
      const late = at > 20 && !roll(6);
      const to = late ? at - roll(5) : Math.min(last, at + 1 + roll(roll(2) ? 6 : 60));
      const from = Math.max(0, at - (late ? 10 : roll(3) ? 0 : roll(10)) + (late || roll(8) ? 0 : 3));
      const [answer] = await apply(clients[0], batch(room, ops, from, to));
      const now = await check(clients[0], room, ops, `seed ${seed}, (${from}, ${to}]`);
      assert.equal(answer.seq, now);
      assert.equal(now, from > at ? at : Math.max(at, to));
      at = now;
    }
  }
});

test("P1: of a log that redacts in place while it is told, the tables are the fold of what they were told, and at its end of all", async () => {
  for (let seed = 1; seed <= 2 * ROUNDS; seed++) {
    const { ops, last } = story(seed + 2_000, true);
    const roll = dice(seed + 3_000);
    const room = `video_redacted_${seed}`;
    const [made, told] = [[], []];
    let [at, end, newest] = [0, 0, 0];
    while (at < last) {
      // The log grows, more than a batch holds; now and then comes one that was made long ago.
      end = Math.min(last, Math.max(end, at) + 1 + roll(roll(3) ? 4 : 40));
      const from = Math.max(0, at - roll(10));
      const fresh = { from, to: Math.min(end, at + 1 + roll(roll(3) ? 6 : 60)), end, said: written(ops, end) };
      const { to, said, ...one } = (!roll(2) && made.find(({ from, to }) => from <= at && to > at)) || (!roll(4) && made[roll(made.length)]) || fresh;
      // Some are lost on the way, and come late or never.
      made.push(fresh);
      if (!roll(3)) continue;
      await apply(clients[0], batch(room, said, one.from, to));
      if (one.from <= at && to > at) {
        told.push(...said.filter(({ seq }) => seq > at && seq <= to));
        at = to;
        newest = Math.max(newest, one.end);
      }
      const hint = `seed ${seed}, (${one.from}, ${to}] of ${one.end}, at ${at}`;
      const { seq, state } = await look(clients[0], room);
      assert.equal(seq, at, hint);
      assert.deepEqual(state, fold(told, at), hint);
      if (at >= newest) assert.deepEqual(promised(state), promised(fold(ops, at)), `${hint}, the end`);
    }
  }
});

test("P1: two drains that both believe they own a room, with late, doubled and reordered batches, end at the fold", async () => {
  const rooms = Array.from({ length: 3 }, (_, i) => ({ room: `video_both_${i}`, ...story(500 + i) }));
  let checks = 0;
  const drain = async (client, seed) => {
    const roll = dice(seed);
    const at = rooms.map(() => 0);
    const sent = [];
    while (rooms.some(({ last }, i) => at[i] < last)) {
      const chosen = rooms.map((_, i) => i).filter(() => roll(2)).sort(() => roll(3) - 1);
      const made = chosen.map((i) => batch(rooms[i].room, rooms[i].ops, at[i], Math.min(rooms[i].last, at[i] + 1 + roll(20))));
      sent.push(...made);
      if (!made.length) continue;
      const answers = await apply(client, ...made);
      answers.forEach(({ seq, error }, n) => {
        assert.equal(error, undefined);
        // Now and then it believes its own last word rather than the answer, and goes back.
        at[chosen[n]] = roll(10) ? seq : Math.max(0, seq - roll(15));
      });
      if (!roll(3)) await apply(client, sent[roll(sent.length)], sent[roll(sent.length)]);
    }
  };
  let done = false;
  const watch = async () => {
    while (!done) for (const { room, ops } of rooms) checks += (await check(clients[4], room, ops, room)) >= 0;
  };
  const watching = watch();
  await Promise.all([drain(clients[0], 1), drain(clients[1], 2), drain(clients[2], 3), drain(clients[3], 4)]).finally(() => (done = true));
  await watching;
  for (const { room, ops, last } of rooms) assert.equal(await check(clients[4], room, ops, room), last);
  assert.ok(checks > 10, `looked at ${checks} times meanwhile`);
});

test("P1: of a room's first batches, told by two at once, the later one changes nothing", async () => {
  for (const seed of [900, 901]) {
    const { ops, last } = story(seed, true);
    const room = `video_first_${seed}`;
    // Nothing is known of the one, and of the other its last life.
    if (seed === 901) await clients[0].query("insert into room_cursor values ($1, $2, 7)", [room, EPOCH - 1]);
    await clients[0].query("begin");
    await apply(clients[0], batch(room, ops, 0, last));
    const late = apply(clients[1], batch(room, ops, 0, 40));
    await sleep(100);
    await clients[0].query("commit");
    assert.deepEqual(await late, [{ epoch: EPOCH, seq: last }]);
    assert.equal(await check(clients[2], room, ops, room), last);
  }
});
