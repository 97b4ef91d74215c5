// What a room looks like to one viewer: a pure fold of replies and events, with no page in it.

const TYPING_LAPSES_MS = 6_000;

// What a member may do unless the room is read-only; a join's `can` says it for the moment of the join.
const WRITING = ["send", "edit", "react", "type"];

/**
 * Feed it `joined`, `snapshot`, `apply` (each event), `sampled` and `prepend` (history); read `messages`,
 * `shown`, `members`, `stats`, `pending`, `typing(now)`, and for moderators `held` and `reports`. Message objects are never changed in place: a
 * changed message is a new object, so a view can compare by identity.
 */
export class RoomModel {
  room = null;
  self = null;
  /** Oldest first; each is a `new_message`'s data plus `edited_at`, `deleted_at` and `mine`, one's own reactions. */
  messages = [];
  /** user_id → `{user_id, username, avatar, role}`; null where the room is too large to list. */
  members = null;
  stats = { online_users: 0, online_guests: 0, message_count: 0 };
  /**
   * client_id → one's own message on its way: `{client_id, content, reply_to, state, error, held_id, reason}`. `state`
   * is `sending`, `sent`, `failed`, `held` (a moderator decides) or `denied`.
   */
  pending = new Map();
  /** held_id → the `message_held` that a moderator has to decide about. */
  held = new Map();
  /** report_id → the open `message_reported`. */
  reports = new Map();
  /** Ids of the users whom one has blocked, as far as that is known here. */
  blocked = new Set();
  /** Names of events that the room does not send now. */
  leftOut = [];
  /** How many messages were not sent to this viewer since the list was last whole. */
  notShown = 0;
  /** True while older messages can be fetched. */
  hasMore = false;
  /** message_id → how many messages before that one were forgotten by `shed`. */
  gaps = new Map();
  /** What has a lower number has expired. */
  #firstNo = 0;
  #typing = new Map();
  #decided = new Set();

  joined({ room, self, members, online_users, online_guests, left_out = [] }) {
    this.room = room;
    this.self = self;
    this.members = members ? new Map(members.map((member) => [member.user_id, member])) : null;
    this.stats = { ...this.stats, message_count: room?.message_count ?? 0, online_users, online_guests };
    this.leftOut = left_out;
    this.#typing.clear();
    // What was decided while nobody listened is not told: the lists come anew, see `queues`.
    this.held = new Map();
    this.reports = new Map();
  }

  snapshot({ messages, my_reactions = {} }) {
    this.notShown = 0;
    this.gaps.clear();
    this.messages = messages.map((message) => withMine(message, my_reactions));
    // A room that lost its log begins with none of them; history has them all the same.
    this.hasMore = messages.length === 0 ? this.stats.message_count > 0 : messages[0].no > 1;
    for (const message of messages) this.#arrived(message);
    for (const [id, item] of this.pending) if (item.state === "sent") this.pending.delete(id);
  }

  /** So many messages were left out of what this viewer is sent. */
  sampled({ count }) {
    this.notShown += count;
  }

  /** Those who are here, from the list over REST: after a time without joins and leaves. */
  present({ members }) {
    this.members = new Map(members.filter(({ online }) => online).map((member) => [member.user_id, member]));
  }

  /**
   * Adds a page of history, in any order; returns how many messages were new. A page that was asked for `before` what
   * is no longer the first message belongs to a list that was replaced meanwhile: it would leave a hole, and is not taken.
   */
  prepend({ messages, has_more, my_reactions = {} }, before = this.messages[0]?.no) {
    if (before !== this.messages[0]?.no) return null;
    const known = new Set(this.messages.map(({ message_id }) => message_id));
    // Some may have expired since they were asked for.
    const older = messages
      .filter(({ message_id, no }) => no >= this.#firstNo && !known.has(message_id))
      .map((message) => withMine(message, my_reactions));
    this.messages = [...older, ...this.messages].sort((a, b) => a.no - b.no);
    this.hasMore = has_more && messages.every(({ no }) => no > this.#firstNo);
    return older.length;
  }

  /** Forgets all but the newest `count`; they can be paged back in. */
  trim(count) {
    if (this.messages.length <= count) return;
    const gone = this.messages.slice(0, -count);
    this.messages = this.messages.slice(-count);
    this.hasMore = true;
    // What is missing before the first is no gap: it can be paged in.
    for (const { message_id } of this.gaps.size > 0 ? [...gone, this.messages[0]] : []) this.gaps.delete(message_id);
  }

  /**
   * For a view that does not follow the newest: of what came after the message `no` keeps the oldest and the newest
   * `count`, and forgets what is between them once that is as much again. `trim` closes the gap.
   */
  shed(no, count) {
    const from = this.messages.findLastIndex((message) => message.no <= no) + 1 + count;
    const until = this.messages.length - count;
    if (until - from < count) return;
    const next = this.messages[until].message_id;
    let missing = until - from;
    for (const { message_id } of this.gaps.size > 0 ? this.messages.slice(from, until + 1) : []) {
      missing += this.gaps.get(message_id) ?? 0;
      this.gaps.delete(message_id);
    }
    this.gaps.set(next, missing);
    this.messages = this.messages.toSpliced(from, until - from);
  }

  /** The messages without those of blocked users. */
  get shown() {
    return this.blocked.size === 0 ? this.messages : this.messages.filter(({ user }) => !this.hides(user.user_id));
  }

  /** Whether what this user says is not shown: who keeps order sees also whom they block, as the server has it. */
  hides(user_id) {
    return this.blocked.has(user_id) && !this.can("delete");
  }

  /** Whether the viewer may do this now, by the last join and what the room became since. */
  can(what) {
    const { role, can = [] } = this.self ?? {};
    if (role === "member" && WRITING.includes(what)) return !this.room?.settings?.read_only;
    return can.includes(what);
  }

  /** What a moderator is to decide, as the server's lists have it; events may have come while they were fetched. */
  queues({ held = [], reports = [] }) {
    const open = (list, idOf, known) => new Map([...list.map((item) => [idOf(item), item]), ...known].filter(([id]) => !this.#decided.has(id)));
    this.held = open(held, ({ held_id }) => held_id, this.held);
    this.reports = open(reports, ({ report_id }) => report_id, this.reports);
  }

  find(message_id) {
    return this.messages.find((message) => message.message_id === message_id);
  }

  apply({ event, data }, now) {
    this.#events[event]?.(data, now);
  }

  /** Those who type now, oldest first. */
  typing(now) {
    return [...this.#typing.values()].filter(({ until }) => until > now);
  }

  /** One's own reaction changed: events show counts only, the same for everyone. */
  setMine(message_id, reaction, on) {
    this.#change(message_id, (message) => {
      const mine = message.mine.filter((one) => one !== reaction);
      return { mine: on ? [...mine, reaction] : mine };
    });
  }

  addPending(item) {
    this.pending.set(item.client_id, { ...item, state: "sending", error: null });
  }

  /** The send was answered: `sent` until its event comes, `held` with its `held_id`, or `failed` with the error. */
  settlePending(client_id, state, error = null, held_id = undefined) {
    const item = this.pending.get(client_id);
    // The answer to a send comes before what becomes of it, but after a lost connection it may be repeated.
    if (item && item.state !== "denied") this.pending.set(client_id, { ...item, state, error, held_id });
  }

  #events = {
    new_message: (data) => {
      this.#arrived(data);
      this.#typing.delete(data.user.user_id);
      const message = withMine(data, {});
      const last = this.messages.at(-1);
      if (!last || message.no > last.no) this.messages = [...this.messages, message];
      else this.prepend({ messages: [data], has_more: this.hasMore });
    },
    message_edited: ({ message_id, content, text, mentions, edited_at }) => {
      // What was masked in the text before is no longer of it.
      this.#change(message_id, () => ({ content, text, mentions, edited_at, original: undefined, reasons: undefined }));
    },
    message_deleted: ({ message_id, deleted_at }) => this.#bury([message_id], deleted_at),
    messages_deleted: ({ message_ids, deleted_at }) => this.#bury(message_ids, deleted_at),
    messages_expired: ({ before_no, pinned }) => {
      this.#firstNo = before_no;
      const kept = this.messages.filter(({ no }) => no >= before_no);
      if (kept.length < this.messages.length) {
        for (const { message_id, no } of this.messages) if (no <= before_no) this.gaps.delete(message_id);
        if (kept.length > 0) this.gaps.delete(kept[0].message_id);
        this.messages = kept;
      }
      if (kept.length === 0 || kept[0].no <= before_no) this.hasMore = false;
      if (pinned) this.#pinned(pinned);
    },
    user_erased: ({ message_ids, tombstones, reactions, erased_at }) => {
      for (const id of message_ids) this.#change(id, () => ({ user: ERASED, client_id: undefined, metadata: {}, original: undefined }));
      if (tombstones) this.#bury(message_ids.filter((id) => !this.find(id)?.deleted_at), erased_at);
      for (const [message_id, counts] of Object.entries(reactions)) this.#count(message_id, counts);
    },
    reaction_updated: ({ message_id, reactions }) => this.#count(message_id, reactions),
    user_joined: (user) => this.members?.set(user.user_id, user),
    user_left: ({ user_id }) => {
      this.members?.delete(user_id);
      this.#typing.delete(user_id);
    },
    user_typing: ({ is_typing, ...user }, now) => {
      if (is_typing) this.#typing.set(user.user_id, { ...user, until: now + TYPING_LAPSES_MS });
      else this.#typing.delete(user.user_id);
    },
    room_stats: ({ online_users, online_guests, message_count, left_out = [] }) => {
      this.stats = { online_users, online_guests, message_count };
      this.leftOut = left_out;
      // Nobody says any more who comes and goes.
      if (left_out.includes("user_joined")) this.members = null;
      if (left_out.includes("user_typing")) this.#typing.clear();
    },
    room_updated: ({ changed, ...data }) => {
      this.room = { ...this.room, ...data };
    },
    role_set: ({ user_id, role }) => {
      const member = this.members?.get(user_id);
      if (member) this.members.set(user_id, { ...member, role: role ?? "member" });
    },
    message_pinned: ({ pinned }) => this.#pinned(pinned),
    message_unpinned: ({ pinned }) => this.#pinned(pinned),
    message_held: (data) => {
      if (this.can("review_held")) this.held = new Map(this.held).set(data.held_id, data);
      if (data.user.user_id !== this.self?.user_id) return;
      const { held_id, content, text, timestamp } = data;
      const client_id = data.client_id ?? held_id;
      this.pending.set(client_id, { content: text ?? content, timestamp, ...this.pending.get(client_id), client_id, state: "held", error: null, held_id });
    },
    message_released: ({ held_id }) => {
      this.#decide(held_id);
      // It stays until it comes as a message.
      this.#ownHeld(held_id, { state: "sent" });
    },
    message_denied: ({ held_id, outcome, reason }) => {
      this.#decide(held_id);
      this.#ownHeld(held_id, { state: "denied", outcome, reason });
    },
    message_reported: (report) => {
      this.reports = new Map(this.reports).set(report.report_id, report);
    },
    report_resolved: ({ report_id }) => this.#decide(report_id),
  };

  #pinned(pinned) {
    this.room = { ...this.room, pinned };
  }

  #decide(id) {
    this.#decided.add(id);
    this.queues({});
  }

  #ownHeld(held_id, change) {
    for (const [id, item] of this.pending) if (item.held_id === held_id) this.pending.set(id, { ...item, ...change });
  }

  #arrived({ client_id, user }) {
    if (client_id && user.user_id === this.self?.user_id) this.pending.delete(client_id);
  }

  #count(message_id, reactions) {
    this.#change(message_id, ({ mine }) => ({ reactions, mine: mine.filter((one) => reactions[one]) }));
  }

  #bury(ids, deleted_at) {
    for (const id of ids) {
      this.#change(id, () => ({ content: "", text: undefined, metadata: {}, mentions: [], reactions: {}, mine: [], deleted_at }));
    }
  }

  #change(message_id, patch) {
    const index = this.messages.findIndex((message) => message.message_id === message_id);
    if (index < 0) return;
    const message = this.messages[index];
    this.messages = this.messages.toSpliced(index, 1, { ...message, ...patch(message) });
  }
}

/** Who stands in the place of a user who was erased, as the server has it. */
const ERASED = { user_id: "", username: "erased", avatar: null, roles: ["member"] };

const withMine = (message, my_reactions) => ({ ...message, mine: my_reactions[message.message_id] ?? [] });
