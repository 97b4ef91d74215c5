// The migrations and chat_apply, on PostgreSQL and on PGlite.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { migrations } from "../scripts/lib/database.mjs";
import { embeddedDatabase, testDatabase } from "./harness/index.mjs";

const EPOCH = 1_732_380_000_000;
const AT = 1_732_380_005_123;

const message = (seq, more = {}) => ({
  op: "message", seq, no: seq, id: randomUUID(), user_id: "ada", username: "Ada", avatar: null, roles: ["member"],
  content: "a &lt; b", text: "a < b", type: "text", metadata: { k: 1 }, mentions: [{ user_id: "bob", username: "Bob" }],
  reply_to: null, client_id: `c${seq}`, created_at: AT, edited_at: null, deleted_at: null, audience: "all",
  visible_at: AT, ...more,
});
const edit = (seq, id, content, edited_at = AT + seq) => ({ op: "edit", seq, id, content, text: null, mentions: [], edited_at });
const remove = (seq, ...ids) => ({ op: "delete", seq, ids, deleted_at: AT + seq, by: "mod" });
const react = (seq, id, user_id, reaction, gone = false) => ({ op: "reaction", seq, id, user_id, reaction, remove: gone, at: AT });
const role = (seq, user_id, name, username = null) => ({ op: "role", seq, user_id, role: name, username, at: AT });
const roomOp = (seq, more = {}) => ({
  op: "room", seq, at: AT + seq, name: "A room", type: "video", settings: { slow_s: 3 }, owner_id: "ada", created_at: AT,
  deleted_at: null, ...more,
});
const batch = (room_id, from, to, ops, more = {}) => ({ v: 1, room_id, epoch: EPOCH, start: 0, from, to, ops, ...more });

for (const [server, open] of [["PostgreSQL", testDatabase], ["PGlite", embeddedDatabase]]) {
  describe(server, () => {
    let db;
    before(async () => (db = await open()));
    after(() => db.drop());

    const apply = async (...batches) => {
      const texts = batches.map((b) => (typeof b === "string" ? b : JSON.stringify(b)));
      return (await db.query("select chat_apply($1::text[]) as answer", [texts]))[0].answer;
    };
    const at = (seq, epoch = EPOCH) => ({ epoch, seq });
    const row = async (id) => (await db.query("select * from messages where id = $1", [id]))[0];
    const contents = (room) =>
      db.query("select content from messages where room_id = $1 order by no", [room]).then((rows) => rows.map((r) => r.content));
    const reactions = (id) =>
      db.query("select user_id, reaction from reactions where message_id = $1 order by 1, 2", [id])
        .then((rows) => rows.map((r) => r.user_id + r.reaction));
    let rooms = 0;
    const newRoom = () => `video_${++rooms}`;

    test("a message is written with every field, and the cursor moves", async () => {
      const room = newRoom();
      const m = message(2, { no: 1, reply_to: randomUUID(), avatar: "https://a/b", audience: "user:bob", visible_at: AT + 5 });
      assert.deepEqual(await apply(batch(room, 0, 7, [m])), [at(7)]);
      const r = await row(m.id);
      assert.deepEqual({ ...r }, {
        id: m.id, room_id: room, no: "1", user_id: "ada", username: "Ada", avatar: "https://a/b", roles: ["member"],
        content: "a &lt; b", text: "a < b", type: "text", metadata: { k: 1 },
        mentions: [{ user_id: "bob", username: "Bob" }], reply_to: m.reply_to, client_id: "c2", audience: "user:bob",
        visible_at: new Date(AT + 5), created_at: new Date(AT), edited_at: null, deleted_at: null,
        epoch: String(EPOCH), seq: "2", original: null, reasons: null, held_id: null, franking: null,
      });
      assert.deepEqual(await db.query("select epoch, seq from room_cursor where room_id = $1", [room]), [{ epoch: String(EPOCH), seq: "7" }]);
    });

    test("a replay writes nothing; an overlap writes what is after the cursor", async () => {
      const room = newRoom();
      const [one, two, three] = [1, 2, 3].map((seq) => message(seq));
      await apply(batch(room, 0, 2, [one, two]));
      assert.deepEqual(await apply(batch(room, 0, 2, [{ ...one, content: "other" }, two])), [at(2)]);
      assert.deepEqual(await apply(batch(room, 1, 3, [{ ...two, content: "other" }, three])), [at(3)]);
      assert.deepEqual(await contents(room), ["a &lt; b", "a &lt; b", "a &lt; b"]);
    });

    test("a gap is refused with the cursor, unless the log starts there", async () => {
      const room = newRoom();
      await apply(batch(room, 0, 2, [message(1)]));
      assert.deepEqual(await apply(batch(room, 5, 6, [message(6)])), [at(2)]);
      assert.deepEqual(await apply(batch(room, 5, 6, [message(6)], { start: undefined })), [at(2)]);
      assert.equal((await contents(room)).length, 1);
      assert.deepEqual(await apply(batch(room, 5, 6, [message(6)], { start: 5 })), [at(6)]);
      assert.equal((await contents(room)).length, 2);
      assert.deepEqual(await apply(batch(newRoom(), 5, 6, [message(6)])), [at(0)], "a room not known yet");
    });

    test("a smaller epoch loses; a larger one starts anew and keeps what is there", async () => {
      const room = newRoom();
      await apply(batch(room, 0, 9, [message(1)]));
      assert.deepEqual(await apply(batch(room, 9, 10, [message(2)], { epoch: EPOCH - 1 })), [at(9)]);
      assert.deepEqual(await apply(batch(room, 4, 5, [message(3)], { epoch: EPOCH + 1 })), [at(0, EPOCH + 1)], "a gap");
      assert.deepEqual(await apply(batch(room, 9, 12, [message(2)])), [at(0, EPOCH + 1)], "the old one lost by that");
      assert.deepEqual(await apply(batch(room, 0, 3, [message(1, { no: 2 })], { epoch: EPOCH + 1 })), [at(3, EPOCH + 1)]);
      assert.deepEqual(await apply(batch(room, 7, 8, [message(8, { no: 3 })], { epoch: EPOCH + 2, start: 7 })), [at(8, EPOCH + 2)]);
      assert.equal((await contents(room)).length, 3);
    });

    test("a room that cannot be written disturbs no other, and answers at its own index", async () => {
      const [nul, uuid, missing, notJson, constraint, good, good2] = Array.from({ length: 7 }, newRoom);
      const answers = await apply(
        batch(good2, 0, 1, [message(1)]),
        batch(nul, 0, 2, [message(1), message(2, { content: "a\0b" })]),
        batch(uuid, 0, 2, [message(1), message(2, { id: "msg_456" })]),
        { ...batch(missing, 0, 1, [message(1)]), to: undefined },
        `{"room_id": "${notJson}"`,
        batch(constraint, 0, 2, [message(1), message(2, { type: "shout" })]),
        batch(good, 0, 1, [message(1)]),
      );
      assert.deepEqual(answers.map((a) => a.sqlstate ?? a.seq), [1, "22P05", "22P02", "22004", "22P02", "23514", 1]);
      for (const answer of answers.slice(1, 6)) assert.match(answer.error, /./);
      for (const room of [nul, uuid, missing, notJson, constraint]) {
        assert.deepEqual(await contents(room), [], "all of a room's batch or nothing");
        assert.deepEqual(await db.query("select from room_cursor where room_id = $1", [room]), []);
      }
      assert.equal((await contents(good)).length, 1);
      assert.deepEqual(await apply(), []);
      assert.equal((await apply(batch(null, 0, 1, [])))[0].sqlstate, "22004");
    });

    test("edits and deletions end the same within a batch and across batches", async () => {
      const story = (m) => [
        m.edited, m.deleted, m.twice,
        edit(4, m.edited.id, "older"), edit(5, m.twice.id, "once"), edit(6, m.edited.id, "newer", AT + 50),
        edit(7, m.deleted.id, "too late"), remove(8, m.deleted.id, m.twice.id), edit(9, m.twice.id, "after its end"),
        remove(10, m.twice.id),
      ];
      const cast = () => ({ edited: message(1), deleted: message(2), twice: message(3) });
      const seen = async (m) =>
        Promise.all(Object.values(m).map(async ({ id }) => {
          const { content, text, metadata, mentions, edited_at, deleted_at, no } = await row(id);
          return { content, text, metadata, mentions, edited_at, deleted_at, no };
        }));

      const whole = cast();
      await apply(batch(newRoom(), 0, 10, story(whole)));
      const apart = cast();
      const room = newRoom();
      for (const op of story(apart)) assert.deepEqual(await apply(batch(room, op.seq - 1, op.seq, [op])), [at(op.seq)]);

      const gone = { content: "", text: null, metadata: {}, mentions: [], deleted_at: new Date(AT + 8) };
      const expected = [
        { content: "newer", text: null, metadata: { k: 1 }, mentions: [], edited_at: new Date(AT + 50), deleted_at: null, no: "1" },
        { ...gone, edited_at: new Date(AT + 7), no: "2" },
        { ...gone, edited_at: new Date(AT + 5), no: "3" },
      ];
      assert.deepEqual(await seen(whole), expected);
      assert.deepEqual(await seen(apart), expected);
    });

    test("a message that the log has redacted or edited already is not taken back", async () => {
      const room = newRoom();
      const gone = message(1, { content: "left over", deleted_at: AT + 9 });
      const ahead = message(2, { content: "newest", edited_at: AT + 9 });
      await apply(batch(room, 0, 4, [gone, ahead, edit(3, gone.id, "old"), edit(4, ahead.id, "old")]));
      assert.deepEqual(await contents(room), ["", "newest"]);
      await apply(batch(room, 4, 6, [edit(5, gone.id, "old"), edit(6, ahead.id, "old", AT + 8)]));
      assert.deepEqual(await contents(room), ["", "newest"]);
      assert.deepEqual((await row(gone.id)).deleted_at, new Date(AT + 9));
    });

    test("reactions: the last word counts, a deleted message has none", async () => {
      const room = newRoom();
      const [kept, lost, later] = [message(1), message(2), message(3)];
      await apply(batch(room, 0, 10, [kept, lost, later,
        react(4, kept.id, "ada", "👍"), react(5, kept.id, "ada", "👍"), react(6, kept.id, "bob", "👍"),
        react(7, kept.id, "bob", "👍", true), react(8, kept.id, "bob", "🎉"),
        react(9, lost.id, "ada", "👍"), remove(10, lost.id)]));
      assert.deepEqual([await reactions(kept.id), await reactions(lost.id)], [["ada👍", "bob🎉"], []]);
      await apply(batch(room, 10, 14, [react(11, kept.id, "ada", "👍", true), react(12, later.id, "bob", "👍"),
        react(13, lost.id, "bob", "👍"), react(14, randomUUID(), "bob", "👍")]));
      assert.deepEqual([await reactions(kept.id), await reactions(later.id), await reactions(lost.id)], [["bob🎉"], ["bob👍"], []]);
      await apply(batch(room, 14, 15, [remove(15, later.id)]));
      assert.deepEqual(await reactions(later.id), []);
    });

    test("one room's batch cannot touch another room's messages", async () => {
      const m = message(1);
      await apply(batch(newRoom(), 0, 2, [m, react(2, m.id, "ada", "👍")]));
      await apply(batch(newRoom(), 0, 5, [edit(1, m.id, "theirs"), remove(2, m.id), react(3, m.id, "ada", "👍", true),
        { ...m, seq: 4, content: "theirs" }]));
      assert.equal((await row(m.id)).content, "a &lt; b");
      assert.deepEqual(await reactions(m.id), ["ada👍"]);
    });

    test("roles are set, changed, taken away", async () => {
      const room = newRoom();
      const roles = () => db.query("select user_id, role, username from room_roles where room_id = $1 order by 1", [room]);
      await apply(batch(room, 0, 3, [role(1, "ada", "owner", "Ada"), role(2, "bob", "moderator", "Bob"), role(3, "bob", "member")]));
      assert.deepEqual(await roles(), [{ user_id: "ada", role: "owner", username: "Ada" }, { user_id: "bob", role: "member", username: "Bob" }]);
      await apply(batch(room, 3, 5, [role(4, "ada", "moderator"), role(5, "bob", null)]));
      assert.deepEqual(await roles(), [{ user_id: "ada", role: "moderator", username: "Ada" }]);
    });

    test("what is over its time is found, and deleted in steps, but for what is on hold", async () => {
      const room = newRoom();
      const said = Array.from({ length: 8 }, (_, i) => message(i + 2, { no: i + 1, user_id: i === 2 ? "cleo" : "ada", created_at: AT + i * 1_000 }));
      await apply(batch(room, 0, 11, [roomOp(1), ...said, react(10, said[0].id, "bob", "👍"), react(11, said[7].id, "bob", "👍")]));
      const expiry = async (first, before, from, most = 500) =>
        (await db.query("select chat_expiry($1, $2, $3, $4, $5) as answer", [room, first, before, from, most]))[0].answer;
      const left = async () => (await db.query("select no from messages where room_id = $1 order by no", [room])).map(({ no }) => Number(no));
      const hold = async (on, by) => (await db.query(
        "insert into legal_holds values (gen_random_uuid(), $1, $2, 'why', 'adm', now()) returning id", [on, by]))[0].id;
      const lift = (id) => db.query("update legal_holds set lifted_at = now(), lifted_by = 'adm' where id = $1", [id]);
      assert.deepEqual(await expiry(1, AT, null), { before_no: 1, oldest_at: AT, more: false, held: false });
      assert.deepEqual(await expiry(1, AT + 3_000, null), { before_no: 4, oldest_at: AT + 3_000, more: false, held: false });
      assert.deepEqual(await expiry(1, AT + 3_000, 6), { before_no: 6, oldest_at: AT + 5_000, more: false, held: false });
      assert.deepEqual(await expiry(1, AT + 3_000, null, 2), { before_no: 3, oldest_at: AT + 2_000, more: true, held: false });
      assert.deepEqual(await expiry(1, AT + 60_000, null), { before_no: 9, oldest_at: null, more: false, held: false });
      const whole = await hold(room, null);
      assert.deepEqual(await expiry(1, AT + 3_000, null), { before_no: 1, held: true });
      await apply(batch(room, 11, 12, [{ op: "expire", seq: 12, before_no: 4 }]));
      assert.deepEqual(await left(), [1, 2, 3, 4, 5, 6, 7, 8]);
      await lift(whole);
      const cleo = await hold(null, "cleo");
      assert.deepEqual(await expiry(4, AT + 3_000, null), { before_no: 4, oldest_at: AT + 3_000, more: false, held: true });
      assert.deepEqual([await left(), await reactions(said[0].id)], [[3, 4, 5, 6, 7, 8], []]);
      await apply(batch(room, 12, 14, [{ op: "expire", seq: 13, before_no: 6 }, edit(14, said[2].id, "another")]));
      assert.deepEqual([await left(), await reactions(said[7].id)], [[3, 6, 7, 8], ["bob👍"]]);
      assert.deepEqual(await db.query("select content, user_id from hold_copies where message_id = $1", [said[2].id]), [{ content: "a &lt; b", user_id: "cleo" }]);
      await lift(cleo);
      assert.deepEqual(await db.query("select from hold_copies where message_id = $1", [said[2].id]), []);
      assert.equal((await expiry(6, AT, null)).held, false);
      assert.deepEqual([await left(), (await db.query("select first_no from rooms where id = $1", [room]))[0].first_no], [[6, 7, 8], "6"]);
    });

    test("a room is written, changed, and leaves a tombstone", async () => {
      const room = newRoom();
      const read = async () => (await db.query("select * from rooms where id = $1", [room]))[0];
      await apply(batch(room, 0, 2, [roomOp(1, { name: "First" }), roomOp(2)]));
      assert.deepEqual({ ...(await read()) }, {
        id: room, name: "A room", type: "video", settings: { slow_s: 3 }, pinned: [], owner_id: "ada", created_at: new Date(AT),
        updated_at: new Date(AT + 2), deleted_at: null, terms: {}, first_no: "1",
      });
      await apply(batch(room, 2, 3, [roomOp(3, { deleted_at: AT + 3, owner_id: null })]));
      const gone = await read();
      assert.deepEqual([gone.deleted_at, gone.owner_id], [new Date(AT + 3), null]);
    });

    test("what a filter masked is kept until the message is edited or deleted", async () => {
      const room = newRoom();
      const [one, two] = [message(1), message(2)];
      const masked = (seq, { id }, original, reasons = [{ code: "spam", because: "raid" }]) => ({ op: "original", seq, id, original, reasons });
      const originals = async () => [(await row(one.id)).original, (await row(two.id)).original];
      await apply(batch(room, 0, 2, [one, masked(1, one, "typed"), two, masked(2, two, "typed too")]));
      assert.deepEqual(await originals(), ["typed", "typed too"]);
      assert.deepEqual((await row(one.id)).reasons, [{ code: "spam", because: "raid" }]);
      await apply(batch(room, 2, 4, [edit(3, one.id, "clean"), masked(3, one, null, []), remove(4, two.id)]));
      assert.deepEqual(await originals(), [null, null]);
      // A replay takes nothing back.
      await apply(batch(room, 0, 2, [one, masked(1, one, "typed")]));
      assert.deepEqual(await originals(), [null, null]);
    });

    test("on hold, what was typed is copied beside what was seen of it", async () => {
      const room = newRoom();
      const [one, two, three] = [message(1), message(2), message(3)];
      const masked = (seq, { id }, original) => ({ op: "original", seq, id, original, reasons: [{ code: "spam", because: "raid" }] });
      await apply(batch(room, 0, 3, [one, masked(1, one, "typed"), two, masked(2, two, "typed too"), three]));
      await db.query("insert into legal_holds values (gen_random_uuid(), $1, null, 'why', 'adm', now())", [room]);
      const copies = async ({ id }) => (await db.query("select content, original from hold_copies where message_id = $1 order by id", [id])).map(({ content, original }) => [content, original]);
      await apply(batch(room, 3, 5, [edit(4, one.id, "clean"), masked(4, one, "typed anew"), remove(5, two.id)]));
      assert.deepEqual([await copies(one), await copies(two)], [[["a &lt; b", "typed"]], [["a &lt; b", "typed too"]]]);
      // The same mask over other words.
      await apply(batch(room, 5, 6, [edit(6, one.id, "clean"), masked(6, one, "typed again")]));
      await apply(batch(room, 6, 7, [edit(7, three.id, "another")]));
      assert.deepEqual([await copies(one), await copies(three)], [[["a &lt; b", "typed"], ["clean", "typed anew"]], [["a &lt; b", null]]]);
    });

    test("a tag is kept with its message, anew with each edit, and goes with it; a report says whether it was proved", async () => {
      const [room, other] = [newRoom(), newRoom()];
      const [one, two] = [message(1), message(2)];
      const tag = (seq, { id }, franking) => ({ op: "franking", seq, id, franking });
      const tags = async () => [(await row(one.id)).franking, (await row(two.id)).franking];
      await apply(batch(room, 0, 2, [one, tag(1, one, "A"), two, tag(2, two, "B")]));
      assert.deepEqual(await tags(), ["A", "B"]);
      await apply(batch(other, 0, 1, [tag(1, one, "stolen")]));
      await apply(batch(room, 2, 5, [edit(3, one.id, "new"), tag(3, one, "C"), tag(4, one, "D"), remove(5, two.id)]));
      assert.deepEqual(await tags(), ["D", null]);
      await apply(batch(room, 0, 2, [tag(1, one, "A"), tag(2, two, "B")]));
      assert.deepEqual(await tags(), ["D", null]);
      const report = { op: "report", seq: 6, id: randomUUID(), message_id: one.id, reporter_id: "bob", reason: "abuse", quoted: "words", proved: true, at: AT };
      await apply(batch(room, 5, 6, [report]));
      assert.deepEqual((await db.query("select quoted, proved from reports where room_id = $1", [room])), [{ quoted: "words", proved: true }]);
    });

    test("what waits is there until it ends, and the last terms count", async () => {
      const room = newRoom();
      const held = (seq) => ({ op: "held", seq, id: randomUUID(), user_id: "ada", message: { content: "x" }, reasons: [], created_at: AT, expires_at: AT + 9 });
      const waiting = async () => (await db.query("select id from held where room_id = $1 order by id", [room])).map(({ id }) => id);
      const terms = (seq, word) => ({ op: "terms", seq, terms: { blocked: [word], allowed: [], action: "reject" } });
      const [one, two] = [held(2), held(3)];
      await apply(batch(room, 0, 5, [roomOp(1), one, two, terms(4, "first"), terms(5, "last")]));
      assert.deepEqual(await waiting(), [one.id, two.id].sort());
      assert.deepEqual((await db.query("select terms from rooms where id = $1", [room]))[0].terms.blocked, ["last"]);
      await apply(batch(newRoom(), 0, 1, [{ op: "held_end", seq: 1, id: two.id }]), batch(room, 5, 6, [{ op: "held_end", seq: 6, id: one.id }]));
      assert.deepEqual(await waiting(), [two.id]);
    });

    test("an operation of another version is skipped, whatever its fields hold", async () => {
      const room = newRoom();
      const m = message(2);
      const unknown = { op: "poll", seq: 1, id: 7, no: "first", at: "yesterday", ids: { a: 1 }, created_at: [] };
      assert.deepEqual(await apply(batch(room, 0, 3, [unknown, { ...m, extra: { x: 1 } }, { seq: 3 }])), [at(3)]);
      assert.equal((await row(m.id)).content, "a &lt; b");
    });

    test("reports are made, decided, made anew, and lose their quotes", async () => {
      const room = newRoom();
      const [message_id, other, first, second, third] = Array.from({ length: 5 }, randomUUID);
      const made = (seq, id, more = {}) => ({
        op: "report", seq, id, message_id, reporter_id: "bob", reason: "spam", details: "d", quoted: "q", at: AT + seq, ...more,
      });
      const decided = (seq, id, status) => ({ op: "resolve_report", seq, id, status, resolution: `r${seq}`, by: "mod", at: AT + seq });
      const all = () => db.query("select * from reports where room_id = $1 order by created_at", [room]);

      const ops = [made(1, first), decided(2, first, "resolved"), decided(3, first, "dismissed"), made(4, second, { message_id: other })];
      assert.deepEqual(await apply(batch(room, 0, 4, ops)), [at(4)]);
      const common = { room_id: room, reporter_id: "bob", reason: "spam", details: "d", quoted: "q", proved: null };
      const open = { status: "open", resolved_at: null, resolved_by: null, resolution: null };
      assert.deepEqual((await all()).map((r) => ({ ...r })), [
        { ...common, id: first, message_id, status: "dismissed", created_at: new Date(AT + 1), resolved_at: new Date(AT + 3), resolved_by: "mod", resolution: "r3" },
        { ...common, ...open, id: second, message_id: other, created_at: new Date(AT + 4) },
      ]);

      // Two of one user and message in a batch: the later one stands.
      await apply(batch(room, 4, 7, [made(5, randomUUID()), made(6, third), { op: "forget_quotes", seq: 7, before: AT + 5 }]));
      assert.deepEqual((await all()).map(({ id, quoted, status }) => [id, quoted, status]), [[second, null, "open"], [third, "q", "open"]]);

      await apply(batch(newRoom(), 0, 3, [{ ...made(1, randomUUID()), quoted: "stolen" }, decided(2, third, "resolved"), { op: "forget_quotes", seq: 3, before: AT + 99 }]));
      assert.deepEqual((await all()).map(({ quoted, status }) => [quoted, status]), [[null, "open"], ["q", "open"]], "another room's are left alone");
    });

    test("P3: a refused event leaves a letter and its message a tombstone, until it is edited, deleted or mended", async () => {
      const room = newRoom();
      const [edited, deleted, mended] = [1, 2, 3].map((seq) => message(seq));
      const refused = ({ seq, no, id, user_id, username, roles, type, audience, visible_at, created_at, ...rest }) => ({
        op: "refused", seq, sqlstate: "22P05", error: "no", message_id: id,
        body: JSON.stringify([{ seq, no, id, user_id, username, roles, type, audience, visible_at, created_at, ...rest, content: "a\0b" }]),
        tombstone: { no, user_id, username, roles, type, audience, visible_at, created_at },
      });
      const letters = () => db.query("select id, seq::int, message_id, type, sqlstate from dead_letters where room_id = $1 order by seq", [room]);
      for (const m of [edited, deleted, mended]) assert.deepEqual(await apply(batch(room, m.seq - 1, m.seq, [refused(m)])), [at(m.seq)]);
      assert.deepEqual((await letters()).map(({ message_id, sqlstate }) => [message_id, sqlstate]), [edited, deleted, mended].map(({ id }) => [id, "22P05"]));
      const { content, type, deleted_at, no } = await row(edited.id);
      assert.deepEqual([content, type, deleted_at, no], ["", "unavailable", new Date(AT), "1"]);
      await apply(batch(room, 3, 5, [react(4, deleted.id, "ada", "👍"), remove(5, deleted.id)]));
      await apply(batch(room, 5, 6, [edit(6, edited.id, "better")]));
      assert.deepEqual([(await row(edited.id)).content, (await row(edited.id)).type, (await row(deleted.id)).type], ["better", "text", "unavailable"]);
      assert.deepEqual(await reactions(deleted.id), []);
      const [letter, ...others] = await letters();
      assert.deepEqual([letter.message_id, others.length], [mended.id, 0]);
      await assert.rejects(db.query("select chat_replay($1)", [letter.id]));
      await db.query("select chat_replay(id, replace(body, '\\u0000', '')) from dead_letters where id = $1", [letter.id]);
      assert.deepEqual([(await row(mended.id)).content, (await row(mended.id)).deleted_at, await letters()], ["ab", null, []]);
      assert.deepEqual(await apply(batch(room, 6, 7, [message(7, { no: 4 })])), [at(7)], "the cursor is where it was");
      // A user's letter, and one whose tombstone's number is taken.
      assert.deepEqual((await apply(batch(room, 7, 8, [refused({ ...message(8), no: 1 })])))[0].sqlstate, "23505");
      assert.deepEqual(await apply({ v: 1, user: room, epoch: EPOCH, to: 1, ops: [{ op: "refused", seq: 1, sqlstate: "22P05", error: "no", body: "[]" }] }), [at(1)]);
      assert.equal((await db.query("select from dead_letters where user_id = $1 and room_id is null", [room])).length, 1);
    });

    test("many rooms in one call, each at its own index", async () => {
      const ids = Array.from({ length: 70 }, newRoom).reverse();
      const answers = await apply(...ids.map((id, i) => batch(id, 0, i + 1, [message(1)])));
      assert.deepEqual(answers, ids.map((_, i) => at(i + 1)));
    });

    test("messages of who was erased lose their author, and their text where that goes too", async () => {
      const room = newRoom();
      const [one, two, sealed] = [message(1), message(5), message(3, { type: "encrypted", content: "{}", text: null })];
      const erase = (seq, tombstones, ...ids) => ({ op: "erase", seq, ids, tombstones, at: AT + seq });
      await apply(batch(room, 0, 4, [one, sealed, react(4, sealed.id, "bob", "👍")]));
      const erased = batch(room, 4, 7, [two, erase(6, false, one.id, sealed.id), erase(7, true, two.id)]);
      for (const _ of ["once", "again"]) {
        assert.deepEqual(await apply(erased), [at(7)]);
        for (const [{ id }, content, deleted] of [[one, one.content, null], [two, "", AT + 7], [sealed, "", AT + 6]]) {
          const { user_id, username, avatar, client_id, metadata, content: now, deleted_at } = await row(id);
          assert.deepEqual([user_id, username, avatar, client_id, metadata, now, deleted_at && deleted_at.getTime()], ["", "erased", null, null, {}, content, deleted]);
        }
        assert.deepEqual(await reactions(sealed.id), []);
      }
      // Somebody else's of the same room is not touched, nor a message of another one.
      const other = newRoom();
      const theirs = message(1);
      await apply(batch(other, 0, 1, [theirs]), batch(room, 7, 8, [erase(8, true, theirs.id)]));
      assert.equal((await row(theirs.id)).user_id, "ada");
    });

    describe("an erasure in SQL", () => {
      const call = async (op, more = {}) => (await db.query("select chat_erase($1::jsonb) as answer", [{ op, ...more }]))[0].answer;
      /** Goes through all places; what the steps answer, put together. */
      const through = async (op, user_id, mode = "tombstone") => {
        const all = { found: {}, rooms: [], elsewhere: {}, unread: {} };
        for (const table of await call("places")) {
          for (let after = null; after !== undefined; ) {
            const step = await call(op, { user_id, mode, table, after });
            if (step.on_hold) return step;
            for (const [column, n] of Object.entries(step.found ?? {})) if (n) all.found[column] = (all.found[column] ?? 0) + n;
            all.rooms.push(...(step.rooms ?? []));
            Object.assign(all.elsewhere, step.elsewhere);
            Object.assign(all.unread, step.unread);
            after = step.next ?? undefined;
          }
        }
        all.rooms = [...new Set(all.rooms)].sort();
        return all;
      };
      const left = async (user) => (await through("search", user)).found;
      const hold = async (room_id, user_id) => {
        const id = randomUUID();
        await db.query("insert into legal_holds values ($1, $2, $3, 'case 7', 'root', now())", [id, room_id, user_id]);
        return () => db.query("update legal_holds set lifted_at = now(), lifted_by = 'root' where id = $1", [id]);
      };

      test("tables that are not ours are searched, and nothing in them is changed", async () => {
        await db.query("create table users (id text primary key, name char(8), tags text[] not null default '{}', upper text generated always as (upper(id)) stored)");
        await db.query("create table orders (user_id text references users, token uuid)");
        await db.query("insert into users values ('zoe', 'zoe', '{a,zoe}'), ('', 'nobody', '{}')");
        await db.query("insert into orders values ('zoe'), ('zoe')");
        const room = newRoom();
        await apply(batch(room, 0, 1, [message(1, { user_id: "zoe" })]));
        const looked = await through("look", "zoe");
        assert.deepEqual([looked.rooms, looked.found, looked.elsewhere], [[room], { "messages.user_id": 1 }, {}]);
        await through("wipe", "zoe");
        const searched = await through("search", "zoe");
        assert.deepEqual([searched.found, searched.elsewhere, searched.unread],
          [{}, { "users.id": 1, "users.name": 1, "users.tags": 1, "orders.user_id": 2 }, {}]);
        assert.deepEqual((await db.query("select id, name, tags from users order by id desc")).map((r) => ({ ...r })), [
          { id: "zoe", name: "zoe     ", tags: ["a", "zoe"] }, { id: "", name: "nobody  ", tags: [] },
        ]);
        assert.equal((await db.query("select from orders where user_id = 'zoe'")).length, 2);
        // One that may not be read is named, and keeps nothing up.
        const reader = `reader_${randomUUID().slice(0, 8)}`;
        await db.query(`create role ${reader}`);
        try {
          await db.query(`create function as_reader(t text) returns jsonb language plpgsql as $$ begin
            set local role ${reader}; return chat_erase_elsewhere('zoe', t, null); end $$`);
          await db.query(`grant select on users to ${reader}`);
          const [orders, users] = [await db.query("select as_reader('orders') as a"), await db.query("select as_reader('users') as a")].map(([{ a }]) => a);
          assert.deepEqual([orders, users.elsewhere["users.id"]], [{ next: null, unread: { orders: "42501" } }, 1]);
        } finally {
          await db.query("drop function as_reader(text)");
          await db.query(`drop owned by ${reader}`);
          await db.query(`drop role ${reader}`);
        }
      });

      test("what only looks like the user is left alone", async () => {
        const room = newRoom();
        const [theirs, whisper] = [message(1, { user_id: "user:pat" }), message(2, { user_id: "kim", audience: "user:pat", metadata: { user_id: "pat" } })];
        const odd = message(3, { user_id: "kim", content: "me@pat.example @pat.x @Pat, @pat.", text: null, mentions: [{ user_id: "pat", username: "Pat" }] });
        await apply(batch(room, 0, 3, [theirs, whisper, odd, role(3, "moderators", "member")]));
        const letter = (seq, body) => db.query("insert into dead_letters (room_id, epoch, seq, sqlstate, error, body) values ($1, 1, $2, 'x', 'x', $3)", [room, seq, body]);
        await letter(1, JSON.stringify([{ op: "message", user_id: "kim", content: "pat", metadata: { user_id: "pat" } }]));
        await letter(2, String.raw`[{"op": "message", "user_id": "pat", "content": "a\u0000b \\u0000 \ud800"}]`);
        await letter(3, 'no JSON at all "user_id": "pat"');
        await letter(4, JSON.stringify([{ op: "message", user_id: "kim", mentions: [{ user_id: "pat" }], content: "" }]));
        assert.deepEqual((await through("look", "pat")).found, { "dead_letters.body": 3, "messages.mentions": 1, "messages.audience": 1 });
        for (const user of ["message", "op", "member", "text", "all", room]) await through("wipe", user);
        assert.equal((await db.query("select from dead_letters where room_id = $1", [room])).length, 4);
        await through("wipe", "pat");
        assert.deepEqual([await left("pat"), (await row(theirs.id)).user_id, (await row(whisper.id)).audience], [{}, "user:pat", "moderators"]);
        assert.equal((await row(odd.id)).content, "me@pat.example @pat.x @erased, @erased.");
        assert.deepEqual((await db.query("select seq from dead_letters where room_id = $1", [room])).map(({ seq }) => seq), ["1"]);
        await through("wipe", "moderators");
        assert.equal((await row(whisper.id)).audience, "moderators");
      });

      test("it waits for a hold, and what that kept goes once it is lifted", async () => {
        const room = newRoom();
        const [m, other] = [message(1, { user_id: "uma", content: "evidence" }), message(2, { user_id: "yes", content: "yes" })];
        await apply(batch(room, 0, 2, [m, other]));
        const [lift, liftOther] = [await hold(null, "uma"), await hold(null, "yes")];
        for (const op of ["look", "wipe", "search"]) assert.deepEqual(await through(op, "uma"), { on_hold: true });
        assert.deepEqual(await call("done", { user_id: "uma", erasure_id: randomUUID(), status: "done" }), { on_hold: true });
        await apply(batch(room, 2, 4, [edit(3, other.id, "no"), { op: "erase", seq: 4, ids: [m.id], tombstones: true, at: AT }]));
        const copies = () => db.query("select content from hold_copies where room_id = $1 order by content", [room]).then((rows) => rows.map((r) => r.content));
        assert.deepEqual(await copies(), ["evidence", "yes"]);
        assert.deepEqual(await through("wipe", "uma"), { on_hold: true });
        await lift();
        assert.deepEqual(await copies(), ["yes"]);
        await through("wipe", "uma");
        await through("wipe", "no");
        const erasure = await call("begin", { user_id: "uma", erasure_id: randomUUID(), mode: "tombstone", by: "root", role: "admin", reason: null });
        const [{ id, lifted_at }] = await db.query("select id, lifted_at from legal_holds where user_id = 'uma'");
        for (const [line, action] of [[id, "place_hold"], [randomUUID(), "lift_hold"]]) {
          await db.query("insert into audit values ($1, null, 'root', $2, 'uma', '{}', (select lifted_at from legal_holds where id = $3))", [line, action, id]);
        }
        assert.ok(lifted_at);
        await call("done", { user_id: "uma", erasure_id: erasure.erasure_id, status: "done", proof: {} });
        assert.equal((await db.query("select from legal_holds where user_id = 'uma'")).length, 0);
        assert.deepEqual([await left("uma"), await copies()], [{}, ["yes"]]);
        await liftOther();
        assert.deepEqual(await copies(), []);
      });

      test("rooms are known in which nothing of the user stands any more", async () => {
        const [expired, undone, decided] = [newRoom(), newRoom(), newRoom()];
        const [m, theirs, waits] = [message(1, { user_id: "vic" }), message(1, { user_id: "kim" }), randomUUID()];
        await apply(batch(expired, 0, 1, [m]), batch(undone, 0, 2, [theirs, react(2, theirs.id, "vic", "👍")]),
          batch(decided, 0, 1, [{ op: "held", seq: 1, id: waits, user_id: "vic", message: { content: "x" }, reasons: [], created_at: AT, expires_at: AT + 9 }]));
        await apply(batch(expired, 1, 2, [{ op: "expire", seq: 2, before_no: 9 }]), batch(undone, 2, 3, [react(3, theirs.id, "vic", "👍", true)]),
          batch(decided, 1, 2, [{ op: "held_end", seq: 2, id: waits }]));
        const looked = await through("look", "vic");
        assert.deepEqual([looked.rooms, looked.found], [[expired, undone, decided].sort(), { "room_users.user_id": 3 }]);
        await through("wipe", "vic");
        assert.deepEqual(await left("vic"), {});
      });

      test("of two bans of a user the later end holds, and an unban ends both", async () => {
        const hidden = async (room, who) => (await db.query("select chat_hidden($1, $2) as id", [room, who]))[0].id;
        const ban = (seq, user_id, ends_at) => ({ op: "ban", seq, user_id, username: "Wim", reason: "r", shadow: false, by: "mod", created_at: AT, ends_at });
        const bans = (room) => db.query("select user_id, ends_at from bans where room_id = $1", [room]).then((rows) => rows.map((r) => [r.user_id, r.ends_at?.getTime() ?? null]));
        for (const [plain, before, end] of [[AT + 5, AT + 9, AT + 9], [AT + 9, AT + 5, AT + 9], [null, AT + 5, null], [AT + 5, null, null]]) {
          const room = newRoom();
          const id = await hidden(room, "wim");
          await apply(batch(room, 0, 2, [ban(1, "wim", plain), ban(2, id, before)]));
          await through("wipe", "wim");
          assert.deepEqual(await bans(room), [[id, end]]);
          await apply(batch(room, 2, 3, [ban(3, "wim", AT)]), batch(room, 3, 4, [{ op: "unban", seq: 4, user_id: id }]));
          assert.deepEqual(await bans(room), []);
          await apply(batch(room, 4, 6, [ban(5, id, AT), { op: "unban", seq: 6, user_id: "wim" }]));
          assert.deepEqual(await bans(room), []);
          await apply(batch(room, 6, 8, [{ op: "unban", seq: 7, user_id: id }, ban(8, "wim", AT)]));
          assert.deepEqual(await bans(room), [["wim", AT]]);
        }
      });
    });

    test("down takes everything back, and up brings it again", async () => {
      const other = await open({ empty: true });
      try {
        const names = () =>
          other.query(`select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
            union all select proname::text from pg_proc where pronamespace = 'public'::regnamespace order by 1`)
            .then((rows) => rows.map((r) => r.name));
        await migrations("migrate", other.url);
        const whole = await names();
        assert.ok(["chat_apply", "messages", "rooms", "room_cursor", "dead_letters", "device_keys"].every((name) => whole.includes(name)));
        const steps = (await other.query("select count(*)::int as n from schema_migrations"))[0].n;
        for (let i = 0; i < steps; i++) await migrations("rollback", other.url);
        assert.deepEqual(await names(), ["schema_migrations"]);
        await migrations("migrate", other.url);
        assert.deepEqual(await names(), whole);
        await migrations("status", other.url);
      } finally {
        await other.drop();
      }
    });
  });
}
