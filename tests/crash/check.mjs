// What was seen, acknowledged and written elsewhere, held against a room's log. Each fault found is a sentence.

/** The names on the wire of the log's events. */
const names = {
  new_message: () => "new_message",
  message_edited: () => "message_edited",
  message_deleted: () => "message_deleted",
  messages_deleted: () => "messages_deleted",
  banned: () => "user_banned",
  unbanned: () => "user_unbanned",
  pinned: ({ unpinned }) => (unpinned ? "message_unpinned" : "message_pinned"),
  reaction: () => "reaction_updated",
  room: () => "room_updated",
  role: () => "role_set",
  gone: () => null,
};

const nameOf = ({ event, data }) => (names[event] ? names[event](data) : "?");
const isFor = ({ audience = "all" }, viewer) =>
  audience === "all" || (audience !== "internal" && (viewer.moderator || audience.user === viewer.user));

const counts = (reactions) => Object.entries(reactions).sort();

/** What an event seen and the log's have to agree in; the text of a message may have changed since. */
const values = {
  new_message: (data) => [data.message_id, data.no, data.user.user_id, data.client_id],
  message_edited: (data) => [data.message_id, data.content],
  message_deleted: (data) => [data.message_id, data.no],
  messages_deleted: (data) => data.message_ids,
  banned: (data) => [data.user_id],
  unbanned: (data) => [data.user_id],
  reaction: (data) => [data.message_id, counts(data.reactions)],
};

const same = ({ event, data }, line) => {
  const of = values[event] ?? (() => []);
  return nameOf({ event, data }) === line.event && JSON.stringify(of(data.ban ?? data)) === JSON.stringify(of(line.data));
};

/** The log by itself: 1, 2, 3 …, messages too, time never back, nobody's name for a message twice. */
export function checkLog(log, fault) {
  const [said, lastOf] = [new Map(), new Map()];
  let [no, at] = [0, 0];
  log.forEach((event, index) => {
    if (event.seq !== index + 1) fault("V1", `the log has seq ${event.seq} at place ${index + 1}`);
    if (event.at < at) fault("V1", `time goes back at seq ${event.seq}`);
    at = event.at;
    if (event.event !== "new_message") return;
    const { message_id, user, client_id, no: number } = event.data;
    if (number !== ++no) fault("V1", `message ${message_id} has the number ${number}, not ${no}`);
    if (!client_id) return;
    const name = `${user.user_id} ${client_id}`;
    if (said.has(name)) fault("V3", `${name} was said twice: seq ${said.get(name)} and ${event.seq}`);
    said.set(name, event.seq);
    // The senders count what they say in one lane, so that what one says later stands later.
    const [lane, count] = client_id.split("#");
    if (lastOf.get(lane) > Number(count)) fault("V1", `${client_id} stands after ${lane}#${lastOf.get(lane)}`);
    lastOf.set(lane, Number(count));
  });
}

/** Whether the event at the place that a reply says is what was acknowledged. */
const isDone = {
  edit_message: (there, { message_id }) => there.event === "gone" || (there.event === "message_edited" && there.data.message_id === message_id),
  delete_message: (there, { message_id }) => there.event === "message_deleted" && there.data.message_id === message_id,
  react: (there, { message_id }) => there.event === "reaction" && there.data.message_id === message_id,
  ban_user: (there, { user_id }) => there.event === "banned" && there.data.ban.user_id === user_id,
  unban_user: (there, { user_id }) => there.event === "unbanned" && there.data.user_id === user_id,
};

/** Everything acknowledged stands in the log: `acts` are `{event, data, user, reply}`. */
export function checkAcknowledged(log, acts, fault) {
  const byClient = new Map();
  for (const event of log) if (event.event === "new_message") byClient.set(`${event.data.user.user_id} ${event.data.client_id}`, event);
  for (const { event, data, user, reply } of acts) {
    const what = `${user}'s ${event} ${data.client_id ?? data.message_id ?? data.user_id}, acknowledged at seq ${reply.seq},`;
    const there = log[reply.seq - 1];
    if (event === "send_message") {
      const found = byClient.get(`${user} ${data.client_id}`);
      if (!found) fault("V2", `${what} is not in the log`);
      else if (found.seq !== reply.seq || found.data.message_id !== reply.message_id) fault("V3", `${what} stands at seq ${found.seq} as ${found.data.message_id}`);
    } else if (reply.seq !== undefined) {
      if (!there || !isDone[event](there, data)) fault("V2", `${what} is ${there ? `a ${there.event}` : "nothing"} there`);
    } else if (event === "ban_user") {
      // A ban is answered without its place, with its time.
      const isIt = (candidate) => isDone.ban_user(candidate, data) && candidate.data.ban.created_at === Date.parse(reply.created_at);
      if (!log.some(isIt)) fault("V2", `${user}'s ban of ${data.user_id} at ${reply.created_at} is not in the log`);
    }
  }
  // That somebody was let in again is answered with nothing that could be looked for.
  const unbans = acts.filter(({ event, reply }) => event === "unban_user" && reply.seq === undefined);
  for (const user_id of new Set(unbans.map(({ data }) => data.user_id))) {
    const acknowledged = unbans.filter(({ data }) => data.user_id === user_id).length;
    const done = log.filter((there) => isDone.unban_user(there, { user_id })).length;
    if (done < acknowledged) fault("V2", `${user_id} was let in again ${done} times, ${acknowledged} were acknowledged`);
  }
}

/** The texts in the log are those that were said last. `typed(client_id)` is what was typed. */
export function checkTexts(log, typed, fault) {
  const edited = new Map();
  for (const { event, data } of log) if (event === "message_edited") edited.set(data.message_id, data.content);
  for (const { event, data, seq } of log) {
    if (event !== "new_message") continue;
    const expected = data.deleted_at ? "" : (edited.get(data.message_id) ?? typed(data.client_id) ?? data.content);
    if (data.content !== expected) fault("V1", `seq ${seq} reads ${JSON.stringify(data.content)}, not ${JSON.stringify(expected)}`);
  }
}

/**
 * Whether a message may be shown with that text, later than it was said too: as it was typed, as an edit of it was, or,
 * once it is deleted, without its text. `texts` are `{typed(client_id), edits(message_id)}`.
 */
function reader(log, { typed, edits }) {
  const said = new Map(log.filter(({ event }) => event === "new_message").map(({ data }) => [data.message_id, data]));
  return {
    isText({ message_id, content }) {
      const data = said.get(message_id);
      return !data || content === typed(data.client_id) || edits(message_id).includes(content) || (content === "" && Boolean(data.deleted_at));
    },
    isEdit: ({ message_id, content }) => edits(message_id).includes(content),
  };
}

const misread = ({ event, data }, { isText, isEdit }) => (event === "new_message" && !isText(data)) || (event === "message_edited" && !isEdit(data));

/** One client's view: each event that is for the viewer once and in order, up to `end`; with the `texts` that were typed. */
export function checkViewer(log, record, viewer, end, fault, { texts } = {}) {
  const said = (clause, sentence) => fault(clause, `${viewer.name} ${sentence}`);
  const texting = texts && reader(log, texts);
  const segments = [];
  for (const entry of record.entries) {
    const segment = segments.at(-1);
    if (entry.snapshot) {
      if (segment) segment.end = entry.from?.seq ?? segment.end;
      if (entry.from) checkAnew(entry, viewer, said);
      checkSnapshot(log, entry, viewer, texting, said);
      segments.push({ start: entry.snapshot.seq, end: entry.snapshot.seq, epoch: entry.snapshot.epoch, seen: new Map(), repeated: [] });
    } else if (!segment) said("V5", "was told of events before any join");
    else if (entry.resumed) {
      if (entry.resumed.epoch !== segment.epoch) said("V5", "was resumed into another epoch");
      segment.repeated.push([entry.from.seq, entry.resumed.seq]);
    } else {
      if (entry.seq <= segment.end) said("V4", `was shown seq ${entry.seq} after ${segment.end}`);
      segment.end = Math.max(segment.end, entry.seq);
      segment.seen.set(entry.seq, entry);
    }
  }
  if (segments.length) segments.at(-1).end = end;
  for (const segment of segments) checkSegment(log, segment, viewer, texting, said);
  return segments.length;
}

/** A server in trouble says these. */
const TROUBLE = ["unavailable", "overloaded", "internal", "misconfigured", "storage_full"];
/** What an object that dies was asked fails at once. */
const DYING_MS = 1_000;

/** Nobody is parted with for trouble, P2 and V9, but who asked an object of the room in the moment of its death; `deaths` are those moments. */
export function checkGoodbyes({ goodbyes }, viewer, deaths, fault) {
  for (const { at, code, retry } of goodbyes) {
    const dying = code === "unavailable" && retry && deaths.some((death) => death <= at && at - death <= DYING_MS);
    if (TROUBLE.includes(code) && !dying) fault("V9", `${viewer.name} was told goodbye with ${code}`);
  }
}

const GATHERED_MS = 1_100;

function checkSegment(log, { start, end, seen, repeated }, viewer, texting, said) {
  for (const [seq, line] of seen) {
    const event = log[seq - 1];
    if (!event) said("V1", `saw seq ${seq}, which the log does not have`);
    // An edit whose text was replaced since; of what it was only that it was typed can be told.
    else if (event.event === "gone" ? line.event !== "message_edited" : line.event && !same(event, line)) {
      said("V1", `saw at seq ${seq} ${line.event} ${JSON.stringify(line.data)}; the log has ${event.event} ${JSON.stringify(event.data)}`);
    } else if (!isFor(event, viewer)) said("V7", `saw seq ${seq}, which is for others`);
    else if (texting && misread(line, texting)) said("V1", `saw at seq ${seq} ${line.event} with the text ${JSON.stringify(line.data.content)}, which nobody typed for it`);
  }
  // In what is repeated a message's counts come once, and what was replaced since not at all.
  const within = (seq) => repeated.find(([from, to]) => from < seq && seq <= to);
  const counted = new Map();
  for (let seq = Math.min(end, log.length); seq > start; seq--) {
    const event = log[seq - 1];
    const range = within(seq);
    const { message_id } = event.data ?? {};
    const later = event.event === "reaction" && counted.get(message_id);
    if (event.event === "reaction" && seen.has(seq)) counted.set(message_id, seq);
    if (seen.has(seq) || !isFor(event, viewer) || (event.event === "gone" && range)) continue;
    if (range && later && later <= range[1]) continue;
    // In a room that is split a message's counts leave once a second.
    if (later && viewer.gathers && log[later - 1].at - event.at <= GATHERED_MS) continue;
    if (viewer.gathers && event.event === "gone" && isReplacedSoon(log, event)) continue;
    said("V4", `missed seq ${seq} (${event.event}) of ${start}–${end}`);
  }
}

/** Whether its author's next edit, or a deletion of what its author said, came before what a split room gathers has left. */
function isReplacedSoon(log, { seq, at, data }) {
  const isTheirs = (id) => log.some((event) => event.event === "new_message" && event.data.message_id === id && event.data.user.user_id === data.user_id);
  for (const next of log.slice(seq)) {
    if (next.at - at > GATHERED_MS) return false;
    if (["message_edited", "gone"].includes(next.event) && next.data.user_id === data.user_id) return true;
    if (next.event === "message_deleted" && isTheirs(next.data.message_id)) return true;
    if (next.event === "messages_deleted" && next.data.message_ids.some(isTheirs)) return true;
  }
  return false;
}

/** Who missed so many events is told each of them; a shard holds some 500, whole rows of the log. */
const [RESUMED, RESUMED_BY_A_SHARD] = [1_000, 400];

/** No room here loses its log, and what is said is short: who begins anew had missed too many events. */
function checkAnew({ snapshot, from }, viewer, said) {
  const missed = snapshot.seq - from.seq;
  if (snapshot.epoch !== from.epoch) said("V5", `was at epoch ${from.epoch} and began anew in ${snapshot.epoch}`);
  else if (missed <= (viewer.gathers ? RESUMED_BY_A_SHARD : RESUMED)) said("V5", `began anew after seq ${from.seq}, though it had missed only ${missed} events`);
}

/** The newest messages, at the position that the answer says. */
function checkSnapshot(log, { snapshot: { seq }, messages }, viewer, texting, said) {
  const expected = log.slice(0, seq).filter((event) => event.event === "new_message" && isFor(event, viewer)).slice(-messages.length);
  const [given, wanted] = [messages.map(({ message_id }) => message_id), expected.map(({ data }) => data.message_id)];
  if (JSON.stringify(given) !== JSON.stringify(wanted)) said("V5", `was given other messages at seq ${seq} than the newest ${messages.length}`);
  for (const message of messages) {
    if (texting && !texting.isText(message)) said("V5", `was given ${message.message_id} at seq ${seq} with the text ${JSON.stringify(message.content)}, which nobody typed for it`);
  }
}

/** PostgreSQL's rows of a room at its cursor; `now` where nothing is being said, so that texts count too. */
export function checkRows(log, { cursor, messages, reactions, bans }, fault, { now = false } = {}) {
  const said = log.slice(0, cursor).filter(({ event }) => event === "new_message");
  const shape = ({ message_id, no, client_id, seq, user_id }) => JSON.stringify([message_id, Number(no), client_id ?? null, Number(seq), user_id]);
  const ours = said.map(({ seq, data }) => shape({ ...data, user_id: data.user.user_id, seq }));
  const theirs = messages.map(shape);
  const [here, there] = [new Set(ours), new Set(theirs)];
  for (const row of ours) if (!there.has(row)) fault("P1", `PostgreSQL is at seq ${cursor} and lacks ${row}`);
  for (const row of theirs) if (!here.has(row)) fault("P1", `PostgreSQL is at seq ${cursor} and has ${row}`);
  if (ours.length === theirs.length && ours.join() !== theirs.join()) fault("P1", "PostgreSQL has the messages in another order");
  if (!now) return;
  if (cursor !== log.length) fault("P1", `PostgreSQL stays at seq ${cursor} of ${log.length}`);

  const time = (at) => (at ? new Date(at).getTime() : null);
  const rows = new Map(messages.map((row) => [row.message_id, row]));
  for (const { data, seq } of said) {
    const row = rows.get(data.message_id);
    // When a deleted message was last edited is gone with the edit, if PostgreSQL had not been told of it.
    const full = (m) => JSON.stringify([m.content, m.deleted_at ? null : time(m.edited_at), time(m.deleted_at)]);
    if (row && full(row) !== full(data)) fault("P1", `PostgreSQL has seq ${seq} as ${full(row)}, the log as ${full(data)}`);
  }
  const [reacted, banned] = [new Set(), new Set()];
  for (const { event, data } of log) {
    const gone = { message_deleted: [data?.message_id], messages_deleted: data?.message_ids }[event] ?? [];
    for (const id of gone) for (const key of reacted) if (key.startsWith(id)) reacted.delete(key);
    if (event === "reaction") reacted[data.remove ? "delete" : "add"](`${data.message_id} ${data.user_id} ${data.reaction}`);
    if (event === "banned") banned.add(data.ban.user_id);
    if (event === "unbanned") banned.delete(data.user_id);
  }
  const equal = (what, wanted, got) => {
    if (JSON.stringify([...wanted].sort()) !== JSON.stringify([...got].sort())) fault("P1", `PostgreSQL's ${what} are not the log's: ${got.length}, not ${wanted.size}`);
  };
  equal("reactions", reacted, reactions.map((r) => `${r.message_id} ${r.user_id} ${r.reaction}`));
  equal("bans", banned, bans.map((ban) => ban.user_id));
}

/** A room's Redis stream: `entries` are `{id, fields}`; each event for everyone once, in order, with its place. */
export function checkStream(log, epoch, room, entries, fault, { texts } = {}) {
  const texting = texts && reader(log, texts);
  const there = new Set();
  let last = 0;
  for (const { id, fields } of entries) {
    const seq = Number(fields.seq);
    const event = log[seq - 1];
    if (id !== `${epoch}-${seq}` || Number(fields.epoch) !== epoch || fields.room !== room) fault("B1", `the stream's entry ${id} says room ${fields.room}, epoch ${fields.epoch}, seq ${fields.seq}`);
    if (seq <= last || Number(fields.after) !== last) fault("B1", `the stream has seq ${seq}, said to be after ${fields.after}, after ${last}`);
    last = seq;
    const line = { event: fields.event, data: JSON.parse(fields.data) };
    if (!event) fault("B1", `the stream has seq ${seq}, which the log does not`);
    else if (event.event !== "gone" && !same(event, line)) fault("B1", `the stream has at seq ${seq} ${fields.event} ${fields.data}; the log has ${event.event}`);
    else if (texting && misread(line, texting)) fault("B1", `the stream has at seq ${seq} ${fields.event} with the text ${JSON.stringify(line.data.content)}, which nobody typed for it`);
    there.add(seq);
  }
  for (const event of log) {
    if (!there.has(event.seq) && isFor(event, { user: null }) && event.event !== "gone") fault("B1", `the stream lacks seq ${event.seq} (${event.event})`);
  }
}
