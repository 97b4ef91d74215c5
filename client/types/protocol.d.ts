// What crosses the wire, made of the Rust types of the service: UPDATE_TYPES=1 cargo test --lib types

/** An event as it comes; `seq` where it stands in the room's log. */
export type Envelope<Name extends keyof RoomEvents = keyof RoomEvents> = {
  [N in Name]: { event: N; data: RoomEvents[N]; seq?: number };
}[Name];

/** Modes to change; null sets one back. */
export type Modes = { [M in Mode]?: RoomSettings[M] | null };

/** What a room says: each event's name, and its data. */
export interface RoomEvents {
  new_message: Message;
  message_edited: MessageEdited;
  message_deleted: MessageDeleted;
  messages_deleted: MessagesDeleted;
  messages_expired: MessagesExpired;
  user_erased: UserErased;
  user_banned: UserBanned;
  user_unbanned: UserUnbanned;
  message_pinned: MessagePinned;
  message_unpinned: MessagePinned;
  role_set: RoleSet;
  message_held: Held;
  message_released: Omit<HeldEnded, "message_id" | "outcome" | "reason"> & Required<Pick<HeldEnded, "message_id">>;
  message_denied: Omit<HeldEnded, "outcome" | "message_id"> & Required<Pick<HeldEnded, "outcome">>;
  terms_updated: TermsUpdated;
  message_reported: Report;
  report_resolved: ReportResolved;
  reaction_updated: ReactionUpdated;
  room_updated: RoomUpdated;
  room_deleted: RoomUpdated;
  user_joined: UserSeen;
  user_left: UserSeen;
  user_typing: Omit<UserSeen, "is_typing"> & Required<Pick<UserSeen, "is_typing">>;
  room_stats: RoomStats;
  probe: Probed;
  error: ErrorData;
  goodbye: Goodbye;
}

/** What a room can be asked for: each frame's data, and its reply's. */
export interface RoomCommands {
  join_room: { data: JoinRoom; reply: JoinReply };
  send_message: { data: SendMessage; reply: SendReply };
  edit_message: { data: EditMessage; reply: EditReply };
  delete_message: { data: MessageRef; reply: DeleteReply };
  react: { data: React; reply: ReactReply };
  typing: { data: Typing; reply: Nothing };
  catch_up: { data: CatchUp; reply: CatchUpReply };
  probe: { data: Probe; reply: Nothing };
  refresh_token: { data: RefreshToken; reply: RefreshReply };
  block_user: { data: UserRef; reply: Nothing };
  unblock_user: { data: UserRef; reply: Nothing };
  leave_room: { data: RoomRef; reply: Nothing };
  ban_user: { data: BanUser; reply: Ban };
  unban_user: { data: UserRef; reply: Nothing };
  delete_user_messages: { data: UserRef; reply: DeleteManyReply };
  clear_room: { data: Reasoned; reply: DeleteManyReply };
  pin_message: { data: PinRef; reply: PinReply };
  unpin_message: { data: PinRef; reply: PinReply };
  announce: { data: Announcement; reply: SendReply };
  set_role: { data: SetRole; reply: RoleReply };
  set_modes: { data: SetModes; reply: Nothing };
  allow_message: { data: HeldRef; reply: AllowReply };
  deny_message: { data: HeldRef; reply: Nothing };
  set_terms: { data: SetTerms; reply: Terms };
  report_message: { data: ReportMessage; reply: Reported };
  resolve_report: { data: ResolveReport; reply: Report };
}

/** What a user's inbox says. */
export interface InboxEvents {
  inbox: Inbox;
  inbox_changed: InboxChanged;
  devices_changed: DevicesChanged;
  error: ErrorData;
  goodbye: Goodbye;
}

/** What a user's inbox can be asked for. */
export interface InboxCommands {
  mark_read: { data: MarkRead; reply: Nothing };
}

/** A message that was allowed. */
export interface AllowReply {
  /** The id under which it waited. */
  held_id: MessageId;
  /** The message that it is now. */
  message_id: MessageId;
  /** Its place in the log. */
  seq: number;
  /** When it was allowed, RFC 3339. */
  timestamp: string;
}

/** `announce`. */
export interface Announcement {
  /** What is to be said. */
  content: string;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** A ban as moderators see it. */
export interface Ban {
  /** Who did it. */
  by: string;
  /** Since when, RFC 3339. */
  created_at: string;
  /** Until when; null for good. */
  ends_at: string | null;
  /** Why. */
  reason: string | null;
  /** The room. */
  room_id: string;
  /** Whether the user is told nothing. */
  shadow: boolean;
  /** Who is banned. */
  user_id: string;
  /** Under which name, where it was known. */
  username: string | null;
}

/** `ban_user`, and the body of `POST /api/rooms/{id}/ban`. A repeat replaces what was. */
export interface BanUser {
  /** The user's messages of so many last seconds become tombstones, at most a week's. */
  delete_messages_s?: number | null;
  /** For how many seconds, 1–31,536,000; for good without it. */
  duration_s?: number | null;
  /** Why, at most 500 characters; told to moderators and to the user. */
  reason?: string | null;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
  /** The user stays and is told nothing, but nobody else sees what they say. */
  shadow?: boolean;
  /** Whom. */
  user_id: string;
}

/** Who is banned. */
export interface Bans {
  /** The bans that hold now, by user id. */
  bans: Ban[];
}

/** A block as its owner sees it. */
export interface Block {
  /** Since when, RFC 3339. */
  created_at: string;
  /** Who is blocked. */
  user_id: string;
}

/** Whom a user blocks. */
export interface BlockList {
  /** By user id. */
  blocks: Block[];
}

export interface By {
  role: Role;
  user_id: string;
}

/** What somebody may do in a room. */
export type Can = "announce" | "ban" | "configure" | "delete" | "delete_many" | "edit" | "pin" | "react" | "read_audit" | "report" | "review_held" | "review_reports" | "send" | "set_modes" | "set_role" | "set_terms" | "type";

/** `catch_up`. */
export interface CatchUp {
  /** The epoch that the client knows. */
  epoch: number;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
  /** The last event that it has. */
  seq: number;
}

/** Where a viewer is now, and how it got there: as in the reply to a join, and to `catch_up`. */
export interface CatchUpReply {
  epoch: number;
  events?: Envelope[];
  messages?: Message[];
  my_reactions?: Record<string, string[]>;
  resumed: boolean;
  seq: number;
}

/** What a bulk deletion did. */
export interface DeleteManyReply {
  /** So many messages became tombstones. */
  deleted: number;
  /** Whether there are more of them in the log. */
  more: boolean;
  /** The event's place in the log; absent where there was nothing to delete. */
  seq?: number;
}

/** The reply to `delete_message`. */
export interface DeleteReply {
  /** When it was first deleted, RFC 3339. */
  deleted_at: string;
  message_id: MessageId;
  /** The deletion's own place in the log; absent where the message was deleted before. */
  seq?: number;
}

/** A device. */
export interface Device {
  /** When it was first seen, RFC 3339. */
  created_at: string;
  /** Its Curve25519 identity key. */
  curve25519: string;
  /** Its id. */
  device_id: string;
  /** Its Ed25519 identity key. */
  ed25519: string;
  /** What its owner calls it; to its owner alone. */
  name?: string;
  /** How many one-time keys are left; to its owner alone. */
  one_time_keys?: number;
}

/** A user's devices. */
export interface DeviceList {
  /** By id. */
  devices: Device[];
  /** Whose. */
  user_id: string;
  /** Grows with each device that comes or goes. */
  version: number;
}

/** The `devices_changed` event. */
export interface DevicesChanged {
  /** Whose. */
  user_id: string;
  /** As in the list of their devices. */
  version: number;
}

/** `edit_message`. */
export interface EditMessage {
  /** What it should say. */
  content: string;
  /** The tag of an encrypted message. */
  franking?: string | null;
  /** The message. */
  message_id: string;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** The reply to `edit_message`. */
export interface EditReply {
  /** RFC 3339. */
  edited_at: string;
  message_id: MessageId;
  /** The edit's own place in the log. */
  seq: number;
}

/** What went wrong, in the one word that a client may branch on. On the wire in snake case. */
export type ErrorCode = "bad_frame" | "frame_too_large" | "bad_request" | "unknown_event" | "not_joined" | "wrong_room" | "too_many_sockets" | "token_required" | "token_invalid" | "token_expired" | "token_mismatch" | "forbidden" | "banned" | "blocked" | "room_not_found" | "room_deleted" | "room_exists" | "message_not_found" | "message_too_old" | "user_not_found" | "device_not_found" | "backup_not_found" | "device_keys_differ" | "device_removed" | "too_many_devices" | "erasure_not_found" | "on_hold" | "report_not_found" | "hold_not_found" | "invalid_room_id" | "invalid_parameter" | "invalid_settings" | "invalid_type" | "invalid_reaction" | "too_many_reactions" | "too_many_blocks" | "message_empty" | "message_too_long" | "metadata_too_large" | "rate_limited" | "slow_mode" | "room_mode" | "content_rejected" | "too_slow" | "overloaded" | "elsewhere" | "unavailable" | "storage_full" | "misconfigured" | "internal";

/** An error that may be shown to whoever asked: a code, a sentence, and what to do. `message` never holds an internal error's text, a token, or what somebody else wrote. */
export interface ErrorData {
  /** The code to branch on. */
  code: ErrorCode;
  /** When a ban ends (RFC 3339), absent where it does not. */
  ends_at?: string;
  /** Of an internal error, which the log line has too. */
  error_id?: string;
  /** The field that is wrong, as a dotted path. */
  field?: string;
  /** A sentence for people. */
  message: string;
  /** Milliseconds after which the same request may succeed. */
  retry_after_ms?: number;
}

/** What is done with a message that a filter objects to. */
export type FilterAction = "off" | "mask" | "hold" | "reject";

/** The `goodbye` event. */
export interface Goodbye {
  /** Not before so many ms. */
  after_ms: number;
  /** Why. */
  code: ErrorCode;
  /** Of a fault of the service. */
  error_id?: string;
  /** The same as a sentence. */
  reason: string;
  /** Whether coming back helps. */
  retry: boolean;
  /** What to put into the next upgrade as `?k=`. */
  shard_key?: string;
}

/** A message that waits, as the author and moderators see it. */
export interface Held {
  /** What its sender called it. */
  client_id?: string;
  /** Safe as HTML element content. */
  content: string;
  /** Until when, RFC 3339. */
  expires_at: string;
  /** The id under which it waits. */
  held_id: MessageId;
  /** Why it waits. */
  reasons: Why[];
  /** The room. */
  room_id: string;
  /** The plain text where it differs. */
  text?: string;
  /** When it was sent, RFC 3339. */
  timestamp: string;
  /** `text` or `emote`. */
  type: MessageType;
  /** Its author. */
  user: User;
}

export interface HeldEnded {
  by?: string;
  held_id: MessageId;
  message_id?: MessageId;
  outcome?: Outcome;
  reason?: string;
  room_id: string;
}

/** What waits in a room. */
export interface HeldList {
  /** Oldest first. */
  held: Held[];
}

/** A message that waits for a moderator. */
export interface HeldRef {
  /** The id under which it waits. */
  held_id: string;
  /** Why it is refused, at most 500 characters; the author is told. */
  reason?: string | null;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** A page of a room's history, as REST shows it. */
export interface History {
  /** The incarnation of the room's log. */
  epoch: number;
  /** Whether there are more beyond this page, in its direction. */
  has_more: boolean;
  /** Messages a page. */
  limit: number;
  /** Newest first for `page` and `before`, oldest first for `after`. */
  messages: Message[];
  /** What the viewer reacted with, by `message_id`; with `mine=1` only. */
  my_reactions?: Record<string, string[]>;
  /** Which page this is; 1 for `before` and `after`. */
  page: number;
  /** The room. */
  room_id: string;
  /** How many messages the room has, tombstones included. */
  total: number;
}

/** The `inbox` event. */
export interface Inbox {
  /** As in the list of one's own devices. */
  devices_version: number;
  /** Those that changed last come first. */
  rooms: InboxRoom[];
}

/** The `inbox_changed` event. */
export interface InboxChanged {
  /** As in the `inbox` event. */
  last_seq: number;
  /** Why. */
  reason: InboxReason;
  /** The room. */
  room_id: string;
  /** As in the `inbox` event. */
  unread: number;
  /** The other one, in a direct room. */
  with?: string;
}

/** Why a room's line in an inbox changed. */
export type InboxReason = "message" | "mention" | "read";

/** A room in the `inbox` event. */
export interface InboxRoom {
  /** The last of them, or of one's own. */
  last_seq: number;
  /** Its id. */
  room_id: string;
  /** Its type. */
  type: string;
  /** Messages, or mentions where it is no direct room, that are not read; 200 are 200 or more. */
  unread: number;
  /** The other one, in a direct room. */
  with?: string;
}

/** The reply to `join_room`. */
export interface JoinReply {
  epoch: number;
  events?: Envelope[];
  left_out?: LeftOut[];
  members?: Member[];
  messages?: Message[];
  my_reactions?: Record<string, string[]>;
  online_guests: number;
  online_users: number;
  reconnect: Reconnect;
  resumed: boolean;
  room: Room;
  self: Viewer;
  seq: number;
}

/** `join_room`. */
export interface JoinRoom {
  /** Where this viewer was before. */
  resume?: Position | null;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
  /** A token, where it was not in the upgrade. */
  user_token?: string | null;
}

/** An event that a room of some size does not send. */
export type LeftOut = "user_joined" | "user_left" | "user_typing";

/** Who may post links. */
export type Links = "on" | "moderators" | "off";

/** A user who is in the room or has a role in it. */
export interface ListedMember {
  /** The picture. */
  avatar: string | null;
  /** RFC 3339; null where it is not known. */
  last_seen: string | null;
  /** Here now. */
  online: boolean;
  /** The role in this room. */
  role: Role;
  /** The user. */
  user_id: string;
  /** The name. */
  username: string;
}

/** `mark_read`. */
export interface MarkRead {
  /** The room. */
  room_id: string;
  /** Up to there. */
  seq: number;
}

/** A user who is in the room. */
export interface Member {
  /** The picture. */
  avatar: string | null;
  /** The role in this room. */
  role: Role;
  /** The user. */
  user_id: string;
  /** The name. */
  username: string;
}

/** A page of a room's members: those who are here first, then those who have a role in it; no guests. */
export interface Members {
  members: ListedMember[];
  /** The `cursor` of the next page, where there is one. */
  next?: number;
  /** How many there are in all. */
  total: number;
}

/** Somebody mentioned. */
export interface Mention {
  /** The user. */
  user_id: string;
  /** The name at that time. */
  username: string;
}

/** The `data` of `new_message`; in a page of history also `seq`, `edited_at` and `deleted_at`. */
export interface Message {
  /** What its sender called it. */
  client_id?: string;
  /** Safe as the content of an HTML element (not in an attribute); empty in a tombstone. */
  content: string;
  /** When it was deleted, RFC 3339: a tombstone from then on. */
  deleted_at?: string;
  /** When it was last edited, RFC 3339. */
  edited_at?: string;
  /** The sender's tag of an encrypted message, whose key is inside it. */
  franking?: string;
  /** The id under which it waited for a moderator. */
  held_id?: MessageId;
  /** Whom it mentions. */
  mentions: Mention[];
  /** Its id, for edits, deletions, reactions and replies. */
  message_id: MessageId;
  /** As it was sent; never HTML. */
  metadata: Record<string, unknown>;
  /** Its number in the room: 1, 2, 3 … without a hole; pages of history are ranges of it. */
  no: number;
  /** What was typed, where a filter masked some of it; plain text, in lists that a moderator asks for. */
  original?: string;
  /** Reaction → how many users. */
  reactions: Record<string, number>;
  /** Why it was masked, in lists that a moderator asks for. */
  reasons?: Reason[];
  /** The message that it answers. */
  reply_to?: MessageId;
  /** The room. */
  room_id: string;
  /** Its place in the log, in lists only: an event has it outside. */
  seq?: number;
  /** The plain text where it differs from `content`; never to be put into a page as HTML. */
  text?: string;
  /** When it was said: RFC 3339, UTC, with milliseconds. */
  timestamp: string;
  /** `text`, `emote`, `encrypted` (its `content` is JSON that only the two users' devices open), `system` or `unavailable`. */
  type: MessageType;
  /** Who said it, as they were then. */
  user: User;
}

export interface MessageDeleted {
  by: By;
  deleted_at: string;
  message_id: MessageId;
  no: number;
  room_id: string;
}

export interface MessageEdited {
  content: string;
  edited_at: string;
  franking?: string;
  mentions: Mention[];
  message_id: MessageId;
  room_id: string;
  text?: string;
  user_id: string;
}

/** A message's id: a UUID version 7 whose time is the message's and whose last 40 bits hold its `seq`, so that the room finds it without an index. Ids are compared whole, never by `seq` alone. */
export type MessageId = string;

export interface MessagePinned {
  by: By;
  message_id: MessageId;
  pinned: MessageId[];
  room_id: string;
}

/** `delete_message`. */
export interface MessageRef {
  /** The message. */
  message_id: string;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** What kind of message it is. */
export type MessageType = "text" | "emote" | "encrypted" | "system" | "unavailable";

export interface MessagesDeleted {
  by: By;
  deleted_at: string;
  message_ids: MessageId[];
  reason?: string;
  room_id: string;
  user_id?: string;
}

export interface MessagesExpired {
  before_no: number;
  pinned?: MessageId[];
  room_id: string;
}

/** A setting of a room that moderators may change too. */
export type Mode = "delay_s" | "emote_only" | "followers_only_s" | "links" | "no_repeats" | "profanity" | "read_only" | "slow_s" | "spam" | "subscribers_only" | "subscribers_only_s";

/** The data of a reply that says no more than that it was done. */
export type Nothing = Record<string, never>;

/** What was given away of an encrypted message. */
export interface Opened {
  /** The words, plain text; null after 30 days. */
  body: string | null;
  /** Whether the message's tag shows that its author said just that, in this room and message. Where it does not, the words are the reporter's claim. */
  proved: boolean;
}

/** One report with the messages around it. */
export interface OpenedReport {
  /** Who had said it; empty where that is not known any more. */
  author: string;
  /** The messages around it. */
  context: ReportContext;
  /** RFC 3339. */
  created_at: string;
  /** In the reporter's words: plain text, at most 1,000 characters. */
  details?: string;
  /** What was reported. */
  message_id: MessageId;
  /** What the reporter says that an encrypted message said. */
  opened?: Opened;
  /** The message's plain text as it was reported, for 30 days. */
  quoted?: string;
  /** Why. */
  reason: ReportReason;
  /** The report. */
  report_id: MessageId;
  /** Who reported it. */
  reporter_id: string;
  /** In the moderator's words: plain text, at most 500 characters. */
  resolution?: string;
  /** When it was decided, RFC 3339. */
  resolved_at?: string;
  /** By whom. */
  resolved_by?: string;
  /** The room. */
  room_id: string;
  /** What became of it. */
  status: ReportStatus;
}

/** What an encrypted message says, as one who could read it gives it away, and the key of its tag. */
export interface Opening {
  /** The words. */
  body: string;
  /** The key, 32 bytes in unpadded base64. */
  frank_key: string;
}

/** What became of a message that waited. */
export type Outcome = "allowed" | "denied" | "expired";

/** A message to pin or unpin. */
export interface PinRef {
  /** Which. */
  message_id: string;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** What is pinned. */
export interface PinReply {
  /** Ids of messages, newest first. */
  pinned: MessageId[];
}

/** A place in a room's log: which incarnation of it, and after which event. */
export interface Position {
  /** The incarnation of the room's storage (ms since 1970 when it began); compared for equality. */
  epoch: number;
  /** The last event seen; 0 is before the first. */
  seq: number;
}

/** `probe`. */
export interface Probe {
  /** The server's nonce. */
  nonce: string;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

export interface Probed {
  nonce: string;
}

/** What kind of word it is. */
export type ProfanityKind = "profane" | "offensive" | "sexual" | "mean";

/** The profanity filter's setting. */
export interface ProfanitySetting {
  /** What is done. */
  action: FilterAction;
  /** From which severity on. */
  severity: Severity;
}

/** A limit of its own for a room: `messages` per user in each window of `window_ms`. */
export interface Rate {
  /** 1–10,000 messages. */
  messages: number;
  /** 100 ms to one hour. */
  window_ms: number;
}

/** `react`. */
export interface React {
  /** The message. */
  message_id: string;
  /** One grapheme cluster. */
  reaction: string;
  /** Take it back. */
  remove?: boolean;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** The reply to `react`. */
export interface ReactReply {
  message_id: MessageId;
  reactions: Record<string, number>;
  seq?: number;
}

export interface ReactionUpdated {
  message_id: MessageId;
  reactions: Record<string, number>;
  room_id: string;
}

/** Why a message did not pass as it was. On the wire `{"code": "term", "term": "…"}`. */
export type Reason = { code: "emote_only"; } | { code: "links"; } | { code: "no_repeats"; } | { code: "term"; term?: string; } | { code: "profanity"; kinds: ProfanityKind[]; severity: Severity; } | { because: SpamReason; code: "spam"; };

/** Why, and nothing more. */
export interface Reasoned {
  /** Why, at most 500 characters. */
  reason?: string | null;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

export interface Reconnect {
  base_ms: number;
  spread_ms: number;
}

/** The reply to `refresh_token`. */
export interface RefreshReply {
  expires_at: string;
  role: Role;
  roles: Role[];
}

/** `refresh_token`. */
export interface RefreshToken {
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
  /** The newer token. */
  user_token: string;
}

/** A report as moderators see it. */
export interface Report {
  /** Who had said it; empty where that is not known any more. */
  author: string;
  /** RFC 3339. */
  created_at: string;
  /** In the reporter's words: plain text, at most 1,000 characters. */
  details?: string;
  /** What was reported. */
  message_id: MessageId;
  /** What the reporter says that an encrypted message said. */
  opened?: Opened;
  /** The message's plain text as it was reported, for 30 days. */
  quoted?: string;
  /** Why. */
  reason: ReportReason;
  /** The report. */
  report_id: MessageId;
  /** Who reported it. */
  reporter_id: string;
  /** In the moderator's words: plain text, at most 500 characters. */
  resolution?: string;
  /** When it was decided, RFC 3339. */
  resolved_at?: string;
  /** By whom. */
  resolved_by?: string;
  /** The room. */
  room_id: string;
  /** What became of it. */
  status: ReportStatus;
}

/** The messages around a reported one, as the moderator sees them; oldest first. */
export interface ReportContext {
  /** Those after it. */
  after: Message[];
  /** Those before it. */
  before: Message[];
  /** The message as it is now, a tombstone perhaps; null where it cannot be had. */
  message: Message | null;
}

/** `report_message`. */
export interface ReportMessage {
  /** More about it, at most 1,000 characters. */
  details?: string | null;
  /** Which message. */
  message_id: string;
  /** Of an encrypted message, what it says. */
  opened?: Opening | null;
  /** Why. */
  reason: ReportReason;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** A page of a room's reports. */
export interface ReportPage {
  /** Newest first. */
  reports: Report[];
}

/** What is wrong with a message. */
export type ReportReason = "spam" | "abuse" | "hate" | "sexual" | "violence" | "other";

export interface ReportResolved {
  message_id: MessageId;
  report_id: MessageId;
  resolution?: string;
  resolved_at: string;
  resolved_by: string;
  room_id: string;
  status: ReportStatus;
}

/** What became of a report. */
export type ReportStatus = "open" | "resolved" | "dismissed";

/** A report as whoever made it sees it. */
export interface Reported {
  /** RFC 3339. */
  created_at: string;
  /** What was reported. */
  message_id: MessageId;
  /** Why. */
  reason: ReportReason;
  /** The report. */
  report_id: MessageId;
  /** The room. */
  room_id: string;
  /** What became of it. */
  status: ReportStatus;
}

/** `resolve_report`. */
export interface ResolveReport {
  /** Which report. */
  report_id: string;
  /** What was done about it, at most 500 characters. */
  resolution?: string | null;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
  /** `resolved` or `dismissed`. */
  status: ReportStatus;
}

/** What somebody may do in a room, lowest first. On the wire in snake case. `Service` (bots, bridges, back ends) stands beside the others: it may do a moderator's acts, so it ranks just above a moderator and below an owner; where a service may do what an owner may, the rule names it. */
export type Role = "guest" | "member" | "moderator" | "service" | "owner" | "admin";

/** A user's role in a room. */
export interface RoleReply {
  /** What the room gives; null where nothing. */
  role: Role | null;
  /** The room. */
  room_id: string;
  /** The user. */
  user_id: string;
}

export interface RoleSet {
  role: Role | null;
  room_id: string;
  user_id: string;
}

/** A room as REST and the join reply show it. */
export interface Room {
  /** When it was made, RFC 3339. */
  created_at: string;
  /** The two users of a direct room, by their ids. */
  members?: [string, string];
  /** How many messages were said in it, tombstones included. */
  message_count: number;
  /** Its name: plain text, 1–255 characters. */
  name: string;
  /** Viewers without a token who are in it now. */
  online_guests: number;
  /** Users who are in it now. */
  online_users: number;
  /** Who made it; null where joining made it, and in a direct room. */
  owner_id: string | null;
  /** The pinned messages, newest first. */
  pinned: MessageId[];
  /** Its id. */
  room_id: string;
  /** All its settings. */
  settings: RoomSettings;
  /** What it belongs to. */
  type: RoomType;
  /** When its name or settings last changed, RFC 3339. */
  updated_at: string;
}

/** Nothing but the room. */
export interface RoomRef {
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** What an owner can set. */
export interface RoomSettings {
  /** Seconds after which those below moderator see what happens: 0, 2, 4 or 6. */
  delay_s: number;
  /** For how many seconds a message can be edited: 1–31,536,000; null: for good. */
  edit_window_s: number | null;
  /** Members may say nothing but emoji and `:name:` shortcodes. */
  emote_only: boolean;
  /** So many viewers are expected: the room is split for them ahead of time; 1–1,000,000, set by services and admins. */
  expect_viewers: number | null;
  /** Only who has followed for at least so many seconds may send, and subscribers: 0–31,536,000; null: off. */
  followers_only_s: number | null;
  /** Whether viewers without a token may read. */
  guests: boolean;
  /** Instead of MESSAGE_HISTORY_LIMIT: 1–100 messages on join. */
  history_limit: number | null;
  /** Who may post links. */
  links: Links;
  /** Instead of MAX_MESSAGE_LENGTH, in characters: 1–8,000. */
  max_message_length: number | null;
  /** Nobody may say the same twice within a minute. */
  no_repeats: boolean;
  /** Swearing, slurs and sexual talk; null: as ENABLE_PROFANITY_FILTER says. */
  profanity: ProfanitySetting | null;
  /** Instead of RATE_LIMIT_MESSAGES and RATE_LIMIT_WINDOW. */
  rate: Rate | null;
  /** Only moderators and above may send and react. */
  read_only: boolean;
  /** For how many days messages are kept: 1–3,650; null: as RETENTION_DAYS says. */
  retention_days: number | null;
  /** How many messages are kept: 100–10,000,000; null: all. */
  retention_messages: number | null;
  /** Messages a second above which viewers of a large room get a sample of them: 1–10,000; null: they get all. */
  sample_above: number | null;
  /** Seconds between two messages of a member: 1–21,600; null: off. */
  slow_s: number | null;
  /** Repeats, floods and advertisements; null: as ENABLE_SPAM_DETECTION says. */
  spam: SpamSetting | null;
  /** Only subscribers may send. */
  subscribers_only: boolean;
  /** Seconds that a subscription has to be old where only subscribers may send: 0–31,536,000. */
  subscribers_only_s: number;
  /** Who may read. */
  visibility: Visibility;
}

/** The `room_stats` event. */
export interface RoomStats {
  left_out?: LeftOut[];
  message_count: number;
  online_guests: number;
  online_users: number;
}

/** What a room belongs to. */
export type RoomType = "video" | "stream" | "group" | "direct";

export interface RoomUpdated {
  changed: string[];
  name: string;
  room_id: string;
  settings: RoomSettings;
  updated_at: string;
}

/** `send_message`. */
export interface SendMessage {
  /** A random name of at most 64 characters: the same one within 24 h is the same message. */
  client_id?: string | null;
  /** What was typed. */
  content: string;
  /** The tag of an encrypted message. */
  franking?: string | null;
  /** Ids of users, at most 20. */
  mentions?: string[];
  /** An object of at most 1,024 bytes. */
  metadata?: unknown;
  /** The message that this answers. */
  reply_to?: string | null;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
  /** What became of this client's previous message. */
  took?: Took | null;
  /** The type; `text` without it. */
  type?: string | null;
}

/** The reply to `send_message`. */
export interface SendReply {
  /** It waits for a moderator: `message_released` or `message_denied` says what became of it. */
  held?: boolean;
  /** The new message, or the first one under the same `client_id`. */
  message_id: MessageId;
  /** Its place in the log. */
  seq: number;
  /** When it was said, RFC 3339. */
  timestamp: string;
}

/** `set_modes`. */
export interface SetModes {
  /** The modes to change, as in the room's settings; null sets one back. */
  modes: Modes;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** `set_role`. */
export interface SetRole {
  /** `member`, `moderator`, `owner`, or null for none. */
  role?: Role | null;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
  /** Whose. */
  user_id: string;
}

/** `set_terms`, and the body of `PUT /api/rooms/{id}/terms`: all terms, instead of those that were. */
export interface SetTerms {
  /** What is done about a blocked one; `reject` without it. */
  action?: FilterAction | null;
  /** What may be said, whatever the filters think of it. */
  allowed?: string[];
  /** What may not be said. */
  blocked?: string[];
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** How bad it is. */
export type Severity = "mild" | "moderate" | "severe";

/** Why a message looks like spam. */
export type SpamReason = "repeat" | "near_repeat" | "raid" | "link_flood" | "mention_flood" | "shouting" | "character_run" | "first_link" | "speed" | "advertising";

/** The spam filter's setting. */
export interface SpamSetting {
  /** What is done. */
  action: FilterAction;
}

/** A room's own words and phrases; at most 500, of at most 64 characters each. `*` stands for letters of a word. */
export interface Terms {
  /** What is done about a blocked one. */
  action: FilterAction;
  /** What may be said, whatever the filters think of it. */
  allowed: string[];
  /** What may not be said. */
  blocked: string[];
}

/** The `terms_updated` event. */
export interface TermsUpdated {
  /** What is done about a blocked one. */
  action: FilterAction;
  /** What may be said, whatever the filters think of it. */
  allowed: string[];
  /** What may not be said. */
  blocked: string[];
  by: By;
  room_id: string;
}

/** What a client measured of a message of its own; counted for the operator, and believed for nothing else. Above a minute it counts as one. */
export interface Took {
  /** From its sending to its acknowledgement, ms. */
  ack_ms?: number | null;
  /** From its sending to its sight among the room's events, ms. */
  shown_ms?: number | null;
}

/** What would become of a message. */
export interface Tried {
  /** The message as it would be seen, safe as HTML element content. */
  content: string;
  /** Why; empty where it passes. */
  reasons: Why[];
  /** `pass`, `mask`, `hold` or `reject`. */
  verdict: string;
}

/** `typing`. */
export interface Typing {
  /** Writing, or not any more. */
  is_typing: boolean;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
}

/** A user as others see them. */
export interface User {
  /** An https URL of at most 512 bytes. */
  avatar: string | null;
  /** What the user was in this room at that time. */
  roles: Role[];
  /** The token's `sub`. */
  user_id: string;
  /** 1–64 characters, safe as HTML content. */
  username: string;
}

export interface UserBanned {
  by?: By;
  ends_at: string | null;
  reason?: string;
  room_id: string;
  shadow?: boolean;
  user_id: string;
  username: string | null;
}

export interface UserErased {
  erased_at: string;
  mentioned_in: MessageId[];
  message_ids: MessageId[];
  reactions: Record<string, Record<string, number>>;
  room_id: string;
  tombstones: boolean;
}

/** A user, and why. */
export interface UserRef {
  /** Why, at most 500 characters. */
  reason?: string | null;
  /** The room, which has to be the socket's own where it is given. */
  room_id?: string | null;
  /** Whom. */
  user_id: string;
}

export interface UserSeen {
  avatar: string | null;
  is_typing?: boolean;
  user_id: string;
  username: string;
}

export interface UserUnbanned {
  room_id: string;
  user_id: string;
}

/** The viewer's own self, as the join reply tells it. */
export interface Viewer {
  /** Null where there is none. */
  avatar: string | null;
  /** What this viewer may do here now. */
  can: Can[];
  /** When the token ends, RFC 3339. */
  expires_at?: string;
  /** A guest's random name, to be kept and sent as the subprotocol entry `guest.<id>`. */
  guest_id?: string;
  /** The role in this room. */
  role: Role;
  /** The same, as a list. */
  roles: Role[];
  /** Null for a guest. */
  user_id: string | null;
  /** Null for a guest. */
  username: string | null;
}

/** Who may read a room. */
export type Visibility = "public" | "private";

/** A reason with its sentence, as it stands on the wire. */
export type Why = ({ code: "emote_only"; } | { code: "links"; } | { code: "no_repeats"; } | { code: "term"; term?: string; } | { code: "profanity"; kinds: ProfanityKind[]; severity: Severity; } | { because: SpamReason; code: "spam"; }) & { sentence: string; };
